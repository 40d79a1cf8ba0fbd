//! Three-phase commit on trial, in the profile in which it holds and outside of it: a verdict on it
//! means nothing without its model of time.
//!
//! **The synchronous profile**: a time-out is never a false suspicion. Every message is handled
//! within Δ of its sending, syncs and whatever waits before it included, and all timers are
//! multiples of Δ. As data:
//!
//! - Nodes are *lost for good* (`retire`), in the middle of a broadcast or a sync too: who has
//!   crashed stays down, as the paper has it. Most, but not all of them.
//! - Messages take what the network needs and no longer, are reordered within that, and may arrive
//!   *twice*: a copy is late for nobody. Nothing is lost, corrupt, delayed or cut off; nobody
//!   pauses, no sync and no link is slow, no clock's rate is off: each of these makes a live node
//!   look crashed.
//! - Nothing starts again (`crash`, `restart`, `power_loss` and faults of disks): with restarts the
//!   protocol may wait for ever, once all who knew of a transaction have been down.
//! - Clients do what they like: retries, copies, crashes.
//! - [`is_synchronous`] holds a case to Δ, by what the heap engine does: the others have more syncs
//!   and connections to make, and real machines have no bound at all.
//!
//! **Asynchronous**, the same protocol is an exhibit: messages are delayed and cut off and nodes
//! pause, but nobody crashes. Two false suspicions are enough to split it.

use crate::commit;
use crate::two_phase_commit::FreeVotes;
use explorer::{Expected, Shape};
use node::Dice;
use protocols::commit::{Config, Op};
use protocols::naive::{
    three_phase_commit_a::ThreePhaseCommitA, three_phase_commit_b::ThreePhaseCommitB,
    three_phase_commit_c::ThreePhaseCommitC,
};
use protocols::three_phase_commit::ThreePhaseCommit;
use std::time::Duration;
use world::{Case, FaultKind, Faults};

const CLIENTS: Faults =
    Faults::of(&[FaultKind::Retry, FaultKind::DuplicateRequest, FaultKind::ClientCrash]);

/// Skeen's protocol where it holds (protocols.md P2).
pub fn three_phase_commit() -> FreeVotes<ThreePhaseCommit> {
    let shape = Shape {
        faults: CLIENTS.and(Faults::of(&[FaultKind::Retire, FaultKind::Duplicate])),
        may_lose: 3,
        synchronous: true,
        marks: &[
            "coordinator committed without every ack",
            "survivor gave way to one before it",
            "survivor learned of an abort",
            "survivors aborted, for none had pre-committed",
            "survivors committed, for one had pre-committed",
        ],
        ..Shape::default()
    };
    let about = "three-phase commit with termination, in synchrony: survivors never wait";
    FreeVotes::new("three_phase_commit", about, shape).timed(timing, is_synchronous)
}

/// The same where it does not.
pub fn asynchronous() -> FreeVotes<ThreePhaseCommit> {
    let shape = Shape {
        faults: CLIENTS.and(Faults::of(&[
            FaultKind::Delay,
            FaultKind::Duplicate,
            FaultKind::Reorder,
            FaultKind::Cut,
            FaultKind::SlowLink,
            FaultKind::Pause,
            FaultKind::SlowSync,
            FaultKind::Rate,
        ])),
        expected: Expected::Violated,
        ..Shape::default()
    };
    let about = "three-phase commit without synchrony: false suspicions split it, and no crash";
    FreeVotes::new("naive::three_phase_commit_asynchronous", about, shape).timed(timing, |_| true)
}

/// The exhibit that confirms what it has executed.
pub fn version_a() -> FreeVotes<ThreePhaseCommitA> {
    FreeVotes::exhibit(
        "naive::three_phase_commit_a",
        "each participant is asked three times and decides, last after it has executed",
    )
}

/// The exhibit whose third phase undoes the second.
pub fn version_b() -> FreeVotes<ThreePhaseCommitB> {
    FreeVotes::exhibit(
        "naive::three_phase_commit_b",
        "when all are ready, commits and then rolls back",
    )
}

/// The exhibit that calls a commit a failure.
pub fn version_c() -> FreeVotes<ThreePhaseCommitC> {
    FreeVotes::exhibit(
        "naive::three_phase_commit_c",
        "commits, and has failed if a confirmation of that is missing",
    )
}

/// A bound Δ that every network keeps, and most disks.
fn timing(dice: &mut Dice) -> Config {
    let reach = 8 << dice.below(5);
    let bound = Duration::from_millis(30 + dice.below(reach));
    Config { vote_timeout: bound * 2, ..commit::timing(dice) }
}

/// Whether every message is handled within Δ, however unlucky it is: behind a first sync, and then
/// two of each transaction (a vote and an abort that is close behind CanCommit). Each copy of a
/// request may be a transaction.
pub fn is_synchronous(case: &Case<Op, Config>) -> bool {
    let copies = |kind: FaultKind| {
        case.faults.iter().filter(|fault| fault.kind.kind() == kind).count() as u32
    };
    let copies = copies(FaultKind::Retry) + copies(FaultKind::DuplicateRequest);
    let syncs = 1 + 2 * (case.calls.len() as u32 + copies);
    let slowest = case.network.slowest + case.sync * syncs;
    case.nodes.iter().all(|node| node.vote_timeout >= slowest * 2)
}
