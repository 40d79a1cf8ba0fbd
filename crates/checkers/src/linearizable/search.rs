//! The search of Wing and Gong, with Lowe's memory: place one operation after the other, each in
//! a state in which the model allows it, and go back where nothing fits.
//!
//! An operation can be next if no other one that is still to be placed had completed before it was
//! invoked. The operations stand in a list in the order of their invocations, so these are the
//! ones from its head on until one was invoked after a completion seen on the way. Placing an
//! operation unlinks it; going back links it in again.
//!
//! What keeps it fast:
//!
//! - An operation that only observes is placed as soon as it fits, and never tried elsewhere: any
//!   order with it later has an equal one with it now.
//! - Operations of unknown outcome are tried after the others, and only where they make a
//!   difference ([`Search::is_pointless`]).
//! - What turned out to lead nowhere, as (operations placed, state), is remembered and not entered
//!   again. An order that the first attempt finds remembers nothing.

use super::part::{Call, OPEN};
use super::taken::Taken;
use crate::Model;
use rustc_hash::FxHashSet;

/// How a search ended.
pub(super) enum End {
    /// There is an order.
    Placed,
    /// There is none, not even of the operations that completed up to event `culprit` with any
    /// others that overlap them. Without that operation there would be one.
    Impossible { culprit: usize },
    /// Neither was found within the steps allowed.
    OutOfSteps,
    /// Neither was found within the memory allowed.
    OutOfMemory,
}

/// An operation to be placed.
struct Entry<'a, M: Model> {
    op: &'a M::Op,
    ret: Option<&'a M::Ret>,
    /// Its number among the operations given.
    nth: usize,
    invoked: usize,
    completed: usize,
    observes: bool,
}

/// Its neighbours among the operations of its kind that are still to be placed.
#[derive(Clone, Copy)]
struct Link {
    next: usize,
    previous: usize,
}

/// An operation that was placed where there may have been a choice.
struct Choice<S> {
    operation: usize,
    /// The earliest completion among those before it in the list.
    bound: usize,
    /// How many had been placed.
    placed: usize,
    /// The state it was placed in.
    state: S,
}

/// The operations of one object, as far as they are placed.
pub(super) struct Search<'a, M: Model, T: Taken> {
    model: &'a M,
    /// The optional ones, which are those of unknown outcome, then those that must be placed.
    entries: Vec<Entry<'a, M>>,
    optional: usize,
    /// Of each entry; then the ends of the two lists.
    links: Vec<Link>,
    /// How many that must be placed are not.
    missing: usize,
    observers: bool,
    taken: T,
    state: M::State,
    /// In the order in which they were placed.
    placed: Vec<usize>,
    choices: Vec<Choice<M::State>>,
    dead: FxHashSet<(T::Key, M::State)>,
    /// The latest completion that was not passed.
    furthest: usize,
    steps: u64,
    /// How many more bytes may be remembered, about.
    pub memory: usize,
    watched: Option<usize>,
    most: usize,
    refusals: Vec<M::State>,
}

impl<'a, M: Model, T: Taken> Search<'a, M, T> {
    /// Nothing is placed yet. The operations come in the order of their invocations.
    pub fn new(
        model: &'a M,
        initial: M::State,
        operations: impl ExactSizeIterator<Item = Call<'a, M>> + Clone,
    ) -> Self {
        let entry = |(nth, Call { op, ret, span }): (usize, Call<'a, M>)| Entry {
            op,
            ret,
            nth,
            invoked: span.invoked as usize,
            completed: if span.completed == OPEN { usize::MAX } else { span.completed as usize },
            observes: model.observes(op, ret),
        };
        let mut entries = Vec::with_capacity(operations.len());
        let operations = operations.enumerate();
        // An observation that nobody received tells nothing.
        entries.extend(
            operations.clone().map(entry).filter(|entry| entry.ret.is_none() && !entry.observes),
        );
        let optional = entries.len();
        entries.extend(operations.map(entry).filter(|entry| entry.ret.is_some()));
        let all = entries.len();
        let mut links = Vec::with_capacity(all + 2);
        links.extend((0..all + 2).map(|i| Link { next: i + 1, previous: i.wrapping_sub(1) }));
        let mut search = Self {
            model,
            optional,
            missing: all - optional,
            observers: entries.iter().any(|entry| entry.observes),
            taken: T::new(optional, all),
            state: initial,
            placed: Vec::with_capacity(all),
            choices: Vec::with_capacity(all),
            dead: FxHashSet::default(),
            furthest: 0,
            steps: 0,
            memory: usize::MAX,
            watched: None,
            most: 0,
            refusals: Vec::new(),
            entries,
            links,
        };
        search.close(0, optional, all);
        search.close(optional, all, all + 1);
        search
    }

    /// Makes a ring of the operations `from..to` and the end of their list.
    fn close(&mut self, from: usize, to: usize, end: usize) {
        let (first, last) = if from == to { (end, end) } else { (from, to - 1) };
        self.links[end] = Link { next: first, previous: last };
        self.links[first].previous = end;
        self.links[last].next = end;
    }

    /// The first operation still to be placed that is optional, or the end of these.
    fn first_optional(&self) -> usize {
        self.links[self.entries.len()].next
    }

    /// The first operation still to be placed that must be, or the end of these.
    fn first(&self) -> usize {
        self.links[self.entries.len() + 1].next
    }

    /// Has [`Search::refusals`] list the states, up to `most` of them, in which the operation that
    /// completed as event `completed` was tried in vain.
    pub fn watch(&mut self, completed: usize, most: usize) {
        self.watched = self.entries.iter().position(|entry| entry.completed == completed);
        self.most = most;
    }

    /// The different states in which the watched operation did not fit.
    pub fn refusals(&self) -> &[M::State] {
        &self.refusals
    }

    /// How many dead ends are remembered.
    pub fn dead_ends(&self) -> usize {
        self.dead.len()
    }

    /// What was placed, in this order, as numbers of the operations given.
    pub fn order(&self) -> impl Iterator<Item = usize> {
        self.placed.iter().map(|&i| self.entries[i].nth)
    }

    /// Searches for an order, in at most `steps` steps, which it counts down.
    pub fn run(&mut self, steps: &mut u64) -> End {
        self.steps = *steps;
        let end = self.place_all();
        *steps = self.steps;
        end
    }

    fn place_all(&mut self) -> End {
        loop {
            self.place_observers();
            if self.missing == 0 {
                return End::Placed;
            }
            if self.is_dead() || !self.place_next(None) {
                // What is given up at once is found out again as quickly as it is looked up.
                let mut remember = false;
                loop {
                    let Some(choice) = self.go_back(remember) else {
                        return End::Impossible { culprit: self.furthest };
                    };
                    if self.place_next(Some(choice)) {
                        break;
                    }
                    remember = true;
                }
            }
            if self.steps == 0 {
                return End::OutOfSteps;
            }
            if self.memory == 0 {
                return End::OutOfMemory;
            }
        }
    }

    /// Places every observer that fits and can be next.
    fn place_observers(&mut self) {
        if !self.observers {
            return;
        }
        let (mut i, mut bound) = (self.first(), usize::MAX);
        while i < self.entries.len() && self.entries[i].invoked < bound {
            let next = self.links[i].next;
            if self.entries[i].observes && self.step(i).is_some() {
                self.place(i);
            } else {
                bound = bound.min(self.entries[i].completed);
            }
            i = next;
        }
    }

    /// Places the next operation that fits: after the given choice was taken back, another one.
    fn place_next(&mut self, instead: Option<(usize, usize)>) -> bool {
        let (mut i, mut bound) = match instead {
            None => (self.first(), usize::MAX),
            Some((last, bound)) => (self.links[last].next, bound.min(self.entries[last].completed)),
        };
        if instead.is_none_or(|(last, _)| last >= self.optional) {
            if self.place_one_from(i, &mut bound) {
                return true;
            }
            self.furthest = self.furthest.max(bound);
            i = self.first_optional();
        }
        self.place_one_from(i, &mut bound)
    }

    /// Places the first operation that fits, from `i` on to the end of its list or to the first
    /// one that cannot be next; `bound` becomes the earliest completion that was passed.
    fn place_one_from(&mut self, mut i: usize, bound: &mut usize) -> bool {
        while i < self.entries.len() && self.entries[i].invoked < *bound {
            if !self.entries[i].observes
                && let Some(next) = self.step(i)
                && !self.is_pointless(i, &next)
            {
                let state = std::mem::replace(&mut self.state, next);
                let placed = self.placed.len();
                self.choices.push(Choice { operation: i, bound: *bound, placed, state });
                self.place(i);
                return true;
            }
            *bound = (*bound).min(self.entries[i].completed);
            i = self.links[i].next;
        }
        false
    }

    /// Whether another order does as well without an optional operation, if `i`, which leads to
    /// `next`, is placed now: because `i` is that operation and changes nothing, or because it is
    /// the last one placed and `i` would lead to the same state without it.
    ///
    /// Leaving such orders out is right although they are remembered as dead: an order with the
    /// fewest optional operations of all is never pointless, however its beginning is reached.
    fn is_pointless(&mut self, i: usize, next: &M::State) -> bool {
        if i < self.optional && *next == self.state {
            return true;
        }
        let Some(last) = self.choices.last() else { return false };
        if last.operation >= self.optional || self.placed.len() > last.placed + 1 {
            return false;
        }
        self.steps = self.steps.saturating_sub(1);
        let Entry { op, ret, .. } = self.entries[i];
        self.model.step(&last.state, op, ret).is_some_and(|without| without == *next)
    }

    /// The state after operation `i`, if it fits.
    fn step(&mut self, i: usize) -> Option<M::State> {
        self.steps = self.steps.saturating_sub(1);
        let next = self.model.step(&self.state, self.entries[i].op, self.entries[i].ret);
        if next.is_none()
            && self.watched == Some(i)
            && self.refusals.len() < self.most
            && !self.refusals.contains(&self.state)
        {
            self.refusals.push(self.state.clone());
        }
        next
    }

    fn place(&mut self, i: usize) {
        let Link { next, previous } = self.links[i];
        self.links[previous].next = next;
        self.links[next].previous = previous;
        self.taken.flip(i);
        self.placed.push(i);
        self.missing -= usize::from(i >= self.optional);
    }

    /// Undoes the last choice and what was observed after it, and says which it was. If
    /// `remember`, what it led to is not entered again.
    fn go_back(&mut self, remember: bool) -> Option<(usize, usize)> {
        let Choice { operation, bound, placed, state } = self.choices.pop()?;
        let dead = std::mem::replace(&mut self.state, state);
        if remember {
            self.steps = self.steps.saturating_sub(super::DEAD_END);
            let key = self.taken.key(self.first());
            // A table is half empty at times.
            let bytes = T::bytes(&key) + 2 * size_of::<(T::Key, M::State)>();
            self.memory = self.memory.saturating_sub(bytes);
            self.dead.insert((key, dead));
        }
        // In the reverse order, so that each finds its neighbours as it left them.
        for i in self.placed.drain(placed..).rev() {
            let Link { next, previous } = self.links[i];
            self.links[previous].next = i;
            self.links[next].previous = i;
            self.taken.flip(i);
            self.missing += usize::from(i >= self.optional);
        }
        Some((operation, bound))
    }

    fn is_dead(&self) -> bool {
        !self.dead.is_empty()
            && self.dead.contains(&(self.taken.key(self.first()), self.state.clone()))
    }
}
