//! What host and worker say to each other: one line of JSON each.
//!
//! The worker begins with [`Hello`]. Then it answers every request, which is its own kind of line,
//! with one [`Answer`], until its input ends.

use explorer::{Outcome, Record};
use rustix::stdio::dup2_stdout;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};

/// The version of these lines.
pub const VERSION: u32 = 1;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 256 << 20;

/// A worker's first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Which worker it is: `engine-madsim`, or a user's test.
    pub worker: String,
    /// [`VERSION`].
    pub protocol: u32,
    /// The version of Tribunal that it was built from.
    pub tribunal: String,
    /// Whether it simulates: it was compiled with `--cfg madsim`.
    pub madsim: bool,
}

impl Hello {
    /// That of this program, as that worker.
    pub fn ours(worker: &str) -> Self {
        Self {
            worker: worker.to_owned(),
            protocol: VERSION,
            tribunal: env!("CARGO_PKG_VERSION").to_owned(),
            madsim: cfg!(madsim),
        }
    }

    /// Whether this is that worker, for us.
    ///
    /// # Errors
    /// Says what it is instead.
    pub fn check(&self, worker: &str) -> Result<(), String> {
        let expected = Self { madsim: true, ..Self::ours(worker) };
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

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// What was kept.
    pub record: Record,
}

/// The worker's way to its host.
#[derive(Debug)]
pub struct Line(File);

impl Line {
    /// A duplicate of the standard output, which itself becomes the standard error: what anybody
    /// prints must not stand among answers. It begins with who this is.
    ///
    /// # Errors
    /// When the output fails.
    pub fn open(worker: &str) -> io::Result<Self> {
        let mut line = Self(File::from(rustix::io::dup(io::stdout())?));
        dup2_stdout(io::stderr())?;
        line.say(&Hello::ours(worker))?;
        Ok(line)
    }

    /// Says one thing.
    ///
    /// # Errors
    /// When the output fails.
    pub fn say(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
