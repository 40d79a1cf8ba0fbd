//! What clients and judges share with every way to synchronise replicas: operations, results,
//! configuration, and what an invariant may look at.

use clocks::{Clock, Hybrid};
use node::{Incarnation, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// When something happened, by a hybrid logical clock: time, a counter, a node's number.
pub type Stamp = <Hybrid as Clock>::Stamp;

/// A record that every replica has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub u8);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}", self.0)
    }
}

/// The name of a write: the replica that took it, and which of that replica's writes it is, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who took it.
    pub node: NodeId,
    /// Which.
    pub nth: u64,
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.nth)
    }
}

/// A version vector: of each replica's writes, all up to this one.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(pub BTreeMap<NodeId, u64>);

impl Seen {
    /// Up to which of this replica's writes.
    pub fn of(&self, node: NodeId) -> u64 {
        self.0.get(&node).copied().unwrap_or(0)
    }

    /// Whether it has this write.
    pub fn has(&self, dot: Dot) -> bool {
        dot.nth <= self.of(dot.node)
    }

    /// Whether it has everything that the other one has.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(node, nth)| *nth <= self.of(*node))
    }

    /// Adds what the other one has.
    pub fn join(&mut self, other: &Self) {
        for (&node, &nth) in &other.0 {
            self.add(Dot { node, nth });
        }
    }

    /// Adds a write, and those before it.
    pub fn add(&mut self, dot: Dot) {
        let nth = self.0.entry(dot.node).or_insert(0);
        *nth = dot.nth.max(*nth);
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dots = self.0.iter().map(|(&node, &nth)| Dot { node, nth });
        f.debug_set().entries(dots).finish()
    }
}

/// One of the values that stand in a record side by side: of writes that did not know each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Sibling {
    /// By which write.
    pub dot: Dot,
    /// What.
    pub value: u32,
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// What stands in this record?
    Read {
        /// Which.
        key: Key,
    },
    /// Let this stand there, beside what does: the writer has not looked.
    Write {
        /// Where.
        key: Key,
        /// What.
        value: u32,
    },
    /// Look at the record, think for a while, and let this stand in the place of what was there.
    Edit {
        /// Where.
        key: Key,
        /// What.
        value: u32,
    },
}

impl Op {
    /// The record that it is about.
    pub fn key(self) -> Key {
        match self {
            Self::Read { key } | Self::Write { key, .. } | Self::Edit { key, .. } => key,
        }
    }
}

/// What clients are told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// This stands there, the oldest first.
    Siblings(Vec<Sibling>),
    /// It was written, by this name.
    Written(Dot),
}

/// What an operator writes down, the same at every replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// How many there are: all nodes of the cluster.
    pub replicas: u16,
    /// The unit of stamps. 500 of them is how far another clock may be ahead, and 100 are reserved
    /// at once.
    #[serde(with = "humantime_serde")]
    pub unit: Duration,
    /// How often a replica turns to one of the others.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How long an editor thinks.
    #[serde(with = "humantime_serde")]
    pub thought: Duration,
}

impl Config {
    /// A wall clock in the unit of stamps.
    pub fn units(&self, wall: Duration) -> u64 {
        u64::try_from(wall.as_nanos() / self.unit.as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

/// A write, as the replica that took it has it on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Whose.
    pub operation: RequestId,
    /// Where.
    pub key: Key,
    /// Its name, and what it wrote.
    pub sibling: Sibling,
    /// What stood there when the writer looked: what it may replace.
    pub read: Vec<Dot>,
}

/// What a replica's log promises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// What clients wrote here, in order.
    pub writes: Vec<Written>,
    /// What stands in each record.
    pub siblings: BTreeMap<Key, Vec<Sibling>>,
    /// When writes of others came here, by the clock here that never goes back.
    pub merged: Vec<(Duration, Seen)>,
}

/// Something that happened at a replica and has a stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// Its own.
    pub stamp: Stamp,
    /// The stamp of the message that came in, if that is what happened.
    pub cause: Option<Stamp>,
}

/// What a running replica believed before the last thing happened: all of it is on disk, and others
/// may have been told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Its life.
    pub life: Incarnation,
    /// Every write that it knew of.
    pub seen: Seen,
    /// How many stamps it has given in this life.
    pub stamps: u64,
    /// The last of them.
    pub recent: Vec<Stamped>,
    /// When it last refused a message whose stamp was too far ahead, by the clock here that never
    /// goes back.
    pub refused: Option<Duration>,
    /// Edits that are not saved yet.
    pub editing: Vec<RequestId>,
}
