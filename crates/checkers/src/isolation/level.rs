//! Isolation levels, and which of them promises more than which.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How much of the other transactions a transaction may notice.
///
/// Adya's levels (PL-1, PL-2, PL-2.99, PL-3), and snapshot isolation as Cerone and Gotsman
/// characterise it: a cycle of dependencies is allowed only where two anti-dependencies are
/// adjacent. Histories here have no predicates, so repeatable read and serializable forbid the
/// same cycles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Writes are not interleaved (PL-1).
    ReadUncommitted,
    /// Only committed, final versions are read, and information does not flow in circles (PL-2).
    ReadCommitted,
    /// What was read stays as it was (PL-2.99).
    RepeatableRead,
    /// Reads come from one snapshot; of two transactions that overlap and write the same, one
    /// aborts.
    SnapshotIsolation,
    /// As if one ran after the other (PL-3).
    Serializable,
}

/// Which order, beside that of the data, the transactions must respect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// None.
    Any,
    /// That of each process.
    Session,
    /// That of time: a transaction comes after all that had completed when it was invoked.
    RealTime,
}

/// An isolation level: `snapshot-isolation`, `strong-session-serializable`, `strict-serializable`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Level {
    /// What is kept apart.
    pub isolation: Isolation,
    /// Which order is kept.
    pub order: Order,
}

impl Isolation {
    /// All of them, weaker ones first.
    pub const ALL: [Self; 5] = [
        Self::ReadUncommitted,
        Self::ReadCommitted,
        Self::RepeatableRead,
        Self::SnapshotIsolation,
        Self::Serializable,
    ];

    /// Whether this promises all that `other` does. Repeatable read and snapshot isolation do not
    /// compare (Adya, Liskov and O'Neil, ICDE 2000).
    pub fn implies(self, other: Self) -> bool {
        match (self, other) {
            (Self::SnapshotIsolation, Self::RepeatableRead) => false,
            (mine, other) => mine >= other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read-uncommitted",
            Self::ReadCommitted => "read-committed",
            Self::RepeatableRead => "repeatable-read",
            Self::SnapshotIsolation => "snapshot-isolation",
            Self::Serializable => "serializable",
        }
    }
}

impl Order {
    /// All of them, weaker ones first.
    pub const ALL: [Self; 3] = [Self::Any, Self::Session, Self::RealTime];
}

impl Level {
    /// As if one transaction ran after the other, in the order of time: what most people expect.
    pub const STRICT_SERIALIZABLE: Self =
        Self { isolation: Isolation::Serializable, order: Order::RealTime };
    /// As if one transaction ran after the other.
    pub const SERIALIZABLE: Self = Self { isolation: Isolation::Serializable, order: Order::Any };
    /// Snapshot isolation.
    pub const SNAPSHOT_ISOLATION: Self =
        Self { isolation: Isolation::SnapshotIsolation, order: Order::Any };
    /// Repeatable read.
    pub const REPEATABLE_READ: Self =
        Self { isolation: Isolation::RepeatableRead, order: Order::Any };
    /// Read committed.
    pub const READ_COMMITTED: Self =
        Self { isolation: Isolation::ReadCommitted, order: Order::Any };
    /// Read uncommitted.
    pub const READ_UNCOMMITTED: Self =
        Self { isolation: Isolation::ReadUncommitted, order: Order::Any };

    /// Every level, each before those that promise more.
    pub fn all() -> impl Iterator<Item = Self> {
        Isolation::ALL
            .into_iter()
            .flat_map(|isolation| Order::ALL.map(|order| Self { isolation, order }))
    }

    /// Whether this promises all that `other` does.
    pub fn implies(self, other: Self) -> bool {
        self.isolation.implies(other.isolation) && self.order >= other.order
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strong = match (self.isolation, self.order) {
            (_, Order::Any) => "",
            (_, Order::Session) => "strong-session-",
            (Isolation::Serializable, Order::RealTime) => "strict-",
            (_, Order::RealTime) => "strong-",
        };
        write!(f, "{strong}{}", self.isolation.name())
    }
}

/// No level has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownLevel(pub String);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Level::all().map(|level| level.to_string()).collect();
        write!(f, "no isolation level `{}`, expected one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownLevel {}

impl FromStr for Level {
    type Err = UnknownLevel;

    /// A level by its name.
    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        Self::all()
            .find(|level| level.to_string() == name)
            .ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}

impl TryFrom<String> for Level {
    type Error = UnknownLevel;

    fn try_from(name: String) -> Result<Self, UnknownLevel> {
        name.parse()
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}
