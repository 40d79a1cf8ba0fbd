//! What is still to happen, in order of time and then of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A heap of small keys; the events themselves stay where they are in a slab.
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

const SLOT_BITS: u32 = 24;

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), scheduled: 0 }
    }

    /// # Panics
    /// With more than 2²⁴ events waiting at once.
    pub(crate) fn push(&mut self, at: u64, event: T) {
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
        self.heap.push(Reverse(u128::from(at) << 64 | order));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse(key) = self.heap.pop()?;
        let slot = key as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let event = self.slots[slot as usize].take()?;
        Some(((key >> 64) as u64, event))
    }
}
