//! What clients and judges share with every quorum register: operations, results, configuration,
//! and what an invariant may look at.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a register holds before anyone writes. Workloads write unique values above it.
pub const INITIAL: u32 = 0;

/// What a client asks. Each key is a register of its own; a checker may judge them one by one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// What does the register hold?
    Read {
        /// The register.
        key: u8,
    },
    /// Let the register hold this.
    Write {
        /// The register.
        key: u8,
        /// What it is to hold.
        value: u32,
    },
}

impl Op {
    /// The register that it is about.
    pub fn key(self) -> u8 {
        match self {
            Self::Read { key } | Self::Write { key, .. } => key,
        }
    }
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// The register held this: the answer to a read.
    Value(u32),
    /// The register has held what was asked: the answer to a write.
    Written,
}

/// What an operator writes down; the same for every node of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The nodes that store, each once. Every node takes requests; one that is not listed here
    /// stores nothing.
    pub replicas: Vec<NodeId>,
    /// How long a front end waits for a majority before it asks the silent replicas again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// How often a node greets the replicas, which do nothing with it; zero: never. It gives a run
    /// the background traffic that real clusters have.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// How many records a log takes before it is compacted; 0: never.
    pub compact_after: u32,
}

/// A timestamp. They are totally ordered: the writer breaks ties.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ts {
    /// One more than the highest that its writer knew of.
    pub counter: u64,
    /// The front end that chose it.
    pub writer: NodeId,
}

impl Ts {
    /// The timestamp of [`INITIAL`], below every chosen one.
    pub const ZERO: Self = Self { counter: 0, writer: NodeId(0) };
}

impl fmt::Debug for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.writer)
    }
}

/// What one replica holds under one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cell {
    /// When it was written.
    pub ts: Ts,
    /// What was written.
    pub value: u32,
}

impl Cell {
    /// What every replica holds before anyone writes.
    pub const INITIAL: Self = Self { ts: Ts::ZERO, value: INITIAL };
}

/// A write as its front end recorded it, before any replica heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Recorded {
    /// Whose write it is.
    pub request: RequestId,
    /// The register.
    pub key: u8,
    /// The timestamp that it has for ever.
    pub ts: Ts,
    /// What it writes.
    pub value: u32,
}

/// What a node's log promises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// As a replica: what it holds under each key that was ever stored here.
    pub cells: BTreeMap<u8, Cell>,
    /// As a front end: the last recorded write of each client.
    pub recorded: BTreeMap<NodeId, Recorded>,
}

impl Durable {
    /// What it holds under a key.
    pub fn cell(&self, key: u8) -> Cell {
        self.cells.get(&key).copied().unwrap_or(Cell::INITIAL)
    }
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// As a front end: the operations that still run here, at most one for each client.
    pub running: Vec<RequestId>,
}
