//! Which operations have been placed, as a set of bits that can be remembered.

use std::hash::Hash;

/// A set of operations: the optional ones are `0..optional`, the others follow in the order of
/// their invocations.
pub(super) trait Taken {
    /// The set as it is remembered.
    type Key: Eq + Hash;

    /// The empty set, out of so many operations.
    fn new(optional: usize, all: usize) -> Self;

    /// Puts an operation in, or takes it out.
    fn flip(&mut self, operation: usize);

    /// The set, if `first` is the first operation that is not optional and not in it.
    fn key(&self, first: usize) -> Self::Key;

    /// How many bytes a key takes beside itself.
    fn bytes(key: &Self::Key) -> usize;
}

impl Taken for u128 {
    type Key = u128;

    fn new(_optional: usize, _all: usize) -> Self {
        0
    }

    fn flip(&mut self, operation: usize) {
        *self ^= 1 << operation;
    }

    fn key(&self, _first: usize) -> u128 {
        *self
    }

    fn bytes(_key: &u128) -> usize {
        0
    }
}

/// A set of any size. Its key leaves out the words that are full up to the first operation still
/// to be placed, and those that are empty at the end: so it grows with how many operations
/// overlap, and not with the length of the history.
pub(super) struct Words {
    words: Vec<u64>,
    optional: usize,
    /// How many words the optional operations have: the others begin with a word of their own.
    base: usize,
}

impl Taken for Words {
    type Key = Box<[u64]>;

    fn new(optional: usize, all: usize) -> Self {
        let base = optional.div_ceil(64);
        Self { words: vec![0; base + (all - optional).div_ceil(64)], optional, base }
    }

    fn flip(&mut self, operation: usize) {
        let bit = match operation.checked_sub(self.optional) {
            None => operation,
            Some(nth) => self.base * 64 + nth,
        };
        self.words[bit / 64] ^= 1 << (bit % 64);
    }

    fn key(&self, first: usize) -> Box<[u64]> {
        let (optional, others) = self.words.split_at(self.base);
        let full = (first - self.optional) / 64;
        let window = &others[full..];
        let end = window.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        let mut key = Vec::with_capacity(1 + optional.len() + end);
        key.push(full as u64);
        key.extend_from_slice(optional);
        key.extend_from_slice(&window[..end]);
        key.into_boxed_slice()
    }

    fn bytes(key: &Box<[u64]>) -> usize {
        size_of_val::<[u64]>(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_equal_keys_and_others_have_not() {
        // 70 optional operations and 200 others, of which the first `first` are all in.
        let set = |first: usize, more: &[usize]| {
            let mut set = Words::new(70, 270);
            (70..first).chain(more.iter().copied()).for_each(|operation| set.flip(operation));
            set.key(first)
        };
        assert_eq!(set(70, &[]), set(70, &[69, 69]));
        assert_eq!(*set(170, &[171, 3]), [1, 1 << 3, 0, (1 << 36) - 1 + (1 << 37)]);
        let keys = [set(70, &[]), set(70, &[69]), set(134, &[]), set(135, &[]), set(135, &[137])];
        for (nth, key) in keys.iter().enumerate() {
            assert!(!keys[..nth].contains(key), "{key:?}");
        }
    }
}
