//! Two-phase commit on trial, with either presumption: free votes over one to four participants,
//! AC1 to AC5.

use crate::commit::{self, Cast, Commit, Judge};
use crate::trial::Trial;
use checkers::Verdict;
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use node::{Dice, Node, NodeId};
use proptest::prelude::*;
use protocols::commit::{Action, Config, Item, Key, Op, Presume};
use protocols::naive::{
    two_phase_commit_a::TwoPhaseCommitA, two_phase_commit_b::TwoPhaseCommitB,
    two_phase_commit_c::TwoPhaseCommitC, two_phase_commit_d::TwoPhaseCommitD,
    two_phase_commit_e::TwoPhaseCommitE,
};
use protocols::two_phase_commit::TwoPhaseCommit;
use world::{Case, Scene};

/// Keys of each participant.
const KEYS: u16 = 16;

/// What each key starts with.
const OPENING: i64 = 10;

/// Operations with free votes over one coordinator and its participants.
pub struct FreeVotes<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
    /// How many acceptors there are.
    acceptors: fn(&mut Dice) -> u16,
    /// Timers, and whether a case keeps to what they were made for.
    timing: fn(&mut Dice) -> Config,
    keeps: fn(&Case<Op, Config>) -> bool,
}

/// Presumed abort (protocols.md P1).
pub fn two_phase_commit() -> FreeVotes<TwoPhaseCommit> {
    FreeVotes::new(
        "two_phase_commit",
        "two-phase commit, presumed abort: all participants or none, and nothing in doubt",
        Shape { faults: commit::FAULTS, marks: commit::MARKS, ..Shape::default() },
    )
}

/// Presumed commit (protocols.md P1, 1.14–1.17).
pub fn presumed_commit() -> FreeVotes<TwoPhaseCommit> {
    let shape = Shape {
        faults: commit::FAULTS,
        marks: &[
            "commit was presumed",
            "coordinator restarted while collecting",
            "coordinator restarted with an abort to finish",
            "in-doubt participant inquired",
            "in-doubt participant restarted",
            "participant compacted its log",
            "peer ended a doubt",
            "retry found its operation applied",
        ],
        ..Shape::default()
    };
    let about = "two-phase commit, presumed commit: no acks for it, and none is without a record";
    let timing = |dice: &mut Dice| Config { presume: Presume::Commit, ..commit::timing(dice) };
    FreeVotes::new("presumed_commit", about, shape).timed(timing, |_| true)
}

impl<N: Node> FreeVotes<N> {
    /// Under these faults, whatever the timers.
    pub(crate) fn new(name: &'static str, about: &'static str, shape: Shape) -> Self {
        Self::over(Trial::new(name, about, shape))
    }

    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        let shape = Shape { faults: commit::FAULTS, ..Shape::default() };
        Self::over(Trial::exhibit(name, about, shape))
    }

    fn over(trial: Trial<N>) -> Self {
        Self { trial, acceptors: |_| 0, timing: commit::timing, keeps: |_| true }
    }

    /// With timers that were made for some cases alone: it speaks of no others.
    pub(crate) fn timed(
        self,
        timing: fn(&mut Dice) -> Config,
        keeps: fn(&Case<Op, Config>) -> bool,
    ) -> Self {
        Self { timing, keeps, ..self }
    }

    /// With so many nodes that agree on votes.
    pub(crate) fn agreed_by(self, acceptors: fn(&mut Dice) -> u16) -> Self {
        Self { acceptors, ..self }
    }
}

/// The exhibit without a decision.
pub fn version_a() -> FreeVotes<TwoPhaseCommitA> {
    FreeVotes::exhibit(
        "naive::two_phase_commit_a",
        "no decision: each participant is asked twice and decides",
    )
}

/// The exhibit that executes before it decides.
pub fn version_b() -> FreeVotes<TwoPhaseCommitB> {
    FreeVotes::exhibit(
        "naive::two_phase_commit_b",
        "decides by the results, when all have executed",
    )
}

/// The exhibit whose participants pull.
pub fn version_c() -> FreeVotes<TwoPhaseCommitC> {
    FreeVotes::exhibit(
        "naive::two_phase_commit_c",
        "participants call a coordinator that always says commit",
    )
}

/// The exhibit that forgets whom it has prepared.
pub fn version_d() -> FreeVotes<TwoPhaseCommitD> {
    FreeVotes::exhibit(
        "naive::two_phase_commit_d",
        "a No ends it, and nobody tells those that are prepared",
    )
}

/// The exhibit that tells the client alone.
pub fn version_e() -> FreeVotes<TwoPhaseCommitE> {
    FreeVotes::exhibit(
        "naive::two_phase_commit_e",
        "the first one prepared decides, and nobody is told",
    )
}

/// One to four items; half of them on the participant's first key, so that some meet.
fn op(dice: &mut Dice) -> Op {
    let count = 1 + dice.below(4);
    let item = |dice: &mut Dice| Item {
        at: dice.below(4) as u16,
        // A hot key now and then: conflicts are refused, and most transactions should meet none.
        key: Key(if dice.below(8) == 0 { 0 } else { dice.below(KEYS.into()) as u16 }),
        action: match dice.below(20) {
            0 => Action::Veto,
            1..=4 => Action::Read,
            5..=8 => Action::Add(-1 - dice.below(4) as i64),
            _ => Action::Add(1 + dice.below(4) as i64),
        },
    };
    Op { items: (0..count).map(|_| item(dice)).collect() }
}

impl<N: Commit> Scenario for FreeVotes<N> {
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
        any::<u64>().prop_map(|key| op(&mut Dice::new(key)))
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        any::<u64>().prop_map(|key| {
            let dice = &mut Dice::new(key);
            let balances: Vec<_> = (0..KEYS).map(|key| (Key(key), OPENING)).collect();
            let nodes =
                commit::cluster(1, 2 + dice.below(3) as u16, &balances, &(self.timing)(dice));
            commit::with_acceptors(nodes, (self.acceptors)(dice))
        })
    }

    fn fit(&self, op: &mut Op, nodes: &[Config]) {
        let participants = Cast::of(nodes).participants.len().max(1) as u16;
        op.items.iter_mut().for_each(|item| item.at %= participants);
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        Cast::of(nodes).coordinators
    }

    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        commit::losable(nodes)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        commit::without_node(nodes, node, (1, 1))
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        Cast::of(nodes).role(node)
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        commit::is_addressed(case) && commit::has_majority(case) && (self.keeps)(case)
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut judge = Judge::default();
        move |scene: &dyn Scene<N>| judge.step(scene)
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        commit::agreed(run).and_then(|| commit::settled(run)).and_then(|| commit::verdicts(run))
    }
}
