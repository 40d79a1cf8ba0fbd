//! Sequential consistency: an order that keeps each process's own, and not real time.
//!
//! Depth-first: a process after the other does its next operation, and what turned out to lead
//! nowhere, as (how far each process came, states of the objects), is not entered again. Deciding
//! it is NP-complete even for registers; this is for histories of a few hundred operations.

use super::judge::GaveUp;
use super::part::{Call, OPEN, Part};
use super::report::Options;
use crate::{Anomaly, Model, Verdict};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Judges all objects of a history together, in at most so many steps. Also how many those were,
/// and how many dead ends were remembered.
pub(super) fn judge<M: Model>(
    parts: &[Part<'_, M>],
    steps: u64,
    options: &Options,
) -> (Verdict, u64, usize) {
    let mut processes: BTreeMap<_, Vec<(usize, Call<'_, M>)>> = BTreeMap::new();
    for (object, part) in parts.iter().enumerate() {
        for call in part.calls() {
            // An observation that nobody received tells nothing.
            if call.ret.is_some() || !part.model.observes(call.op, None) {
                let event = &part.events[call.span.invoked as usize];
                processes.entry((event.actor, event.process)).or_default().push((object, call));
            }
        }
    }
    let mut processes: Vec<_> = processes.into_values().collect();
    for calls in &mut processes {
        calls.sort_unstable_by_key(|(_, call)| call.span.invoked);
    }
    let Some(first) = parts.first() else { return (Verdict::Holds, 0, 0) };
    let known = |(_, call): &&(usize, Call<'_, M>)| call.span.completed != OPEN;
    let missing = processes.iter().flatten().filter(known).count();
    let mut search = Search {
        model: first.model,
        at: vec![0; processes.len()].into(),
        states: parts.iter().map(Part::initial).collect(),
        processes,
        missing,
        least: missing,
        dead: FxHashSet::default(),
        left: steps,
        memory: options.budget.memory,
    };
    let verdict = search.run().unwrap_or_else(|why| {
        let why = why.why(steps);
        Verdict::Unknown(format!("sequential: {missing} completed operations, and {why}"))
    });
    (verdict, steps - search.left, search.dead.len())
}

/// How far each process came, and the states of the objects.
type Place<S> = (Box<[u32]>, Box<[S]>);

struct Search<'a, M: Model> {
    model: &'a M,
    processes: Vec<Vec<(usize, Call<'a, M>)>>,
    at: Box<[u32]>,
    states: Box<[M::State]>,
    /// How many operations that completed have no place yet, and how few that ever were.
    missing: usize,
    least: usize,
    dead: FxHashSet<Place<M::State>>,
    left: u64,
    memory: usize,
}

/// An operation that was placed: of which process, on which object, in which state.
struct Placed<S> {
    process: usize,
    object: usize,
    state: S,
    /// Whether there was a choice.
    choice: bool,
}

impl<M: Model> Search<'_, M> {
    fn run(&mut self) -> Result<Verdict, GaveUp> {
        let mut placed: Vec<Placed<M::State>> = Vec::new();
        let mut from = 0;
        loop {
            if from == 0 {
                while let Some(process) = self.satisfied() {
                    placed.extend(self.place(process, false));
                }
                self.least = self.least.min(self.missing);
                if self.missing == 0 {
                    return Ok(Verdict::Holds);
                }
                if self.dead.contains(&(self.at.clone(), self.states.clone())) {
                    from = self.processes.len();
                }
            }
            if self.left == 0 {
                return Err(GaveUp::Steps);
            }
            let next = (from..self.processes.len()).find_map(|process| self.place(process, true));
            if let Some(next) = next {
                placed.push(next);
                from = 0;
                continue;
            }
            let bytes = 8 * self.at.len() + 2 * size_of_val::<[M::State]>(&self.states) + 64;
            self.memory = self.memory.checked_sub(bytes).ok_or(GaveUp::Memory)?;
            self.left = self.left.saturating_sub(super::DEAD_END);
            self.dead.insert((self.at.clone(), self.states.clone()));
            loop {
                let Some(Placed { process, object, state, choice }) = placed.pop() else {
                    return Ok(self.violated());
                };
                self.at[process] -= 1;
                self.states[object] = state;
                let (_, call) = &self.processes[process][self.at[process] as usize];
                self.missing += usize::from(call.ret.is_some());
                if choice {
                    from = process + 1;
                    break;
                }
            }
        }
    }

    /// A process whose next operation is an observer that fits: it can as well be next of all.
    fn satisfied(&mut self) -> Option<usize> {
        (0..self.processes.len()).find(|&process| {
            let (object, call) = match self.processes[process].get(self.at[process] as usize) {
                Some(next) => next,
                None => return false,
            };
            self.left = self.left.saturating_sub(1);
            self.model.observes(call.op, call.ret)
                && self.model.step(&self.states[*object], call.op, call.ret).is_some()
        })
    }

    fn place(&mut self, process: usize, choice: bool) -> Option<Placed<M::State>> {
        let (object, call) = self.processes[process].get(self.at[process] as usize)?;
        self.left = self.left.saturating_sub(1);
        let after = self.model.step(&self.states[*object], call.op, call.ret)?;
        self.at[process] += 1;
        self.missing -= usize::from(call.ret.is_some());
        let state = std::mem::replace(&mut self.states[*object], after);
        Some(Placed { process, object: *object, state, choice })
    }

    fn violated(&self) -> Verdict {
        let message = format!(
            "no order keeps that of each process and gives these answers: at best {} of the \
             completed operations have no place",
            self.least
        );
        Verdict::Violated(Anomaly::new("sequential", "not sequentially consistent", message))
    }
}
