//! Something that is either there or not, such as an element of a set, in O(n log n); values need
//! not be unique, for there is only one.
//!
//! Every operation that changes it turns it over, and all that turn it the same way are alike but
//! for their times. So it is turned only when an operation that is about to complete needs it, and
//! then by the operation that must complete first: whatever another order has done by then can
//! still be done. Who only looks is content with any moment at which it is as they say.

use super::blocks::pack;
use super::{NONE, OPEN, Span, conflict};
use crate::Decision;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What an operation says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// Makes it so: it was otherwise before, or else the outcome is unknown.
    Turns(bool),
    /// Finds it so.
    Sees(bool),
}

/// Judges operations in the order of invocation, of something that is not there at first. `name`
/// says what it is.
pub(crate) fn decide(operations: &[(Span, Look)], name: impl Fn() -> String) -> Decision {
    let mut events: Vec<(u32, u32)> = Vec::with_capacity(2 * operations.len());
    for (nth, (span, _)) in (0..).zip(operations) {
        events.push((span.invoked, nth));
        if span.completed != OPEN {
            events.push((span.completed, nth));
        }
    }
    events.sort_unstable();
    let mut thing = Thing { operations, last: NONE, ..Thing::default() };
    thing.placed = vec![false; operations.len()];
    // The last moment at which nothing ran, and so at which it was clear how it was.
    let (mut running, mut calm, mut before) = (0, 0, NONE);
    for (now, &(at, nth)) in events.iter().enumerate() {
        let (span, look) = operations[nth as usize];
        if at == span.invoked {
            thing.begin(nth);
            running += 1;
            continue;
        }
        running -= 1;
        if !thing.placed[nth as usize] && !thing.end(nth) {
            let there = match look {
                Look::Turns(to) => !to,
                Look::Sees(so) => so,
            };
            let (state, way) =
                if there { ("there", "put it there") } else { ("gone", "remove it") };
            let reason = format!(
                "{} must have been {state}, but all that could {way} had already done so",
                name()
            );
            let since = events[calm..=now].iter().map(|(_, nth)| *nth);
            let operations = since.chain([before]).filter_map(|nth| operations.get(nth as usize));
            return conflict(operations.map(|(span, _)| span.place), reason);
        }
        if running == 0 {
            (calm, before) = (now + 1, if thing.there { thing.last } else { NONE });
        }
    }
    Decision::Order(thing.order)
}

/// How it is, and who waits.
#[derive(Default)]
struct Thing<'a> {
    operations: &'a [(Span, Look)],
    there: bool,
    order: Vec<u32>,
    placed: Vec<bool>,
    /// Who turns it to not there, and to there: who must complete first at hand.
    turning: [BinaryHeap<Reverse<u64>>; 2],
    /// Who wants to see it not there, and there.
    looking: [Vec<u32>; 2],
    /// Who turned it last, if anybody did.
    last: u32,
}

impl Thing<'_> {
    fn place(&mut self, nth: u32) {
        self.placed[nth as usize] = true;
        self.order.push(self.operations[nth as usize].0.place);
    }

    fn begin(&mut self, nth: u32) {
        let (span, look) = self.operations[nth as usize];
        match look {
            Look::Sees(so) if so == self.there => self.place(nth),
            Look::Sees(so) => self.looking[usize::from(so)].push(nth),
            Look::Turns(to) => {
                self.turning[usize::from(to)].push(Reverse(pack(span.completed, nth)));
            }
        }
    }

    /// Whether an operation that is about to complete can take effect.
    fn end(&mut self, nth: u32) -> bool {
        match self.operations[nth as usize].1 {
            Look::Sees(_) => self.turn(),
            // It is the first to complete of all that turn it the same way.
            Look::Turns(to) => (to != self.there || self.turn()) && self.turn(),
        }
    }

    /// Has it turned over by the operation that must complete first, if any can.
    fn turn(&mut self) -> bool {
        let to = !self.there;
        let Some(Reverse(key)) = self.turning[usize::from(to)].pop() else { return false };
        self.there = to;
        self.last = key as u32;
        self.place(key as u32);
        for nth in std::mem::take(&mut self.looking[usize::from(to)]) {
            if !self.placed[nth as usize] {
                self.place(nth);
            }
        }
        true
    }
}
