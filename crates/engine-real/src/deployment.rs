//! What an operator writes down: who is where, and where the data is.

use node::{Mutation, Node, NodeId};
use serde::{Deserialize, Serialize};
use shell::Identity;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use world::Seed;

/// A cluster as one of its nodes sees it. In a file it is TOML.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "Config: Serialize", deserialize = "Config: Deserialize<'de>")
)]
pub struct Deployment<Config> {
    /// The scenario whose nodes these are.
    pub scenario: String,
    /// The cluster: two of one scenario on one machine must not mix.
    pub cluster: Seed,
    /// What the protocol's dice are keyed by.
    pub seed: Seed,
    /// A planted bug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutation>,
    /// The moment on the machine's monotonic clock, in nanoseconds, that nodes call 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start: u64,
    /// The folder in which each node has one of its own: `n0`, `n1` and so on.
    pub data: PathBuf,
    /// Where each node is called; at its own place, where it listens. Port 0 is any free one.
    pub addresses: Vec<SocketAddr>,
    /// One configuration a node.
    pub nodes: Vec<Config>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Why a deployment's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("{}: {reason}", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        reason: String,
    },
}

/// A deployment of a scenario with these nodes.
pub type DeploymentOf<N> = Deployment<<N as Node>::Config>;

impl<Config: Serialize + for<'de> Deserialize<'de>> Deployment<Config> {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says something else.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let io = |source| FileError::Io { path: path.to_owned(), source };
        let wrong = |reason| FileError::Text { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(io)?;
        let deployment: Self = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let (nodes, addresses) = (deployment.nodes.len(), deployment.addresses.len());
        if nodes != addresses || nodes == 0 || nodes > world::case::MAX_NODES {
            let most = world::case::MAX_NODES;
            return Err(wrong(format!(
                "{nodes} nodes and {addresses} addresses: expected 1 to {most}, as many of each"
            )));
        }
        Ok(deployment)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When TOML cannot say it, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = toml::to_string(self).map_err(|error| FileError::Text {
            path: path.to_owned(),
            reason: format!("the configuration cannot be written: {error}"),
        })?;
        fs::write(path, text).map_err(|source| FileError::Io { path: path.to_owned(), source })
    }
}

impl<Config> Deployment<Config> {
    /// Who a machine of this cluster is.
    pub fn identity(&self, machine: NodeId) -> Identity {
        let (scenario, cluster) = (self.scenario.clone(), self.cluster.0);
        Identity { scenario, cluster, node: machine }
    }

    /// The folder of a node.
    pub fn folder(&self, node: NodeId) -> PathBuf {
        self.data.join(node.to_string())
    }
}
