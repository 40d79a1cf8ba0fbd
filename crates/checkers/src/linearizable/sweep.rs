//! The just-in-time search over a part whose outcomes are all known, from its first event to its
//! last.

use super::frontier::{Frontier, Stop};
use super::lineage::{Lineage, Taken};
use super::part::{OPEN, Part};
use crate::Model;
use derive_where::derive_where;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;

/// What happens next in a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// The part's operation of this number is invoked, and completes later.
    Invoke(usize),
    /// The same, but its outcome is unknown.
    Unknown(usize),
    /// The part's operation of this number completes, as this event of the history.
    Complete(usize, u32),
}

/// The lines of a part in their order. They take as much memory as operations are open.
#[derive_where(Clone)]
pub(super) struct Lines<'a, M: Model> {
    part: Part<'a, M>,
    next: usize,
    open: BinaryHeap<Reverse<(u32, u32)>>,
}

impl<'a, M: Model> Lines<'a, M> {
    pub fn new(part: Part<'a, M>) -> Self {
        Self { part, next: 0, open: BinaryHeap::new() }
    }
}

impl<M: Model> Iterator for Lines<'_, M> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let begins = self.part.spans.get(self.next).map(|(_, span)| *span);
        let ends = self.open.peek().map(|Reverse((at, _))| *at);
        if ends.is_some_and(|at| begins.is_none_or(|span| at < span.invoked)) {
            let Reverse((at, nth)) = self.open.pop()?;
            return Some(Line::Complete(nth as usize, at));
        }
        let span = begins?;
        let nth = self.next;
        self.next += 1;
        if span.completed == OPEN {
            return Some(Line::Unknown(nth));
        }
        self.open.push(Reverse((span.completed, nth as u32)));
        Some(Line::Invoke(nth))
    }
}

/// A just-in-time search of a part.
#[derive_where(Clone)]
pub(super) struct Sweep<'a, M: Model> {
    part: Part<'a, M>,
    lines: Peekable<Lines<'a, M>>,
    pub frontier: Frontier<M, &'a M::Op, &'a M::Ret>,
    /// The slots of the operations that are open.
    slots: Vec<(usize, usize)>,
    /// Operations that are taken for such of unknown outcome, by number; none beyond its end.
    pub weak: Vec<bool>,
}

impl<'a, M: Model> Sweep<'a, M> {
    pub fn new(part: Part<'a, M>, steps: u64, most: usize) -> Self {
        let frontier = Frontier::new(part.initial(), steps, most);
        let lines = Lines::new(part).peekable();
        Self { part, lines, frontier, slots: Vec::new(), weak: Vec::new() }
    }

    /// Remembers the order in which operations take effect.
    pub fn with_order(mut self) -> Self {
        self.frontier.lineage = Some(Lineage::new());
        self
    }

    /// The line that comes next.
    pub fn peek(&mut self) -> Option<Line> {
        self.lines.peek().copied()
    }

    /// Goes on by one line, which it returns; `None` at the end.
    pub fn advance(&mut self) -> Option<(Line, Result<(), Stop>)> {
        let line = self.lines.next()?;
        let Part { model, .. } = self.part;
        let weak = |nth: usize| self.weak.get(nth) == Some(&true);
        let outcome = match line {
            Line::Invoke(nth) if weak(nth) => {
                self.frontier.invoke_unknown(model, nth as u32, self.part.call(nth).op);
                Ok(())
            }
            Line::Complete(nth, _) if weak(nth) => Ok(()),
            Line::Invoke(nth) => {
                let call = self.part.call(nth);
                let ret = call.ret.expect("an operation that completes has an answer");
                match self.frontier.invoke(model, nth as u32, call.op, ret) {
                    Ok(slot) => {
                        self.slots.push((nth, slot));
                        Ok(())
                    }
                    Err(stop) => Err(stop),
                }
            }
            Line::Unknown(nth) => {
                self.frontier.invoke_unknown(model, nth as u32, self.part.call(nth).op);
                Ok(())
            }
            Line::Complete(nth, at) => {
                let place = self.slots.iter().position(|(open, _)| *open == nth);
                let (_, slot) = self.slots.swap_remove(place.expect("what completes was invoked"));
                self.frontier.complete(model, slot, at)
            }
        };
        Some((line, outcome))
    }

    /// Goes on to the end. If it stops before, the operation at whose line it did.
    pub fn run(&mut self) -> Result<(), (usize, Stop)> {
        self.run_until(u32::MAX)
    }

    /// Goes on to the completion that is event `end`, or to the end.
    pub fn run_until(&mut self, end: u32) -> Result<(), (usize, Stop)> {
        while let Some((line, outcome)) = self.advance() {
            if let Err(stop) = outcome {
                let (Line::Invoke(nth) | Line::Unknown(nth) | Line::Complete(nth, _)) = line;
                return Err((nth, stop));
            }
            if matches!(line, Line::Complete(_, at) if at == end) {
                break;
            }
        }
        Ok(())
    }

    /// What took effect, in order, if that was remembered.
    pub fn order(self) -> Vec<Taken> {
        let past = self.frontier.past();
        self.frontier.lineage.map_or_else(Vec::new, |lineage| lineage.order(past))
    }
}
