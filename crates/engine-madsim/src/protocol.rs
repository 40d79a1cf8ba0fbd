//! What host and worker say to each other: one line of JSON each.
//!
//! The worker begins with [`Hello`]. Then it answers every [`Request`] with one [`Answer`], until
//! its input ends.

use explorer::{Outcome, Record};
use serde::{Deserialize, Serialize};

/// The version of these lines.
pub const VERSION: u32 = 1;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 256 << 20;

/// A worker's first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// `engine-madsim`.
    pub worker: String,
    /// [`VERSION`].
    pub protocol: u32,
    /// The version of Tribunal that it was built from.
    pub tribunal: String,
    /// Whether it simulates: it was compiled with `--cfg madsim`.
    pub madsim: bool,
}

impl Hello {
    /// That of this program.
    pub fn ours() -> Self {
        Self {
            worker: env!("CARGO_PKG_NAME").to_owned(),
            protocol: VERSION,
            tribunal: env!("CARGO_PKG_VERSION").to_owned(),
            madsim: cfg!(madsim),
        }
    }

    /// Whether this is a worker for us.
    ///
    /// # Errors
    /// Says what it is instead.
    pub fn check(&self) -> Result<(), String> {
        let expected = Self { madsim: true, ..Self::ours() };
        if self.worker != expected.worker {
            return Err(format!("it is {:?}, expected {:?}", self.worker, expected.worker));
        }
        if self.protocol != expected.protocol {
            let (theirs, ours) = (self.protocol, expected.protocol);
            return Err(format!("it speaks version {theirs} of the protocol, expected {ours}"));
        }
        if self.tribunal != expected.tribunal {
            let (theirs, ours) = (&self.tribunal, expected.tribunal);
            return Err(format!("it is of Tribunal {theirs}, expected {ours}"));
        }
        if !self.madsim {
            return Err("it was built without `--cfg madsim`: it would simulate nothing".into());
        }
        Ok(())
    }
}

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

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// What was kept.
    pub record: Record,
}
