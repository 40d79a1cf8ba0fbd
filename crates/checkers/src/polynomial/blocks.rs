//! Blocks: groups of operations that stand together in every order, such as a write and the reads
//! of what it wrote, or an acquisition and its release.
//!
//! Block A must come before block B if one of A's operations completed before one of B's was
//! invoked: if A's earliest completion (`end`) is before B's latest invocation (`begin`). If that
//! leads around in a circle, two of its blocks already contradict each other: let M be the block
//! of the circle that begins last, N its successor there. Then M ends before N begins, and N,
//! which must precede another block of the circle, ends before that one begins, and so before M
//! begins. If no two contradict each other, the blocks can stand in the order of what comes first,
//! their end or their begin. (Gibbons and Korach, "Testing Shared Memories", 1997: a block whose
//! end is before its begin is a forward zone, any other a backward zone.)

/// When a block must have begun, and by when it must have ended: each with its operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    /// The earliest completion.
    pub end: (u32, u32),
    /// The latest invocation.
    pub begin: (u32, u32),
}

impl Block {
    /// Of no operations.
    pub const EMPTY: Self = Self { end: (super::OPEN, super::NONE), begin: (0, super::NONE) };

    /// Takes an operation in.
    pub fn add(&mut self, invoked: u32, completed: u32, operation: u32) {
        if completed < self.end.0 {
            self.end = (completed, operation);
        }
        if invoked >= self.begin.0 {
            self.begin = (invoked, operation);
        }
    }

    /// Takes another block in.
    pub fn join(&mut self, other: &Self) {
        if other.end.0 < self.end.0 {
            self.end = other.end;
        }
        if other.begin.0 >= self.begin.0 {
            self.begin = other.begin;
        }
    }

    /// Whether it must come before another one.
    pub fn precedes(&self, other: &Self) -> bool {
        self.end.0 < other.begin.0
    }
}

/// The blocks in an order, or two that must each come before the other.
pub(crate) fn arrange(blocks: &[Block]) -> Result<Vec<u32>, (u32, u32)> {
    let first = |block: &Block| block.end.0.min(block.begin.0);
    let keys: Vec<u64> = (0..).zip(blocks).map(|(nth, b)| pack(first(b), nth)).collect();
    let order: Vec<u32> = sorted(keys).into_iter().map(|key| key as u32).collect();
    let mut latest = None;
    for &nth in &order {
        let block = &blocks[nth as usize];
        match latest {
            Some(last) if block.precedes(&blocks[last as usize]) => return Err((last, nth)),
            Some(last) if block.begin.0 < blocks[last as usize].begin.0 => {}
            _ => latest = Some(nth),
        }
    }
    Ok(order)
}

/// Two numbers as one that sorts like the pair.
pub(crate) fn pack(major: u32, minor: u32) -> u64 {
    u64::from(major) << 32 | u64::from(minor)
}

/// How many keys are sorted by digits: fewer are sorted sooner by comparing them.
const MANY: usize = 4096;

/// The bits of a digit.
const DIGIT: u32 = 11;

/// Packed keys in their order, where those with the same first number stand in it already.
pub(crate) fn sorted(mut keys: Vec<u64>) -> Vec<u64> {
    if keys.len() < MANY {
        keys.sort_unstable();
        return keys;
    }
    let most = keys.iter().max().map_or(0, |most| most >> 32);
    let mut next = vec![0; keys.len()];
    let mut shift = 0;
    while most >> shift > 0 {
        let digit = |key: u64| (key >> (32 + shift)) as usize % (1 << DIGIT);
        let mut places = [0_u32; 1 << DIGIT];
        for &key in &keys {
            places[digit(key)] += 1;
        }
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for &key in &keys {
            let place = &mut places[digit(key)];
            next[*place as usize] = key;
            *place += 1;
        }
        std::mem::swap(&mut keys, &mut next);
        shift += DIGIT;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn digits_sort_like_comparisons(seed in 0..u64::MAX, by in 0..32_u32) {
            let number = |nth: u32| (u64::from(nth) ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let keys = (0..5000).map(|nth| pack((number(nth) >> 32) as u32 >> by, nth));
            let keys: Vec<u64> = keys.collect();
            let mut compared = keys.clone();
            compared.sort_unstable();
            prop_assert_eq!(sorted(keys), compared);
        }
    }
}
