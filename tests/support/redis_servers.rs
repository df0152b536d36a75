//! Redis as it is deployed where it must not be away for long: a master that
//! sentinels watch over, and a cluster. Deployments that nothing is done to are
//! shared; who breaks one starts their own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::{FromRedisValue, RedisResult};

use super::servers::{Process, free_port, installed, redis_binary, started};

/// The name of the master that sentinels watch over.
pub const MASTER: &str = "gatelodge-test";

const PATIENCE: Duration = Duration::from_secs(30);

pub static SENTINEL: LazyLock<Sentinel> = LazyLock::new(Sentinel::start);
pub static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(0));

static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    redis_binary()
        .or_else(|| installed("redis-server", redis_binary))
        .expect("the tests of Sentinel and Cluster need redis-server or valkey-server itself")
});

/// A server that ends with the test, or before.
pub struct Node {
    pub port: u16,
    process: Process,
}

impl Node {
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(|_, _, server| {
            server
                .args(["--save", "", "--appendonly", "no"])
                // Replicas need not wait for others to be copied to together.
                .args(["--repl-diskless-sync-delay", "0"])
                .args(options);
        })
    }

    /// With arguments that depend on its folder and its port.
    fn start_with(arguments: impl Fn(&Path, u16, &mut Command)) -> Self {
        let process = started("Redis", "KILL", |directory, port| {
            let mut server = Command::new(&*BINARY);
            arguments(directory, port, &mut server);
            server
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .arg("--dir")
                .arg(directory);
            server
        });
        Self {
            port: process.address.port(),
            process,
        }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.host())
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// One command, its words separated by spaces.
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> RedisResult<T> {
        let words: Vec<&str> = command.split(' ').collect();
        self.ask_words(&words)
    }

    pub fn ask_words<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5))?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection)
    }

    pub fn tell(&self, command: &str) {
        self.ask::<()>(command)
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    pub fn role(&self) -> String {
        self.field("INFO replication", "role").unwrap_or_default()
    }

    /// What an answer in lines of `name:value` says.
    fn field(&self, command: &str, name: &str) -> Option<String> {
        let answer: String = self.ask(command).ok()?;
        let mut fields = answer.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(field, _)| *field == name)?;
        Some(value.to_owned())
    }

    /// How many are connected.
    pub fn clients(&self) -> usize {
        let connected = self.field("INFO clients", "connected_clients");
        connected.expect("Redis answers").parse().expect("a number")
    }

    fn await_field(&self, command: &str, name: &str, value: &str) {
        await_that(&format!("{name} is {value}"), || {
            self.field(command, name)
                .is_some_and(|found| found.contains(value))
        });
    }

    /// As if the power had failed.
    pub fn kill(&self) {
        self.process.signal("KILL");
    }
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A master, a replica, and who names another master when that one is gone.
pub struct Sentinel {
    pub master: Node,
    pub replica: Node,
    pub watcher: Node,
    /// A sentinel that takes connections and says nothing.
    silent: TcpListener,
}

impl Sentinel {
    pub fn start() -> Self {
        let master = Node::start(&[]);
        let replica = Node::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        master.await_field("INFO replication", "slave0", "state=online");

        let lines = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {MASTER} 500\n\
             sentinel failover-timeout {MASTER} 2000\n",
            master.port
        );
        let watcher = Node::start_with(|directory, _, server| {
            let file = directory.join("sentinel.conf");
            std::fs::write(&file, &lines).expect("a file");
            server.arg(&file).arg("--sentinel");
        });
        let deployment = Self {
            master,
            replica,
            watcher,
            silent: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        };
        await_that("the sentinel knows the replica", || {
            let replicas = deployment
                .watcher
                .ask::<Vec<Vec<String>>>(&format!("SENTINEL REPLICAS {MASTER}"));
            replicas.is_ok_and(|replicas| !replicas.is_empty())
        });
        deployment
    }

    pub fn url(&self) -> String {
        let silent = self.silent.local_addr().expect("its address");
        format!("redis+sentinel://{silent},{}/{MASTER}", self.watcher.host())
    }

    /// Makes the replica the master, and the master a replica that runs on.
    pub fn fail_over(&self) {
        let command = format!("SENTINEL FAILOVER {MASTER}");
        await_that("the sentinel finds the replica fit", || {
            self.watcher.ask::<()>(&command).is_ok()
        });
    }
}

const SLOTS: u16 = 16_384;

/// Three nodes that share the slots, and as many replicas of the first as wanted.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub replicas: Vec<Node>,
}

impl Cluster {
    pub fn start(replicas: usize) -> Self {
        let node = |_| {
            Node::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                // Else it is the port and ten thousand, which may be too much.
                "--cluster-port",
                &free_port().to_string(),
            ])
        };
        let cluster = Self {
            nodes: (0..3).map(node).collect(),
            replicas: (0..replicas).map(node).collect(),
        };
        for (at, node) in (0..).zip(&cluster.nodes) {
            let (first, last) = (at * SLOTS / 3, (at + 1) * SLOTS / 3 - 1);
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1));
        }
        let [first, ..] = &cluster.nodes[..] else {
            unreachable!()
        };
        for node in cluster.all().skip(1) {
            let bus: Vec<String> = node.ask("CONFIG GET cluster-port").expect("its bus");
            first.tell(&format!("CLUSTER MEET 127.0.0.1 {} {}", node.port, bus[1]));
        }
        let number = cluster.all().count().to_string();
        for node in cluster.all() {
            node.await_field("CLUSTER INFO", "cluster_known_nodes", &number);
        }
        for replica in &cluster.replicas {
            let master: String = first.ask("CLUSTER MYID").expect("its id");
            await_that("the replica knows its master", || {
                replica
                    .ask::<()>(&format!("CLUSTER REPLICATE {master}"))
                    .is_ok()
            });
            first.await_field("INFO replication", "slave0", "state=online");
        }
        for node in cluster.all() {
            node.await_field("CLUSTER INFO", "cluster_state", "ok");
            node.await_field("CLUSTER INFO", "cluster_slots_ok", &SLOTS.to_string());
        }
        cluster
    }

    pub fn all(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().chain(&self.replicas)
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(Node::host).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes[0]
            .ask_words(&["CLUSTER", "KEYSLOT", key])
            .expect("a slot")
    }

    pub fn owner(&self, slot: u16) -> usize {
        (0..self.nodes.len())
            .find(|at| {
                (u32::from(slot) + 1) * 3 <= (u32::try_from(*at).unwrap() + 1) * u32::from(SLOTS)
            })
            .expect("an owner")
    }

    /// Moves a slot, and what is in it, from its node to another.
    pub fn move_slot(&self, slot: u16) {
        let owner = self.owner(slot);
        let (from, to) = (&self.nodes[owner], &self.nodes[(owner + 1) % 3]);
        let id = |node: &Node| -> String { node.ask("CLUSTER MYID").expect("its id") };
        to.tell(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)));
        from.tell(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)));
        let keys: Vec<String> = from
            .ask(&format!("CLUSTER GETKEYSINSLOT {slot} 1000"))
            .expect("its keys");
        for key in keys {
            let port = to.port.to_string();
            from.ask_words::<()>(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"])
                .expect("the key moves");
        }
        to.tell(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)));
        from.tell(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)));
    }
}
