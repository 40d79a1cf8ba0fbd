//! A lock with owners, in O(n log n).
//!
//! An acquisition and its release are a *hold*, a [block](super::blocks): nobody else's comes
//! between them. If an owner's operations do not overlap each other, they say which belong
//! together. A hold without a release never ends, so it stands behind all others.
//!
//! Operations of unknown outcome took effect where nothing else explains the owner's next step: a
//! release between two acquisitions, an acquisition before a release. The first invoked is taken
//! first, for all of them may end at any time. What nobody needs is left out; only an acquisition
//! and a release of one owner *together* could make room for others, so then there is no answer.
//!
//! Refused operations are fitted into the order of the others; if one does not fit, a search has
//! to judge.

use super::blocks::{self, Block};
use super::{FAR, NONE, OPEN, Span, conflict, observers};
use crate::Decision;
use std::collections::VecDeque;

/// What an operation does to the lock, with numbers for owners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// This owner gets it.
    Acquire(u32),
    /// This owner gives it back.
    Release(u32),
    /// Finds it held.
    Held,
    /// Finds it not held by this owner.
    NotHeldBy(u32),
}

/// An acquisition, and its release if there is one.
#[derive(Clone, Copy)]
struct Hold {
    owner: u32,
    acquire: Span,
    release: Option<Span>,
}

impl Hold {
    fn block(&self, nth: u32) -> Block {
        let mut block = Block::EMPTY;
        block.add(self.acquire.invoked, self.acquire.completed, nth);
        match self.release {
            Some(release) => block.add(release.invoked, release.completed, nth),
            None => block.begin = (FAR, nth),
        }
        block
    }

    fn places(&self) -> [u32; 2] {
        [self.acquire.place, self.release.map_or(NONE, |release| release.place)]
    }
}

/// Judges operations in the order of invocation; refusals are completed ones. `owners` is how many
/// there are, `name` how a person knows them. `None` if an owner's operations overlap, or if it
/// depends on the choice of those of unknown outcome.
pub(crate) fn decide(
    operations: &[(Span, Turn)],
    owners: usize,
    name: impl Fn(u32) -> String,
) -> Option<Decision> {
    let mut turns = vec![Turns::default(); owners];
    let mut refused = Vec::new();
    for (span, turn) in operations {
        match *turn {
            Turn::Acquire(owner) | Turn::Release(owner) => {
                turns[owner as usize].add(*span, matches!(turn, Turn::Acquire(_)))?;
            }
            Turn::Held | Turn::NotHeldBy(_) => refused.push((*span, *turn)),
        }
    }
    let mut holds = Vec::new();
    let mut certain = true;
    for (owner, turns) in (0..).zip(turns) {
        match turns.holds(owner, &mut holds, &name) {
            Ok(spare) => certain &= !spare,
            Err(conflict) => return Some(conflict),
        }
    }
    let blocks: Vec<Block> = (0..).zip(&holds).map(|(nth, hold)| hold.block(nth)).collect();
    let sequence = match blocks::arrange(&blocks) {
        Ok(sequence) => sequence,
        Err((a, b)) => {
            let (a, b) = (&holds[a as usize], &holds[b as usize]);
            let reason = format!(
                "{} and {} held it at the same time: neither hold can have ended before the \
                 other began",
                name(a.owner),
                name(b.owner)
            );
            return certain.then(|| conflict(a.places().into_iter().chain(b.places()), reason));
        }
    };
    let mut order = Vec::with_capacity(operations.len());
    // After each operation, which hold is on, or which one is over: odd and even numbers.
    let mut stretches = vec![0];
    for (rank, &nth) in (0..).zip(&sequence) {
        let hold = &holds[nth as usize];
        order.push(hold.acquire);
        stretches.push(2 * rank + 1);
        if let Some(release) = hold.release {
            order.push(release);
            stretches.push(2 * rank + 2);
        }
    }
    if refused.is_empty() {
        return Some(Decision::Order(order.iter().map(|span| span.place).collect()));
    }
    let watchers: Vec<Span> = refused.iter().map(|(span, _)| *span).collect();
    let fits = |nth: usize, stretch: u32| match refused[nth].1 {
        _ if stretch.is_multiple_of(2) => matches!(refused[nth].1, Turn::NotHeldBy(_)),
        Turn::NotHeldBy(owner) => holds[sequence[stretch as usize / 2] as usize].owner != owner,
        _ => true,
    };
    let places = observers::places(&order, &stretches, &watchers, fits);
    let places: Vec<u32> = places.into_iter().collect::<Option<_>>()?;
    Some(Decision::Order(observers::merge(&order, &watchers, &places)))
}

/// One owner's operations, each kind in the order of invocation.
#[derive(Clone, Default)]
struct Turns {
    /// The completed ones, and whether each is an acquisition.
    known: Vec<(Span, bool)>,
    acquisitions: VecDeque<Span>,
    releases: VecDeque<Span>,
}

impl Turns {
    /// `None` if two completed operations overlap.
    fn add(&mut self, span: Span, acquires: bool) -> Option<()> {
        if span.completed == OPEN {
            let open = if acquires { &mut self.acquisitions } else { &mut self.releases };
            open.push_back(span);
            return Some(());
        }
        let overlaps = self.known.last().is_some_and(|(last, _)| last.completed > span.invoked);
        self.known.push((span, acquires));
        (!overlaps).then_some(())
    }

    /// Adds the owner's holds to the others', and says whether operations of unknown outcome of
    /// both kinds are left that no completed one needs.
    fn holds(
        mut self,
        owner: u32,
        holds: &mut Vec<Hold>,
        name: impl Fn(u32) -> String,
    ) -> Result<bool, Decision> {
        let mut held: Option<Span> = None;
        // What each step of unknown outcome explains.
        let mut filled: Vec<u32> = Vec::new();
        for (nth, &(span, acquires)) in self.known.iter().enumerate() {
            let missing = acquires == held.is_some();
            if missing {
                let open = if acquires { &mut self.releases } else { &mut self.acquisitions };
                let filler = open.pop_front().filter(|filler| filler.invoked < span.completed);
                let Some(filler) = filler else {
                    let reason = if acquires {
                        format!("{} acquired it twice without a release between", name(owner))
                    } else {
                        format!("{} released it without holding it", name(owner))
                    };
                    let since = if filled.is_empty() { nth.saturating_sub(1) } else { 0 };
                    let known = self.known[since..=nth].iter().map(|(span, _)| span.place);
                    return Err(conflict(known.chain(filled), reason));
                };
                filled.push(filler.place);
                match held {
                    Some(acquire) => {
                        holds.push(Hold { owner, acquire, release: Some(filler) });
                        held = None;
                    }
                    None => held = Some(filler),
                }
            }
            match held {
                Some(acquire) => {
                    holds.push(Hold { owner, acquire, release: Some(span) });
                    held = None;
                }
                None => held = Some(span),
            }
        }
        let spare = !self.acquisitions.is_empty() && !self.releases.is_empty();
        if let Some(acquire) = held {
            holds.push(Hold { owner, acquire, release: self.releases.pop_front() });
        }
        Ok(spare)
    }
}
