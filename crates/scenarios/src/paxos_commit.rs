//! Paxos Commit on trial: free votes, as for two-phase commit, under the same judges; but nodes are
//! lost for good, and nobody may wait for them. Of 2F+1 acceptors F may be lost, and beside them
//! the coordinator and any participant.

use crate::commit;
use crate::two_phase_commit::FreeVotes;
use explorer::Shape;
use node::Dice;
use protocols::paxos_commit::PaxosCommit;
use world::{FaultKind, Faults};

/// What a campaign must have reached.
const MARKS: &[&str] = &[
    "a leader was outbid",
    "a new leader aborts",
    "a new leader commits",
    "a new leader took over",
    "in-doubt participant inquired",
    "in-doubt participant restarted",
];

/// Gray and Lamport's protocol (protocols.md P3).
pub fn paxos_commit() -> FreeVotes<PaxosCommit> {
    let about = "Paxos Commit: nobody waits for the lost, F of 2F+1 acceptors and any other node";
    FreeVotes::new("paxos_commit", about, shape()).agreed_by(acceptors)
}

/// Every fault but wall clocks, and nodes that are lost for good.
pub fn shape() -> Shape {
    let lost = Faults::of(&[FaultKind::Retire]);
    Shape { faults: commit::FAULTS.and(lost), may_lose: 3, marks: MARKS, ..Shape::default() }
}

/// 2F+1, mostly with F = 1.
pub fn acceptors(dice: &mut Dice) -> u16 {
    [3, 3, 3, 5, 5, 1][dice.below(6) as usize]
}
