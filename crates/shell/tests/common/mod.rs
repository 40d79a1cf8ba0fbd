//! A small protocol, and how the tests start its nodes.
#![allow(dead_code)]

use node::{Cx, Mutation, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use shell::tcp::{Limits, Tcp};
use shell::{End, Error, Files, Identity, Server, SystemClock};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A sum that may not fall below zero. Node 0 keeps it, node 1 keeps a copy: node 0 answers when
/// the copy is written too, and asks again every 20 ms until it is.
pub struct Ledger {
    me: NodeId,
    sum: i64,
    /// How many changes there were.
    changes: u64,
    /// Who waits for the copy to have so many changes.
    waiting: Vec<(RequestId, u64, i64)>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    Add(i64),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Copy { changes: u64, sum: i64 },
    Copied { changes: u64 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sum {
    pub changes: u64,
    pub sum: i64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Again,
}

const KEEPER: NodeId = NodeId(0);
const COPY: NodeId = NodeId(1);
const AGAIN: Duration = Duration::from_millis(20);

impl Ledger {
    fn copy(&self, cx: &mut Cx<Self>) {
        cx.send(COPY, Msg::Copy { changes: self.changes, sum: self.sum });
        cx.set_timer(AGAIN, Timer::Again);
    }
}

impl Node for Ledger {
    type Config = ();
    type Op = Op;
    type Ret = i64;
    type Msg = Msg;
    type Record = Sum;
    type Timer = Timer;

    fn new(me: NodeId, (): &()) -> Self {
        Self { me, sum: 0, changes: 0, waiting: Vec::new() }
    }

    fn on_start(&mut self, log: &[Sum], _: &mut Cx<Self>) {
        if let Some(last) = log.last() {
            (self.changes, self.sum) = (last.changes, last.sum);
        }
    }

    fn on_request(&mut self, request: RequestId, Op::Add(amount): Op, cx: &mut Cx<Self>) {
        if self.me != KEEPER {
            return cx.retry(request, Some(KEEPER));
        }
        if self.sum + amount < 0 {
            return cx.fail(request, "it would fall below zero");
        }
        self.sum += amount;
        self.changes += 1;
        cx.force(Sum { changes: self.changes, sum: self.sum });
        self.waiting.push((request, self.changes, self.sum));
        self.copy(cx);
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Copy { changes, sum } => {
                if changes > self.changes {
                    (self.changes, self.sum) = (changes, sum);
                    cx.snapshot(vec![Sum { changes, sum }]);
                }
                cx.send(from, Msg::Copied { changes: self.changes });
            }
            Msg::Copied { changes } => {
                let (done, open) = self.waiting.iter().partition(|(_, needs, _)| *needs <= changes);
                let _: &Vec<_> = &done;
                self.waiting = open;
                for (request, _, sum) in done {
                    cx.reply(request, sum);
                }
                if self.waiting.is_empty() {
                    cx.cancel_timer(Timer::Again);
                }
            }
        }
    }

    fn on_timer(&mut self, Timer::Again: Timer, cx: &mut Cx<Self>) {
        if !self.waiting.is_empty() {
            self.copy(cx);
        }
    }
}

/// The folders of one test's nodes; they go with it.
pub struct Place(PathBuf);

impl Place {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("shell-{}-{test}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub fn of(&self, node: u16) -> PathBuf {
        self.0.join(format!("n{node}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn identity(node: u16) -> Identity {
    Identity { scenario: "ledger".to_owned(), cluster: 7, node: NodeId(node) }
}

/// A node that runs.
pub struct Running {
    pub me: NodeId,
    pub address: SocketAddr,
    peers: mpsc::UnboundedSender<(NodeId, SocketAddr)>,
    stop: oneshot::Sender<()>,
    life: JoinHandle<Result<End, Error>>,
}

impl Running {
    /// From now on this node calls the other.
    pub fn meet(&self, other: &Self) {
        self.peers.send((other.me, other.address)).expect("it runs");
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) {
        self.stop.send(()).expect("it runs");
        assert_eq!(self.life.await.expect("no panic").expect("no failure"), End::Stopped);
    }

    /// Ends it at whatever point it has reached.
    pub async fn kill(self) {
        self.life.abort();
        assert!(self.life.await.expect_err("it ran").is_cancelled());
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> Result<End, Error> {
        self.life.await.expect("no panic")
    }
}

pub async fn start(place: &Place, node: u16) -> Running {
    start_mutant(place, node, None).await
}

/// Connections that learn of new peers while they are in use.
pub struct Meeting {
    net: Tcp,
    peers: mpsc::UnboundedReceiver<(NodeId, SocketAddr)>,
}

impl shell::Transport for Meeting {
    fn send(&mut self, to: NodeId, frame: bytes::Bytes) {
        self.net.send(to, frame);
    }

    async fn recv(&mut self) -> (NodeId, bytes::Bytes) {
        loop {
            tokio::select! {
                Some((peer, address)) = self.peers.recv() => {
                    self.net.call(peer, address.to_string());
                }
                arrived = self.net.recv() => return arrived,
            }
        }
    }

    fn distrust(&mut self, from: NodeId) {
        self.net.distrust(from);
    }

    async fn close(&mut self) {
        self.net.close().await;
    }
}

/// A node with a planted bug, or none.
pub async fn start_mutant(place: &Place, node: u16, mutant: Option<Mutation>) -> Running {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let net = Tcp::listen(identity(node), loopback, Limits::default(), 3).await;
    let net = net.expect("a free port");
    let address = net.address().expect("it listens");
    let (peers, met) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let disk = Files::open(place.of(node)).expect("a folder of its own");
    let server: Server<Ledger, _, _, _, _> = Server {
        identity: identity(node),
        config: (),
        servers: 2,
        seed: 5,
        mutant,
        transport: Meeting { net, peers: met },
        disk,
        clock: SystemClock,
        observer: (),
    };
    let life = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { me: NodeId(node), address, peers, stop, life }
}
