//! A stack whose values all differ.
//!
//! A value must be on the stack from the end of its push to the beginning of its pop: its *core*.
//! One whose push and pop overlap has none; it is pushed and popped at one moment, which disturbs
//! nobody.
//!
//! At a moment that no core covers, the stack can be empty: values that an order has on it then
//! can be popped just before, or pushed just after. So the *runs* of cores that hang together are
//! judged one by one. While a run lasts the stack is never empty, so one value is below all
//! others: one that can be pushed before the run begins and popped after it has ended. Any such
//! value will do, for the others go on top of it in whatever order they have without it. It is
//! taken away, the run falls apart into smaller ones, and so on. A run without such a value is a
//! conflict, and so are the few values whose cores cover it.
//!
//! Each step takes O(log n) with three trees, but for the search for the lowest value, which may
//! pass pushes that overlap the beginning of the run in vain: O(k log n) for k clients at worst.
//!
//! A pop of unknown outcome is left out if that does no harm, and gives no answer if it does.

use super::blocks::pack;
use super::items::{self, Item, Items, Move, Presence, Words};
use super::trees::{Alive, Depths, Reach};
use super::{FAR, OPEN, Span, conflict};
use crate::Decision;

/// Judges operations in the order of invocation; those that found nothing are completed ones.
/// `values` is how many values there are, `name` how a person knows them. `None` if a value is
/// pushed twice, or if it depends on which value a pop of unknown outcome took.
pub(crate) fn decide(
    operations: &[(Span, Move)],
    values: usize,
    name: impl Fn(u32) -> String,
) -> Option<Decision> {
    let words = Words { entered: "pushed", left: "popped" };
    let Items { mut items, empties, lost } = match items::collect(operations, values, &words, &name)
    {
        Ok(items) => items,
        Err(conflict) => return conflict,
    };
    for item in items.iter_mut().filter(|item| item.leave.0 == OPEN) {
        item.leave = (FAR, OPEN);
    }
    let certain = lost.is_empty() || items.iter().all(|item| item.leave.0 != FAR);
    let presence = Presence::new(&items);
    let mut moments: Vec<(u32, u32, u32)> = Vec::new();
    for empty in &empties {
        let Some(gap) = presence.gap(empty) else {
            return certain.then(|| items::never_empty(&items, empty, "stack", &name));
        };
        moments.push((gap, empty.place, super::NONE));
    }
    let passing = items.iter().filter(|item| !item.stays());
    moments.extend(passing.map(|item| (item.leave.0, item.places.0, item.places.1)));
    moments.sort_unstable();
    items.retain(Item::stays);
    items.sort_unstable_by_key(|item| item.enter.1);
    match Layers::new(&items).peel() {
        Ok(steps) => Some(Decision::Order(merge(&steps, &moments))),
        Err(run) => certain.then(|| no_bottom(&run, name)),
    }
}

/// A push or a pop, right after an event; at one moment pops come before pushes.
#[derive(Clone, Copy)]
struct Step {
    at: u32,
    is_push: bool,
    place: u32,
}

/// The pushes and pops with what happens at one moment between them.
fn merge(steps: &[Step], moments: &[(u32, u32, u32)]) -> Vec<u32> {
    let mut order = Vec::with_capacity(steps.len() + 2 * moments.len());
    let mut moments = moments.iter().peekable();
    let mut pass = |order: &mut Vec<u32>, before: (u32, bool)| {
        while let Some((_, one, other)) = moments.next_if(|moment| (moment.0, false) < before) {
            order.push(*one);
            order.extend((*other != super::NONE).then_some(*other));
        }
    };
    for step in steps {
        pass(&mut order, (step.at, step.is_push));
        order.push(step.place);
    }
    pass(&mut order, (u32::MAX, true));
    order
}

/// Values in the order in which their cores begin, taken away from the lowest on.
struct Layers<'a> {
    items: &'a [Item],
    /// For each core, where it begins and ends in the row of all begins and ends.
    places: Vec<(u32, u32)>,
    /// For each of that row, its event, and how many have begun up to it.
    row: Vec<(u32, u32)>,
    /// How many cores cover the moment after each.
    depths: Depths,
    /// How early values can be pushed and how late popped.
    reach: Reach,
    alive: Alive,
}

/// What is still to be done.
enum Task {
    /// Judge the runs of the cores that begin as these.
    Runs(usize, usize),
    /// Pop this value, at this event.
    Pop(usize, u32),
}

impl<'a> Layers<'a> {
    fn new(items: &'a [Item]) -> Self {
        let mut ends: Vec<u64> =
            (0..).zip(items).map(|(nth, item)| pack(item.leave.0, nth)).collect();
        ends.sort_unstable();
        let mut places = vec![(0, 0); items.len()];
        let (mut row, mut depths) = (Vec::new(), Vec::new());
        let mut begun = 0;
        for (ended, end) in ends.into_iter().enumerate() {
            while begun < items.len() && items[begun].enter.1 < (end >> 32) as u32 {
                places[begun].0 = row.len() as u32;
                row.push((items[begun].enter.1, begun as u32 + 1));
                begun += 1;
                depths.push((begun - ended) as u32);
            }
            places[end as u32 as usize].1 = row.len() as u32;
            row.push(((end >> 32) as u32, begun as u32));
            depths.push((begun - ended - 1) as u32);
        }
        let reach = Reach::new(items.iter().map(|item| (item.enter.0, item.leave.1)));
        let alive = Alive::new(items.len());
        Self { items, places, row, depths: Depths::new(&depths), reach, alive }
    }

    /// The pushes and pops in an order, or the values of a run of which none can be the lowest.
    fn peel(mut self) -> Result<Vec<Step>, Vec<Item>> {
        let mut steps = Vec::with_capacity(2 * self.items.len());
        let mut tasks = vec![Task::Runs(0, self.items.len())];
        while let Some(task) = tasks.pop() {
            let (from, to) = match task {
                Task::Runs(from, to) => (from, to),
                Task::Pop(nth, at) => {
                    if at < FAR {
                        let place = self.items[nth].places.1;
                        steps.push(Step { at, is_push: false, place });
                    }
                    continue;
                }
            };
            let first = self.alive.from(from);
            if first >= to {
                continue;
            }
            let begin = self.items[first].enter.1;
            let last = self.depths.first_zero(self.places[first].0 as usize);
            let (end, until) = (self.row[last].0, self.row[last].1 as usize);
            let Some(lowest) = self.reach.find(first, until, begin, end) else {
                let run = (first..until).filter(|&nth| self.alive.is(nth));
                let run = run.map(|nth| self.items[nth]);
                return Err(items::cover(run, begin, end));
            };
            steps.push(Step { at: begin - 1, is_push: true, place: self.items[lowest].places.0 });
            self.take(lowest);
            tasks.extend([Task::Runs(until, to), Task::Pop(lowest, end), Task::Runs(first, until)]);
        }
        Ok(steps)
    }

    fn take(&mut self, nth: usize) {
        let (begin, end) = self.places[nth];
        self.depths.lower(begin as usize, end as usize);
        self.reach.remove(nth);
        self.alive.remove(nth);
    }
}

/// The conflict of a run in which no value can be below the others.
fn no_bottom(run: &[Item], name: impl Fn(u32) -> String) -> Decision {
    let places = run.iter().flat_map(|item| [item.places.0, item.places.1]);
    let names: Vec<String> = run.iter().map(|item| name(item.value)).collect();
    let reason = match names.as_slice() {
        [one, other] => {
            format!("{one} was pushed before {other}, which was still there when {one} was popped")
        }
        _ => format!(
            "with {} the stack was never empty, and none of them can have been below the others",
            names.join(", ")
        ),
    };
    conflict(places, reason)
}
