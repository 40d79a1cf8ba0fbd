//! What can go wrong between transactions, and which levels each of it rules out.

use super::{Isolation, Level, Order};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A phenomenon: Adya's names where he has one, Elle's otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phenomenon {
    /// A value was read that nobody wrote.
    Phantom,
    /// An element stands in a list more often than it was appended.
    Duplicate,
    /// A transaction does not see its own writes, or sees them before it made them.
    Internal,
    /// A cycle of writes.
    G0(Order),
    /// A value of an aborted transaction was read.
    G1a,
    /// A value that its own transaction had overwritten was read.
    G1b,
    /// A committed transaction wrote on top of an aborted one.
    DirtyUpdate,
    /// Two reads of a list of which neither is a prefix of the other.
    IncompatibleOrder,
    /// A cycle of writes and reads: information flows in a circle.
    G1c(Order),
    /// Two transactions read the same version and both wrote after it.
    LostUpdate,
    /// A cycle with one anti-dependency.
    GSingle(Order),
    /// Two readers see two writers in different orders.
    LongFork(Order),
    /// A cycle with more anti-dependencies than one, no two of them adjacent.
    GNonadjacent(Order),
    /// A cycle with adjacent anti-dependencies, such as write skew.
    G2Item(Order),
    /// No order of the writes fits what was read.
    NoVersionOrder(Order),
}

impl Phenomenon {
    /// Whether a history that shows this is none of `level`.
    ///
    /// Sources: Adya, Liskov and O'Neil, "Generalized Isolation Level Definitions" (ICDE 2000), for
    /// G0, G1, G-single, G2 and that a transaction reads its own last write; Cerone and Gotsman,
    /// "Analysing Snapshot Isolation" (PODC 2016), for G-nonadjacent; Kingsbury and Alvaro, "Elle"
    /// (VLDB 2020), for incompatible orders and dirty updates; Berenson et al. (SIGMOD 1995), for
    /// lost updates.
    pub fn rules_out(self, level: Level) -> bool {
        use Isolation::{ReadCommitted, ReadUncommitted, RepeatableRead, SnapshotIsolation};
        let at_least = |isolation: Isolation| level.isolation.implies(isolation);
        let (isolation, order) = match self {
            Self::Phantom | Self::Duplicate | Self::Internal => return true,
            Self::G0(order) => (at_least(ReadUncommitted), order),
            Self::G1a | Self::G1b | Self::DirtyUpdate | Self::IncompatibleOrder => {
                (at_least(ReadCommitted), Order::Any)
            }
            Self::G1c(order) => (at_least(ReadCommitted), order),
            Self::LostUpdate => {
                (at_least(RepeatableRead) || at_least(SnapshotIsolation), Order::Any)
            }
            Self::GSingle(order)
            | Self::LongFork(order)
            | Self::GNonadjacent(order)
            | Self::NoVersionOrder(order) => {
                (at_least(RepeatableRead) || at_least(SnapshotIsolation), order)
            }
            Self::G2Item(order) => (at_least(RepeatableRead), order),
        };
        isolation && level.order >= order
    }
}

impl fmt::Display for Phenomenon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, order) = match *self {
            Self::Phantom => ("phantom value", Order::Any),
            Self::Duplicate => ("duplicate element", Order::Any),
            Self::Internal => ("internal", Order::Any),
            Self::G0(order) => ("G0", order),
            Self::G1a => ("G1a", Order::Any),
            Self::G1b => ("G1b", Order::Any),
            Self::DirtyUpdate => ("dirty update", Order::Any),
            Self::IncompatibleOrder => ("incompatible order", Order::Any),
            Self::G1c(order) => ("G1c", order),
            Self::LostUpdate => ("lost update", Order::Any),
            Self::GSingle(order) => ("G-single", order),
            Self::LongFork(order) => ("long fork", order),
            Self::GNonadjacent(order) => ("G-nonadjacent", order),
            Self::G2Item(order) => ("G2-item", order),
            Self::NoVersionOrder(order) => ("no version order", order),
        };
        f.write_str(name)?;
        f.write_str(match order {
            Order::Any => "",
            Order::Session => "-process",
            Order::RealTime => "-realtime",
        })
    }
}
