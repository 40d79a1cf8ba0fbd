//! What clients and judges of a lease lock share: operations, steps, results, configuration, and
//! what an invariant may look at.
//!
//! A cluster has one lock server, one store, and a few holders. A client asks a holder to
//! [`Op::Increment`] an object; the holder does it the way a user of a lock service would: acquire
//! the object's lock, read, write what was read plus one, release. The other operations are the
//! holder's own steps: it records them with `invoke` and `complete`, and no client sends them.
//!
//! # Holds, rebuilt from the steps
//!
//! | step | ends | meaning |
//! |---|---|---|
//! | `Acquire(object)` | `Ok(Granted { fence, from, until })` | the hold `fence` begins |
//! | | `Fail` | given up: no hold ever begins from it |
//! | | `Info` (a crash) | the same: only the completion begins a hold |
//! | `Read { object, fence }` | `Ok(Value(v))` | the store registered `fence`, the object was `v` |
//! | | `Ok(Done(v))` | the request had been applied earlier, and wrote `v` |
//! | `Write { object, fence, value }` | `Ok(Done(v))` | applied, once; `v` is `value` |
//! | both | `Fail` | refused: a higher fence is known; this write never takes effect |
//! | | `Info` | unknown: the bound or a crash came first; the write may still be applied |
//! | `Release { object, fence }` | `Ok(Released)`, `Info` | its *invocation* ends the hold |
//!
//! A hold is the interval from `from` up to, not including, the earlier of `until` and the
//! invocation of a `Release` with its fence. `from` and `until` are readings of the holder's own
//! monotonic clock, which goes on through pauses and crashes at its own rate; whoever knows that
//! clock maps them to global time. The invocation of `Release` is an event and has its global time
//! already. This rebuilds every hold exactly:
//!
//! - **A pause** changes nothing: a paused holder's hold ends at `until`, not when it runs again.
//! - **A crash before the completion of `Acquire`** leaves the step unknown, and no hold: the
//!   completion is the first effect of the handler, so nothing that was done under the lock can
//!   have left the node.
//! - **A crash later** leaves a hold without `Release`: it ends at `until`. A restarted holder does
//!   not know the fence, never releases it, and asks for a lease of its own.
//! - **A crash inside the release** is harmless: the invocation comes before the message leaves.
//! - `from` is what the handler saw, not when the line was recorded, so a pause between the two
//!   does not move it. `from < until` always holds for a holder that follows rule 5.7; a step with
//!   `from >= until` is a lease taken after it had run out, and counts as the moment `from`.
//!
//! Holds of one object are disjoint, and their fences increase in the order of their beginnings. A
//! holder has at most one step open, and at most one hold.

use node::{Incarnation, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// An object of the store, and the lock of that name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub u8);

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0)
    }
}

/// What clients ask (`Increment`), and the steps that a holder records.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A client: add one to the object, once, however often this request arrives.
    Increment(Object),
    /// A step: get the object's lock.
    Acquire(Object),
    /// A step: read the object in order to write it.
    Read {
        /// Which object.
        object: Object,
        /// Under which grant.
        fence: u64,
    },
    /// A step: replace the object.
    Write {
        /// Which object.
        object: Object,
        /// Under which grant.
        fence: u64,
        /// By what.
        value: u64,
    },
    /// A step: give the lock back. Its invocation ends the hold.
    Release {
        /// Which lock.
        object: Object,
        /// Which grant.
        fence: u64,
    },
}

/// What clients are told (`Incremented`), and how a holder's steps end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// To a client: the object's value after its increment.
    Incremented(u64),
    /// Of `Acquire`: a hold begins.
    Granted {
        /// The grant's number: higher than that of every earlier grant.
        fence: u64,
        /// When the grant was handled, on the holder's monotonic clock.
        from: Duration,
        /// When the hold ends at the latest, on the same clock.
        until: Duration,
    },
    /// Of `Read`: the object's value.
    Value(u64),
    /// Of `Write`, or of a `Read` that finds the request applied: the value that it wrote.
    Done(u64),
    /// Of `Release`: the message is on its way.
    Released,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Grants leases.
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
    /// The lock server.
    pub server: NodeId,
    /// The store.
    pub store: NodeId,
    /// How long a lease lasts, on the lock server's monotonic clock.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// ρ of rule 5.7: every monotonic clock runs at a rate within 1 ± ρ; in parts per million.
    pub drift_ppm: u32,
    /// After how long an unanswered message is sent again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// How long a holder works between its read and its write.
    #[serde(with = "humantime_serde")]
    pub work: Duration,
    /// How many requests for one object a holder may serve under one grant; at least one.
    pub batch: u32,
    /// After how many records a log is replaced by a snapshot.
    pub compact: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::Holder,
            server: NodeId(0),
            store: NodeId(1),
            ttl: Duration::from_secs(1),
            drift_ppm: 1_000,
            resend: Duration::from_millis(100),
            work: Duration::from_millis(20),
            batch: 2,
            compact: 64,
        }
    }
}

impl Config {
    /// How long a lease is good for its holder, from before it first asked: a slow holder beside a
    /// fast server (5.7).
    pub fn validity(&self) -> Duration {
        let rho = u64::from(self.drift_ppm.min(1_000_000));
        let (slow, fast) = (u128::from(1_000_000 - rho), u128::from(1_000_000 + rho));
        let nanos = self.ttl.as_nanos() * slow / fast;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A lease as the lock server sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Which lock.
    pub object: Object,
    /// Whose.
    pub owner: NodeId,
    /// Its number.
    pub fence: u64,
}

/// A write that the store applied. A lost update is one whose `to` is not `from + 1`: it was
/// computed from a value that was no longer current.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// The grant it was written under.
    pub token: u64,
    /// Its number under that grant.
    pub nth: u32,
    /// The client's request.
    pub request: RequestId,
    /// The object's value before.
    pub from: u64,
    /// The object's value after.
    pub to: u64,
}

/// An object as the store's log has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// Its value.
    pub value: u64,
    /// The highest token registered for it.
    pub maxtoken: u64,
    /// How many writes made it. As each adds one, `value` differs from `count` once an update has
    /// been lost, and ever after.
    pub count: u64,
    /// The last `writes.len()` of them, in order: at least the last 32, so that whoever looks at
    /// the log now and then sees each write.
    pub writes: Vec<Applied>,
}

/// What a log promises. Each role fills its own part; a holder's log is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// Of the lock server: grants that have not been ended, by object.
    pub leases: Vec<Lease>,
    /// Of the lock server: the highest fence ever granted.
    pub fence: u64,
    /// Of the store: the objects that were ever touched.
    pub objects: BTreeMap<Object, Stored>,
}

/// A hold, as its holder believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Which lock.
    pub object: Object,
    /// Which grant.
    pub fence: u64,
    /// When it ends at the latest, on the holder's monotonic clock.
    pub until: Duration,
}

/// One who waits for a lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Waiter {
    /// Which lock.
    pub object: Object,
    /// Who will hold it.
    pub owner: NodeId,
    /// Which of the owner's attempts, by its incarnation and their number in it.
    pub attempt: (Incarnation, u32),
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// The lock server.
    LockServer {
        /// Leases that run, by object.
        leases: Vec<Lease>,
        /// Who waits for which lock, the first in line first.
        line: Vec<Waiter>,
    },
    /// The store: what it knows is in its log.
    Store,
    /// A holder.
    Holder {
        /// Its hold. It may have run out without the holder having noticed: compare `until`.
        hold: Option<Hold>,
        /// How many requests it has not answered yet.
        pending: usize,
    },
}
