//! Real processes: the binary under test, free ports, signals, and a guard that ends them when the tests end.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The gateway's binary, beside this test's own; built anew when its sources are newer.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // target/PROFILE/deps/TEST
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args([
                "build",
                "--quiet",
                "--locked",
                "--package",
                "countersign",
                "--bin",
                "countersign",
                "--target-dir",
            ])
            .arg(profile.parent().unwrap())
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "countersign does not build");
        profile.join("countersign")
    })
}

/// A free port of the loopback that no other test of this process was given.
///
/// It lies below the ports that the system gives to outgoing connections, so that none of those takes it meanwhile.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = 10_000 + u16::try_from(crate::sign::random() % 20_000).unwrap();
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
}

/// A running process. It is killed when this is dropped, and when the test process ends in whatever way.
pub(crate) struct Process {
    child: Child,
    guard: Child,
}

impl Process {
    /// Starts `command`, its output appended to files in `folder`. `scratch` is removed when the test process ends.
    pub(crate) fn start(command: &mut Command, folder: &Path, scratch: &Path) -> Self {
        let append = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(folder.join(name))
                .unwrap()
        };
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(append("stdout"))
            .stderr(append("stderr"))
            .spawn()
            .unwrap();
        // Its input ends with this process, however that ends.
        let script = "trap '' INT TERM; read -r end; [ -n \"$end\" ] || { kill -9 \"$1\"; rm -rf \"$2\"; }";
        let guard = Command::new("sh")
            .args(["-c", script, "guard", &child.id().to_string()])
            .arg(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, guard }
    }

    /// `kill -SIGNAL`
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success(), "kill -{signal}");
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _killed: io::Result<()> = self.child.kill();
        self.child.wait().unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // The guard has nothing left to end: it must not meet another process under that number.
        let _killed: io::Result<()> = self.guard.kill();
        let _ended: io::Result<ExitStatus> = self.guard.wait();
    }
}
