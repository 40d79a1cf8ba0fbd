//! Who a node is: what a log and a connection must agree on before a byte of them is believed.

use node::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which node of which cluster of which scenario.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The scenario, or the service: nodes of another one speak another language.
    pub scenario: String,
    /// The cluster: two of one scenario on one machine must not mix.
    pub cluster: u64,
    /// The node.
    pub node: NodeId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster {:#x} of {}", self.node, self.cluster, self.scenario)
    }
}
