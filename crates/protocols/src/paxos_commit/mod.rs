//! Paxos Commit (Gray, Lamport: *Consensus on Transaction Commit*): a vote is not told to one
//! coordinator but agreed on by consensus, so that losing any one node blocks nobody.
//!
//! Each participant, the paper's resource manager (RM), has an instance of Paxos of its own, which
//! chooses its vote. All instances of a transaction share 2F+1 acceptors, their ballots and their
//! messages.
//!
//! **Participant** ([`Participant`])
//! - 3.2 Ballot 0 belongs to the RM. Upon receiving Prepare: do the work under locks, force
//!   PREPARE, send 2a(0, Prepared) to all acceptors; or, if it cannot, force ABORT and send
//!   2a(0, Aborted). It never votes twice: a vote is forced either way.
//! - 3.7 It learns the outcome from any leader. While in doubt it keeps its locks and inquires: of
//!   the coordinator first, then of one acceptor after the other, for ever.
//!
//! **Acceptor** ([`Acceptor`])
//! - 3.3 Upon receiving 2a of a ballot not below its promise: force the votes, answer 2b to that
//!   ballot's leader; 0 is led by the coordinator. It takes one vote of an RM per ballot. What
//!   comes in ballot 0 waits, unforced and untold, for the last vote or a vote to abort: one force
//!   and one 2b for all instances.
//! - 3.4 Upon receiving 1a of a higher ballot: force the promise, answer 1b with all it has
//!   accepted. The promise holds for every instance of the transaction.
//!
//! **Leader** ([`Leader`]): the coordinator, and every acceptor that is asked
//! - 3.5 Commit if every instance has a majority of 2b Prepared in one ballot, abort if some
//!   instance has one of Aborted. Reply, and send Decision to every participant.
//! - 3.6 The coordinator without a decision in time, and who receives an Inquiry about a
//!   transaction that it neither leads nor knows the end of, takes a ballot above all it has seen
//!   and sends 1a. With 1b of a majority: an instance in which nobody has accepted anything is
//!   free, and Aborted is proposed for it; otherwise the vote of the highest ballot. Again, with
//!   growing pauses, until it is decided.
//! - 3.7 Nothing of a leader is durable. A ballot names its leader's incarnation, so that one that
//!   has restarted never leads a ballot twice.
//!
//! **Restart** A participant takes its locks again and inquires; an acceptor is what its log says;
//! a coordinator knows nothing, and leads what it is asked about as any acceptor does.
//!
//! # Deviations
//!
//! - The paper leaves open what a vote carries. Here Prepared carries what was read, so that any
//!   leader knows it.
//! - A third vote is Already: an abort, because the operation is in the data from an earlier
//!   attempt (1.20).
//! - There is no execution round: Prepare carries the work, and locks stay to the end. So one that
//!   only reads takes part like any other. Locks are exclusive, and nobody waits for one: a
//!   conflict is a vote to abort.
//! - Whom a transaction concerns rides on its messages: acceptors are not configured.
//! - An acceptor that refuses a ballot says which one it has promised: it saves rounds.
//! - An outcome is not acked, so nobody knows what may be forgotten: logs keep every transaction.
//! - ABORT after PREPARE is lazy: who loses it asks again.
//!
//! # Promises
//!
//! AC1–AC5, and progress with F+1 acceptors, whoever else is lost: what a lost participant has not
//! voted on aborts. No node is co-located with another, every RM sends 2a to all acceptors, and
//! nothing is acked. A commit of N participants costs N Prepare, N(2F+1) 2a, 2F+1 2b and N
//! Decision, and these forces: two at each participant (PREPARE, COMMIT) and one at each acceptor,
//! of which two stand one behind the other before the client's ok, as in two-phase commit. An abort
//! by one No voter costs one Decision less: it knows.
//!
//! It cannot make progress without F+1 acceptors, or while leaders outbid each other for ever. It
//! cannot wait for an RM: one that is slow aborts.

mod acceptor;
mod coordinator;
mod leader;
mod observe;
mod participant;

pub use acceptor::Acceptor;
pub use coordinator::Coordinator;
pub use leader::Leader;
pub use participant::Participant;

use super::commit::{
    Action, Config, Durable, Key, Op, Outcome, Prepared, Reading, Ret, Role, TxId, View,
};
use node::{Cx, Incarnation, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};

/// Whom a transaction concerns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Who votes: one instance of Paxos for each.
    pub participants: Vec<NodeId>,
    /// Who agrees on the votes: 2F+1 of them.
    pub acceptors: Vec<NodeId>,
}

impl Group {
    /// Any two sets of so many acceptors have one in common.
    fn majority(&self) -> usize {
        self.acceptors.len() / 2 + 1
    }
}

/// An attempt to have something chosen. Ballots are ordered; a later one wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Ballot {
    /// 0 in the ballot that belongs to the participants.
    pub round: u32,
    /// The leader's life: it forgets its ballots with it.
    pub incarnation: Incarnation,
    /// Who leads it.
    pub leader: NodeId,
}

impl Ballot {
    /// The one in which each participant proposes its own vote.
    pub const ZERO: Self = Self { round: 0, incarnation: 0, leader: NodeId(0) };
}

/// What an instance of Paxos chooses.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Vote {
    /// The participant can commit, whatever happens to it.
    Prepared {
        /// What its Reads saw, in order.
        values: Vec<i64>,
    },
    /// It cannot, or nobody knows.
    Aborted,
    /// It need not: this operation has committed before.
    Already,
}

impl Vote {
    fn aborts(&self) -> bool {
        matches!(self, Self::Aborted | Self::Already)
    }
}

/// A vote that an acceptor has accepted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// Whose vote.
    pub participant: NodeId,
    /// In which ballot.
    pub ballot: Ballot,
    /// The vote.
    pub vote: Vote,
}

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: do this under locks, and vote.
    Prepare {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done, in order.
        work: Vec<(Key, Action)>,
        /// Whom it concerns.
        group: Group,
    },
    /// Leader to acceptor: promise me this ballot.
    Phase1a {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
    },
    /// Acceptor: promised.
    Phase1b {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
        /// All that it has accepted below it.
        accepted: Vec<Accepted>,
    },
    /// Participant in ballot 0, leader in a higher one: accept this.
    Phase2a {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
        /// One vote in ballot 0, all of them in a higher one.
        votes: Vec<(NodeId, Vote)>,
        /// Everybody who votes.
        participants: Vec<NodeId>,
    },
    /// Acceptor: accepted.
    Phase2b {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
        /// All that it has accepted in it.
        votes: Vec<(NodeId, Vote)>,
    },
    /// Acceptor: it has promised a higher ballot.
    Outbid {
        /// The transaction.
        tx: TxId,
        /// The one that it has promised.
        promised: Ballot,
    },
    /// Leader: the outcome.
    Decision {
        /// The transaction.
        tx: TxId,
        /// The outcome.
        outcome: Outcome,
    },
    /// Participant in doubt: what happened?
    Inquiry {
        /// The transaction.
        tx: TxId,
        /// Whom it concerns.
        group: Group,
    },
}

/// What stands in the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Participant, forced: what it starts with, by ascending key.
    Opened {
        /// Its accounts.
        balances: Vec<(Key, i64)>,
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
    /// Participant, forced if it is its vote: ABORT.
    Aborted {
        /// The transaction.
        tx: TxId,
    },
    /// Acceptor, forced: it takes nothing of a lower ballot any more.
    Promised {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
    },
    /// Acceptor, forced with the last vote that it tells of.
    Accepted {
        /// The transaction.
        tx: TxId,
        /// The ballot.
        ballot: Ballot,
        /// The votes.
        votes: Vec<(NodeId, Vote)>,
    },
}

/// What a participant must know to end a transaction after a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Redo {
    /// The transaction.
    pub tx: TxId,
    /// Its operation.
    pub request: RequestId,
    /// Whom it concerns.
    pub group: Group,
    /// All keys that it has locked.
    pub locks: Vec<Key>,
    /// New balances.
    pub writes: Vec<(Key, i64)>,
}

/// What a node waits for. Each belongs to one transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Leader: the decision.
    Lead(TxId),
    /// Participant: the outcome.
    Inquire(TxId),
}

/// One machine of the protocol.
pub enum PaxosCommit {
    /// Takes requests, and leads first.
    Coordinator(Coordinator),
    /// One that votes.
    Participant(Participant),
    /// One of those that agree on votes, and leads when it is asked.
    Acceptor(Acceptor),
}

impl Node for PaxosCommit {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(id: NodeId, config: &Config) -> Self {
        match &config.role {
            Role::Coordinator { participants, acceptors } => {
                Self::Coordinator(Coordinator::new(config, participants, acceptors))
            }
            Role::Participant { balances } => {
                Self::Participant(Participant::new(id, config, balances))
            }
            Role::Acceptor => Self::Acceptor(Acceptor::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(_) => {}
            Self::Participant(participant) => participant.on_start(log, cx),
            Self::Acceptor(acceptor) => acceptor.on_start(log),
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_request(request, op, cx),
            Self::Participant(_) | Self::Acceptor(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match self {
            Self::Coordinator(coordinator) => coordinator.on_message(from, msg, cx),
            Self::Participant(participant) => participant.on_message(msg, cx),
            Self::Acceptor(acceptor) => acceptor.on_message(from, msg, cx),
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
        match (self, timer) {
            (Self::Coordinator(coordinator), Timer::Lead(tx)) => coordinator.on_timer(tx, cx),
            (Self::Acceptor(acceptor), Timer::Lead(tx)) => acceptor.on_timer(tx, cx),
            (Self::Participant(participant), Timer::Inquire(tx)) => participant.on_timer(tx, cx),
            _ => {}
        }
    }
}
