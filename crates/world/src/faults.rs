//! Sets of fault kinds.

use crate::fault::FaultKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of kinds. In files and between processes it is a list of their names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<FaultKind>", into = "Vec<FaultKind>")]
pub struct Faults(u32);

impl From<Vec<FaultKind>> for Faults {
    fn from(kinds: Vec<FaultKind>) -> Self {
        Self::of(&kinds)
    }
}

impl From<Faults> for Vec<FaultKind> {
    fn from(kinds: Faults) -> Self {
        kinds.iter().collect()
    }
}

impl Faults {
    /// No kind at all: a calm run.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self((1 << FaultKind::ALL.len()) - 1);

    /// These kinds.
    pub const fn of(kinds: &[FaultKind]) -> Self {
        let mut set = 0;
        let mut i = 0;
        while i < kinds.len() {
            set |= 1 << kinds[i] as u32;
            i += 1;
        }
        Self(set)
    }

    /// Whether `kind` is in the set.
    pub const fn has(self, kind: FaultKind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Adds `kind`.
    pub fn add(&mut self, kind: FaultKind) {
        self.0 |= 1 << kind as u32;
    }

    /// These kinds and those of `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These kinds without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The kinds that are in both sets.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in the order of tables.
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(FaultKind::name)).finish()
    }
}
