//! Medical records behind HTTP on trial: several agents read a record, add to it, and put it back,
//! and nothing that was put is lost.
//!
//! What is judged:
//!
//! - **at every step**: what is put has all that was there, and at its end one entry more; no
//!   operation takes effect twice, and none that failed takes effect;
//! - **at the end**: each record's history is linearizable, with what the origin is left with as
//!   the last one to look; what was done is there; nothing that was begun is left undone.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Anomaly, Judged, Model, Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Actor, Event, History, Outcome, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::ConditionalRequests;
use protocols::naive::{EtagOnReads, EtagRetried};
use protocols::record::{Config, Durable, Entry, Op, Patient, Ret, Role, View};
use std::collections::BTreeMap;
use std::time::Duration;
use world::Scene;

const ORIGIN: NodeId = NodeId(0);

/// Looks and entries through agents, at one origin.
pub struct Records<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// If-Match, If-None-Match, 412, 428 (protocols.md P9).
pub fn conditional_requests() -> Records<ConditionalRequests> {
    let about = "HTTP's conditional requests: If-None-Match to read, If-Match or 412 to write";
    let marks = &[
        "a copy was still good",
        "a read found its operation done",
        "a write met another version",
        "a write that was there already was acknowledged again",
        "a write was not answered",
        "a write without a condition was refused",
        "given up after conflicts",
    ];
    Records { trial: Trial::new("conditional_requests", about, Shape { marks, ..shape() }) }
}

impl<N: Node> Records<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit whose writes have no condition.
pub fn on_reads() -> Records<EtagOnReads> {
    let about = "conditions on reads alone: the second of two writers wipes out the first";
    Records::exhibit("naive::etag_on_reads", about)
}

/// The exhibit that makes a refused write again.
pub fn retried() -> Records<EtagRetried> {
    let about = "412 taken for not done: a write whose answer was lost is done twice";
    Records::exhibit("naive::etag_retried", about)
}

/// An agent may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for Records<N>
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

    /// Most are about one record, and few forget to say what they have seen.
    fn op(&self) -> impl Strategy<Value = Op> {
        let patient = prop_oneof![5 => Just(Patient(0)), 1 => Just(Patient(1))];
        let look = patient.clone().prop_map(|patient| Op::Look { patient });
        let dosed = (patient, 1..1_000u32);
        let add = dosed.clone().prop_map(|(patient, dose)| Op::Add { patient, dose });
        let overwrite = dosed.prop_map(|(patient, dose)| Op::Overwrite { patient, dose });
        prop_oneof![4 => look, 8 => add, 1 => overwrite]
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let agents = prop_oneof![1 => Just(2usize), 1 => Just(3)];
        let think = prop_oneof![1 => Just(0u64), 2 => 1..=50u64];
        (agents, think, 20..=200u64, 1..=20u64, 2..=8u32).prop_map(
            |(agents, think, patience, backoff, attempts)| {
                let config = Config {
                    role: Role::Origin,
                    origin: ORIGIN,
                    think: Duration::from_millis(think),
                    patience: Duration::from_millis(patience),
                    backoff: Duration::from_millis(backoff),
                    attempts,
                };
                let mut nodes = vec![Config { role: Role::Agent, ..config.clone() }; agents + 1];
                nodes[ORIGIN.index()] = config;
                nodes
            },
        )
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        (1..nodes.len() as u16).map(NodeId).collect()
    }

    /// An agent knows nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        self.entries(nodes, 0)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let fewer = nodes.len().checked_sub(1).filter(|fewer| *fewer >= 2 && node > ORIGIN)?;
        Some(nodes[..fewer].to_vec())
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        match nodes.get(node.index()).map(|config| config.role) {
            Some(Role::Origin) => "origin".to_owned(),
            Some(Role::Agent) => format!("agent {}", node.0),
            None => node.to_string(),
        }
    }

    /// One of several agents may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        is_drawn(case, &self.entries(&case.nodes, 0), |node, first| {
            let role = if node == ORIGIN { Role::Origin } else { Role::Agent };
            Config { role, origin: ORIGIN, ..first }
        }) && (case.nodes.len() > 2 || case.lost().next().is_none())
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let judged = seen.hear(&scene.history().events).and_then(|()| match scene.changed() {
                Some(ORIGIN) => seen.look(&N::durable(scene.durable(ORIGIN))),
                _ => Ok(()),
            });
            Verdict::from(judged)
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids() {
            let running = run.state(node).map(|state| state.view().running).unwrap_or_default();
            if let Some(request) = running.first() {
                let message = format!("{node} still runs {request:?} at the end");
                return Verdict::violated("progress", "operation never ends", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let durable = N::durable(run.durable(ORIGIN));
        linearizable(&Chains, &with_last_look(run.history(), &durable, run.now())).and_then(|| {
            let mut seen = Seen::default();
            let judged = seen.hear(&run.history().events);
            Verdict::from(
                judged.and_then(|()| seen.look(&durable)).and_then(|()| seen.operations.end()),
            )
        })
    }
}

/// The history, with what the origin is left with: which of the entries of unknown outcome are
/// there is known now, and in the end somebody looks at every record.
fn with_last_look(history: &History<Op, Ret>, durable: &Durable, at: u64) -> History<Op, Ret> {
    let mut records = BTreeMap::new();
    for written in &durable.written {
        records.insert(written.patient, &written.entries);
    }
    let numbered = records.values().flat_map(|entries| (1..).zip(*entries));
    let places: BTreeMap<u32, u32> = numbered.map(|(nth, entry)| (entry.by.call, nth)).collect();

    let mut events = history.events.clone();
    events.retain(|event| event.what != What::Info);
    let operations = history.operations();
    let unknown = operations.iter().filter(|operation| operation.outcome == Outcome::Info);
    for operation in unknown.filter(|operation| matches!(operation.op, Op::Add { .. })) {
        let what = match places.get(&operation.call) {
            Some(&nth) => What::Ok(Ret::Added { nth }),
            None => What::Fail("not there".into()),
        };
        events.push(Event { at, what, ..history.events[operation.invoked].clone() });
    }
    for (op, (patient, entries)) in (operations.len() as u32..).zip(records) {
        let look =
            |what| Event { at, op, actor: Actor::Role(ORIGIN.0), process: 0, call: op, what };
        let doses = entries.iter().map(|entry| entry.dose).collect();
        events.push(look(What::Invoke(Op::Look { patient })));
        events.push(look(What::Ok(Ret::Entries(doses))));
    }
    History { events }
}

/// What was asked and told, and what was written.
struct Seen {
    /// By call, which is unique in a case.
    operations: Idempotency<u32, Op, Ret>,
    asked: BTreeMap<u32, (u32, Op)>,
    records: BTreeMap<Patient, Vec<Entry>>,
    heard: usize,
    looked: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            operations: Idempotency::new(),
            asked: BTreeMap::new(),
            records: BTreeMap::new(),
            heard: 0,
            looked: 0,
        }
    }
}

impl Seen {
    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        for event in &events[self.heard..] {
            match &event.what {
                What::Invoke(op) if !matches!(op, Op::Look { .. }) => {
                    self.asked.insert(event.op, (event.call, *op));
                    self.operations.asked(event.call, *op);
                }
                What::Ok(ret) => self.answered(event.op, Answer::Done(ret.clone()))?,
                What::Fail(_) => self.answered(event.op, Answer::Failed)?,
                What::Invoke(_) | What::Info => {}
            }
        }
        self.heard = events.len();
        Ok(())
    }

    fn answered(&mut self, op: u32, answer: Answer<Ret>) -> Judged {
        match self.asked.get(&op) {
            Some(&(call, op)) => self.operations.answered(call, op, answer),
            None => Ok(()), // to a look
        }
    }

    fn look(&mut self, durable: &Durable) -> Judged {
        for written in &durable.written[self.looked..] {
            let before = self.records.entry(written.patient).or_default();
            match written.entries.strip_prefix(&before[..]) {
                Some([]) => {} // the same again, which changes nothing
                Some([entry]) => self.operations.effect(entry.by.call)?,
                _ => {
                    let (patient, after) = (written.patient, &written.entries);
                    let message = format!("{patient:?} had {before:?}, and then {after:?}");
                    return Err(Box::new(Anomaly::new("records", "lost update", message)));
                }
            }
            before.clone_from(&written.entries);
        }
        self.looked = durable.written.len();
        Ok(())
    }
}

/// What each record is: a chain of entries, to whose end every addition adds one. Nobody overwrites
/// it.
struct Chains;

impl Model for Chains {
    type Op = Op;
    type Ret = Ret;
    type State = Vec<u32>;
    type Key = Patient;

    fn key(&self, op: &Op) -> Patient {
        op.patient()
    }

    fn initial(&self, _: &Patient) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, chain: &Vec<u32>, op: &Op, ret: Option<&Ret>) -> Option<Vec<u32>> {
        let (after, answer) = match op {
            Op::Look { .. } => (chain.clone(), Ret::Entries(chain.clone())),
            Op::Add { dose, .. } => {
                let nth = chain.len() as u32 + 1;
                ([&chain[..], &[*dose]].concat(), Ret::Added { nth })
            }
            Op::Overwrite { .. } => return ret.is_none().then(|| chain.clone()),
        };
        ret.is_none_or(|ret| *ret == answer).then_some(after)
    }

    fn observes(&self, op: &Op, _: Option<&Ret>) -> bool {
        matches!(op, Op::Look { .. })
    }

    fn alike(&self, a: &Op, b: &Op) -> bool {
        a == b
    }
}
