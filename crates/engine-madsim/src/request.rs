//! What the host asks of the worker: one case at a time.

use serde::{Deserialize, Serialize};

/// A case to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The scenario's name.
    pub scenario: String,
    /// The case, as TOML.
    pub case: String,
    /// Whether frames go over madsim's TCP, and not over our network.
    pub streams: bool,
    /// Whether to keep every event.
    pub recording: bool,
}
