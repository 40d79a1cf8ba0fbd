//! The quorum register on trial: linearizable, also with a minority lost for good.

use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::{Model, Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::QuorumRegister;
use protocols::naive::RegisterWithoutWriteBack;
use protocols::register::{Config, Durable, INITIAL, Op, Recorded, Ret, Ts, View};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::Scene;

/// Reads and writes of unique values over one set of replicas.
pub struct QuorumRegisters<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Multi-writer ABD (protocols.md P17).
pub fn register() -> QuorumRegisters<QuorumRegister> {
    let about = "quorum register (multi-writer ABD): linearizable, also with a minority lost";
    let marks = &[
        "write-back",
        "two writers raced",
        "recorded write resumed",
        "older request refused",
        "answer to an earlier life",
        "round sent again",
    ];
    QuorumRegisters { trial: Trial::new("register", about, Shape { marks, ..shape() }) }
}

impl<N: Node> QuorumRegisters<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit whose reads do not write back.
pub fn without_write_back() -> QuorumRegisters<RegisterWithoutWriteBack> {
    QuorumRegisters::exhibit(
        "naive::register_without_write_back",
        "reads ask a majority and do not write back: two reads can see new, then old",
    )
}

/// A minority may be lost.
fn shape() -> Shape {
    Shape { clients: 5, faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for QuorumRegisters<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    fn op(&self) -> impl Strategy<Value = Op> {
        let key = prop_oneof![9 => Just(0u8), 1 => Just(1u8)];
        let write =
            (key.clone(), 1..=i32::MAX as u32).prop_map(|(key, value)| Op::Write { key, value });
        prop_oneof![2 => key.prop_map(|key| Op::Read { key }), 1 => write]
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let replicas = prop_oneof![3 => Just(3u16), 1 => Just(4), 2 => Just(5)];
        let compact_after = prop_oneof![Just(0u32), 3..=20u32];
        (replicas, 20..=200u64, compact_after).prop_map(|(replicas, resend, compact_after)| {
            let config = Config {
                replicas: (0..replicas).map(NodeId).collect(),
                resend: Duration::from_millis(resend),
                heartbeat: Duration::ZERO,
                compact_after,
            };
            vec![config; usize::from(replicas)]
        })
    }

    /// A client always asks the same front end: a write never goes to another one (17.2).
    fn entries(&self, nodes: &[Config], client: u16) -> Vec<NodeId> {
        vec![NodeId(client % nodes.len() as u16)]
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let mut asked = BTreeMap::new();
        let mut written = BTreeSet::from([INITIAL]);
        let unique = case.calls.iter().all(|call| match call.op {
            Op::Write { value, .. } => written.insert(value),
            Op::Read { .. } => true,
        });
        unique
            && case.calls.iter().all(|call| *asked.entry(call.client).or_insert(call.to) == call.to)
            && case.lost().collect::<BTreeSet<_>>().len() <= (case.nodes.len() - 1) / 2
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let fewer = nodes.len().checked_sub(1).filter(|fewer| *fewer >= 3)?;
        let replicas: Vec<NodeId> = (0..fewer as u16).map(NodeId).collect();
        let rest = nodes.iter().enumerate().filter(|(index, _)| *index != node.index());
        let config = |config: &Config| Config { replicas: replicas.clone(), ..config.clone() };
        Some(rest.map(|(_, old)| config(old)).collect())
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let verdict = match scene.changed() {
                Some(node) => seen.look(node, &N::durable(scene.durable(node))),
                None => Verdict::Holds,
            };
            verdict.and_then(|| seen.hear(&scene.history().events, scene.nodes()))
        }
    }

    /// Operations at live front ends end.
    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids().filter(|node| !run.is_retired(*node)) {
            let running = run.state(node).map(|state| state.view().running).unwrap_or_default();
            if let Some(request) = running.first() {
                let message = format!("{node} still runs {request:?} at the end");
                return Verdict::violated("progress", "operation never ends", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        linearizable(&Registers, run.history())
    }
}

/// Equal timestamps mean equal values; neither a replica's cell nor what a front end has recorded
/// ever goes back; and a client that is told of its write can count on a majority's disks.
#[derive(Default)]
struct Seen {
    values: BTreeMap<(u8, Ts), u32>,
    stamps: BTreeMap<(u8, u32), Ts>,
    writes: BTreeMap<u32, (u8, u32)>,
    heard: usize,
    cells: BTreeMap<(NodeId, u8), Ts>,
    recorded: BTreeMap<NodeId, Ts>,
}

impl Seen {
    fn look(&mut self, node: NodeId, durable: &Durable) -> Verdict {
        for (key, cell) in &durable.cells {
            let before = self.cells.insert((node, *key), cell.ts).unwrap_or(Ts::ZERO);
            if before > cell.ts {
                let message = format!("{node} held {before:?} of key {key} and now {:?}", cell.ts);
                return Verdict::violated("register", "cell goes back", message);
            }
            let verdict = self.agree(*key, cell.ts, cell.value);
            if verdict.is_violated() {
                return verdict;
            }
        }
        for Recorded { key, ts, value, .. } in durable.recorded.values() {
            let verdict = self.agree(*key, *ts, *value);
            if verdict.is_violated() {
                return verdict;
            }
        }
        let highest = durable.recorded.values().map(|recorded| recorded.ts).max();
        let highest = highest.unwrap_or(Ts::ZERO);
        let before = self.recorded.insert(node, highest).unwrap_or(Ts::ZERO);
        if before > highest {
            let message = format!("{node} had recorded {before:?} and now knows {highest:?}");
            return Verdict::violated("register", "record goes back", message);
        }
        Verdict::Holds
    }

    /// Follows what clients are told.
    fn hear(&mut self, events: &[Event<Op, Ret>], nodes: usize) -> Verdict {
        for event in &events[self.heard..] {
            match (&event.what, self.writes.get(&event.op)) {
                (What::Invoke(Op::Write { key, value }), _) => {
                    self.writes.insert(event.op, (*key, *value));
                }
                (What::Ok(Ret::Written), Some(&(key, value))) => {
                    let ts = self.stamps.get(&(key, value)).copied().unwrap_or(Ts::ZERO);
                    let holds = |node: u16| {
                        self.cells.get(&(NodeId(node), key)).is_some_and(|cell| *cell >= ts)
                    };
                    let stored = (0..nodes as u16).filter(|node| holds(*node)).count();
                    if ts == Ts::ZERO || stored <= nodes / 2 {
                        let message = format!(
                            "{value} is written, its client hears, and {stored} of {nodes} disks \
                             hold it"
                        );
                        return Verdict::violated("register", "answer without a majority", message);
                    }
                }
                _ => {}
            }
        }
        self.heard = events.len();
        Verdict::Holds
    }

    fn agree(&mut self, key: u8, ts: Ts, value: u32) -> Verdict {
        self.stamps.insert((key, value), ts);
        let known = *self.values.entry((key, ts)).or_insert(value);
        if known == value {
            return Verdict::Holds;
        }
        let message = format!("key {key} at {ts:?} is {known} here and {value} there");
        Verdict::violated("register", "one timestamp, two values", message)
    }
}

/// What a register is.
struct Registers;

impl Model for Registers {
    type Op = Op;
    type Ret = Ret;
    type State = u32;
    type Key = u8;

    fn key(&self, op: &Op) -> u8 {
        op.key()
    }

    fn initial(&self, _: &u8) -> u32 {
        INITIAL
    }

    fn step(&self, value: &u32, op: &Op, ret: Option<&Ret>) -> Option<u32> {
        match (op, ret) {
            (Op::Read { .. }, Some(Ret::Value(read))) => (read == value).then_some(*value),
            (Op::Read { .. }, None) => Some(*value),
            (Op::Write { value, .. }, None | Some(Ret::Written)) => Some(*value),
            _ => None,
        }
    }

    fn observes(&self, op: &Op, _: Option<&Ret>) -> bool {
        matches!(op, Op::Read { .. })
    }
}
