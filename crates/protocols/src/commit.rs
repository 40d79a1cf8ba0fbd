//! Atomic commitment: what its protocols, their clients and their judges share.
//!
//! An operation touches keys at several participants; it takes effect at all of them or at none.
//! One [`Op`] serves both uses. With free votes, each item is on a key of its own, and a
//! [`Veto`](Action::Veto) makes its participant vote No. A bank's transfer is two Adds on accounts
//! at different participants, and its `read_all` is a Read of every account.
//!
//! The five properties, over the [`Durable`] parts of all nodes and the coordinator's [`View`]:
//!
//! - AC1 agreement: no participant commits while another, or the coordinator's decision, aborts.
//! - AC2 validity: commit only if every participant voted Yes, or ReadOnly.
//! - AC3 stability: a durable outcome never changes.
//! - AC4 no trivial aborts: all Yes, no conflict and no fault means commit.
//! - AC5 termination: after heal every participant decides.

use node::{Incarnation, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A transaction. The incarnation is in it because a counter that a crash resets would name an old
/// transaction again. Transactions of one coordinator are ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TxId {
    /// Who decides.
    pub coordinator: NodeId,
    /// In which of its lives it began.
    pub incarnation: Incarnation,
    /// Its number in that life.
    pub seq: u32,
}

impl fmt::Debug for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}.{}.{}", self.coordinator.0, self.incarnation, self.seq)
    }
}

/// An account, or any other number that one participant keeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub u16);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

/// What is to be done with a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Change the balance; refused when it would fall below 0.
    Add(i64),
    /// Read the balance, under a lock.
    Read,
    /// Nothing; but the participant votes No when it is asked to prepare.
    Veto,
}

/// One step of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The participant: an index into the coordinator's list. People count from 1: index 0 is p1.
    pub at: u16,
    /// Which of its keys.
    pub key: Key,
    /// What to do there.
    pub action: Action,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}.{:?}", self.at + 1, self.key)?;
        match self.action {
            Action::Add(amount) => write!(f, "{amount:+}"),
            Action::Read => f.write_str("?"),
            Action::Veto => f.write_str("!"),
        }
    }
}

/// An operation: all of its items or none. The client's request id is its identity.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Op {
    /// In this order at each participant.
    pub items: Vec<Item>,
}

impl Op {
    /// Moves `amount` from one account to another, each named as (participant, key).
    pub fn transfer(from: (u16, Key), to: (u16, Key), amount: i64) -> Self {
        let item = |(at, key), amount| Item { at, key, action: Action::Add(amount) };
        Self { items: vec![item(from, -amount), item(to, amount)] }
    }

    /// Reads all these accounts at one moment.
    pub fn read_all(accounts: impl IntoIterator<Item = (u16, Key)>) -> Self {
        let read = |(at, key)| Item { at, key, action: Action::Read };
        Self { items: accounts.into_iter().map(read).collect() }
    }

    /// The numbers of the participants, ascending.
    pub fn participants(&self) -> Vec<u16> {
        sorted(self.items.iter().map(|item| item.at))
    }

    /// The numbers of those where something changes, ascending.
    pub fn writers(&self) -> Vec<u16> {
        let writes = |item: &&Item| matches!(item.action, Action::Add(_));
        sorted(self.items.iter().filter(writes).map(|item| item.at))
    }

    /// What one participant has to do, in order.
    pub fn work_at(&self, participant: u16) -> Vec<(Key, Action)> {
        let here = self.items.iter().filter(|item| item.at == participant);
        here.map(|item| (item.key, item.action)).collect()
    }
}

fn sorted(numbers: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut numbers: Vec<u16> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// What a Read item saw.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// The participant.
    pub at: u16,
    /// Its key.
    pub key: Key,
    /// The balance.
    pub balance: i64,
}

/// What a client is told of an operation that took effect. One that never does is a Fail.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// It committed; one reading for each Read, in the order of the items.
    Committed {
        /// What the Reads saw.
        values: Vec<Reading>,
    },
    /// An earlier attempt under the same request id committed; what it read is no longer known.
    Already,
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// With all of its effects.
    Commit,
    /// With none.
    Abort,
}

/// A node of the cluster, as an operator would write it down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Coordinator: how long it waits, from the request to the last vote, before it aborts.
    #[serde(with = "humantime_serde")]
    pub vote_timeout: Duration,
    /// Participant: how long it keeps work that nobody asks it to prepare.
    #[serde(with = "humantime_serde")]
    pub work_timeout: Duration,
    /// Participant: how long after its Yes it first asks for the outcome; later pauses double, up
    /// to 8 times this.
    #[serde(with = "humantime_serde")]
    pub inquiry_interval: Duration,
    /// Coordinator: how often it repeats a commit until it is acknowledged.
    #[serde(with = "humantime_serde")]
    pub resend_interval: Duration,
    /// Participant in doubt: whether it asks the other participants too (cooperative termination).
    pub ask_peers: bool,
    /// How many finished transactions that its log need not name any more make a node rewrite it;
    /// at least 1. That is a sync more than the protocol itself costs.
    pub compact_after: u32,
    /// Participant: what it does with work whose locks are taken.
    #[serde(default)]
    pub locking: Locking,
    /// Two-phase commit: what a transaction without a record has come to.
    #[serde(default)]
    pub presume: Presume,
    /// Which part it plays.
    pub role: Role,
}

impl Default for Config {
    /// A participant without accounts, with timers for message delays of a few milliseconds.
    fn default() -> Self {
        Self {
            vote_timeout: Duration::from_millis(200),
            work_timeout: Duration::from_millis(300),
            inquiry_interval: Duration::from_millis(150),
            resend_interval: Duration::from_millis(100),
            ask_peers: true,
            compact_after: 16,
            locking: Locking::NoWait,
            presume: Presume::Abort,
            role: Role::Participant { balances: Vec::new() },
        }
    }
}

/// What to do about a lock that another transaction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Locking {
    /// Refuse the work: its transaction aborts.
    #[default]
    NoWait,
    /// The older one wounds, the younger one waits.
    WoundWait,
}

/// What is taken for the outcome of a transaction that its coordinator has no record of. The other
/// one must be recorded, and acknowledged by all before that record goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Presume {
    /// Presumed abort.
    #[default]
    Abort,
    /// Presumed commit.
    Commit,
}

/// The part that a node plays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Takes requests and decides.
    Coordinator {
        /// All participants; items name them by their place in this list.
        participants: Vec<NodeId>,
        /// Paxos Commit: all acceptors.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        acceptors: Vec<NodeId>,
    },
    /// Keeps data and votes.
    Participant {
        /// What it starts with, by ascending key; every other key is at 0.
        balances: Vec<(Key, i64)>,
    },
    /// Paxos Commit: agrees with others on votes.
    Acceptor,
}

/// What a log promises. All lists ascend and name nothing twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// Coordinator: its COMMITs on record, ended ones until the log drops them.
    pub decided: Vec<Decided>,
    /// Participant: PREPARE without an outcome: in doubt.
    pub prepared: Vec<Prepared>,
    /// Participant: COMMIT on record. Below [`low_water`](Self::low_water) outcomes may be missing.
    pub committed: Vec<TxId>,
    /// ABORT on record. A transaction in both lists has changed its outcome.
    pub aborted: Vec<TxId>,
    /// Participant: committed balances.
    pub balances: Vec<(Key, i64)>,
    /// Participant: operations whose changes are in the balances, and how many times.
    pub applied: Vec<(RequestId, u32)>,
    /// Participant: for each coordinator the transaction below which all is over and forgotten.
    pub low_water: Vec<TxId>,
}

/// A commit on a coordinator's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The transaction.
    pub tx: TxId,
    /// Its operation.
    pub request: RequestId,
    /// The participants that must commit, in the order of the coordinator's list.
    pub writers: Vec<NodeId>,
    /// Whether all of them are known to have committed (END).
    pub ended: bool,
}

/// A Yes vote on a participant's record, without an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// The transaction.
    pub tx: TxId,
    /// Its operation.
    pub request: RequestId,
}

impl Durable {
    /// Whether this participant may have forgotten the transaction's outcome.
    pub fn forgot(&self, tx: TxId) -> bool {
        self.low_water.iter().any(|mark| mark.coordinator == tx.coordinator && tx < *mark)
    }

    /// Whether this participant has made up its mind to commit: prepared, committed or, with the
    /// whole transaction over, forgotten.
    pub fn stands_by(&self, tx: TxId) -> bool {
        self.prepared.binary_search_by_key(&tx, |prepared| prepared.tx).is_ok()
            || self.committed.binary_search(&tx).is_ok()
            || self.forgot(tx)
    }
}

/// What a running node believes. All lists ascend.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Coordinator: begun, and not decided.
    pub undecided: Vec<TxId>,
    /// Outcomes that it stands for and has not forgotten: a coordinator's decisions; what a
    /// participant has carried out, on record or not.
    pub decisions: Vec<(TxId, Outcome)>,
    /// Coordinator: outcomes that somebody has still to acknowledge.
    pub unacked: Vec<TxId>,
    /// Participant: work done and locks taken, no vote yet.
    pub working: Vec<TxId>,
    /// Participant: voted Yes, and not told how it ended.
    pub in_doubt: Vec<TxId>,
    /// Participant: locked keys and who holds them.
    pub locks: Vec<(Key, TxId)>,
}

impl View {
    /// Whether nothing waits: no vote, no acknowledgement, no outcome, no lock.
    pub fn is_idle(&self) -> bool {
        self.undecided.is_empty()
            && self.unacked.is_empty()
            && self.working.is_empty()
            && self.in_doubt.is_empty()
            && self.locks.is_empty()
    }
}
