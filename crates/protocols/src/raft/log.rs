//! The log in memory: the entries behind a snapshot.

use super::{Index, Payload, Position, Term};
use serde::{Deserialize, Serialize};

/// An entry. Its index is its place.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term in which a leader made it.
    pub term: Term,
    /// What it holds.
    pub payload: Payload<C>,
}

/// The entries behind a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Log<C> {
    base: Position,
    entries: Vec<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Self::behind(Position::default(), Vec::new())
    }
}

impl<C> Log<C> {
    /// These entries, the first of which comes right behind `base`.
    pub(super) fn behind(base: Position, entries: Vec<Entry<C>>) -> Self {
        Self { base, entries }
    }

    /// The entry before the first one.
    pub(super) fn base(&self) -> Position {
        self.base
    }

    /// The last entry, or the one before the first where there is none.
    pub(super) fn last(&self) -> Position {
        let term = self.entries.last().map_or(self.base.term, |entry| entry.term);
        Position { index: self.base.index + self.entries.len() as Index, term }
    }

    /// The term of the entry at an index; none where the log does not reach.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        match index.checked_sub(self.base.index)? {
            0 => Some(self.base.term),
            _ => self.get(index).map(|entry| entry.term),
        }
    }

    /// The entry at an index.
    pub(super) fn get(&self, index: Index) -> Option<&Entry<C>> {
        let place = index.checked_sub(self.base.index)?.checked_sub(1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    /// The entries behind an index.
    pub(super) fn behind_index(&self, index: Index) -> &[Entry<C>] {
        let place = usize::try_from(index.saturating_sub(self.base.index)).unwrap_or(usize::MAX);
        self.entries.get(place..).unwrap_or_default()
    }

    pub(super) fn push(&mut self, entry: Entry<C>) {
        self.entries.push(entry);
    }

    /// Drops the entries from this index on.
    pub(super) fn truncate(&mut self, from: Index) {
        let place = from.saturating_sub(self.base.index).saturating_sub(1);
        self.entries.truncate(usize::try_from(place).unwrap_or(usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(base: Index, terms: &[Term]) -> Log<()> {
        let entries = terms.iter().map(|&term| Entry { term, payload: Payload::NoOp }).collect();
        Log::behind(Position { index: base, term: 1 }, entries)
    }

    #[test]
    fn an_index_counts_from_the_beginning_of_all_logs() {
        let mut log = log(10, &[1, 2, 2]);
        assert_eq!(log.last(), Position { index: 13, term: 2 });
        let terms = [9, 10, 11, 12, 13, 14].map(|index| log.term_at(index));
        assert_eq!(terms, [None, Some(1), Some(1), Some(2), Some(2), None]);
        assert_eq!(log.get(10), None, "its effects are in the snapshot");
        assert_eq!(log.behind_index(11).len(), 2);
        assert_eq!(log.behind_index(13), []);
        assert_eq!(log.behind_index(99), []);
        log.truncate(13);
        assert_eq!(log.last(), Position { index: 12, term: 2 });
        log.truncate(11);
        assert_eq!(log.last(), Position { index: 10, term: 1 });
    }
}
