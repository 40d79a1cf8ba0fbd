//! The check while a run goes on: fed line by line, it stops at the first one that nothing later
//! can mend.
//!
//! An operation that has not completed may yet turn out to have any outcome, so it counts as one of
//! unknown outcome, and what was possible when it began is kept. When it completes, the lines since
//! then are gone through once more. So a line costs about as much as an operation lasts, and memory
//! follows the operations that are open and the lines since the oldest of them began.

use super::explain::{list, or};
use super::frontier::{Frontier, Stop};
use super::report::Budget;
use crate::{Anomaly, Model, Verdict};
use derive_where::derive_where;
use history::{Actor, Event, What};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A check for linearizability of a history that is still being written.
pub struct Online<M: Model> {
    model: M,
    /// The number of each object's track.
    keys: BTreeMap<M::Key, usize>,
    tracks: Vec<Track<M>>,
    /// The track of each operation that is open.
    open: FxHashMap<u32, usize>,
    lines: u32,
    steps: u64,
    most: usize,
    verdict: Verdict,
}

/// Where an operation stands.
#[derive_where(Clone)]
enum Fate<M: Model> {
    Pending,
    Ok(Rc<M::Ret>),
    Unknown,
    Failed,
}

#[derive_where(Clone)]
enum Line<M: Model> {
    Begin(u32, Rc<M::Op>),
    /// With the number of the line.
    End(u32, u32),
}

/// All that an object can have come to at some line.
#[derive_where(Clone)]
struct Point<M: Model> {
    frontier: Frontier<M, Rc<M::Op>, Rc<M::Ret>>,
    /// The slots of the operations that are open there and have completed since.
    slots: Vec<(u32, usize)>,
}

/// An operation that has not completed.
struct Pending<M: Model> {
    id: u32,
    actor: Actor,
    call: u32,
    op: Rc<M::Op>,
    /// Its line in the log, counted from the first one ever.
    at: usize,
    /// What there was before it.
    before: Point<M>,
}

/// What was seen of one object.
struct Track<M: Model> {
    now: Point<M>,
    pending: Vec<Pending<M>>,
    /// The lines since the oldest pending operation began, and how many went before them.
    log: VecDeque<Line<M>>,
    gone: usize,
    /// Of every operation that begins in the log.
    fates: FxHashMap<u32, Fate<M>>,
}

impl<M: Model<Op: Clone, Ret: Clone>> Online<M> {
    /// Nothing has happened yet; as many steps and as much memory as [`Budget`] gives by default,
    /// but no more steps for more operations.
    pub fn new(model: M) -> Self {
        Self::within(model, &Budget::default())
    }

    /// Nothing has happened yet. The budget is for all lines together.
    pub fn within(model: M, budget: &Budget) -> Self {
        Self {
            model,
            keys: BTreeMap::new(),
            tracks: Vec::new(),
            open: FxHashMap::default(),
            lines: 0,
            steps: budget.steps.unwrap_or(u64::MAX),
            most: budget.memory / 8 / (size_of::<M::State>() + 88),
            verdict: Verdict::Holds,
        }
    }

    /// What can be said so far.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The next line of the history.
    ///
    /// # Errors
    ///
    /// The verdict, once it is no longer `Holds`: at the line that no order explains, and at all
    /// later ones.
    pub fn event(&mut self, event: &Event<M::Op, M::Ret>) -> Result<(), Verdict> {
        if self.verdict.holds()
            && let Err(verdict) = self.next(event)
        {
            self.verdict = verdict;
        }
        self.lines += 1;
        if self.verdict.holds() { Ok(()) } else { Err(self.verdict.clone()) }
    }

    fn next(&mut self, event: &Event<M::Op, M::Ret>) -> Result<(), Verdict> {
        let fate = match &event.what {
            What::Invoke(op) => {
                let track = self.track(op);
                self.open.insert(event.op, track);
                self.tracks[track].begin(&self.model, event, op);
                return Ok(());
            }
            What::Ok(ret) => Fate::Ok(Rc::new(ret.clone())),
            What::Fail(_) => Fate::Failed,
            What::Info => Fate::Unknown,
        };
        // A completion without an invocation is passed over.
        let Some(track) = self.open.remove(&event.op) else { return Ok(()) };
        let track = &mut self.tracks[track];
        let (steps, most) = (&mut self.steps, self.most);
        let Some(culprit) = track.end(&self.model, event.op, fate.clone(), self.lines, steps, most)
        else {
            return Ok(());
        };
        Err(track.verdict(&self.model, culprit, &fate))
    }

    fn track(&mut self, op: &M::Op) -> usize {
        let key = self.model.key(op);
        if let Some(track) = self.keys.get(&key) {
            return *track;
        }
        let frontier = Frontier::new(self.model.initial(&key), self.steps, self.most);
        self.tracks.push(Track {
            now: Point { frontier, slots: Vec::new() },
            pending: Vec::new(),
            log: VecDeque::new(),
            gone: 0,
            fates: FxHashMap::default(),
        });
        self.keys.insert(key, self.tracks.len() - 1);
        self.tracks.len() - 1
    }
}

impl<M: Model> Track<M>
where
    M::Op: Clone,
{
    fn begin(&mut self, model: &M, event: &Event<M::Op, M::Ret>, op: &M::Op) {
        let op = Rc::new(op.clone());
        let Event { op: id, actor, call, .. } = *event;
        let at = self.gone + self.log.len();
        self.log.push_back(Line::Begin(id, Rc::clone(&op)));
        self.fates.insert(id, Fate::Pending);
        let before = self.now.clone();
        self.now.frontier.invoke_unknown(model, id, Rc::clone(&op));
        self.pending.push(Pending { id, actor, call, op, at, before });
    }

    /// An operation completes. If that cannot be, or not be told, the operation and why.
    fn end(
        &mut self,
        model: &M,
        id: u32,
        fate: Fate<M>,
        line: u32,
        steps: &mut u64,
        most: usize,
    ) -> Option<(Pending<M>, Stop)> {
        let place = self.pending.iter().position(|pending| pending.id == id)?;
        let pending = self.pending.remove(place);
        let unknown = matches!(fate, Fate::Unknown);
        if matches!(fate, Fate::Ok(_)) {
            self.log.push_back(Line::End(id, line));
        }
        self.fates.insert(id, fate);
        if !unknown {
            let mut point = pending.before.clone();
            (point.frontier.steps, point.frontier.most) = (*steps, most);
            let outcome = self.replay(model, &mut point, pending.at);
            *steps = point.frontier.steps;
            self.now = point;
            if let Err(stop) = outcome {
                return Some((pending, stop));
            }
        }
        let oldest = self.pending.iter().map(|pending| pending.at).min();
        while self.gone < oldest.unwrap_or(usize::MAX)
            && let Some(line) = self.log.pop_front()
        {
            self.gone += 1;
            if let Line::Begin(id, _) = line {
                self.fates.remove(&id);
            }
        }
        None
    }

    /// Goes through the lines from `at` on, with what is known now.
    fn replay(&mut self, model: &M, point: &mut Point<M>, at: usize) -> Result<(), Stop> {
        for line in self.log.iter().skip(at - self.gone) {
            match line {
                Line::Begin(id, op) => match &self.fates[id] {
                    Fate::Failed => {}
                    Fate::Unknown => point.frontier.invoke_unknown(model, *id, Rc::clone(op)),
                    Fate::Pending => {
                        let mut pending = self.pending.iter_mut();
                        if let Some(pending) = pending.find(|pending| pending.id == *id) {
                            pending.before = point.clone();
                        }
                        point.frontier.invoke_unknown(model, *id, Rc::clone(op));
                    }
                    Fate::Ok(ret) => {
                        let ret = Rc::clone(ret);
                        let slot = point.frontier.invoke(model, *id, Rc::clone(op), ret)?;
                        point.slots.push((*id, slot));
                    }
                },
                Line::End(id, at) => {
                    let place = point.slots.iter().position(|(open, _)| open == id);
                    if let Some(place) = place {
                        let (_, slot) = point.slots.swap_remove(place);
                        point.frontier.complete(model, slot, *at)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, model: &M, (culprit, stop): (Pending<M>, Stop), fate: &Fate<M>) -> Verdict {
        let frontier = &self.now.frontier;
        let why = match stop {
            Stop::Impossible if !frontier.is_lossy() => {
                let Pending { op, actor, call, .. } = culprit;
                let message = match fate {
                    Fate::Ok(ret) => {
                        let mut states: Vec<M::State> = Vec::new();
                        for state in frontier.states() {
                            let fits = model.step(state, &op, Some(ret)).is_some();
                            if !fits && !states.contains(state) {
                                states.push(state.clone());
                            }
                        }
                        let states = or(&list(model, &states));
                        format!(
                            "{op:?} by {actor} (call {call}) returned {ret:?}, but while it ran \
                             the state could only be {states}"
                        )
                    }
                    _ => format!(
                        "{op:?} by {actor} (call {call}) failed, but what others saw has no order \
                         without it"
                    ),
                };
                return Verdict::Violated(Anomaly::new(
                    "linearizable",
                    "not linearizable",
                    message,
                ));
            }
            Stop::Impossible => "too many operations of unknown outcome",
            Stop::OutOfSteps => "the search ended at its bound of steps",
            Stop::OutOfMemory => "the search ended at its bound of memory",
            Stop::Crowded => "more than 128 operations on one object were open",
        };
        Verdict::Unknown(format!("linearizable: {why}"))
    }
}
