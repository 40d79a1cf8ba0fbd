//! Procedures that judge the histories of one object in polynomial time, each for a class of
//! histories that it knows; [`Model::decide`](crate::Model::decide) hands them what it has.
//!
//! They are pure functions over spans and the numbers of values. Each answers with an order, with
//! a small conflict, or with nothing where it does not apply: then a search judges.

pub(crate) mod blocks;
pub(crate) mod count;
pub(crate) mod fences;
pub(crate) mod fetch_and_add;
pub(crate) mod flips;
pub(crate) mod items;
pub(crate) mod lock;
pub(crate) mod observers;
pub(crate) mod queue;
pub(crate) mod register;
pub(crate) mod sequence;
pub(crate) mod stack;
pub(crate) mod trees;

use crate::{Conflict, Decision};
use history::{Operation, Outcome};
use std::hash::{Hash, Hasher};

/// While its outcome is unknown, an operation may take effect at any later time.
pub(crate) const OPEN: u32 = u32::MAX;

/// After every event, and before [`OPEN`].
pub(crate) const FAR: u32 = u32::MAX - 1;

/// No operation, no value.
pub(crate) const NONE: u32 = u32::MAX;

/// When an operation can take effect: after event `invoked` and before event `completed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Which operation it is.
    pub place: u32,
    pub invoked: u32,
    /// [`OPEN`] while the outcome is unknown.
    pub completed: u32,
}

impl Span {
    /// Of the operation at this place; `None` if the history is too long for 32 bits.
    pub fn of<Op, Ret>(place: usize, operation: &Operation<'_, Op, Ret>) -> Option<Self> {
        let completed = match operation.outcome {
            Outcome::Ok(_) => u32::try_from(operation.completed).ok().filter(|&at| at < FAR)?,
            Outcome::Fail | Outcome::Info => OPEN,
        };
        let invoked = u32::try_from(operation.invoked).ok().filter(|&at| at < FAR)?;
        Some(Self { place: u32::try_from(place).ok()?, invoked, completed })
    }
}

/// The answer of an operation, if there is one.
pub(crate) fn answer<'a, Op, Ret>(operation: &Operation<'a, Op, Ret>) -> Option<&'a Ret> {
    match operation.outcome {
        Outcome::Ok(ret) => Some(ret),
        Outcome::Fail | Outcome::Info => None,
    }
}

/// A conflict between the operations at these places.
pub(crate) fn conflict(places: impl IntoIterator<Item = u32>, reason: String) -> Decision {
    let mut operations: Vec<u32> = places.into_iter().filter(|&place| place != NONE).collect();
    operations.sort_unstable();
    operations.dedup();
    Decision::Conflict(Conflict { operations, reason })
}

/// Numbers for values, in the order in which they are first met.
///
/// The values of a history are mostly numbers that grow, and met again soon: here these stand side
/// by side, in memory that is still near. Any others are as well off as in another table.
pub(crate) struct Values<'a, V> {
    values: Vec<&'a V>,
    /// Half of a value's hash and its number, or [`FREE`]. At most half of them are taken.
    slots: Vec<u64>,
}

const FREE: u64 = u64::MAX;

impl<'a, V: Eq + Hash> Values<'a, V> {
    pub fn with_capacity(capacity: usize) -> Self {
        let slots = (2 * capacity).next_power_of_two().max(32);
        Self { values: Vec::with_capacity(capacity), slots: vec![FREE; slots] }
    }

    pub fn number(&mut self, value: &'a V) -> u32 {
        let hash = hash(value);
        let mask = self.slots.len() - 1;
        let mut slot = home(hash) & mask;
        while self.slots[slot] != FREE {
            let number = self.slots[slot] as u32;
            let same = (self.slots[slot] >> 32) as u32 == hash as u32;
            if same && self.values[number as usize] == value {
                return number;
            }
            slot = (slot + 1) & mask;
        }
        let number = self.values.len() as u32;
        self.values.push(value);
        self.slots[slot] = blocks::pack(hash as u32, number);
        if 2 * self.values.len() > mask {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = 2 * self.slots.len() - 1;
        self.slots = vec![FREE; mask + 1];
        for (number, value) in (0..).zip(&self.values) {
            let hash = hash(value);
            let mut slot = home(hash) & mask;
            while self.slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = blocks::pack(hash as u32, number);
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn get(&self, number: u32) -> &'a V {
        self.values[number as usize]
    }
}

/// An odd number whose multiples look random.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = Near(0);
    value.hash(&mut hasher);
    hasher.finish()
}

/// The slot of a hash: anywhere, but next to those that differ in the last bits alone.
fn home(hash: u64) -> usize {
    ((hash >> 4).wrapping_mul(ODD) >> 32 << 4 | hash & 15) as usize
}

/// Hashes so that numbers that follow each other have hashes that do.
struct Near(u64);

impl Hasher for Near {
    fn write(&mut self, bytes: &[u8]) {
        for bytes in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.wrapping_mul(ODD).rotate_left(26) ^ word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// As a map has it, whether values follow each other or share all bits but a few.
        #[test]
        fn values_are_numbered_as_they_are_met(
            values in prop::collection::vec((0..400_u64, 0..40_u32), 0..400),
        ) {
            let values: Vec<u64> = values.into_iter().map(|(value, by)| value << by).collect();
            let words: Vec<String> = values.iter().map(u64::to_string).collect();
            let (mut numbers, mut of_words) = (Values::with_capacity(0), Values::with_capacity(9));
            let mut plain = BTreeMap::new();
            for (value, word) in values.iter().zip(&words) {
                let next = plain.len() as u32;
                let number = *plain.entry(value).or_insert(next);
                prop_assert_eq!(numbers.number(value), number);
                prop_assert_eq!(of_words.number(word), number);
                prop_assert_eq!(numbers.get(number), value);
            }
            prop_assert_eq!(numbers.len(), plain.len());
        }
    }
}
