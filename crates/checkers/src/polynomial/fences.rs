//! A lock with fences, in O(n log n): the fences say in which order it was held, and one pass over
//! that order checks it against real time.
//!
//! An acquisition of unknown outcome got the fence that its owner released and that nobody else was
//! granted; of several the first invoked got the smallest. Others are left out, and so is a release
//! of unknown outcome of a fence that nobody was granted.

use super::{NONE, OPEN, Span, conflict, observers, sequence};
use crate::Decision;
use std::collections::{BTreeMap, VecDeque};

/// What an operation does to the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// The owner gets it, under this fence if it is known.
    Acquire(u64, Option<u64>),
    /// The owner's hold under this fence ends.
    Release(u64, u64),
    /// Finds it held.
    Held,
    /// Finds it not held by this owner under this fence.
    NotHeldBy(u64, u64),
}

/// What happened under one fence.
#[derive(Clone, Copy, Default)]
struct Hold {
    owner: u64,
    acquire: Option<Span>,
    release: Option<Span>,
}

impl Hold {
    fn places(&self) -> impl Iterator<Item = u32> {
        [self.acquire, self.release].into_iter().flatten().map(|span| span.place)
    }
}

/// Judges operations in the order of invocation; refusals are completed ones. `None` if refused
/// ones do not fit into the order of the others.
pub(crate) fn decide(operations: &[(Span, Turn)]) -> Option<Decision> {
    let mut holds: BTreeMap<u64, Hold> = BTreeMap::new();
    let mut unknown: BTreeMap<u64, VecDeque<Span>> = BTreeMap::new();
    let mut refused = Vec::new();
    for &(span, turn) in operations {
        match turn {
            Turn::Acquire(owner, None) => unknown.entry(owner).or_default().push_back(span),
            Turn::Acquire(owner, Some(fence)) => {
                let hold = holds.entry(fence).or_default();
                let before = hold.acquire.replace(span);
                hold.owner = owner;
                if fence == 0 || before.is_some() {
                    let before = before.map_or(NONE, |before| before.place);
                    let reason = match fence {
                        0 => "fence 0 was granted, and the first is 1".to_owned(),
                        _ => format!("fence {fence} was granted twice"),
                    };
                    return Some(conflict([before, span.place], reason));
                }
            }
            Turn::Release(..) => {}
            Turn::Held | Turn::NotHeldBy(..) => refused.push((span, turn)),
        }
    }
    if let Err(conflict) = release(operations, &mut holds, &mut unknown) {
        return Some(conflict);
    }
    order(&holds, &refused)
}

/// Puts the releases to the acquisitions, and acquisitions of unknown outcome where one must have
/// been.
fn release(
    operations: &[(Span, Turn)],
    holds: &mut BTreeMap<u64, Hold>,
    unknown: &mut BTreeMap<u64, VecDeque<Span>>,
) -> Result<(), Decision> {
    for &(span, turn) in operations {
        let Turn::Release(owner, fence) = turn else { continue };
        if span.completed == OPEN {
            continue;
        }
        let hold = holds.entry(fence).or_insert(Hold { owner, ..Hold::default() });
        let before = hold.release.replace(span);
        let reason = if before.is_some() {
            format!("fence {fence} was released twice")
        } else if hold.owner != owner {
            format!("{owner} released fence {fence}, which was granted to {}", hold.owner)
        } else {
            continue;
        };
        let before = before.map_or(NONE, |before| before.place);
        return Err(conflict(hold.places().chain([before]), reason));
    }
    for (fence, hold) in &mut *holds {
        if hold.acquire.is_none() {
            hold.acquire = unknown.get_mut(&hold.owner).and_then(VecDeque::pop_front);
        }
        if hold.acquire.is_none() || *fence == 0 {
            let reason = format!("fence {fence} was released, and never granted");
            return Err(conflict(hold.places(), reason));
        }
    }
    for &(span, turn) in operations {
        if let Turn::Release(owner, fence) = turn
            && let Some(hold) = holds.get_mut(&fence)
            && hold.release.is_none()
            && hold.owner == owner
        {
            hold.release = Some(span);
        }
    }
    Ok(())
}

/// The order of the fences, with the refused operations in it.
fn order(holds: &BTreeMap<u64, Hold>, refused: &[(Span, Turn)]) -> Option<Decision> {
    let mut order: Vec<Span> = Vec::with_capacity(2 * holds.len());
    let mut stretches = vec![0];
    let mut on: Vec<(u64, u64)> = Vec::with_capacity(holds.len());
    let mut last: Option<(&u64, &Hold)> = None;
    for (rank, (fence, hold)) in (0..).zip(holds) {
        if let Some((before, unreleased)) = last.filter(|(_, last)| last.release.is_none()) {
            let reason = format!("fence {fence} was granted, but {before} was never released");
            return Some(conflict(unreleased.places().chain(hold.places()), reason));
        }
        on.push((hold.owner, *fence));
        order.extend(hold.acquire);
        stretches.push(2 * rank + 1);
        if let Some(release) = hold.release {
            order.push(release);
            stretches.push(2 * rank + 2);
        }
        last = Some((fence, hold));
    }
    if let Some((first, second)) = sequence::turned(order.iter()) {
        let of = |span: &Span| {
            holds.iter().find(|(_, hold)| hold.places().any(|place| place == span.place))
        };
        let ((early, one), (late, other)) = (of(first)?, of(second)?);
        let reason = if early == late {
            format!("fence {early} was released before it was granted")
        } else {
            format!("fence {late} was held before {early}, which is smaller")
        };
        return Some(conflict(one.places().chain(other.places()), reason));
    }
    let watchers: Vec<Span> = refused.iter().map(|(span, _)| *span).collect();
    let fits = |nth: usize, stretch: u32| {
        let held = (stretch % 2 == 1).then(|| on[stretch as usize / 2]);
        match refused[nth].1 {
            Turn::NotHeldBy(owner, fence) => held != Some((owner, fence)),
            _ => held.is_some(),
        }
    };
    let places = observers::places(&order, &stretches, &watchers, fits);
    let places: Vec<u32> = places.into_iter().collect::<Option<_>>()?;
    Some(Decision::Order(observers::merge(&order, &watchers, &places)))
}
