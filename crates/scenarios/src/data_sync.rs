//! Data synchronisation on trial: replicas that are written to while they are cut off end up with
//! the same, nothing that was acknowledged is lost, and stamps order causes before effects.
//!
//! Clients read, write and edit a few records at any replica. What is judged:
//!
//! - **at every step**: what a replica has on disk stays there until it is replaced by a write that
//!   had read it; what is acknowledged is on disk; a replica never forgets what it has seen; what
//!   is read was written; stamps keep the clock condition, over restarts and whatever wall clocks
//!   say;
//! - **at the end**: all replicas have the same, and nothing that was acknowledged is missing.
//!
//! A replica whose stamps are too far ahead is refused, and stays apart for as long as its clock is
//! wrong, also after heal. Where that went on to the end, replicas need not have the same; whatever
//! a replica has is safe all the same.

use crate::is_drawn;
use crate::trial::Trial;
use checkers::clock::Clock;
use checkers::convergence::Siblings;
use checkers::{Anomaly, Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Sample, Scenario, Shape};
use history::{Event, What};
use node::{Incarnation, Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::AntiEntropy;
use protocols::naive::{SyncLamport, SyncWallClock};
use protocols::sync::{Config, Dot, Durable, Key, Op, Ret, Seen, Sibling, Stamp, View, Written};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::{FaultKind, Faults, Scene};

/// Within this time, if nobody has refused anybody, all replicas have heard of everything.
const QUIET: Duration = Duration::from_secs(4);

/// Reads, writes and edits at any of a few replicas.
pub struct DataSync<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Dotted versions, digests, and stamps of a hybrid logical clock (protocols.md P12).
pub fn data_sync() -> DataSync<AntiEntropy> {
    let about =
        "replicas written to alone and synchronised by anti-entropy, under wrong wall clocks";
    let marks = &[
        "a message whose stamp was too far ahead was refused",
        "a restarted replica served what it had synced",
        "a stamp went on from one that was ahead of the wall clock here",
        "a write came beside what its writer had not seen",
        "a write took the place of siblings",
        "a write was done already",
        "each of two replicas had what the other one had not",
        "siblings came together",
    ];
    DataSync { trial: Trial::new("data_sync", about, Shape { marks, ..shape() }) }
}

/// The exhibit in which the last writer by the wall clock wins.
pub fn wall_clock() -> DataSync<SyncWallClock> {
    let about = "the last writer by the wall clock wins: acknowledged writes are lost";
    DataSync::exhibit("naive::sync_wall_clock", about)
}

/// The exhibit in which it is the last writer by a count that two replicas may share.
pub fn lamport() -> DataSync<SyncLamport> {
    let about = "the last writer by a count without a node's number wins: replicas stay apart";
    DataSync::exhibit("naive::sync_lamport", about)
}

impl<N: Node> DataSync<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// Any clock may be wrong.
fn shape() -> Shape {
    Shape {
        // A write is acknowledged by one replica, and lost with it.
        faults: Faults::ALL.without(Faults::of(&[FaultKind::Retire])),
        deadline: Duration::from_secs(12),
        ..Shape::default()
    }
}

impl<N> Scenario for DataSync<N>
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
        let key = prop_oneof![3 => Just(Key(0)), 1 => Just(Key(1))];
        (key, 1..1_000u32, 0..6u8).prop_map(|(key, value, kind)| match kind {
            0 | 1 => Op::Read { key },
            2 => Op::Write { key, value },
            _ => Op::Edit { key, value },
        })
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let unit = prop_oneof![1 => Just(1u64), 2 => Just(10), 2 => Just(100)];
        (2..=4u16, unit, 20..=300u64, 0..=100u64).prop_map(|(replicas, unit, interval, thought)| {
            let config = Config {
                replicas,
                unit: Duration::from_millis(unit),
                interval: Duration::from_millis(interval),
                thought: Duration::from_millis(thought),
            };
            vec![config; usize::from(replicas)]
        })
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let replicas = nodes.len().checked_sub(1).filter(|left| *left >= 2)?;
        let config = Config { replicas: replicas as u16, ..nodes.get(node.index())?.clone() };
        Some(vec![config; replicas])
    }

    /// All nodes are replicas, have been told the same, and stay.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let replicas = case.nodes.len();
        let all: Vec<NodeId> = (0..replicas as u16).map(NodeId).collect();
        let told = |_, config| Config { replicas: replicas as u16, ..config };
        replicas >= 2 && is_drawn(case, &all, told) && case.lost().next().is_none()
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut facts = None;
        let mut shown = Shown::default();
        move |scene: &dyn Scene<N>| {
            let facts = facts.get_or_insert_with(|| Facts::of(scene.ids()));
            let mut judged = Ok(());
            if let Some(node) = scene.changed() {
                let durable = N::durable(scene.durable(node));
                judged = facts.write(node, &durable).and_then(|()| facts.store(node, &durable));
            }
            let judged = judged.and_then(|()| facts.hear(&scene.history().events));
            let running = |id| scene.state(id).map(|state| (id, state.view()));
            let mut views = scene.ids().filter_map(running);
            Verdict::from(
                judged.and_then(|()| views.try_for_each(|(id, view)| shown.look(id, view))),
            )
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids() {
            let Some(state) = run.state(node) else {
                return Verdict::violated("progress", "node down", format!("{node} is down"));
            };
            if let Some(request) = state.view().editing.first() {
                let message = format!("{request:?} is not saved at {node}");
                return Verdict::violated("progress", "operation never ends", message);
            }
        }
        if refused_of_late(run) {
            return Verdict::Holds;
        }
        Verdict::from(at_the_end(run).and_then(|facts| facts.sync.end()))
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        Verdict::from(at_the_end(run).map(drop))
    }

    /// From a write's acknowledgement to its presence at every replica; and how many came so far,
    /// for each second from the first acknowledgement to the last arrival.
    fn measure(&self, run: &Run<N>) -> Vec<Sample> {
        let durable: Vec<Durable> = run.ids().map(|id| N::durable(run.durable(id))).collect();
        let arrived = |dot: Dot| {
            let at = |(id, durable): (NodeId, &Durable)| match id == dot.node {
                true => Some(0),
                false => {
                    let (at, _) = durable.merged.iter().find(|(_, seen)| seen.has(dot))?;
                    let local = u64::try_from(at.as_nanos()).ok()?;
                    run.clock(id).map(|clock| clock.global(local))
                }
            };
            run.ids().zip(&durable).map(at).try_fold(0, |last, at| Some(at?.max(last)))
        };
        let mut synced: Vec<(u64, u64)> = Vec::new();
        for event in &run.history().events {
            if let What::Ok(Ret::Written(dot)) = event.what {
                synced.extend(arrived(dot).map(|at| (event.at, at.max(event.at))));
            }
        }
        let time = |(acknowledged, arrived): &(u64, u64)| {
            Sample::time("sync_latency", Duration::from_nanos(arrived - acknowledged))
        };
        let first = synced.iter().map(|(acknowledged, _)| *acknowledged).min().unwrap_or(0);
        let last = synced.iter().map(|(_, arrived)| *arrived).max().unwrap_or(0);
        let within = Duration::from_nanos(last - first);
        let ops = Sample::per_second("sync_ops", synced.len() as u64, within);
        synced.iter().map(time).chain(ops).collect()
    }
}

/// Whether a replica has refused a message so late that not all may be told by now.
fn refused_of_late<N>(run: &Run<N>) -> bool
where
    N: Node<Config = Config> + Observe<View = View>,
{
    let late = run.case.end_at.saturating_sub(QUIET);
    run.ids().any(|id| {
        let refused = run.state(id).and_then(|state| state.view().refused);
        let Some((refused, clock)) = refused.zip(run.clock(id)) else { return false };
        let local = u64::try_from(refused.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(clock.global(local)) > late
    })
}

/// What is left of all that happened. Writes are told in an order in which what was read comes
/// before who read it.
fn at_the_end<N>(run: &Run<N>) -> Result<Facts, Box<Anomaly>>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable>,
{
    let mut facts = Facts::of(run.ids());
    let durable: Vec<_> = run.ids().map(|id| (id, N::durable(run.durable(id)))).collect();
    let mut writes: Vec<_> =
        durable.iter().flat_map(|(id, durable)| durable.writes.iter().map(|w| (*id, w))).collect();
    while !writes.is_empty() {
        let known = |(_, write): &(NodeId, &Written)| {
            write.read.iter().all(|dot| facts.values.contains_key(&(write.key, *dot)))
        };
        let next = writes.iter().position(known).unwrap_or(0);
        let (id, write) = writes.remove(next);
        facts.written(id, write)?;
    }
    for (id, durable) in &durable {
        facts.store(*id, durable)?;
    }
    facts.hear(&run.history().events)?;
    Ok(facts)
}

/// What is on disks, and what clients were told.
struct Facts {
    sync: Siblings<NodeId, Key, Dot>,
    values: BTreeMap<(Key, Dot), u32>,
    /// The calls that each replica has done: a client may send one to two replicas.
    done: BTreeSet<(NodeId, u32)>,
    /// The calls of writes, by what they wrote.
    calls: BTreeMap<(Key, Dot), u32>,
    /// What each operation of the history is about.
    asked: BTreeMap<u32, Key>,
    /// How many of each replica's writes have been looked at.
    writes: BTreeMap<NodeId, usize>,
    /// How many events have been looked at.
    events: usize,
}

impl Facts {
    fn of(replicas: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            sync: Siblings::new(replicas),
            values: BTreeMap::new(),
            done: BTreeSet::new(),
            calls: BTreeMap::new(),
            asked: BTreeMap::new(),
            writes: BTreeMap::new(),
            events: 0,
        }
    }

    /// What a replica has taken since it was last looked at.
    fn write(&mut self, node: NodeId, durable: &Durable) -> Judged {
        let before = self.writes.insert(node, durable.writes.len()).unwrap_or(0);
        durable.writes.iter().skip(before).try_for_each(|write| self.written(node, write))
    }

    fn written(&mut self, node: NodeId, write: &Written) -> Judged {
        let Written { operation, key, sibling: Sibling { dot, value }, read } = write;
        self.sync.written(*key, *dot, read.iter().copied())?;
        self.values.insert((*key, *dot), *value);
        self.calls.insert((*key, *dot), operation.call);
        if self.done.insert((node, operation.call)) {
            return Ok(());
        }
        let message = format!("{node} has done {operation:?} twice, {dot:?} is the second time");
        Err(Box::new(Anomaly::new("idempotency", "double effect", message)))
    }

    /// What stands in a replica's records.
    fn store(&mut self, node: NodeId, durable: &Durable) -> Judged {
        for (key, siblings) in &durable.siblings {
            self.sync.stored(node, *key, siblings.iter().map(|sibling| sibling.dot))?;
            siblings.iter().try_for_each(|sibling| self.was_written(*key, sibling))?;
        }
        Ok(())
    }

    fn was_written(&self, key: Key, sibling: &Sibling) -> Judged {
        if self.values.get(&(key, sibling.dot)) == Some(&sibling.value) {
            return Ok(());
        }
        let message = format!("{sibling:?} of {key:?} was never written");
        Err(Box::new(Anomaly::new("convergence", "phantom version", message)))
    }

    /// What clients were told since it was last called.
    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        let new = &events[self.events..];
        self.events = events.len();
        for event in new {
            let key = match &event.what {
                What::Invoke(op) => {
                    self.asked.insert(event.op, op.key());
                    continue;
                }
                _ => self.asked.get(&event.op).copied(),
            };
            match (&event.what, key) {
                (What::Ok(Ret::Siblings(siblings)), Some(key)) => {
                    siblings.iter().try_for_each(|sibling| self.was_written(key, sibling))?;
                }
                (What::Ok(Ret::Written(dot)), Some(key)) => {
                    self.sync.acknowledged(key, *dot)?;
                    if self.calls.get(&(key, *dot)) != Some(&event.call) {
                        let message = format!("call {} was told of {dot:?}", event.call);
                        return Err(Box::new(Anomaly::new(
                            "idempotency",
                            "other's answer",
                            message,
                        )));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What replicas have shown while they ran.
#[derive(Default)]
struct Shown {
    clock: Clock<NodeId, Stamp>,
    /// How many stamps of which life have been looked at.
    stamps: BTreeMap<NodeId, (Incarnation, u64)>,
    seen: BTreeMap<NodeId, Seen>,
}

impl Shown {
    fn look(&mut self, node: NodeId, view: View) -> Judged {
        let View { life, seen, stamps, recent, .. } = view;
        if let Some(before) = self.seen.get(&node).filter(|before| !seen.covers(before)) {
            let message = format!("{node} had seen {before:?}, and has seen {seen:?}");
            return Err(Box::new(Anomaly::new("convergence", "replica went back", message)));
        }
        self.seen.insert(node, seen);
        let before = match self.stamps.insert(node, (life, stamps)) {
            Some((same, before)) if same == life => before,
            _ => 0,
        };
        // A replica that does much in one step shows the last of it.
        let new = recent.len().min((stamps - before) as usize);
        for stamped in &recent[recent.len() - new..] {
            match stamped.cause {
                Some(cause) => self.clock.received(node, cause, stamped.stamp)?,
                None => self.clock.happened(node, stamped.stamp)?,
            }
        }
        Ok(())
    }
}
