//! A bank over two-phase commit: transfers between accounts at different participants, and
//! `read_all`, which must always see the same sum.

use crate::commit::{self, Cast, Commit, Judge};
use crate::paxos_commit;
use crate::trial::Trial;
use checkers::Verdict;
use checkers::conservation::Ledger;
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::Outcome;
use node::{Dice, Node, NodeId};
use proptest::prelude::*;
use protocols::commit::{Action, Config, Item, Key, Locking, Op, Ret, Role};
use protocols::naive::TwoPhaseLocking;
use protocols::paxos_commit::PaxosCommit;
use protocols::two_phase_commit::TwoPhaseCommit;
use world::Scene;

/// Accounts at each participant.
const ACCOUNTS: u16 = 2;

/// What each account starts with.
const OPENING: i64 = 10;

/// Transfers and sums (protocols.md 1.18–1.20) over one coordinator or two.
pub struct Bank<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
    locking: Locking,
    /// How many acceptors there are.
    acceptors: fn(&mut Dice) -> u16,
}

/// The bank over presumed abort.
pub fn bank() -> Bank<TwoPhaseCommit> {
    Bank::default()
}

/// The same with strict two-phase locking and wound-wait (5.20–5.22).
pub fn wound_wait() -> Bank<TwoPhaseCommit> {
    let about = "the bank under strict two-phase locking: the older wounds, the younger waits";
    let shape = Shape { marks: WAITING, ..shape() };
    Bank { locking: Locking::WoundWait, ..Bank::over(Trial::new("bank_wound_wait", about, shape)) }
}

/// The exhibit that waits for locks and does nothing against deadlock.
pub fn in_any_order() -> Bank<TwoPhaseLocking> {
    let about = "locks are waited for in any order, and nothing ends a deadlock";
    Bank::over(Trial::exhibit("naive::two_phase_locking", about, shape()))
}

/// The bank over Paxos Commit, where nodes are lost for good.
pub fn agreed() -> Bank<PaxosCommit> {
    let about =
        "transfers over Paxos Commit: money is conserved, also when nodes are lost for good";
    let trial = Trial::new("bank_paxos_commit", about, paxos_commit::shape());
    Bank { acceptors: paxos_commit::acceptors, ..Bank::over(trial) }
}

impl<N: Node> Bank<N> {
    /// Where nobody waits for a lock.
    fn over(trial: Trial<N>) -> Self {
        Self { trial, locking: Locking::NoWait, acceptors: |_| 0 }
    }
}

impl<N: Node> Default for Bank<N> {
    /// The bank over any commit protocol.
    fn default() -> Self {
        let about = "transfers over two-phase commit: money is conserved in every sum that is read";
        Self::over(Trial::new("bank", about, shape()))
    }
}

/// Where no node may be lost.
fn shape() -> Shape {
    Shape { faults: commit::FAULTS, marks: commit::MARKS, ..Shape::default() }
}

/// What a campaign in which locks are waited for must have reached.
const WAITING: &[&str] = &[
    "a wounded transaction began again",
    "a younger transaction waited",
    "an older transaction waited for a prepared one",
    "an older transaction wounded a younger one",
    "coordinator restarted with a commit to finish",
    "in-doubt participant inquired",
    "in-doubt participant restarted",
    "participant compacted its log",
    "peer ended a doubt",
    "retry found its operation applied",
];

/// A `read_all` is drawn as one Read, which [`Scenario::fit`] makes one of every account.
fn op(dice: &mut Dice) -> Op {
    let amount = 1 + dice.below(9) as i64;
    let account = |dice: &mut Dice| (dice.below(4) as u16, Key(dice.below(ACCOUNTS.into()) as u16));
    match dice.below(100) {
        0..15 => Op::transfer((0, Key(0)), (1, Key(0)), amount),
        15..30 => Op::transfer((1, Key(0)), (0, Key(0)), amount),
        30..50 => Op::read_all([(0, Key(0))]),
        _ => Op::transfer(account(dice), account(dice), amount),
    }
}

fn accounts(nodes: &[Config]) -> impl Iterator<Item = (u16, Key, i64)> {
    let participants = Cast::of(nodes).participants;
    (0..).zip(participants).flat_map(|(at, node)| {
        let balances = match &nodes[node.index()].role {
            Role::Participant { balances } => balances.as_slice(),
            Role::Coordinator { .. } | Role::Acceptor => &[],
        };
        balances.iter().map(move |(key, balance)| (at, *key, *balance))
    })
}

fn is_read_all(op: &Op) -> bool {
    !op.items.is_empty() && op.items.iter().all(|item| item.action == Action::Read)
}

impl<N: Commit> Scenario for Bank<N> {
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
            let balances: Vec<_> = (0..ACCOUNTS).map(|key| (Key(key), OPENING)).collect();
            let coordinators = 1 + u16::from(dice.below(3) == 0);
            let participants = 2 + dice.below(3) as u16;
            let timing = Config { locking: self.locking, ..commit::timing(dice) };
            let nodes = commit::cluster(coordinators, participants, &balances, &timing);
            commit::with_acceptors(nodes, (self.acceptors)(dice))
        })
    }

    /// A transfer takes at one participant what it gives at another; a `read_all` leaves none out.
    fn fit(&self, op: &mut Op, nodes: &[Config]) {
        if is_read_all(op) {
            *op = Op::read_all(accounts(nodes).map(|(at, key, _)| (at, key)));
            return;
        }
        let participants = Cast::of(nodes).participants.len().max(1) as u16;
        op.items.iter_mut().for_each(|item| item.at %= participants);
        if let [from, to] = &mut op.items[..]
            && let (Action::Add(amount), Action::Add(_)) = (from.action, to.action)
        {
            to.action = Action::Add(-amount);
            if to.at == from.at {
                to.at = (from.at + 1) % participants;
            }
        }
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        Cast::of(nodes).coordinators
    }

    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        commit::losable(nodes)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        commit::without_node(nodes, node, (1, 2))
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        Cast::of(nodes).role(node)
    }

    /// Money moves, and is neither made nor lost, by every operation.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let amount = |item: &Item| match item.action {
            Action::Add(amount) => amount,
            Action::Read | Action::Veto => 0,
        };
        commit::is_addressed(case)
            && commit::has_majority(case)
            && case.calls.iter().all(|call| call.op.items.iter().map(amount).sum::<i64>() == 0)
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut judge = Judge::default();
        move |scene: &dyn Scene<N>| judge.step(scene)
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        sums(run)
            .and_then(|| commit::agreed(run))
            .and_then(|| commit::settled(run))
            .and_then(|| commit::verdicts(run))
    }
}

/// Every committed `read_all` saw all the money there is.
fn sums<N: Commit>(run: &Run<N>) -> Verdict {
    let opening = || accounts(&run.case.nodes).map(|(at, key, sum)| ((at, key), sum));
    let mut ledger = None;
    let all = accounts(&run.case.nodes).count();
    for operation in run.history().operations() {
        let Outcome::Ok(Ret::Committed { values }) = operation.outcome else { continue };
        if !is_read_all(operation.op) || operation.op.items.len() != all {
            continue;
        }
        let call = format_args!("call {}", operation.call);
        let balances = values.iter().map(|reading| ((reading.at, reading.key), reading.balance));
        let ledger = ledger.get_or_insert_with(|| Ledger::new(opening()));
        if let Err(anomaly) = ledger.snapshot(call, balances) {
            return Verdict::Violated(*anomaly);
        }
    }
    Verdict::Holds
}
