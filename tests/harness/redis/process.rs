//! One process, killed when it is dropped, and when the test process ends in whatever way.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::fail;

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Its input ends with the test process, however that ends.
    guard: Child,
}

impl Process {
    /// `redis-server` with those arguments; `folder` goes too where the test process can't remove it any more.
    pub(super) fn start(arguments: &[&Path], folder: &Path) -> Self {
        let mut command = Command::new("redis-server");
        let command = quiet(command.args(arguments)).stdin(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fail("these tests start real servers: install redis-server (apt-get install redis-server)")
            }
            Err(error) => fail(&format!("redis-server can't be started: {error}")),
        };
        let mut guard = Command::new("sh");
        let script = "trap '' INT TERM; read -r end; kill -9 \"$1\"; rm -rf \"$2\"";
        guard.args(["-c", script, "guard", &child.id().to_string()]).arg(folder);
        let guard = quiet(&mut guard).stdin(Stdio::piped()).spawn();
        Self {
            child,
            guard: guard.expect("there is a shell"),
        }
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child can be signalled");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard first: it must not meet another process under that number. What ended already can't be killed again.
        for child in [&mut self.guard, &mut self.child] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}
