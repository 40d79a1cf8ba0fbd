//! A first-in first-out queue whose values all differ, in O(n log n).
//!
//! The values go through the queue in one order, the same in and out. Value x must come before y
//! in it if x's enqueue completed before y's was invoked, or its dequeue before y's. That is the
//! union of two interval orders, and a circle in such a union contains two values that contradict
//! each other: of two edges of the first kind in it, x to y and z to w, one of x to w and z to y is
//! an edge too, and either cuts the circle short. So one value after the other is taken whose
//! enqueue *and* whose dequeue can be first of all that are left, with a cursor for each; where
//! none is left to take, the value whose enqueue ends first and the one whose dequeue ends first
//! contradict each other. (Decrease and conquer: Lee and Mathur, "Efficient Decrease-and-Conquer
//! Linearizability Monitoring", 2024.)
//!
//! A dequeue that found nothing goes where no value need be in the queue, and is then like a value
//! that comes in and goes out at that moment: it parts those that must go before from the others.
//!
//! In the order of the values, each operation takes effect as early as it can.
//!
//! A dequeue of unknown outcome may have taken any value that nobody else did. Values that must
//! have left are given to them, the first to come in to the first invoked, for they all may end at
//! any time. Whether a dequeue that found nothing forces one of them is not known here.

use super::blocks::{pack, sorted};
use super::items::{self, Item, Items, Move, Presence, Words};
use super::{FAR, NONE, OPEN, Span, conflict};
use crate::Decision;
use std::collections::VecDeque;

/// Judges operations in the order of invocation; those that found nothing are completed ones.
/// `values` is how many values there are, `name` how a person knows them. `None` if a value is
/// enqueued twice, or if it depends on which value a dequeue of unknown outcome took.
pub(crate) fn decide(
    operations: &[(Span, Move)],
    values: usize,
    name: impl Fn(u32) -> String,
) -> Option<Decision> {
    let words = Words { entered: "enqueued", left: "dequeued" };
    let Items { mut items, empties, lost } = match items::collect(operations, values, &words, &name)
    {
        Ok(items) => items,
        Err(conflict) => return conflict,
    };
    if !lost.is_empty()
        && let Err(conflict) = give_away(&mut items, &lost, &name)
    {
        return Some(conflict);
    }
    let presence = Presence::new(&items);
    let values = items.len();
    for empty in &empties {
        let Some(gap) = presence.gap(empty) else {
            let conflict = || items::never_empty(&items[..values], empty, "queue", &name);
            return lost.is_empty().then(conflict);
        };
        let (enter, leave, places) = ((gap, gap), (gap, gap), (empty.place, empty.place));
        items.push(Item { enter, leave, places, value: NONE });
    }
    Some(match sequence(&items) {
        Ok(sequence) => Decision::Order(schedule(&items, &sequence)),
        Err((x, y)) => overtaken(&items[x], &items[y], &name),
    })
}

/// Gives values that nobody dequeued to dequeues of unknown outcome: at least those that must have
/// left, because one that came in after them did. The conflict if there are too few dequeues.
fn give_away(
    items: &mut [Item],
    lost: &[Span],
    name: impl Fn(u32) -> String,
) -> Result<(), Decision> {
    let mut left: Vec<Item> = items.iter().filter(|item| item.leave.0 != OPEN).copied().collect();
    left.sort_unstable_by_key(|item| item.enter.0);
    // Of those that came in last, the one whose dequeue ended first.
    let mut first: Vec<Item> = left.clone();
    for nth in (1..first.len()).rev() {
        if first[nth].leave.1 < first[nth - 1].leave.1 {
            first[nth - 1] = first[nth];
        }
    }
    let mut stayed: Vec<usize> =
        (0..items.len()).filter(|&nth| items[nth].leave.0 == OPEN).collect();
    stayed.sort_unstable_by_key(|&nth| items[nth].enter.1);
    for (rank, &nth) in stayed.iter().enumerate() {
        let later = left.partition_point(|other| other.enter.0 < items[nth].enter.1);
        let after = first.get(later);
        let by = lost.get(rank).filter(|by| after.is_none_or(|x| by.invoked < x.leave.1));
        match (by, after) {
            (Some(by), _) => {
                items[nth].leave = (by.invoked.max(items[nth].enter.0), FAR);
                items[nth].places.1 = by.place;
            }
            (None, None) => break,
            (None, Some(x)) => {
                let before = stayed[..=rank].iter().map(|&nth| items[nth].places.0);
                let known = lost[..rank.min(lost.len())].iter().map(|by| by.place);
                let places = before.chain(known).chain([x.places.0, x.places.1]);
                let reason = format!(
                    "{} was enqueued before {} and never dequeued, but {} was",
                    name(items[nth].value),
                    name(x.value),
                    name(x.value)
                );
                return Err(conflict(places, reason));
            }
        }
    }
    Ok(())
}

/// A time that an item has.
type Key = fn(&Item) -> u32;

/// Items in the order of one of their times, of which some have been taken away.
struct Cursor<'a> {
    items: &'a [Item],
    key: Key,
    order: Vec<u64>,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn new(items: &'a [Item], key: Key) -> Self {
        let order = (0..).zip(items).map(|(nth, item)| pack(key(item), nth)).collect();
        Self { items, key, order: sorted(order), next: 0 }
    }

    /// The first that is still there, and its time.
    fn first(&mut self, taken: &[bool]) -> Option<(usize, u32)> {
        while let Some(&key) = self.order.get(self.next) {
            let nth = key as u32 as usize;
            if !taken[nth] {
                return Some((nth, (self.key)(&self.items[nth])));
            }
            self.next += 1;
        }
        None
    }

    /// The next one, if its time is not after this.
    fn until(&mut self, time: u32) -> Option<usize> {
        let key = *self.order.get(self.next)?;
        (key <= pack(time, u32::MAX)).then(|| {
            self.next += 1;
            key as u32 as usize
        })
    }
}

/// The order in which items go through the queue; or two of which each must come before the other,
/// because it goes in first, or comes out first.
fn sequence(items: &[Item]) -> Result<Vec<u32>, (usize, usize)> {
    let mut entering = Cursor::new(items, |item| item.enter.0);
    let mut entered = Cursor::new(items, |item| item.enter.1);
    let mut leaving = Cursor::new(items, |item| item.leave.0);
    let mut left = Cursor::new(items, |item| item.leave.1);
    let mut taken = vec![false; items.len()];
    // How many of its two operations can be first.
    let mut able = vec![0_u8; items.len()];
    let mut ready: Vec<u32> = Vec::new();
    let mut sequence = Vec::with_capacity(items.len());
    while let (Some((x, enter)), Some((y, leave))) = (entered.first(&taken), left.first(&taken)) {
        for (cursor, time) in [(&mut entering, enter), (&mut leaving, leave)] {
            while let Some(nth) = cursor.until(time) {
                able[nth] += 1;
                if able[nth] == 2 {
                    ready.push(nth as u32);
                }
            }
        }
        if ready.is_empty() {
            return Err((x, y));
        }
        for nth in ready.drain(..) {
            taken[nth as usize] = true;
            sequence.push(nth);
        }
    }
    Ok(sequence)
}

/// The operations in an order in which the items go through the queue in this sequence: each as
/// early as it can be.
fn schedule(items: &[Item], sequence: &[u32]) -> Vec<u32> {
    let mut order = Vec::with_capacity(2 * items.len());
    let (mut enter, mut leave) = (0, 0);
    // Who came in, and has not been put into the order as leaving yet: when, and where.
    let mut leaving: VecDeque<(u32, u32)> = VecDeque::new();
    for &nth in sequence {
        let Item { enter: (earliest, _), leave: (after, _), places, value } = items[nth as usize];
        enter = enter.max(earliest);
        while let Some(&(at, place)) = leaving.front()
            && (at < enter || value == NONE)
        {
            order.push(place);
            leaving.pop_front();
        }
        order.push(places.0);
        if places.1 != NONE && value != NONE {
            leave = leave.max(after).max(enter);
            leaving.push_back((leave, places.1));
        }
    }
    order.extend(leaving.into_iter().map(|(_, place)| place));
    order
}

/// The conflict of a value that came in before another one and left after it.
fn overtaken(x: &Item, y: &Item, name: impl Fn(u32) -> String) -> Decision {
    let (first, second) = (name(x.value), name(y.value));
    let reason = match x.leave.0 {
        OPEN => {
            format!("{first} was enqueued before {second} and never dequeued, but {second} was")
        }
        _ => format!("{first} was enqueued before {second}, but dequeued after it"),
    };
    conflict([x.places.0, x.places.1, y.places.0, y.places.1], reason)
}
