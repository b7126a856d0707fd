//! The command line as an operator uses it: the real binary, its output and exit codes.

#![expect(clippy::unwrap_used, reason = "tests: a broken precondition fails the test at once")]

mod commands;
mod doctor;
mod doctor_certificates;
mod explain;
mod explain_clients;
mod running;
mod serve;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use harness::binary;

/// What a command left: exit code, stdout, stderr.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A command in a folder: no variables but the given ones, and a stdin that is no terminal.
struct Run<'a> {
    folder: &'a Path,
    variables: Vec<(&'a str, &'a str)>,
    input: &'a str,
}

impl<'a> Run<'a> {
    fn within(folder: &'a Path) -> Self {
        Self {
            folder,
            variables: Vec::new(),
            input: "",
        }
    }

    fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn given(mut self, input: &'a str) -> Self {
        self.input = input;
        self
    }

    fn told(&self, arguments: &[&str]) -> Told {
        let mut child = Command::new(binary())
            .args(arguments)
            .current_dir(self.folder)
            .env_clear()
            .envs(self.variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _written: std::io::Result<()> = child.stdin.take().unwrap().write_all(self.input.as_bytes());
        Told::of(child.wait_with_output().unwrap())
    }
}

impl Told {
    fn of(output: Output) -> Self {
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// A folder with a configuration in it.
fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), configuration).unwrap();
    folder
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}
