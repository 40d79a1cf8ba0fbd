//! Operations that change nothing, put into an order of those that change something.

use super::blocks::{pack, sorted};
use super::{OPEN, Span};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Where each observer can stand in an order of other operations.
///
/// `order` respects real time. Between two places where the state changes lies a *stretch*:
/// `stretches[p]` is the number of the one that holds after the first `p` operations. The
/// `observers` come in the order of invocation; `fits` says whether one may stand in a stretch.
///
/// Each is put as early as it can stand, which leaves most room for the others: so if one finds no
/// place, there is none for it in this order. The answer has for each the number of operations
/// before it, or `None`.
pub(crate) fn places(
    order: &[Span],
    stretches: &[u32],
    observers: &[Span],
    fits: impl Fn(usize, u32) -> bool,
) -> Vec<Option<u32>> {
    let by = |key: fn(&Span) -> u32| {
        sorted((0..).zip(order).map(|(p, span)| pack(key(span), p)).collect())
    };
    let mut completed = by(|span| span.completed).into_iter().peekable();
    let invoked = by(|span| span.invoked);
    // The first in the order of all that were invoked as the n-th or later.
    let mut first_of_later = vec![order.len() as u32; order.len() + 1];
    for (nth, &key) in invoked.iter().enumerate().rev() {
        first_of_later[nth] = first_of_later[nth + 1].min(key as u32);
    }
    // Observers that were placed and have not completed before the one at hand is invoked.
    let mut running: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    let mut earliest = 0;
    let place = |(nth, span): (usize, &Span)| {
        while let Some(key) = completed.next_if(|&key| key < pack(span.invoked, 0)) {
            earliest = earliest.max(key as u32 + 1);
        }
        while let Some(Reverse(key)) = running.peek().filter(|key| key.0 < pack(span.invoked, 0)) {
            earliest = earliest.max(*key as u32);
            running.pop();
        }
        let later = invoked.partition_point(|&key| key < pack(span.completed, 0));
        let latest = first_of_later[later];
        let mut at = earliest;
        while at <= latest && !fits(nth, stretches[at as usize]) {
            let stretch = stretches[at as usize];
            let rest = &stretches[at as usize..];
            at += rest.partition_point(|&other| other == stretch) as u32;
            if at as usize >= stretches.len() {
                return None;
            }
        }
        (at <= latest).then(|| {
            if span.completed != OPEN {
                running.push(Reverse(pack(span.completed, at)));
            }
            at
        })
    };
    observers.iter().enumerate().map(place).collect()
}

/// The order with the observers in it: each after as many operations as `places` says.
pub(crate) fn merge(order: &[Span], observers: &[Span], places: &[u32]) -> Vec<u32> {
    let keys = (0..).zip(places).map(|(nth, &at)| pack(at, nth)).collect();
    let mut keys = sorted(keys).into_iter().peekable();
    let mut all = Vec::with_capacity(order.len() + observers.len());
    for at in 0..=order.len() {
        while let Some(key) = keys.next_if(|key| (key >> 32) as usize == at) {
            all.push(observers[key as u32 as usize].place);
        }
        all.extend(order.get(at).map(|span| span.place));
    }
    all
}
