//! How much the engine costs beside a bare loop over the same nodes: deliveries a second of a
//! request/response workload, five nodes, five messages in flight.
//!
//! The bare loop has what no simulator can do without (a heap of messages in the order of time and
//! a reused buffer of effects) and nothing else: no dice, no digest, no faults, no traces.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use node::{Context, Cx, Effect, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;
use world::case::{CASE_VERSION, Clients};
use world::{Call, CaseOf, Network, Seed, World};

fn main() {
    divan::main();
}

const NODES: u16 = 5;

/// A node asks its neighbour, which answers; so many times.
struct Peer {
    neighbour: NodeId,
    left: u32,
    sum: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Msg {
    Ask { round: u32, key: u64 },
    Answer { round: u32, value: u64 },
}

impl Node for Peer {
    /// How often each node asks.
    type Config = u32;
    type Op = u64;
    type Ret = u64;
    type Msg = Msg;
    type Record = u64;
    type Timer = u64;

    fn new(id: NodeId, rounds: &u32) -> Self {
        Self { neighbour: NodeId((id.0 + 1) % NODES), left: *rounds, sum: 0 }
    }

    fn on_start(&mut self, _: &[u64], cx: &mut Cx<Self>) {
        if self.left > 0 {
            cx.send(self.neighbour, Msg::Ask { round: self.left, key: 1 });
        }
    }

    fn on_request(&mut self, request: RequestId, op: u64, cx: &mut Cx<Self>) {
        self.sum = self.sum.wrapping_add(op);
        cx.reply(request, self.sum);
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Ask { round, key } => {
                self.sum = self.sum.wrapping_add(key);
                cx.send(from, Msg::Answer { round, value: self.sum });
            }
            Msg::Answer { round, value } => {
                self.sum = self.sum.wrapping_add(value);
                self.left = round - 1;
                if self.left > 0 {
                    cx.send(self.neighbour, Msg::Ask { round: self.left, key: value });
                }
            }
        }
    }

    fn on_timer(&mut self, _: u64, _: &mut Cx<Self>) {}
}

/// Each round of each node is two messages.
fn case(messages: u32) -> CaseOf<Peer> {
    CaseOf::<Peer> {
        version: CASE_VERSION,
        scenario: "bench".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1000),
        end_at: Duration::from_secs(1000),
        sync: Duration::ZERO,
        clients: Clients { count: 0, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network::default(),
        nodes: vec![messages / u32::from(NODES) / 2; usize::from(NODES)],
        calls: Vec::new(),
        faults: Vec::new(),
    }
}

struct Under {
    at: u64,
    sequence: u64,
    from: NodeId,
    to: NodeId,
    msg: Msg,
}

impl PartialEq for Under {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Under {}

impl PartialOrd for Under {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Under {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// The bare loop; says how many messages it has delivered.
fn bare(rounds: &[u32]) -> u64 {
    let mut nodes: Vec<Peer> =
        rounds.iter().zip(0..).map(|(rounds, id)| Peer::new(NodeId(id), rounds)).collect();
    let (mut heap, mut sequence, mut delivered) = (BinaryHeap::new(), 0, 0);
    let mut cx = Cx::<Peer>::new(Context::default());
    let mut send = |at: u64, from: NodeId, heap: &mut BinaryHeap<Under>, cx: &mut Cx<Peer>| {
        for (effect, _) in cx.buffer().drain(..) {
            if let Effect::Send(to, msg) = effect {
                sequence += 1;
                heap.push(Under { at: at + 3_000_000, sequence, from, to, msg });
            }
        }
    };
    for (id, node) in nodes.iter_mut().enumerate() {
        node.on_start(&[], &mut cx);
        send(0, NodeId(id as u16), &mut heap, &mut cx);
    }
    while let Some(Under { at, from, to, msg, .. }) = heap.pop() {
        delivered += 1;
        cx.context.now_nanos = at;
        nodes[to.index()].on_message(from, msg, &mut cx);
        send(at, to, &mut heap, &mut cx);
    }
    delivered
}

fn engine(case: &CaseOf<Peer>) -> u64 {
    let mut world = World::<Peer>::new(case);
    world.run();
    world.deliveries()
}

#[divan::bench(args = [50, 10_000])]
fn bare_loop(bencher: Bencher<'_, '_>, messages: u32) {
    let case = case(messages);
    assert_eq!(bare(&case.nodes), u64::from(messages));
    bencher.counter(ItemsCount::new(messages)).bench(|| bare(black_box(&case.nodes)));
}

#[divan::bench(args = [50, 10_000])]
fn heap_engine(bencher: Bencher<'_, '_>, messages: u32) {
    let case = case(messages);
    assert_eq!(engine(&case), u64::from(messages));
    bencher.counter(ItemsCount::new(messages)).bench(|| engine(black_box(&case)));
}

/// Every message is half of a client call: invocation, request, answer, history.
#[divan::bench(args = [10_000])]
fn heap_engine_with_calls(bencher: Bencher<'_, '_>, messages: u32) {
    let mut case = CaseOf::<Peer> { nodes: vec![0; usize::from(NODES)], ..case(0) };
    case.clients.count = NODES;
    case.calls = (0..messages / 2)
        .map(|id| {
            let (client, to) = (id as u16 % NODES, NodeId((id % 3) as u16));
            Call { id, at: Duration::ZERO, client, to, op: u64::from(id) }
        })
        .collect();
    assert_eq!(engine(&case), u64::from(messages));
    bencher.counter(ItemsCount::new(messages)).bench(|| engine(black_box(&case)));
}
