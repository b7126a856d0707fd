//! `[admin]`

use std::net::SocketAddr;

use super::reader::Section;

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Admin API, UI, health, metrics.
    pub listen: SocketAddr,
}

pub(super) fn admin(section: Section<'_, '_>) -> Admin {
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("{text:?} is not an address"))
    };
    let default = SocketAddr::from(([127, 0, 0, 1], 9090));
    let admin = Admin {
        listen: section.parsed("listen", address).unwrap_or(default),
    };
    section.finish();
    admin
}
