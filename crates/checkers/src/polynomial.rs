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
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, Hash};

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
pub(crate) struct Values<'a, V> {
    numbers: FxHashMap<&'a V, u32>,
    values: Vec<&'a V>,
    /// The number last looked up, by the value's hash: most values are met again soon, and the
    /// table of a long history is too large to stay near.
    recent: Vec<u32>,
}

/// How many numbers are kept near, as bits of a hash.
const RECENT: u32 = 12;

impl<'a, V: Eq + Hash> Values<'a, V> {
    pub fn with_capacity(capacity: usize) -> Self {
        let numbers = FxHashMap::with_capacity_and_hasher(capacity, rustc_hash::FxBuildHasher);
        Self { numbers, values: Vec::with_capacity(capacity), recent: vec![NONE; 1 << RECENT] }
    }

    pub fn number(&mut self, value: &'a V) -> u32 {
        let slot = (rustc_hash::FxBuildHasher.hash_one(value) >> (64 - RECENT)) as usize;
        let number = self.recent[slot];
        if self.values.get(number as usize).is_some_and(|&found| found == value) {
            return number;
        }
        let number = self.look_up(value);
        self.recent[slot] = number;
        number
    }

    fn look_up(&mut self, value: &'a V) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn get(&self, number: u32) -> &'a V {
        self.values[number as usize]
    }
}
