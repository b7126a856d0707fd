//! `[callbacks]`: the verifier POST.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::reader::Section;
use super::values;

/// `[callbacks]`: the verifier POST.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// For the whole call.
    pub timeout: Duration,
    /// Private addresses that may be called, with a port if wanted.
    pub allow: Vec<AllowedCallback>,
    /// PEM of an authority to trust besides the system's roots.
    pub ca: Option<PathBuf>,
}

/// An entry of `callbacks.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCallback {
    /// Addresses.
    pub net: IpNet,
    /// `None`: any port.
    pub port: Option<u16>,
}

pub(super) fn callbacks(section: Section<'_, '_>) -> Callbacks {
    let callbacks = Callbacks {
        timeout: section.duration("timeout", "5s", ("100ms", "1m")),
        allow: section.all_parsed("allow", values::allowed_callback),
        ca: section.certificates_file("ca"),
    };
    section.finish();
    callbacks
}
