//! A primary, its replica, and the Sentinels that watch them.

use super::{Options, Server, control, wait_until};

/// Three kinds of process: who the primary is, is asked of the Sentinels.
#[derive(Debug)]
pub struct Sentinels {
    servers: [Server; 2],
    sentinels: Vec<Server>,
}

impl Sentinels {
    /// One primary and one replica with the same options, watched by `count` (1 to 3) Sentinels, a majority of which must agree.
    pub async fn start(options: Options, count: usize) -> Self {
        let own_user = [
            format!("masteruser {}", control::USER),
            format!("masterauth {}", control::PASSWORD),
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        let mut options = options;
        options.lines.extend(own_user);
        let primary = Server::start(options.clone()).await;
        options.lines.push(format!("replicaof 127.0.0.1 {}", primary.port()));
        let replica = Server::start(options).await;
        let quorum = count / 2 + 1;
        let mut sentinels = Vec::new();
        for _ in 0..count {
            let lines = vec![
                format!("sentinel monitor {NAME} 127.0.0.1 {} {quorum}", primary.port()),
                format!("sentinel auth-user {NAME} {}", control::USER),
                format!("sentinel auth-pass {NAME} {}", control::PASSWORD),
                format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MILLIS}"),
                format!("sentinel failover-timeout {NAME} {FAILOVER_MILLIS}"),
            ];
            let options = Options {
                lines,
                ..Options::default()
            };
            sentinels.push(Server::start_as(options, true).await);
        }
        let started = Self {
            servers: [primary, replica],
            sentinels,
        };
        started.wait_until_watched().await;
        started
    }

    /// `redis-sentinel://` with every Sentinel and the name of the primary.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.sentinels.iter().map(Server::address).collect();
        format!("redis-sentinel://{}/{NAME}", addresses.join(","))
    }

    /// Who the primary is, if its Sentinels agree and it says so itself.
    async fn place_of_primary(&self) -> Option<usize> {
        let mut named = None;
        for sentinel in &self.sentinels {
            let reply = sentinel
                .try_command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
                .await
                .ok()?;
            let port: u16 = reply.list().get(1)?.text()?.parse().ok()?;
            if named.is_some_and(|other| other != port) {
                return None;
            }
            named = Some(port);
        }
        let place = self.servers.iter().position(|server| Some(server.port()) == named)?;
        let role = self.servers.get(place)?.info("role").await;
        (role.as_deref() == Some("master")).then_some(place)
    }

    /// The primary and the other.
    pub async fn primary_and_replica(&mut self) -> (&mut Server, &mut Server) {
        let mut place = None;
        wait_until("there is a primary", async || {
            place = self.place_of_primary().await;
            place.is_some()
        })
        .await;
        let [first, second] = &mut self.servers;
        if place == Some(0) {
            (first, second)
        } else {
            (second, first)
        }
    }

    /// What was written until now is on the replica, too: of a link that is up it may hear nothing for a second yet.
    pub async fn wait_until_in_sync(&mut self) {
        let (primary, replica) = self.primary_and_replica().await;
        let written = primary
            .info("master_repl_offset")
            .await
            .and_then(|offset| offset.parse::<u64>().ok());
        wait_until("the replica has what was written", async || {
            let heard = replica
                .info("slave_repl_offset")
                .await
                .and_then(|offset| offset.parse::<u64>().ok());
            written.is_some() && heard >= written
        })
        .await;
    }

    /// The replica hears nothing more from the primary; a failover loses what is written from here on.
    pub async fn cut_replication(&mut self) {
        self.wait_until_in_sync().await;
        let (primary, replica) = self.primary_and_replica().await;
        replica.set("masterauth", "no longer this").await;
        primary.command(&["CLIENT", "KILL", "TYPE", "replica"]).await;
        wait_until("the replica lost its primary", async || {
            replica.info("master_link_status").await.as_deref() == Some("down")
        })
        .await;
    }

    /// kill -9 of the primary; returns once the other took over.
    pub async fn kill_primary(&mut self) {
        let (primary, _) = self.primary_and_replica().await;
        primary.kill();
        let before = primary.port();
        self.wait_for_another_than(before).await;
    }

    /// The primary hangs until the other took over, and comes back as if nothing had been.
    pub async fn hang_primary(&mut self) {
        let (primary, _) = self.primary_and_replica().await;
        primary.pause();
        let before = primary.port();
        self.wait_for_another_than(before).await;
        let (_, hung) = self.primary_and_replica().await;
        hung.resume();
    }

    async fn wait_for_another_than(&self, port: u16) {
        wait_until("the replica took over", async || {
            let place = self.place_of_primary().await;
            place.is_some_and(|place| self.servers.get(place).is_some_and(|server| server.port() != port))
        })
        .await;
    }

    /// Starts again what [`Sentinels::kill_primary`] killed, and has it follow the new primary at once (left to
    /// themselves, the Sentinels take ten seconds and more to tell it).
    pub async fn start_killed_again(&mut self) {
        let (primary, killed) = self.primary_and_replica().await;
        killed.start_again().await;
        // The Sentinels had it write down what [`Sentinels::cut_replication`] set.
        killed.set("masterauth", control::PASSWORD).await;
        let port = primary.port().to_string();
        killed.command(&["REPLICAOF", "127.0.0.1", &port]).await;
        wait_until("the old primary follows the new one", async || {
            killed.info("master_link_status").await.as_deref() == Some("up")
        })
        .await;
    }

    /// Every Sentinel knows the replica, and the others: from here on they can fail over.
    async fn wait_until_watched(&self) {
        for sentinel in &self.sentinels {
            wait_until("the Sentinels know one another and the replica", async || {
                let replicas = sentinel.command(&["SENTINEL", "REPLICAS", NAME]).await;
                let others = sentinel.command(&["SENTINEL", "SENTINELS", NAME]).await;
                let able = sentinel.try_command(&["SENTINEL", "CKQUORUM", NAME]).await;
                replicas.list().len() == 1 && others.list().len() + 1 == self.sentinels.len() && able.is_ok()
            })
            .await;
        }
        let [_, replica] = &self.servers;
        wait_until("the replica follows", async || {
            replica.info("master_link_status").await.as_deref() == Some("up")
        })
        .await;
    }
}

const NAME: &str = "countersign";
const DOWN_AFTER_MILLIS: u32 = 500;
const FAILOVER_MILLIS: u32 = 3000;
