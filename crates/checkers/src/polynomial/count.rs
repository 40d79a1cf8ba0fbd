//! A counter whose additions do not say what it came to.
//!
//! Additions of the same positive amount are alike but for their times. So they are made only when
//! one is about to complete, or a read that needs them is, and the one that must complete first is
//! made first: then the count is never higher than it must be, in O(n log n).
//!
//! For amounts that differ, finding out which additions a read saw is a subset sum. There are only
//! bounds: a read cannot see less than what had been added before it, nor more than what had
//! begun. What breaks them is refused, and about the rest there is no answer.

use super::blocks::pack;
use super::{NONE, OPEN, Span, conflict};
use crate::Decision;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Adds this.
    Add(i64),
    /// Sees this total.
    Read(i64),
}

/// Judges operations in the order of invocation; reads are completed ones. `None` if an amount is
/// negative, or if amounts differ and the bounds hold.
pub(crate) fn decide(operations: &[(Span, Step)], initial: i64) -> Option<Decision> {
    let amounts = || {
        operations.iter().filter_map(|(_, step)| match step {
            Step::Add(amount) if *amount != 0 => Some(*amount),
            _ => None,
        })
    };
    if amounts().any(|amount| amount < 0) {
        return None;
    }
    let amount = amounts().next().unwrap_or(1);
    if amounts().all(|other| other == amount) {
        return Count::new(operations, initial, amount).run();
    }
    bounds(operations, initial)
}

/// When operations begin and end.
fn events(operations: &[(Span, Step)]) -> Vec<u64> {
    let mut events = Vec::with_capacity(2 * operations.len());
    for (nth, (span, _)) in (0..).zip(operations) {
        events.push(pack(span.invoked, nth));
        if span.completed != OPEN {
            events.push(pack(span.completed, nth));
        }
    }
    events.sort_unstable();
    events
}

/// A read that saw too little, with additions that had completed before it and, unless it is the
/// beginning, a read that most of them cannot have come before.
fn too_little(operations: &[(Span, Step)], initial: i64, read: &Span, seen: i64) -> Decision {
    let mut added: Vec<(u32, i64, u32)> = Vec::new();
    let mut reads = vec![(0, initial, NONE)];
    for (span, step) in operations.iter().filter(|(span, _)| span.completed < read.invoked) {
        match *step {
            Step::Add(amount) if amount > 0 => added.push((span.invoked, amount, span.place)),
            Step::Add(_) => {}
            Step::Read(before) => reads.push((span.completed, before, span.place)),
        }
    }
    added.sort_unstable();
    let sum = |added: &[(u32, i64, u32)]| -> i128 {
        added.iter().map(|(_, amount, _)| i128::from(*amount)).sum()
    };
    let all = sum(&added);
    let mut early = 0;
    let (mut summed, mut best) = (0, (i128::MIN, NONE, 0, 0));
    reads.sort_unstable();
    for (completed, before, place) in reads {
        let later = added.partition_point(|(invoked, ..)| *invoked < completed);
        early += sum(&added[summed..later]);
        summed = later;
        let gained = i128::from(before) - i128::from(initial);
        let least = i128::from(initial) + gained.max(early) + all - early;
        if least > best.0 {
            // Those that can have come before that read are of interest if they are too many.
            best = (least, place, if early > gained { 0 } else { later }, before);
        }
    }
    let (least, before, from, started) = best;
    let mut places = vec![read.place, before];
    let mut least_of_these = if from == 0 { initial } else { started };
    for (_, amount, place) in &added[from..] {
        if least_of_these > seen {
            break;
        }
        least_of_these = least_of_these.saturating_add(*amount);
        places.push(*place);
    }
    let reason = format!("{seen} was read, but by then it must have been at least {least}");
    conflict(places, reason)
}

/// A conflict if a read is out of bounds.
fn bounds(operations: &[(Span, Step)], initial: i64) -> Option<Decision> {
    let (mut least, mut most) = (initial, initial);
    // For each read, the least that it can have seen.
    let mut least_of: Vec<i64> = vec![initial; operations.len()];
    for event in events(operations) {
        let (at, nth) = ((event >> 32) as u32, event as u32 as usize);
        let (span, step) = &operations[nth];
        match *step {
            Step::Add(amount) if at == span.invoked => most = most.checked_add(amount)?,
            Step::Add(amount) => least += amount,
            Step::Read(_) if at == span.invoked => least_of[nth] = least,
            Step::Read(seen) if seen < least_of[nth] => {
                return Some(too_little(operations, initial, span, seen));
            }
            Step::Read(seen) if seen > most => return Some(too_much(span, seen, most)),
            Step::Read(_) => {}
        }
    }
    None
}

fn too_much(read: &Span, seen: i64, most: i64) -> Decision {
    let reason = format!("{seen} was read, but all additions begun by then make at most {most}");
    conflict([read.place], reason)
}

/// A counter whose additions are alike.
struct Count<'a> {
    operations: &'a [(Span, Step)],
    initial: i64,
    amount: i64,
    total: i64,
    order: Vec<u32>,
    placed: Vec<bool>,
    /// Additions not made yet: who must complete first at hand.
    adding: BinaryHeap<Reverse<u64>>,
    /// Reads that wait for a higher total.
    waiting: BTreeMap<i64, Vec<u32>>,
}

impl<'a> Count<'a> {
    fn new(operations: &'a [(Span, Step)], initial: i64, amount: i64) -> Self {
        Self {
            operations,
            initial,
            amount,
            total: initial,
            order: Vec::with_capacity(operations.len()),
            placed: vec![false; operations.len()],
            adding: BinaryHeap::new(),
            waiting: BTreeMap::new(),
        }
    }

    fn run(mut self) -> Option<Decision> {
        for event in events(self.operations) {
            let (at, nth) = ((event >> 32) as u32, event as u32);
            let (span, step) = self.operations[nth as usize];
            match step {
                Step::Add(0) if at == span.invoked => self.place(nth),
                Step::Add(_) if at == span.invoked => {
                    self.adding.push(Reverse(pack(span.completed, nth)));
                }
                // It is the first to complete of all that are left.
                Step::Add(_) if !self.placed[nth as usize] => {
                    self.add()?;
                }
                Step::Add(_) => {}
                Step::Read(seen) if at == span.invoked => match seen.cmp(&self.total) {
                    std::cmp::Ordering::Less => {
                        return Some(too_little(self.operations, self.initial, &span, seen));
                    }
                    std::cmp::Ordering::Equal => self.place(nth),
                    std::cmp::Ordering::Greater => {
                        self.waiting.entry(seen).or_default().push(nth);
                    }
                },
                Step::Read(seen) => {
                    while !self.placed[nth as usize] {
                        if seen < self.total {
                            return self.between(&span, seen);
                        }
                        if !self.add()? {
                            return Some(too_much(&span, seen, self.total));
                        }
                    }
                }
            }
        }
        Some(Decision::Order(self.order))
    }

    fn place(&mut self, nth: u32) {
        self.placed[nth as usize] = true;
        self.order.push(self.operations[nth as usize].0.place);
    }

    /// Makes the addition that must complete first; `Some(false)` if there is none, `None` if the
    /// total grows too large.
    fn add(&mut self) -> Option<bool> {
        let Some(Reverse(key)) = self.adding.pop() else { return Some(false) };
        self.total = self.total.checked_add(self.amount)?;
        self.place(key as u32);
        for nth in self.waiting.remove(&self.total).unwrap_or_default() {
            self.place(nth);
        }
        Some(true)
    }

    /// A total that steps of this amount pass over.
    fn between(&self, read: &Span, seen: i64) -> Option<Decision> {
        let reason = format!("{seen} was read, and additions of {} pass over it", self.amount);
        Some(conflict([read.place], reason))
    }
}
