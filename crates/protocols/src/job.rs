//! What clients and judges share with every queue: operations, results, configuration, and what an
//! invariant may look at.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What is to be done: a line on an account's statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Job {
    /// The account. Jobs of one account are done in the order of the queue.
    pub account: u16,
    /// What is credited to it.
    pub amount: u32,
    /// No worker can do it, however often it tries.
    pub poison: bool,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poison = if self.poison { " poison" } else { "" };
        write!(f, "{} to a{}{poison}", self.amount, self.account)
    }
}

/// A request: let this be done, once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Op {
    /// What.
    pub job: Job,
    /// The client wants to know what came of it, and not only that it is in the queue.
    pub wait: bool,
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// It is in the queue, and will be done or be found among the dead letters.
    Accepted,
    /// It is done: this line of this account's statement, counted from 1.
    Done {
        /// Whose statement.
        account: u16,
        /// Which line.
        line: u32,
    },
    /// It is among the dead letters, and will never be done.
    Dead,
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the queues.
    pub broker: NodeId,
    /// The node with the accounts.
    pub store: NodeId,
    /// How long a consumer has for a message that it takes first, before another one gets it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a node waits for an answer before it asks again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// How long a consumer waits for a message before it asks again.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How often a message is tried before it is given up.
    pub tries: u32,
    /// How often a worker fails, in so many of a hundred tries.
    pub trouble: u8,
    /// How long the store remembers what it has done: longer than any copy can be on its way.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// After so many acknowledged messages the broker compacts its log.
    pub compact_after: u32,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// The queues.
    Broker,
    /// The accounts.
    Store,
    /// Takes clients' requests, and brings them the replies.
    Front,
    /// Does the jobs.
    Worker,
}

/// What a node's log promises. What is done is kept one by one, so that a second effect of one job
/// can be seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At the broker: the jobs that are in the queue, the oldest one first.
    pub queued: Vec<(RequestId, Job)>,
    /// At the store: each account's statement, in the order of its lines.
    pub done: BTreeMap<u16, Vec<(RequestId, u32)>>,
    /// At the store: the dead letters.
    pub dead: Vec<RequestId>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// What it has begun and not ended: a message in a queue, a reply that is not published, a
    /// client that waits.
    pub open: Vec<RequestId>,
}
