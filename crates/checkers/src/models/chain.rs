//! A list that shares its tail with the lists it was made from: what a state is made of where it
//! grows with the history. A copy, an addition and a hash each take constant time.

use rustc_hash::FxHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Items, of which the newest is at hand.
pub(super) struct Chain<V>(Option<Arc<Node<V>>>);

struct Node<V> {
    item: V,
    rest: Chain<V>,
    length: usize,
    hash: u64,
}

/// An odd number, so that it has an inverse.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of one item.
pub(super) fn hash_of(item: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    item.hash(&mut hasher);
    hasher.finish().wrapping_mul(BASE) | 1
}

impl<V> Clone for Chain<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Chain<V> {
    pub fn new() -> Self {
        Self(None)
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.length)
    }

    pub fn newest(&self) -> Option<&V> {
        self.0.as_ref().map(|node| &node.item)
    }

    /// Without the newest item.
    pub fn rest(&self) -> Self {
        Self(self.0.as_ref().and_then(|node| node.rest.0.clone()))
    }

    /// The newest first.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        std::iter::successors(self.0.as_deref(), |node| node.rest.0.as_deref())
            .map(|node| &node.item)
    }

    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn hash(&self) -> u64 {
        self.0.as_ref().map_or(0, |node| node.hash)
    }
}

impl<V: Hash> Chain<V> {
    #[must_use]
    pub fn push(&self, item: V) -> Self {
        let hash = self.hash().wrapping_add(hash_of(&item)).wrapping_mul(BASE);
        Self(Some(Arc::new(Node { item, rest: self.clone(), length: self.len() + 1, hash })))
    }
}

impl<V: PartialEq> PartialEq for Chain<V> {
    fn eq(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self, other);
        loop {
            match (&one.0, &other.0) {
                (None, None) => return true,
                (Some(a), Some(b)) if Arc::ptr_eq(a, b) => return true,
                (Some(a), Some(b)) => {
                    if a.hash != b.hash || a.length != b.length || a.item != b.item {
                        return false;
                    }
                    (one, other) = (&a.rest, &b.rest);
                }
                _ => return false,
            }
        }
    }
}

impl<V: Eq> Eq for Chain<V> {}

impl<V> Hash for Chain<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
    }
}

/// The oldest first.
impl<V: fmt::Debug> fmt::Debug for Chain<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<&V> = self.iter().collect();
        f.debug_list().entries(items.into_iter().rev()).finish()
    }
}

/// One node after the other: a long list must not take a stack as deep as itself.
impl<V> Drop for Chain<V> {
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.rest.0.take());
        }
    }
}

/// Items that leave in the order in which they came.
#[derive(Clone)]
pub(super) struct Line<V> {
    /// The next to leave is the newest of these.
    front: Chain<V>,
    back: Chain<V>,
    /// The sum of every item's hash times the power of its place; the same for the same items,
    /// however they are spread over the two lists.
    hash: u64,
    power: u64,
}

/// `BASE * INVERSE` is 1, modulo 2^64.
const INVERSE: u64 = inverse(BASE);

/// By Newton's iteration: each round doubles the bits that are right, and three are to begin with.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

impl<V> Line<V> {
    pub fn new() -> Self {
        Self { front: Chain::new(), back: Chain::new(), hash: 0, power: 1 }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }

    /// The next to leave first.
    fn items(&self) -> Vec<&V> {
        let mut items: Vec<&V> = self.back.iter().collect();
        items.reverse();
        let mut all: Vec<&V> = self.front.iter().collect();
        all.append(&mut items);
        all
    }
}

impl<V: Clone + Hash> Line<V> {
    #[must_use]
    pub fn enter(&self, item: V) -> Self {
        let hash = self.hash.wrapping_add(hash_of(&item).wrapping_mul(self.power));
        let power = self.power.wrapping_mul(BASE);
        Self { front: self.front.clone(), back: self.back.push(item), hash, power }
    }

    /// The item that leaves, and who stays.
    pub fn leave(&self) -> Option<(V, Self)> {
        let mut front = self.front.clone();
        let mut back = self.back.clone();
        if front.len() == 0 {
            front = back.iter().fold(front, |front, item| front.push(item.clone()));
            back = Chain::new();
        }
        let item = front.newest()?.clone();
        let hash = self.hash.wrapping_sub(hash_of(&item)).wrapping_mul(INVERSE);
        let power = self.power.wrapping_mul(INVERSE);
        let front = front.rest();
        Some((item, Self { front, back, hash, power }))
    }
}

impl<V: PartialEq> PartialEq for Line<V> {
    fn eq(&self, other: &Self) -> bool {
        if self.hash != other.hash || self.len() != other.len() {
            return false;
        }
        let same = self.front.is_same(&other.front) && self.back.is_same(&other.back);
        same || self.items() == other.items()
    }
}

impl<V: Eq> Eq for Line<V> {}

impl<V> Hash for Line<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<V: fmt::Debug> fmt::Debug for Line<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Two lines are equal if their items are, whatever they went through, and then their
        /// hashes are too.
        #[test]
        fn a_line_is_what_stands_in_it(steps in prop::collection::vec((0..3_u8, 0..2_u8), 0..20)) {
            let (mut line, mut plain) = (Line::new(), VecDeque::new());
            for (kind, item) in steps {
                if kind == 0 {
                    let left = line.leave().map(|(item, rest)| { line = rest; item });
                    prop_assert_eq!(left, plain.pop_front());
                } else {
                    line = line.enter(item);
                    plain.push_back(item);
                }
                let fresh = plain.iter().fold(Line::new(), |line, item| line.enter(*item));
                prop_assert_eq!(&line, &fresh);
                prop_assert_eq!(line.hash, fresh.hash);
                prop_assert_eq!(line.is_empty(), plain.is_empty());
                prop_assert_ne!(&line, &fresh.enter(1));
            }
        }

        #[test]
        fn chains_share_and_compare(items in prop::collection::vec(0..3_u8, 0..8)) {
            let make = || items.iter().fold(Chain::new(), |chain, item| chain.push(*item));
            prop_assert_eq!(make(), make());
            prop_assert_eq!(make().push(1).rest(), make());
            prop_assert_ne!(make().push(1), make().push(2));
            prop_assert_eq!(format!("{:?}", make()), format!("{items:?}"));
        }
    }

    #[test]
    fn a_long_chain_can_be_dropped() {
        let chain = (0..1_000_000).fold(Chain::new(), |chain, item| chain.push(item));
        assert_eq!(chain.len(), 1_000_000);
    }
}
