//! What clients and judges of Redlock share: operations, steps, results, configuration, and what an
//! invariant may look at.
//!
//! A cluster has `n` lock servers, on each of which a lock is a key that runs out; then one store,
//! and a few holders. A client asks a holder to [`Op::Increment`] an object; the holder sets the
//! object's key on a majority, reads, writes what it read plus one, and deletes the key. The other
//! operations are the holder's own steps: it records them with `invoke` and `complete`, and no
//! client sends them.
//!
//! # Holds, rebuilt from the steps
//!
//! `Acquire` and `Extend` that end in `Ok(Held { token, from, until })` say that the lock is held
//! under this token from `from` up to, not including, `until`, both read from the holder's own
//! monotonic clock: an extension that comes in time makes the hold longer. The *invocation* of a
//! `Release` of the token ends the hold, if it is earlier. `Fail` and `Info` add nothing. So a
//! paused holder's hold ends at its bound and not when it runs again, and so does that of one that
//! has crashed.

pub use crate::lease::Object;
use node::{Incarnation, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The value of a key: names one attempt to get a lock. Redlock's is a random number, which is as
/// unique as this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// Whose attempt.
    pub holder: NodeId,
    /// In which of its lives.
    pub incarnation: Incarnation,
    /// Counted from 1.
    pub seq: u32,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.holder, self.incarnation, self.seq)
    }
}

/// What clients ask (`Increment`), and the steps that a holder records.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A client: add one to the object, once, however often this request arrives.
    Increment(Object),
    /// A step: set the object's key on a majority.
    Acquire(Object),
    /// A step: make it last longer.
    Extend {
        /// Which lock.
        object: Object,
        /// Under which token it is held.
        token: Token,
    },
    /// A step: delete the key everywhere. Its invocation ends the hold.
    Release {
        /// Which lock.
        object: Object,
        /// Under which token it was held.
        token: Token,
    },
}

/// What clients are told (`Incremented`), and how a holder's steps end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// To a client: what its increment made of the object.
    Incremented(u64),
    /// Of `Acquire` and `Extend`: a majority has the key.
    Held {
        /// Its value.
        token: Token,
        /// When the majority was handled, on the holder's monotonic clock.
        from: Duration,
        /// When the hold ends at the latest, on the same clock.
        until: Duration,
    },
    /// Of `Release`: the messages are on their way.
    Released,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Has keys.
    LockServer,
    /// Keeps the objects.
    Store,
    /// Runs the clients' workflow.
    Holder,
}

/// What a node of the cluster is told at its installation. All but `role` should be the same
/// everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// How many lock servers there are: nodes 0 to `servers` − 1. Then comes the store.
    pub servers: u16,
    /// How long a key lasts, on its server's *wall* clock.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// The part of the TTL that a holder leaves to wrong clock rates, in parts per million.
    pub drift_ppm: u32,
    /// How long a lock server stays silent after a restart.
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// How long a holder waits for answers: before it goes without a majority, and before it asks
    /// the store again.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// The longest time before a holder without a majority tries again.
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
    /// How long a holder works between its read and its write.
    #[serde(with = "humantime_serde")]
    pub work: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::Holder,
            servers: 3,
            ttl: Duration::from_secs(1),
            drift_ppm: 10_000,
            silence: Duration::from_secs(1),
            patience: Duration::from_millis(100),
            back_off: Duration::from_millis(200),
            work: Duration::from_millis(20),
        }
    }
}

/// A write that the store applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Under which token.
    pub token: Token,
    /// The client's request.
    pub request: RequestId,
    /// The object's value before.
    pub from: u64,
    /// The object's value after: not `from + 1` where the writer had read another value.
    pub to: u64,
}

/// What a log promises: of the store, every write to each object. The others' logs are empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// In the order in which they were applied.
    pub objects: BTreeMap<Object, Vec<Applied>>,
}

/// A key that a lock server has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Which lock.
    pub object: Object,
    /// Who has it.
    pub token: Token,
    /// When it runs out, on the server's wall clock.
    pub expires: Duration,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// The keys of a lock server; some may have run out.
    LockServer(Vec<Key>),
    /// The store: what it knows is in its log.
    Store,
    /// A holder: how many requests it has not answered yet.
    Holder(usize),
}
