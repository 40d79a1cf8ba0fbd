//! Names of nodes, incarnations, requests and steps.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A machine of the cluster. Servers come first; clients' machines have the numbers after them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl NodeId {
    /// The number as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Which life of a node: 1 at first boot, one more at every restart. The engine keeps it and
/// forces it before anything else leaves the node.
pub type Incarnation = u32;

/// A client's operation; the same over all retries and duplicates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The client's machine: where the answer goes.
    pub client: NodeId,
    /// The operation; increasing for each client.
    pub call: u32,
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.client, self.call)
    }
}

/// A role's own step, opened by [`Cx::invoke`](crate::Cx::invoke).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct StepId {
    /// The life that opened it.
    pub incarnation: Incarnation,
    /// Its number in that life.
    pub nth: u32,
}
