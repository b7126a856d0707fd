//! `countersign version`

use std::process::ExitCode;

/// Version and build.
pub(super) fn run() -> ExitCode {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!(
        "countersign {} ({profile}, {}-{})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    ExitCode::SUCCESS
}
