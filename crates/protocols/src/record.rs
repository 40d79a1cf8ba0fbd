//! What clients and judges share with every store of records behind HTTP: operations, results,
//! configuration, and what an invariant may look at.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A patient's record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Patient(pub u8);

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "patient {}", self.0)
    }
}

/// An entry of a record: by which request, and what it says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub by: RequestId,
    /// What.
    pub dose: u32,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {:?}", self.dose, self.by)
    }
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// What stands in the record?
    Look {
        /// Whose.
        patient: Patient,
    },
    /// Add this at its end.
    Add {
        /// Whose.
        patient: Patient,
        /// What.
        dose: u32,
    },
    /// Put this in place of all that is there, whatever that is.
    Overwrite {
        /// Whose.
        patient: Patient,
        /// What.
        dose: u32,
    },
}

impl Op {
    /// The record that it is about.
    pub fn patient(self) -> Patient {
        match self {
            Self::Look { patient }
            | Self::Add { patient, .. }
            | Self::Overwrite { patient, .. } => patient,
        }
    }
}

/// What clients are told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// This stands there.
    Entries(Vec<u32>),
    /// It is the entry of this number, counted from 1.
    Added {
        /// Which.
        nth: u32,
    },
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the records.
    pub origin: NodeId,
    /// How long an agent takes from a read to the write that comes of it.
    #[serde(with = "humantime_serde")]
    pub think: Duration,
    /// How long an agent waits for an answer, at first.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How long it pauses after a conflict, at first.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// After so many conflicts it gives up.
    pub attempts: u32,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Has the records: HTTP's origin server.
    Origin,
    /// Works with them for clients: HTTP's user agent.
    Agent,
}

/// A record, as the origin has written it: the whole of it, by whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Whose.
    pub patient: Patient,
    /// What.
    pub entries: Vec<Entry>,
}

/// What a node's log promises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At the origin: what was written, in order.
    pub written: Vec<Written>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// At an agent: what it has begun and not ended.
    pub running: Vec<RequestId>,
}
