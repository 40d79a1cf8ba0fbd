//! The ring as a [`Node`]: what the contestants that run nodes are given.
//!
//! - At start, ask the successor.
//! - Upon receiving a request, answer it.
//! - Upon receiving an answer, ask again, until all calls are made.

use crate::{DELAY, NODES, Size};
use node::{Cx, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Case, CaseOf, Clients, Network, Seed};

/// How often a node asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Its number of calls.
    pub calls: u32,
}

/// Nothing ever asks a node from outside.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Never {}

/// What travels: 32 bytes, as the peers' messages.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// A question.
    Request([u64; 4]),
    /// The same words back.
    Answer([u64; 4]),
}

/// A node of the ring.
pub struct Peer {
    successor: NodeId,
    left: u32,
}

impl Node for Peer {
    type Config = Config;
    type Op = Never;
    type Ret = Never;
    type Msg = Msg;
    type Record = Never;
    type Timer = Never;

    fn new(id: NodeId, config: &Config) -> Self {
        Self { successor: NodeId((id.0 + 1) % NODES), left: config.calls }
    }

    fn on_start(&mut self, _log: &[Never], cx: &mut Cx<Self>) {
        cx.send(self.successor, Msg::Request([u64::from(self.left); 4]));
    }

    fn on_request(&mut self, _request: RequestId, op: Never, _cx: &mut Cx<Self>) {
        match op {}
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Request(words) => cx.send(from, Msg::Answer(words)),
            Msg::Answer(_) => {
                self.left -= 1;
                if self.left > 0 {
                    cx.send(self.successor, Msg::Request([u64::from(self.left); 4]));
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Never, _cx: &mut Cx<Self>) {
        match timer {}
    }
}

/// The case: no calls, no faults, 1 ms a message, and time enough.
pub fn case(size: Size) -> CaseOf<Peer> {
    let time = Duration::from_secs(3600);
    Case {
        version: CASE_VERSION,
        scenario: "ring".to_owned(),
        mutant: None,
        seed: Seed(1),
        heal_at: time,
        end_at: time,
        sync: DELAY,
        clients: Clients { count: 0, give_up: time, deduplicated: false },
        network: Network { fastest: DELAY, slowest: DELAY, ..Network::default() },
        nodes: vec![Config { calls: size.calls() }; usize::from(NODES)],
        calls: Vec::new(),
        faults: Vec::new(),
    }
}
