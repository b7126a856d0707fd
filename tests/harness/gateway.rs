//! The real binary with a generated configuration, in a folder of its own, on free ports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::call::Call;
use crate::process::{Process, binary, free_port};
use crate::wait::{eventually, next_second};
use crate::wire::Response;

/// A configuration: keys by section, and what stands behind them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    sections: BTreeMap<String, BTreeMap<String, String>>,
    more: String,
}

impl Config {
    /// One key of a section, its value as TOML; `section` may be dotted, or empty: the key stands above all sections.
    #[must_use]
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        let keys = self.sections.entry(section.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_owned());
        self
    }

    /// More TOML behind the sections: `[[routes]]`, `[[resources]]`.
    #[must_use]
    pub fn append(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// What was appended, with another text in place of one.
    #[must_use]
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        self.more = self.more.replace(from, to);
        self
    }

    /// Without what was appended.
    #[must_use]
    pub fn without_more(mut self) -> Self {
        self.more.clear();
        self
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            // Keys of no section stand first.
            if !section.is_empty() {
                writeln!(text, "[{section}]").unwrap();
            }
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        text + &self.more
    }
}

/// A gateway: its process may end and start again, its folder and ports stay.
pub struct Gateway {
    folder: TempDir,
    public: SocketAddr,
    admin: SocketAddr,
    base_url: String,
    config: Mutex<Config>,
    environment: Vec<(String, String)>,
    process: Mutex<Option<Process>>,
}

impl Gateway {
    /// Starts one and waits until it serves. `base_url` unset: its own address.
    pub async fn start(config: Config, base_url: Option<&str>, environment: &[(&str, &str)]) -> Self {
        // Between the look for a free port and its use somebody else may take it.
        for _ in 0..5 {
            let gateway = Self::prepare(config.clone(), base_url, environment);
            if gateway.run().await {
                return gateway;
            }
        }
        panic!("no free port in five tries");
    }

    fn prepare(config: Config, base_url: Option<&str>, environment: &[(&str, &str)]) -> Self {
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (public, admin) = (address(), address());
        let has_tls = config.sections.contains_key("public.tls");
        let scheme = if has_tls { "https" } else { "http" };
        let base_url = base_url.map_or_else(|| format!("{scheme}://{public}"), str::to_owned);
        let signed = config
            .sections
            .get("public")
            .is_some_and(|keys| keys.contains_key("base_url"));
        let mut config =
            config
                .set("public", "listen", &format!("[\"{public}\"]"))
                .set("admin", "listen", &format!("\"{admin}\""));
        if !signed {
            config = config.set("public", "base_url", &format!("\"{base_url}\""));
        }
        Self {
            folder: tempfile::Builder::new().prefix("countersign-e2e-").tempdir().unwrap(),
            public,
            admin,
            base_url,
            config: Mutex::new(config),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            process: Mutex::new(None),
        }
    }

    /// Starts the process and waits until it serves; `false`: one of its ports or its store was taken.
    async fn run(&self) -> bool {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).render();
        fs::write(self.config_path(), config).unwrap();
        let mut command = Command::new(binary());
        command.args(["serve", "--config", "countersign.toml"]).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let said_before = self.log().len();
        let process = Process::start(&mut command, self.folder.path(), self.folder.path());
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        let serves = eventually("the gateway serves", async || {
            if let Some(status) = self.ended() {
                let log = self.log().split_off(said_before);
                let is_taken = log.contains("in use") || log.contains("is open in another process");
                assert!(is_taken, "countersign ended with {status}: {log}");
                return Some(false);
            }
            self.is_ready().await.then_some(true)
        });
        let serves = serves.await;
        if serves {
            // What was signed in a store's first second can't be told from what it may have forgotten.
            next_second().await;
        }
        serves
    }

    /// Starts again after an end, in the same folder, on the same ports.
    pub async fn start_again(&self) {
        assert!(self.ended().is_some(), "it still runs");
        // A process that another test is just starting holds our open files, and so a store's lock, for a moment.
        eventually("the gateway starts again", async || self.run().await.then_some(())).await;
    }

    /// Ends it by TERM; how it ended.
    pub async fn stop(&self) -> ExitStatus {
        self.signal("TERM");
        self.end().await
    }

    /// `kill -9`
    pub fn kill(&self) {
        self.with_process(Process::kill);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        self.with_process(|process| process.signal(signal));
    }

    /// Waits for its end.
    pub async fn end(&self) -> ExitStatus {
        eventually("the gateway ends", async || self.ended()).await
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.with_process(Process::ended)
    }

    /// The process's number.
    pub fn process_id(&self) -> u32 {
        self.with_process(|process| process.id())
    }

    fn with_process<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        act(process.as_mut().unwrap())
    }

    /// Runs a command of the binary beside it, on the same configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .args(["--config", "countersign.toml"])
            .env_clear();
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// Changes the configuration and makes the gateway read it (HUP); returns when it has.
    pub async fn reload(&self, change: impl FnOnce(Config) -> Config) {
        let before = self.log().matches(RELOADED).count();
        self.write_config(change);
        self.reloaded(before).await;
    }

    async fn reloaded(&self, before: usize) {
        self.signal("HUP");
        eventually("the reload", async || {
            (self.log().matches(RELOADED).count() > before).then_some(())
        })
        .await;
    }

    /// Changes the file alone.
    pub fn write_config(&self, change: impl FnOnce(Config) -> Config) {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        *config = change(config.clone());
        fs::write(self.config_path(), config.render()).unwrap();
    }

    /// `store.url`, as it is configured.
    pub(crate) fn store_url(&self) -> String {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let url = config.sections.get("store").and_then(|keys| keys.get("url"));
        url.map(|url| url.trim_matches('"').to_owned()).unwrap_or_default()
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("countersign.toml")
    }

    /// Where it keeps its files: configuration, embedded store, output.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The public listener.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// The admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What clients sign, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// A call of the admin listener, without credentials.
    pub async fn admin_call(&self, call: Call) -> Response {
        call.to_address(self.admin, &format!("http://{}", self.admin))
            .send()
            .await
    }

    /// Whether `/health/ready` says so.
    pub async fn is_ready(&self) -> bool {
        let ready = Call::get("/health/ready").to_address(self.admin, "http://health");
        ready.try_send().await.is_ok_and(|answer| answer.status == 200)
    }

    /// A counter of `/metrics`: the value of the series that begins so.
    pub async fn metric(&self, series: &str) -> u64 {
        let text = self.admin_call(Call::get("/metrics")).await.text();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next())
            .map_or(0, |value| value.parse().unwrap())
    }

    /// The application's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The application's log says that; a line comes a moment after what it tells of.
    pub async fn logged(&self, words: &str) {
        eventually(words, async || self.log().contains(words).then_some(())).await;
    }

    /// The application's log with all that was said until now. Lines come a moment later and in their order, so the
    /// line of one more reload is waited for, behind them.
    pub async fn whole_log(&self) -> String {
        self.reloaded(self.log().matches(RELOADED).count()).await;
        self.log()
    }

    /// The access log so far.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stdout")).unwrap_or_default()
    }

    /// The access log's line of a response; it comes a moment later.
    pub async fn access_line(&self, response: &Response) -> Value {
        let id = response.header("x-request-id").unwrap().to_owned();
        eventually("a line in the access log", async || {
            let log = self.access_log();
            log.lines()
                .find(|line| line.contains(&id))
                .map(|line| serde_json::from_str(line).unwrap())
        })
        .await
    }
}

/// What the log says at the end of a reload, good or bad.
const RELOADED: &str = "\"configuration re";
