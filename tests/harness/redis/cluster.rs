//! A Cluster of three primaries.

use super::{Options, Port, Reply, Server, wait_until};

/// Three primaries that hold all slots between them.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    /// Held as long as the nodes speak on them.
    buses: Vec<Port>,
}

impl Cluster {
    /// Starts the nodes, gives each a third of the slots, and waits until all of them see all of it.
    pub async fn start(options: Options) -> Self {
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for _ in SLOTS {
            let bus = Port::reserve();
            let mut options = options.clone();
            options.lines.extend([
                "cluster-enabled yes".to_owned(),
                format!("cluster-port {}", bus.number()),
                "cluster-node-timeout 1000".to_owned(),
            ]);
            nodes.push(Server::start(options).await);
            buses.push(bus);
        }
        let cluster = Self { nodes, buses };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        for (node, (first, last)) in self.nodes.iter().zip(SLOTS) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        }
        for node in &self.nodes {
            for (other, bus) in self.nodes.iter().zip(&self.buses) {
                let (port, bus) = (other.port().to_string(), bus.number().to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
            }
        }
        for node in &self.nodes {
            wait_until("the nodes are one Cluster", async || {
                let info = node.command(&["CLUSTER", "INFO"]).await;
                let says = |what: &str| info.text().is_some_and(|text| text.contains(what));
                says("cluster_state:ok") && says("cluster_known_nodes:3") && says("cluster_size:3")
            })
            .await;
        }
    }

    /// `redis-cluster://` with every node.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(Server::address).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// The answers of all nodes to one command.
    pub async fn command_all(&self, words: &[&str]) -> Vec<Reply> {
        let mut replies = Vec::new();
        for node in &self.nodes {
            replies.push(node.command(words).await);
        }
        replies
    }
}

const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
