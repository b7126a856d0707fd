//! `[admin]`

use std::net::SocketAddr;

use super::reader::Section;
use super::values;

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Admin API, UI, health, metrics.
    pub listen: SocketAddr,
}

pub(super) fn admin(section: Section<'_, '_>) -> Admin {
    let default = SocketAddr::from(([127, 0, 0, 1], 9090));
    let admin = Admin {
        listen: section.parsed_or("listen", default, values::address),
    };
    section.finish();
    admin
}
