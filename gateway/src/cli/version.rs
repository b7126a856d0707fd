//! `countersign version`

use std::process::ExitCode;

use super::{exit_code, say};

/// Version and build.
pub(super) fn run() -> ExitCode {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let (version, arch, os) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    exit_code(say(&format!("countersign {version} ({profile}, {arch}-{os})")))
}
