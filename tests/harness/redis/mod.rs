//! Real Redis servers: each a process of its own on a free port of the loopback, its files in a temporary folder, killed when
//! dropped.
//!
//! The tests of `token-store` read this module by its path, so it needs nothing from the rest of the harness.

mod cluster;
mod control;
mod port;
mod process;
mod sentinel;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

pub use self::cluster::Cluster;
pub use self::control::Reply;
pub use self::sentinel::Sentinels;
pub use self::tls::Certificates;

use self::port::Port;
use self::process::Process;

/// How a server is set up. By default: open to everybody, in clear, nothing kept on disk.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Append-only file, synced at every write: what was acknowledged outlives a kill.
    pub append_only: bool,
    /// What everybody must say first.
    pub password: Option<String>,
    /// A user, its password, and its ACL rules (`~* &* +@all`). Nobody else gets in.
    pub user: Option<(String, String, String)>,
    /// Limit of memory (`100mb`) and what happens at it (`noeviction`, `volatile-lru` …).
    pub maxmemory: Option<(String, String)>,
    /// TLS only, by these certificates.
    pub tls: Option<Certificates>,
    /// Whether clients must show a certificate too.
    pub client_certificates: bool,
    /// Further lines of the configuration.
    pub lines: Vec<String>,
}

/// One `redis-server`.
#[derive(Debug)]
pub struct Server {
    options: Options,
    folder: tempfile::TempDir,
    port: Port,
    process: Option<Process>,
    sentinel: bool,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub async fn start(options: Options) -> Self {
        Self::start_as(options, false).await
    }

    async fn start_as(options: Options, sentinel: bool) -> Self {
        let mut server = Self {
            options,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            port: Port::reserve(),
            process: None,
            sentinel,
        };
        for _ in 0..MOST_PORTS {
            server.write_configuration();
            if server.try_start().await {
                return server;
            }
            // Somebody took the port between our look and the server's.
            server.port = Port::reserve();
        }
        fail(&format!("no port was free: {}", server.log()));
    }

    /// `redis://` or `rediss://`, with the password or user of the options.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        let who = match (&self.options.user, &self.options.password) {
            (Some((user, password, _)), _) => format!("{user}:{password}@"),
            (None, Some(password)) => format!(":{password}@"),
            (None, None) => String::new(),
        };
        format!("{scheme}://{who}{}", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The answer to a command, given by a user who may do everything. An error answer fails the test.
    pub async fn command(&self, words: &[&str]) -> Reply {
        let reply = self.try_command(words).await;
        reply.unwrap_or_else(|error| fail(&format!("{words:?}: {error}")))
    }

    /// The answer to a command, or the error that the server (or its socket) gave.
    pub async fn try_command(&self, words: &[&str]) -> Result<Reply, String> {
        control::command(&self.socket(), words).await
    }

    /// One field of `INFO`.
    pub async fn info(&self, field: &str) -> Option<String> {
        let reply = self.try_command(&["INFO", "everything"]).await.ok()?;
        let start = format!("{field}:");
        reply
            .text()?
            .lines()
            .find_map(|line| line.strip_prefix(&start).map(str::to_owned))
    }

    /// Changes a setting of the running server; a restart forgets it.
    pub async fn set(&self, setting: &str, value: &str) {
        self.command(&["CONFIG", "SET", setting, value]).await;
    }

    /// kill -9: what was not synced is lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends as an operator would end it.
    pub async fn stop(&mut self) {
        // The server closes the connection instead of answering.
        drop(self.try_command(&["SHUTDOWN"]).await);
        if let Some(mut process) = self.process.take() {
            wait_until("the server ends", async || process.ended().is_some()).await;
        }
    }

    /// Starts again on the same port with what the folder holds.
    pub async fn start_again(&mut self) {
        self.kill();
        assert!(
            self.try_start().await,
            "the port of a stopped server was taken: {}",
            self.log()
        );
    }

    /// Starts again on the same port with nothing in the folder.
    pub async fn start_emptied(&mut self) {
        self.kill();
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).expect("the folder can be emptied");
            } else {
                std::fs::remove_file(path).expect("the folder can be emptied");
            }
        }
        self.write_configuration();
        self.start_again().await;
    }

    /// Starts again on the same port with a copy of what another server holds now.
    pub async fn start_with_data_of(&mut self, other: &Self) {
        other.command(&["SAVE"]).await;
        self.kill();
        let copied = std::fs::copy(other.folder.path().join(DUMP), self.folder.path().join(DUMP));
        copied.expect("the data of a server can be copied");
        self.start_again().await;
    }

    /// SIGSTOP: connections stand, nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    fn write_configuration(&self) {
        let text = self.configuration();
        std::fs::write(self.folder.path().join(CONFIGURATION), text).expect("the configuration can be written");
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let port = self.port();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "protected-mode no".to_owned(),
            format!("dir {folder}"),
            format!("logfile {folder}/{LOG}"),
            format!("unixsocket {}", self.socket().display()),
            format!("user {} on >{} ~* &* +@all", control::USER, control::PASSWORD),
        ];
        if !self.sentinel {
            lines.extend(["save \"\"".to_owned(), format!("dbfilename {DUMP}")]);
        }
        match &self.options.tls {
            None => lines.push(format!("port {port}")),
            Some(certificates) => {
                let asked = if self.options.client_certificates { "yes" } else { "no" };
                lines.extend([
                    "port 0".to_owned(),
                    format!("tls-port {port}"),
                    format!("tls-cert-file {}", certificates.server_certificate().display()),
                    format!("tls-key-file {}", certificates.server_key().display()),
                    format!("tls-ca-cert-file {}", certificates.authority().display()),
                    format!("tls-auth-clients {asked}"),
                ]);
            }
        }
        if self.options.append_only {
            lines.extend(["appendonly yes".to_owned(), "appendfsync always".to_owned()]);
        }
        if let Some(password) = &self.options.password {
            lines.push(format!("requirepass {password}"));
        }
        if let Some((user, password, rules)) = &self.options.user {
            lines.extend([
                "user default off".to_owned(),
                format!("user {user} on >{password} {rules}"),
            ]);
        }
        if let Some((limit, policy)) = &self.options.maxmemory {
            lines.extend([format!("maxmemory {limit}"), format!("maxmemory-policy {policy}")]);
        }
        lines.extend(self.options.lines.iter().cloned());
        lines.join("\n") + "\n"
    }

    /// `false`: the port is somebody else's.
    async fn try_start(&mut self) -> bool {
        let configuration = self.folder.path().join(CONFIGURATION);
        let arguments: &[&Path] = if self.sentinel {
            &[&configuration, Path::new("--sentinel")]
        } else {
            &[&configuration]
        };
        let mut process = Process::start(arguments, self.folder.path());
        let mut ended = None;
        wait_until("redis-server answers", async || {
            ended = process.ended();
            ended.is_some()
                || self
                    .try_command(&["PING"])
                    .await
                    .is_ok_and(|reply| reply == Reply::text_of("PONG"))
        })
        .await;
        if let Some(status) = ended {
            let log = self.log();
            assert!(
                log.contains("Address already in use"),
                "redis-server ended ({status}): {log}"
            );
            return false;
        }
        self.process = Some(process);
        true
    }
}

/// Waits for what must come, with far more patience than it needs.
pub async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..PATIENCE {
        if is_so().await {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    fail(&format!("waited in vain until {what}"));
}

/// Ends the test.
#[track_caller]
#[expect(clippy::panic, reason = "how a test fails")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

const CONFIGURATION: &str = "redis.conf";
const DUMP: &str = "dump.rdb";
const LOG: &str = "redis.log";
const MOST_PORTS: usize = 20;
const STEP: Duration = Duration::from_millis(10);
/// Steps: half a minute.
const PATIENCE: usize = 3000;
