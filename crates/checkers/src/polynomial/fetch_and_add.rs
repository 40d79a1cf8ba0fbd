//! Fetch-and-add of amounts that are not negative, in O(n log n): the totals that were seen say in
//! which order the additions came, and one pass over it checks it against real time.
//!
//! Where a total is missing, additions of unknown outcome took effect; if all these have the same
//! amount, it is clear how many did, and the first invoked are taken first.

use super::{OPEN, Span, conflict, sequence};
use crate::Decision;
use std::collections::VecDeque;

/// An operation that saw `seen` and added `amount`, which is 0 for a read; `seen` is of no meaning
/// while the outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Addition {
    pub span: Span,
    pub seen: i64,
    pub amount: i64,
}

/// Judges operations in the order of invocation. `None` if an amount is negative, or if it depends
/// on which additions of unknown outcome took effect.
pub(crate) fn decide(operations: &[Addition], initial: i64) -> Option<Decision> {
    if operations.iter().any(|addition| addition.amount < 0) {
        return None;
    }
    let (mut known, unknown): (Vec<Addition>, Vec<Addition>) =
        operations.iter().copied().partition(|addition| addition.span.completed != OPEN);
    let mut unknown: VecDeque<Addition> =
        unknown.into_iter().filter(|addition| addition.amount > 0).collect();
    let alike = unknown.iter().all(|addition| addition.amount == unknown[0].amount);
    known.sort_by_key(|addition| (addition.seen, addition.amount > 0));
    let mut order: Vec<Addition> = Vec::with_capacity(operations.len());
    let mut total = initial;
    for addition in known {
        let Addition { span, seen, .. } = addition;
        if seen < total {
            let last = order.iter().rev().find(|last| last.amount > 0);
            let reason = match last {
                None => format!("a total of {seen} was seen, and it began with {initial}"),
                Some(last) => format!(
                    "a total of {seen} was seen, but an addition made it {total} from {}",
                    last.seen
                ),
            };
            let certain = last.is_none_or(|last| last.span.completed != OPEN);
            let last = last.map(|last| last.span.place);
            return certain.then(|| conflict(last.into_iter().chain([span.place]), reason));
        }
        while seen > total
            && alike
            && let Some(filler) = unknown.pop_front()
        {
            order.push(Addition { seen: total, ..filler });
            total = total.checked_add(filler.amount)?;
        }
        if seen > total {
            let reason = format!("a total of {seen} was seen, and nothing adds up to it");
            return unknown.is_empty().then(|| conflict([span.place], reason));
        }
        if seen < total {
            return None;
        }
        total = total.checked_add(addition.amount)?;
        order.push(addition);
    }
    let Some((first, second)) = sequence::turned(order.iter().map(|addition| &addition.span))
    else {
        return Some(Decision::Order(order.iter().map(|addition| addition.span.place).collect()));
    };
    if first.completed == OPEN {
        return None;
    }
    let seen = |span: &Span| {
        order.iter().find(|addition| addition.span == *span).map_or(initial, |found| found.seen)
    };
    let reason = format!("a total of {} was seen after one of {}", seen(first), seen(second));
    Some(conflict([first.place, second.place], reason))
}
