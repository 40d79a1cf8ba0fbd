//! Two-phase commit with presumed abort (R*: Mohan, Lindsay, Obermarck), an execution round, and
//! cooperative termination. What is different where commit is presumed stands in files of its own:
//! coordinator/presumed_commit.rs and participant/presumed_commit.rs.
//!
//! **Coordinator** ([`Coordinator`])
//! - 1.1 Send Prepare to every participant; set timer T_vote.
//! - 1.2 All votes Yes or ReadOnly: force COMMIT, reply ok to the client, send Decision(C) to every
//!   participant that is not ReadOnly, again and again until each one has acked; lazy END.
//! - 1.3 Any No, or T_vote: latch Aborted (volatile), send Decision(A), await no acks, reply fail.
//! - 1.4 Upon receiving Inquiry: COMMIT on record → Decision(C). Voting not finished → no answer.
//!   Otherwise (no record) → Decision(A): that is presumed abort.
//!
//! **Participant** ([`Participant`])
//! - 1.5 Upon receiving Prepare: force PREPARE, vote Yes. If it cannot: abort, vote No. If it only
//!   read: release, vote ReadOnly; no force, and nothing more to come.
//! - 1.6 Timeout before voting: abort unilaterally, and vote No from then on.
//! - 1.7 Timeout after Yes: keep the locks, send Inquiry, with backoff, for ever; PeerAsk the other
//!   writers as well.
//! - 1.8 Upon receiving Decision(C) while prepared: force COMMIT, apply once, release, Ack. Already
//!   committed: Ack, and apply nothing.
//! - 1.9 Upon receiving Decision(A) while prepared or idle: abort, lazy ABORT, release.
//! - 1.10 Upon receiving PeerAsk: committed → PeerTell(C). Aborted or not voted → force ABORT
//!   unless it is durable already, then PeerTell(A). Prepared itself, or never a writer → no
//!   answer.
//!
//! **Guards**: G1 votes are a set keyed by participant · G2 the decision is a latch · G3 an Inquiry
//! while voting means pending · G4 END only after all acks · G5 a decision against one's own
//! outcome is ignored · G6 who has not voted aborts durably before it tells "abort" · G7 a Decision
//! for a forgotten transaction is acked · G8 what is finished is not started again: below the
//! coordinator's low-water mark Work, Prepare and Decision(A) are ignored without a record · G9 an
//! outcome is forgotten only below that mark, and PeerAsk below it gets no answer.
//!
//! **Restart**: 1.11 coordinator: Decision(C) again for every COMMIT without END · 1.12
//! participant: every PREPARE without outcome takes its locks again before anything is served, and
//! inquires · 1.13 who scans prepared transactions must know those in flight: nobody scans, see G3.
//!
//! **Data**: 1.18 an execution round takes every lock before the first Prepare leaves: without
//! waiting, or by age (participant/wound_wait.rs); work is volatile, so Done carries the
//! participant's incarnation, Prepare repeats it, and Work that was given up is not taken again ·
//! 1.19 reading everything is such a transaction · 1.20 the operation's id is stored with the data
//! it changed and outlives the transaction's outcome; one participant that finds it is enough for
//! ok.
//!
//! # Deviations
//!
//! - The execution round is never left out, so that ReadOnly votes are always allowed (1.5).
//! - All locks are exclusive, also those of reads.
//! - PREPARE holds new balances, not changes: redoing it needs the locks, as in a real store.
//! - A unilateral abort (1.5, 1.6) leaves a record at writers only. A reader's could contradict a
//!   commit whose ReadOnly vote a crash made it forget. Decision(A) leaves one anywhere.
//! - Decision(A) does not go to whoever has refused or voted No or ReadOnly.
//! - The low-water mark rides on Work. It is the oldest transaction that is neither aborted nor at
//!   its END; a participant makes it durable with the checkpoint that drops outcomes below it.
//! - The horizon for retries has no end: operation ids stay in every checkpoint.
//! - A transaction that changes nothing ends with its last ReadOnly vote: no COMMIT, no force.
//!
//! # Promises
//!
//! AC1–AC5; each operation is applied at most once, exactly once if its client was told ok; an
//! operation's readings are of one moment. A commit costs 4N messages counted from Prepare, one
//! force at the coordinator and two at each of N participants (2 and 0 for one that only reads). An
//! abort by one No voter costs 3N − 1, no force at the coordinator and one for each Yes. Where
//! commit is presumed, a commit costs 3N, two forces and one at each participant, and an abort by
//! one No voter 4N − 2, two and two for each Yes.
//!
//! It cannot be non-blocking: while the coordinator is down and every other writer that can be
//! reached is prepared too, a prepared participant waits, and its locks with it. A client whose
//! coordinator restarted gets no answer; it asks again under the same id. An abort stores nothing:
//! a later copy of the request may still commit.

mod coordinator;
mod observe;
mod participant;

pub use coordinator::Coordinator;
pub use participant::Participant;

use super::commit::{
    Action, Config, Decided, Durable, Key, Locking, Op, Outcome, Prepared, Presume, Reading, Ret,
    Role, TxId, View,
};
use node::{Cx, Incarnation, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};

/// What coordinator and participants say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: do this under locks, and keep them.
    Work {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done, in order.
        work: Vec<(Key, Action)>,
        /// All of this coordinator's transactions below it are over.
        low_water: TxId,
    },
    /// Participant: done.
    Done {
        /// The transaction.
        tx: TxId,
        /// In this life: locks and work are volatile.
        incarnation: Incarnation,
        /// What the Reads saw, in order.
        values: Vec<i64>,
    },
    /// Participant: not done. A lock is taken, or a balance would fall below 0.
    Refused {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: this operation has committed before.
    Already {
        /// The transaction.
        tx: TxId,
    },
    /// Coordinator: please vote.
    Prepare {
        /// The transaction.
        tx: TxId,
        /// Who changes something: who may not vote ReadOnly, and whom to ask when in doubt.
        writers: Vec<NodeId>,
        /// The life in which the receiver did the work.
        incarnation: Incarnation,
    },
    /// Participant: the vote.
    Vote {
        /// The transaction.
        tx: TxId,
        /// The vote.
        vote: Vote,
    },
    /// Coordinator: the outcome.
    Decision {
        /// The transaction.
        tx: TxId,
        /// The outcome.
        outcome: Outcome,
    },
    /// Participant: the outcome is durable here.
    Ack {
        /// The transaction.
        tx: TxId,
    },
    /// Participant in doubt to its coordinator: what happened?
    Inquiry {
        /// The transaction.
        tx: TxId,
    },
    /// Participant in doubt to another one: what happened?
    PeerAsk {
        /// The transaction.
        tx: TxId,
    },
    /// Participant to one in doubt: this is the outcome.
    PeerTell {
        /// The transaction.
        tx: TxId,
        /// The outcome.
        outcome: Outcome,
    },
    /// Participant to the coordinator of a lock's holder: an older transaction wants the lock.
    Wound {
        /// The holder.
        tx: TxId,
    },
}

/// A participant's vote.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Vote {
    /// It can commit, whatever happens to it.
    Yes,
    /// It has aborted.
    No,
    /// It changed nothing and need not know the outcome.
    ReadOnly,
}

/// What stands in the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Coordinator, forced: COMMIT, the decision.
    Commit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// Who must ack.
        writers: Vec<NodeId>,
    },
    /// Coordinator, lazy: END, all have acked.
    End {
        /// The transaction.
        tx: TxId,
    },
    /// Participant, forced: PREPARE.
    Prepared(Redo),
    /// Participant, forced: COMMIT. The operation's id takes effect together with its changes.
    Committed {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
    },
    /// Participant, lazy unless a peer is told: ABORT.
    Aborted {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: all that the log before it said, but for prepared transactions.
    Checkpoint(Checkpoint),
    /// Coordinator that presumes commit, forced: COLLECTING, votes are asked for.
    Collecting {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// Who is asked.
        parts: Vec<NodeId>,
    },
    /// Coordinator that presumes commit, forced: ABORT, the decision.
    Abort {
        /// The transaction.
        tx: TxId,
    },
}

/// What a participant must know to commit after a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Redo {
    /// The transaction.
    pub tx: TxId,
    /// Its operation.
    pub request: RequestId,
    /// Whom to ask.
    pub writers: Vec<NodeId>,
    /// All keys that it has locked.
    pub locks: Vec<Key>,
    /// New balances.
    pub writes: Vec<(Key, i64)>,
}

/// A participant's state of committed things.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Committed balances.
    pub balances: Vec<(Key, i64)>,
    /// Operations that are in the balances.
    pub applied: Vec<RequestId>,
    /// Outcomes that may still be asked for.
    pub committed: Vec<TxId>,
    /// Outcomes that may still be asked for.
    pub aborted: Vec<TxId>,
    /// Below these, one for each coordinator, outcomes are gone.
    pub low_water: Vec<TxId>,
}

/// What a node waits for. Each belongs to one transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Coordinator: T_vote, from the request to the last vote.
    Vote(TxId),
    /// Coordinator: acks are missing.
    Resend(TxId),
    /// Participant: before the vote.
    Work(TxId),
    /// Participant: after Yes.
    Inquire(TxId),
}

/// One machine of the protocol.
pub enum TwoPhaseCommit {
    /// The one that decides.
    Coordinator(Coordinator),
    /// One that votes.
    Participant(Participant),
}

impl Node for TwoPhaseCommit {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(id: NodeId, config: &Config) -> Self {
        match &config.role {
            Role::Coordinator { participants, .. } => {
                Self::Coordinator(Coordinator::new(config, participants))
            }
            Role::Participant { balances } => {
                Self::Participant(Participant::new(id, config, balances))
            }
            Role::Acceptor => Self::Participant(Participant::new(id, config, &[])),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_start(log, cx),
            Self::Participant(participant) => participant.on_start(log, cx),
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_request(request, op, cx),
            Self::Participant(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_message(from, msg, cx),
            Self::Participant(participant) => {
                participant.on_message(from, msg, cx);
                participant.wake(cx);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_timer(timer, cx),
            Self::Participant(participant) => {
                participant.on_timer(timer, cx);
                participant.wake(cx);
            }
        }
    }
}

impl Msg {
    /// The transaction that it is about.
    fn tx(&self) -> TxId {
        match self {
            Self::Work { tx, .. }
            | Self::Done { tx, .. }
            | Self::Refused { tx }
            | Self::Already { tx }
            | Self::Prepare { tx, .. }
            | Self::Vote { tx, .. }
            | Self::Decision { tx, .. }
            | Self::Ack { tx }
            | Self::Inquiry { tx }
            | Self::PeerAsk { tx }
            | Self::PeerTell { tx, .. }
            | Self::Wound { tx } => *tx,
        }
    }
}
