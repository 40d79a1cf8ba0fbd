//! Three-phase commit (Skeen: *Nonblocking Commit Protocols*) with its termination protocol.
//!
//! Between a Yes and a commit stands a state of its own, `pc`: nobody commits while a live one does
//! not know that all have voted Yes. So those who survive can always tell how it must end.
//!
//! **All** (2.1) CanCommit and Vote; PreCommit and PreAck; DoCommit; Abort. `w` is a Yes without
//! more, `pc` a Yes with PreCommit. (2.3) `w`, `pc` and an outcome are forced before the message
//! that reveals them.
//!
//! **Coordinator** ([`Coordinator`])
//! - 2.2 Send CanCommit to every participant. All Yes: force pre-commit, send PreCommit. All acks:
//!   force commit, reply ok, send DoCommit. Any No, or no vote in time: reply fail, send Abort.
//! - 2.6 No PreAck in time: commit all the same. That is right only if a time-out comes when every
//!   live participant holds PreCommit: what is missing has really crashed.
//!
//! **Participant** ([`Participant`])
//! - 2.2 Upon receiving CanCommit: do the work under locks, force `w`, vote Yes; or force abort,
//!   vote No. PreCommit: force `pc`, send PreAck. DoCommit, Abort: force that, apply, release.
//! - 2.4 Termination. Who has heard of nobody for too long asks the other participants for their
//!   states, in one round, and then decides alone for all: any committed → commit; any aborted →
//!   abort; any `pc` → PreCommit to the rest, and *then* commit; all `w` → abort. Who is asked and
//!   has not voted forces abort before it says so.
//! - The survivor that does so is elected by its place in the list: one that asks gives way to one
//!   before it, and does not answer one behind it.
//!
//! **Restart** 2.5 Who recovers may not decide alone, for the others may have decided without it.
//! It takes its locks again, asks for the outcome, and is silent about a transaction that it does
//! not know the end of: for all others it stays crashed. A coordinator without a record has never
//! sent PreCommit, so nobody can commit: it answers abort.
//!
//! **Time** Everything hangs on a bound Δ for a message with its handling, syncs included; a round
//! trip is 2Δ, [`Config::vote_timeout`]. Whoever leads waits 2Δ for votes and acks, and 3Δ for
//! states: another one that asked as late as Δ after it must be heard of first. Whoever follows
//! hears of its leader at least every 4Δ, and waits 5Δ.
//!
//! # Deviations
//!
//! - There is no execution round: a vote carries what was read, and locks stay to the end. So
//!   one that only reads takes part like any other.
//! - Locks are exclusive, and nobody waits for one: a conflict is a No.
//! - A copy of a request finds its transaction in the log of its only coordinator, not in the data.
//! - DoCommit is not acked, so nobody knows what may be forgotten: logs keep every transaction.
//! - A coordinator does not log aborts, see Restart.
//! - Survivors do not ask the coordinator, which they hold for crashed.
//!
//! # Promises
//!
//! AC1–AC5, and no live participant waits for a crashed one, **in the synchronous profile alone**:
//! every delay within Δ, nothing lost, nobody paused, clocks that run alike, and who has crashed
//! stays down. A commit costs 5N messages, two forces at the coordinator and three at each
//! participant. An abort by one No voter costs 3N, no force at the coordinator, two at each Yes and
//! one at the No.
//!
//! It cannot be safe without synchrony: two false suspicions and no crash break it. With restarts,
//! it cannot go on once all who knew of a transaction have crashed.

mod coordinator;
mod observe;
mod participant;

pub use coordinator::Coordinator;
pub use participant::Participant;

use super::commit::{
    Action, Config, Decided, Durable, Key, Op, Outcome, Prepared, Reading, Ret, Role, TxId, View,
};
use node::{Cx, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};

/// What coordinator and participants say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: do this under locks, and vote.
    CanCommit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done, in order.
        work: Vec<(Key, Action)>,
        /// Everybody who votes.
        parts: Vec<NodeId>,
    },
    /// Participant: the vote.
    Vote {
        /// The transaction.
        tx: TxId,
        /// The vote.
        vote: Vote,
    },
    /// Whoever leads: all have voted Yes.
    PreCommit {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: it knows that all have voted Yes.
    PreAck {
        /// The transaction.
        tx: TxId,
    },
    /// The outcome.
    DoCommit {
        /// The transaction.
        tx: TxId,
    },
    /// The outcome.
    Abort {
        /// The transaction.
        tx: TxId,
    },
    /// Survivor to the others: how far are you?
    AskState {
        /// The transaction.
        tx: TxId,
        /// Its how-manieth question.
        round: u32,
    },
    /// The answer.
    TellState {
        /// The transaction.
        tx: TxId,
        /// Of the question.
        round: u32,
        /// How far it is.
        state: State,
    },
    /// One that recovers to everybody: how did it end?
    Inquire {
        /// The transaction.
        tx: TxId,
    },
}

/// A participant's vote.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Vote {
    /// It can commit.
    Yes {
        /// What its Reads saw, in order.
        values: Vec<i64>,
    },
    /// It has aborted.
    No,
}

/// How far a participant is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// `w`: voted Yes.
    Waiting,
    /// `pc`: knows that all have.
    PreCommitted,
    /// The end.
    Committed,
    /// The end.
    Aborted,
}

/// What stands in the log. All are forced.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Coordinator: all have voted Yes.
    PreCommit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// Everybody who votes.
        parts: Vec<NodeId>,
    },
    /// Coordinator: the decision.
    Commit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// Everybody who votes.
        parts: Vec<NodeId>,
    },
    /// Participant: what it starts with, by ascending key.
    Opened {
        /// Its accounts.
        balances: Vec<(Key, i64)>,
    },
    /// Participant: `w`.
    Voted(Redo),
    /// Participant: `pc`.
    PreCommitted {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: the outcome. The operation's id takes effect together with its changes.
    Committed {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
    },
    /// Participant: the outcome.
    Aborted {
        /// The transaction.
        tx: TxId,
    },
}

/// What a participant must know to end a transaction without its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Redo {
    /// The transaction.
    pub tx: TxId,
    /// Its operation.
    pub request: RequestId,
    /// Everybody who votes.
    pub parts: Vec<NodeId>,
    /// All keys that it has locked.
    pub locks: Vec<Key>,
    /// New balances.
    pub writes: Vec<(Key, i64)>,
}

/// One machine of the protocol.
pub enum ThreePhaseCommit {
    /// The one that leads as long as it lives.
    Coordinator(Coordinator),
    /// One that votes.
    Participant(Participant),
}

impl Node for ThreePhaseCommit {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    /// Each transaction has one: what it means when it runs out is said by its state.
    type Timer = TxId;

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
            Self::Coordinator(coordinator) => coordinator.on_request(request, &op, cx),
            Self::Participant(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_message(from, msg, cx),
            Self::Participant(participant) => participant.on_message(from, msg, cx),
        }
    }

    fn on_timer(&mut self, tx: TxId, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_timer(tx, cx),
            Self::Participant(participant) => participant.on_timer(tx, cx),
        }
    }
}
