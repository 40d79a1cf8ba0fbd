//! Raft on trial: replicated registers, locks and decisions, also with a minority lost for good.
//!
//! Three judges:
//!
//! - **The logs and beliefs of all servers, at every step** ([`Audit`]): election safety, log
//!   matching, leader completeness, state machine safety, and that nothing committed is ever lost.
//! - **What clients saw, after the run**: linearizable, by the specification of the machine that
//!   is replicated ([`workload`]). Membership changes are no part of it.
//! - **Progress**: while every configuration that any server goes by has a majority of live
//!   members, one of them leads at the end, its members have caught up, and nobody waits.

mod audit;
pub mod workload;

use crate::trial::{NO_WALL_CLOCKS, Trial};
use audit::Audit;
use checkers::{Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::History;
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::Raft;
use protocols::naive::SingleServer;
use protocols::replicated::{
    Config, DecisionLog, Durable, Fact, Locks, Machine, Members, Op, Payload, Registers, Ret, View,
};
use std::marker::PhantomData;
use std::time::Duration;
use workload::Workload;
use world::Scene;

/// Commands and membership changes at a replicated machine.
pub struct Rafts<N: Node, M: Machine> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
    /// Membership changes are among the operations.
    changes: bool,
    machine: PhantomData<fn() -> M>,
}

/// What a campaign over Raft must have reached.
const MARKS: &[&str] = &[
    "leader changed",
    "vote refused to an older log",
    "follower's log truncated",
    "snapshot installed",
    "membership changed",
    "membership change put off",
    "removed leader stepped down",
    "read served after a leader change",
    "deposed leader left a read unserved",
    "retry met its session",
    "older request met a session",
];

impl<N: Node, M: Machine> Rafts<N, M> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self::new(Trial::exhibit(name, about, shape()))
    }

    /// One that holds.
    fn right(name: &'static str, about: &'static str) -> Self {
        Self::new(Trial::new(name, about, shape()))
    }

    fn new(trial: Trial<N>) -> Self {
        Self { trial, changes: true, machine: PhantomData }
    }
}

/// Raft over registers (protocols.md P4).
pub fn raft_register() -> Rafts<Raft<Registers>, Registers> {
    let about = "registers replicated by Raft: linearizable, also with a minority lost";
    Rafts::right("raft_register", about)
}

/// Raft over locks.
pub fn raft_lock() -> Rafts<Raft<Locks>, Locks> {
    let about = "a lock server replicated by Raft: one holder at a time, growing fences";
    Rafts::right("raft_lock", about)
}

/// Raft over a log of decisions.
pub fn raft_decisions() -> Rafts<Raft<DecisionLog>, DecisionLog> {
    let about = "a log of decisions replicated by Raft: the first decision stands";
    Rafts::right("raft_decisions", about)
}

/// The exhibit that has one server, and nothing on its disk.
pub fn single_server() -> Rafts<SingleServer<Registers>, Registers> {
    let about = "one server without a log or a second copy: a restart forgets what was answered";
    Rafts { changes: false, ..Rafts::exhibit("naive::single_server", about) }
}

/// Two servers may be lost, where a majority is left.
fn shape() -> Shape {
    Shape {
        clients: 5,
        faults: NO_WALL_CLOCKS,
        may_lose: 2,
        // Long enough for several leaders, one after the other.
        trouble: Duration::from_secs(4),
        deadline: Duration::from_secs(8),
        marks: MARKS,
        ..Shape::default()
    }
}

impl<N, M> Scenario for Rafts<N, M>
where
    M: Machine + Workload,
    N: Node<Config = Config, Op = Op<M::Command>, Ret = Ret<M::Answer>>
        + Observe<Durable = Durable<M::Command>, View = View>,
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

    fn op(&self) -> impl Strategy<Value = Op<M::Command>> {
        let command = M::command().prop_map(Op::Command);
        let server = (0..5u16).prop_map(NodeId);
        let change = prop_oneof![server.clone().prop_map(Op::Add), server.prop_map(Op::Remove)];
        prop_oneof![9 => command, u32::from(self.changes) => change]
    }

    /// The first configuration is the first servers; the others wait to be added.
    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let sizes = if self.changes {
            &[(3u16, 3u16), (3, 3), (3, 4), (2, 3), (4, 5), (5, 5)][..]
        } else {
            &[(1, 3)]
        };
        let compact_after = prop_oneof![Just(0u32), 2..=12u32];
        let sizes = proptest::sample::select(sizes);
        (sizes, 50..=200u64, 1..=8u32, compact_after).prop_map(
            |((members, servers), election, batch, compact_after)| {
                let config = Config {
                    members: (0..members).map(NodeId).collect(),
                    election: Duration::from_millis(election),
                    heartbeat: Duration::from_millis(election / 3),
                    batch,
                    compact_after,
                };
                vec![config; usize::from(servers)]
            },
        )
    }

    fn fit(&self, op: &mut Op<M::Command>, nodes: &[Config]) {
        if let Op::Add(server) | Op::Remove(server) = op {
            server.0 %= nodes.len().max(1) as u16;
        }
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let Some(first) = case.nodes.first() else { return false };
        let members: Members = first.members.iter().copied().collect();
        let lost: Members = case.lost().collect();
        let live = (0..case.nodes.len() as u16).map(NodeId).filter(|node| !lost.contains(*node));
        let server = |node: &NodeId| node.index() < case.nodes.len();
        case.nodes.iter().all(|config| config == first)
            && first.members.iter().all(server)
            && first.election > Duration::ZERO
            && first.heartbeat > Duration::ZERO
            && members.majority(live.collect())
            && case.calls.iter().all(|call| match &call.op {
                Op::Add(node) | Op::Remove(node) => self.changes && server(node),
                Op::Command(_) => true,
            })
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let first = nodes.first().filter(|_| nodes.len() > 1)?;
        let left = first.members.iter().filter(|member| **member != node).count() as u16;
        let members = (0..left).map(NodeId).collect();
        let config = Config { members, ..first.clone() };
        (left > 0).then(|| vec![config; nodes.len() - 1])
    }

    fn mutants(&self) -> &[Planted<Op<M::Command>, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut audit = Audit::default();
        move |scene: &dyn Scene<N>| audit.step(scene)
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        if can_go_on(run) { has_gone_on(run) } else { Verdict::Holds }
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        linearizable(&M::model(), &commands(run.history()))
    }
}

/// The history of the machine's commands alone.
fn commands<C: Clone, A: Clone>(history: &History<Op<C>, Ret<A>>) -> History<C, A> {
    let asked = |op: &Op<C>| match op {
        Op::Command(command) => Some(command.clone()),
        Op::Add(_) | Op::Remove(_) => None,
    };
    let answered = |_: &Op<C>, ret: &Ret<A>| match ret {
        Ret::Answer(answer) => Some(answer.clone()),
        Ret::Changed => None,
    };
    history.project(asked, answered)
}

/// Whether every configuration that a server goes by, also a lost one, has a majority of live
/// members: then no majority that any of them may need is out of reach.
fn can_go_on<N, C>(run: &Run<N>) -> bool
where
    N: Node<Config = Config> + Observe<Durable = Durable<C>, View = View>,
{
    let live: Members = run.ids().filter(|id| !run.is_retired(*id)).collect();
    run.ids().all(|id| {
        let first = run.config(id).map(|config| config.members.iter().copied().collect());
        let mut known = vec![(0, first.unwrap_or_default())];
        let mut last = 0;
        for fact in N::durable(run.durable(id)) {
            match fact {
                Fact::Snapshot { last: at, members } => {
                    last = at.index;
                    known = vec![(at.index, members)];
                }
                Fact::Entry { payload, .. } => {
                    last += 1;
                    if let Payload::Configuration { members, .. } = payload {
                        known.push((last, members));
                    }
                }
                Fact::Truncated { from } => {
                    last = from - 1;
                    known.retain(|(at, _)| *at < from);
                }
                Fact::Term { .. } => {}
            }
        }
        known.last().is_some_and(|(_, members)| members.majority(live))
    })
}

/// Whether a leader has brought all live members as far as itself, and nobody waits.
fn has_gone_on<N>(run: &Run<N>) -> Verdict
where
    N: Observe<View = View>,
{
    let stuck = |class, message| Verdict::violated("progress", class, message);
    let views = || run.ids().filter_map(|id| Some((id, run.state(id)?.view())));
    let leader = views().filter(|(_, view)| view.leads).max_by_key(|(_, view)| view.term);
    let Some((leader, view)) = leader else {
        return stuck("no leader", "nobody leads at the end".to_owned());
    };
    for (id, member) in views().filter(|(id, _)| view.members.contains(*id)) {
        if (member.commit, member.last) != (view.commit, view.commit.index) {
            let message = format!("{id} is at {member:?} and its leader {leader} at {view:?}");
            return stuck("not caught up", message);
        }
    }
    match views().find(|(_, view)| view.open > 0) {
        Some((id, view)) => stuck("request never ends", format!("{} wait at {id}", view.open)),
        None => Verdict::Holds,
    }
}
