//! The starter as an operator runs it: its files copied, one line edited, `countersign serve`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{
    ADMIN, Admin, Call, Credentials, Message, PASSWORD, Response, binary, eventually, free_port, next_second,
};
use tokio::sync::OnceCell;

use crate::magento::Magento;

/// A gateway on the starter, and what it fronts.
pub(crate) struct Starter {
    pub(crate) magento: Magento,
    public: SocketAddr,
    admin: Admin,
    _guard: Guard,
}

/// What ends the process and removes its folder when the tests' own process ends, however it does: its input ends then.
struct Guard {
    _waiting: Child,
}

impl Starter {
    /// One for all tests of the process.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<Starter> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let magento = Magento::start().await;
        let folder = tempfile::Builder::new()
            .prefix("countersign-starter-")
            .tempdir()
            .unwrap();
        copy(&magento_folder(), folder.path());
        let (_, edited) = configuration(&format!("http://{}", magento.address()));
        fs::write(folder.path().join("countersign.toml"), edited).unwrap();
        let [public, admin] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let log = folder.path().join("stderr");
        let mut child = Command::new(binary())
            .args(["serve", "--config", "countersign.toml"])
            .current_dir(folder.path())
            .env_clear()
            // Free ports, so that tests run side by side; clients sign what the file says.
            .env("COUNTERSIGN_PUBLIC_LISTEN", public.to_string())
            .env("COUNTERSIGN_ADMIN_LISTEN", admin.to_string())
            .env("COUNTERSIGN_ADMIN_USER", ADMIN)
            .env("COUNTERSIGN_ADMIN_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let guard = Guard::of(child.id(), folder.keep());
        eventually("the gateway serves", async || {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "countersign ended: {}",
                fs::read_to_string(&log).unwrap()
            );
            let ready = Call::get("/health/ready")
                .to_address(admin, "http://health")
                .try_send()
                .await;
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        // What was signed in a store's first second can't be told from what it may have forgotten.
        next_second().await;
        Self {
            admin: Admin::sign_in(admin, ADMIN, PASSWORD).await,
            magento,
            public,
            _guard: guard,
        }
    }

    /// An active integration with that grant.
    pub(crate) async fn integration(&self, granted: &[&str]) -> Credentials {
        self.admin.integration().granted(granted).active().await.credentials
    }

    /// The octets of a call, signed for the base URL that the starter names.
    pub(crate) fn message(&self, call: &Call) -> Message {
        call.to_address(self.public, "http://127.0.0.1:8080")
    }

    /// Makes a call.
    pub(crate) async fn send(&self, call: Call) -> Response {
        self.message(&call).send().await
    }
}

impl Guard {
    fn of(process: u32, folder: PathBuf) -> Self {
        let script = "trap '' INT TERM; read -r end; kill -9 \"$1\"; rm -rf \"$2\"";
        let waiting = Command::new("sh")
            .args(["-c", script, "guard", &process.to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { _waiting: waiting }
    }
}

fn magento_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/magento")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copied).unwrap();
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).unwrap();
        }
    }
}

/// The starter's main file as it is given, and with the upstream's URL in its one line.
pub(crate) fn configuration(url: &str) -> (String, String) {
    let given = fs::read_to_string(magento_folder().join("countersign.toml")).unwrap();
    let edited = given.replace(
        "targets = [\"http://127.0.0.1:8081\"]",
        &format!("targets = [\"{url}\"]"),
    );
    (given, edited)
}

/// A route of the starter, read by other means than the gateway's.
pub(crate) struct Route {
    path: String,
    /// As `GET`.
    pub(crate) methods: Vec<String>,
    /// Each has one.
    pub(crate) resource: String,
}

impl Route {
    /// A path that it matches.
    pub(crate) fn example(&self) -> String {
        let segment = |part: &str| match part {
            "{store?}" => String::new(),
            variable if variable.starts_with('{') => "/4711".to_owned(),
            literal => format!("/{literal}"),
        };
        self.path.split('/').skip(1).map(segment).collect()
    }
}

/// All routes of the starter.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for entry in fs::read_dir(magento_folder().join("conf.d")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for table in text.split("[[routes]]").skip(1) {
            let quoted = |key: &str| -> Vec<String> {
                let line = table
                    .lines()
                    .find(|line| line.starts_with(&format!("{key} = ")))
                    .unwrap();
                line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
            };
            routes.push(Route {
                path: quoted("path").remove(0),
                methods: quoted("methods"),
                resource: quoted("resources").remove(0),
            });
        }
    }
    routes
}
