//! The planted bug that a case names.

use node::{Mutation, MutationKind, UnknownMutation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A planted bug. Its text is a generic one's, such as `drop_force(Commit)`, or an id of the
/// scenario's own, such as `A1`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mutant {
    /// Done by the engine, to any node.
    Generic(Mutation),
    /// One that the scenario has: the case runs on another node than the right one.
    Own(String),
}

impl Mutant {
    /// What the engine has to do for it.
    pub fn generic(&self) -> Option<&Mutation> {
        match self {
            Self::Generic(mutation) => Some(mutation),
            Self::Own(_) => None,
        }
    }
}

impl From<Mutation> for Mutant {
    fn from(mutation: Mutation) -> Self {
        Self::Generic(mutation)
    }
}

impl From<MutationKind> for Mutant {
    fn from(kind: MutationKind) -> Self {
        Self::Generic(kind.into())
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generic(mutation) => mutation.fmt(f),
            Self::Own(id) => f.write_str(id),
        }
    }
}

impl FromStr for Mutant {
    type Err = UnknownMutation;

    /// Any plain word that names no generic bug may be a scenario's own.
    fn from_str(text: &str) -> Result<Self, UnknownMutation> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match text.parse() {
            Ok(mutation) => Ok(Self::Generic(mutation)),
            Err(_) if !text.is_empty() && text.chars().all(is_word) => {
                Ok(Self::Own(text.to_owned()))
            }
            Err(unknown) => Err(unknown),
        }
    }
}

impl TryFrom<String> for Mutant {
    type Error = UnknownMutation;

    fn try_from(text: String) -> Result<Self, UnknownMutation> {
        text.parse()
    }
}

impl From<Mutant> for String {
    fn from(mutant: Mutant) -> Self {
        mutant.to_string()
    }
}
