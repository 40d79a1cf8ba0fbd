//! What goes into a container and comes out again: when each value can have, and when it must have
//! been inside.

use super::blocks::pack;
use super::{NONE, OPEN, Span, conflict};
use crate::Decision;

/// What an operation does to a queue or a stack, with numbers for values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Move {
    /// Puts this in.
    In(u32),
    /// Takes this out.
    Out(u32),
    /// Finds nothing to take.
    Empty,
    /// Takes out what nobody knows, if anything: its outcome is unknown.
    Lost,
}

/// A value that was in the container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    /// The event after which it can go in, and the one before which it must: for one that was
    /// taken out that is before the end of its removal at the latest.
    pub enter: (u32, u32),
    /// The same for its removal, which cannot come before it goes in; [`FAR`](super::FAR) for the
    /// second if the removal's outcome is unknown, [`OPEN`] for both if there is none.
    pub leave: (u32, u32),
    /// The places of its two operations.
    pub places: (u32, u32),
    /// Its number.
    pub value: u32,
}

impl Item {
    /// Whether it must be inside at some time: after `enter.1` and before `leave.0`.
    pub fn stays(&self) -> bool {
        self.enter.1 < self.leave.0
    }
}

/// All that a history says of a container.
pub(crate) struct Items {
    /// The values that must have been in it.
    pub items: Vec<Item>,
    /// Removals that found nothing.
    pub empties: Vec<Span>,
    /// Removals of unknown outcome, in the order of invocation.
    pub lost: Vec<Span>,
}

/// The words for going in and out.
pub(crate) struct Words {
    pub entered: &'static str,
    pub left: &'static str,
}

/// Puts the operations on each value together. An insertion of unknown outcome whose value never
/// came out again is left out: nobody misses it. `Err(None)` if a value goes in twice.
pub(crate) fn collect(
    operations: &[(Span, Move)],
    values: usize,
    words: &Words,
    name: impl Fn(u32) -> String,
) -> Result<Items, Option<Decision>> {
    let mut pairs = vec![(NONE, NONE); values];
    let (mut empties, mut lost) = (Vec::new(), Vec::new());
    let Words { entered, left } = words;
    for (nth, (span, what)) in (0..).zip(operations) {
        match *what {
            Move::In(value) => {
                let pair = &mut pairs[value as usize];
                if pair.0 != NONE {
                    return Err(None);
                }
                pair.0 = nth;
            }
            Move::Out(value) => {
                let pair = &mut pairs[value as usize];
                // Two removals are only wrong if there is no second insertion, so that comes last.
                if pair.1 == NONE {
                    pair.1 = nth;
                }
            }
            Move::Empty => empties.push(*span),
            Move::Lost => lost.push(*span),
        }
    }
    for (nth, (span, what)) in (0..).zip(operations) {
        let Move::Out(value) = *what else { continue };
        let (enter, leave) = pairs[value as usize];
        if leave != nth {
            let places = [enter, leave].map(|nth| operations.get(nth as usize));
            let places = places.into_iter().flatten().map(|(span, _)| span.place);
            let reason = format!("{} was {left} twice and {entered} only once", name(value));
            return Err(Some(conflict(places.chain([span.place]), reason)));
        }
    }
    let mut items = Vec::with_capacity(values);
    for (value, (enter, leave)) in (0..).zip(pairs) {
        let leave = operations.get(leave as usize).map(|(span, _)| *span);
        let Some((enter, _)) = operations.get(enter as usize) else {
            let Some(leave) = leave else { continue };
            let reason = format!("{} was {left} and never {entered}", name(value));
            return Err(Some(conflict([leave.place], reason)));
        };
        let Some(leave) = leave else {
            if enter.completed != OPEN {
                let (leave, places) = ((OPEN, OPEN), (enter.place, NONE));
                let enter = (enter.invoked, enter.completed);
                items.push(Item { enter, leave, places, value });
            }
            continue;
        };
        let places = (enter.place, leave.place);
        if leave.completed < enter.invoked {
            let reason = format!("{} was {left} before it was {entered}", name(value));
            return Err(Some(conflict([places.0, places.1], reason)));
        }
        let leave = (leave.invoked.max(enter.invoked), leave.completed);
        let enter = (enter.invoked, enter.completed.min(leave.1));
        items.push(Item { enter, leave, places, value });
    }
    Ok(Items { items, empties, lost })
}

/// The times at which something must be inside, as far as they hang together.
pub(crate) struct Presence {
    /// From an event on and until another one, in order, none touching the next.
    runs: Vec<(u32, u32)>,
}

impl Presence {
    /// Of these items.
    pub fn new(items: &[Item]) -> Self {
        let stays = items.iter().filter(|item| item.stays());
        let mut keys: Vec<u64> = stays.map(|item| pack(item.enter.1, item.leave.0)).collect();
        keys.sort_unstable();
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for key in keys {
            let (from, to) = ((key >> 32) as u32, key as u32);
            match runs.last_mut() {
                Some(run) if from <= run.1 => run.1 = run.1.max(to),
                _ => runs.push((from, to)),
            }
        }
        Self { runs }
    }

    /// The first moment in this span at which nothing need be inside: right after the event that
    /// it names, which is an invocation.
    pub fn gap(&self, span: &Span) -> Option<u32> {
        let after = self.runs.partition_point(|run| run.0 <= span.invoked);
        let run = after.checked_sub(1).map(|last| self.runs[last]);
        let gap = run.map_or(span.invoked, |run| run.1.max(span.invoked));
        (gap < span.completed).then_some(gap)
    }
}

/// As few items as keep something inside from event `from` to event `to`; they are known to.
pub(crate) fn cover(items: impl Iterator<Item = Item>, from: u32, to: u32) -> Vec<Item> {
    let mut items: Vec<Item> = items.filter(Item::stays).collect();
    items.sort_unstable_by_key(|item| item.enter.1);
    let mut items = items.into_iter().peekable();
    let (mut chosen, mut until): (Vec<Item>, u32) = (Vec::new(), from);
    let mut best: Option<Item> = None;
    while until < to {
        while let Some(item) = items.next_if(|item| item.enter.1 <= until) {
            best = best.filter(|best| best.leave.0 >= item.leave.0).or(Some(item));
        }
        let Some(item) = best.filter(|best| best.leave.0 > until) else { break };
        until = item.leave.0;
        chosen.push(item);
    }
    chosen
}

/// The conflict of a removal that found nothing while something was inside all the time.
pub(crate) fn never_empty(
    items: &[Item],
    empty: &Span,
    container: &str,
    name: impl Fn(u32) -> String,
) -> Decision {
    let inside = cover(items.iter().copied(), empty.invoked, empty.completed);
    let places = inside.iter().flat_map(|item| [item.places.0, item.places.1]);
    let names = list(inside.iter().map(|item| name(item.value)));
    let reason = format!("the {container} was found empty, and {names} in it all the time");
    conflict(places.chain([empty.place]), reason)
}

/// Names, with the verb that fits their number.
fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    match names.as_slice() {
        [one] => format!("{one} was"),
        [one, other] => format!("{one} and then {other} were"),
        [first, .., last] => format!("values from {first} on to {last}, one after the other, were"),
        [] => String::new(),
    }
}
