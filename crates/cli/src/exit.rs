//! Exit codes, and the one line that goes with a failure. CI must tell "found a bug" from "the tool
//! broke".

use explorer::ReproError;

/// Every property holds, or every verdict was the expected one.
pub(crate) const HOLDS: u8 = 0;
/// A property is broken.
pub(crate) const VIOLATED: u8 = 1;
/// Nothing was proved.
pub(crate) const UNKNOWN: u8 = 2;
/// The command line, or an operation type that does not survive its own file.
pub(crate) const USAGE: u8 = 64;
/// An input file.
pub(crate) const BAD_INPUT: u8 = 65;
/// Our own fault.
pub(crate) const OUR_FAULT: u8 = 70;
/// A file or the network.
pub(crate) const FILE: u8 = 74;
/// Two runs of one case differ.
pub(crate) const NONDETERMINISM: u8 = 75;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self { code: BAD_INPUT, message: message.into() }
    }

    pub(crate) fn file(message: impl Into<String>) -> Self {
        Self { code: FILE, message: message.into() }
    }

    pub(crate) fn ours(message: impl Into<String>) -> Self {
        Self { code: OUR_FAULT, message: message.into() }
    }
}

impl From<ReproError> for Failure {
    fn from(error: ReproError) -> Self {
        match error {
            ReproError::File { .. } => Self::file(error.to_string()),
            ReproError::Text { .. } => Self::bad_input(error.to_string()),
        }
    }
}
