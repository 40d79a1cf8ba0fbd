//! Just-in-time linearization, Lowe's: all that an object can have come to by now, kept while the
//! history goes by. Its memory follows how many operations overlap, and not how many there are.
//!
//! Nothing happens when an operation is invoked. When one completes that has not taken effect yet,
//! it must do so now, after any others that are open: an operation can always wait for the first
//! completion that needs it. If that leaves nothing, there is no order, and this completion is the
//! first that shows it.
//!
//! What keeps the set small:
//!
//! - An observer is done, at no cost, in the first state that satisfies it.
//! - A write can count as done without being seen while another write overwrites it at once. So a
//!   configuration remembers which open writes it has *free*, and the search need not try them out
//!   before another write. ([`Model::overwrites`] says which operations are such writes.)
//! - A write goes before another operation only if it satisfies an observer or makes something
//!   possible: if not, it could as well be free.
//! - A configuration goes that another one [`covers`](Config::covers): the same state with more
//!   that is free, and with fewer of the operations of unknown outcome used up.

use super::configs::{Config, Configs, DEAD};
use super::lineage::Lineage;
use super::used::Used;
use crate::Model;
use derive_where::derive_where;
use rustc_hash::FxHashMap;
use std::borrow::Borrow;
use std::rc::Rc;

/// Why a just-in-time search ended before the history did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// No configuration is left.
    Impossible,
    /// No step is left.
    OutOfSteps,
    /// There are more configurations than fit.
    OutOfMemory,
    /// More than 128 operations of one object are open.
    Crowded,
}

/// An open operation that will complete.
#[derive_where(Clone; O, R)]
struct Slot<M: Model, O, R> {
    op: O,
    ret: R,
    number: u32,
    /// The state that it leaves, if it is a write.
    after: Option<M::State>,
    /// The groups of optional writes that would make it possible.
    suppliers: Vec<u32>,
}

/// Operations of unknown outcome that can stand in for each other: writes that leave the same
/// state, or others that the model calls alike.
#[derive_where(Clone; O)]
struct Group<M: Model, O> {
    op: O,
    numbers: Vec<u32>,
    after: Option<M::State>,
    /// Whether it is a write after which an optional operation is possible that is none.
    leads_on: bool,
}

/// Groups that are possible in a state, and the states that they leave.
type Possible<S> = Rc<[(u32, S)]>;

/// How many states that is remembered for.
const POSSIBLE: usize = 4096;

/// A just-in-time search, somewhere in a history.
#[derive_where(Clone; O, R)]
pub(super) struct Frontier<M: Model, O, R> {
    slots: Vec<Option<Slot<M, O, R>>>,
    open: u128,
    observers: u128,
    writes: u128,
    groups: Vec<Group<M, O>>,
    /// The groups of writes, by the state that they leave.
    of_state: FxHashMap<M::State, u32>,
    /// The other groups.
    others: Vec<u32>,
    /// Which of those are possible in a state and change it, and into what.
    possible: FxHashMap<M::State, Possible<M::State>>,
    used: Used,
    now: Configs<M::State>,
    /// What a completion makes of them, and what it passes through.
    next: Configs<M::State>,
    between: Configs<M::State>,
    /// Where each came from, if an order is wanted.
    pub lineage: Option<Lineage>,
    /// Any number of operations may stand in for one of unknown outcome: accepts too much, never
    /// too little.
    pub relaxed: bool,
    /// Nothing is left out for being pointless, so that every state is seen that was possible.
    pub thorough: bool,
    /// How many steps are left.
    pub steps: u64,
    /// How many configurations there may be.
    pub most: usize,
    /// How many there were at most.
    pub peak: usize,
    kept: usize,
}

impl<M: Model, O: Borrow<M::Op>, R: Borrow<M::Ret>> Frontier<M, O, R> {
    /// Before anything happened.
    pub fn new(initial: M::State, steps: u64, most: usize) -> Self {
        let mut now = Configs::default();
        now.list.push(Config { taken: 0, free: 0, used: 0, past: 0, state: initial });
        Self {
            slots: Vec::new(),
            open: 0,
            observers: 0,
            writes: 0,
            groups: Vec::new(),
            of_state: FxHashMap::default(),
            others: Vec::new(),
            possible: FxHashMap::default(),
            used: Used::new(),
            now,
            next: Configs::default(),
            between: Configs::default(),
            lineage: None,
            relaxed: false,
            thorough: false,
            steps,
            most,
            peak: 1,
            kept: 64,
        }
    }

    /// Keeps no more than so many configurations that differ in nothing but the operations of
    /// unknown outcome that they used.
    pub fn keep_variants(&mut self, variants: usize) {
        for configs in [&mut self.now, &mut self.next, &mut self.between] {
            configs.variants = variants;
        }
    }

    /// Every state that is possible now; after [`Stop::Impossible`], those in which the operation
    /// that completed was tried in vain.
    pub fn states(&self) -> impl Iterator<Item = &M::State> {
        let list = if self.now.list.is_empty() { &self.between.list } else { &self.now.list };
        list.iter().filter(|config| config.used != DEAD).map(|config| &config.state)
    }

    /// Whether a configuration was left out that may have been needed: then [`Stop::Impossible`]
    /// proves nothing.
    pub fn is_lossy(&self) -> bool {
        self.now.lossy || self.next.lossy || self.between.lossy
    }

    /// Where some configuration came from, as a node of the lineage.
    pub fn past(&self) -> u32 {
        self.now.list[0].past
    }

    /// An operation begins that will complete with this answer. `number` is what the lineage calls
    /// it. Its slot is free again after [`Frontier::complete`].
    pub fn invoke(&mut self, model: &M, number: u32, op: O, ret: R) -> Result<usize, Stop> {
        let at = (!self.open).trailing_zeros() as usize;
        if at >= u128::BITS as usize {
            return Err(Stop::Crowded);
        }
        let bit = 1 << at;
        let known = Some(ret.borrow());
        let observes = model.observes(op.borrow(), known);
        let after = (!observes && model.overwrites(op.borrow(), known))
            .then(|| model.step(&self.now.list[0].state, op.borrow(), known))
            .flatten();
        let mut suppliers = Vec::new();
        if after.is_none() {
            self.steps = self.steps.saturating_sub(self.groups.len() as u64);
            let groups = (0_u32..).zip(&self.groups);
            suppliers.extend(groups.filter_map(|(nth, group)| {
                let state = group.after.as_ref()?;
                model.step(state, op.borrow(), known).map(|_| nth)
            }));
        }
        self.open |= bit;
        self.observers = if observes { self.observers | bit } else { self.observers & !bit };
        self.writes = if after.is_some() { self.writes | bit } else { self.writes & !bit };
        for config in &mut self.now.list {
            let done = match &after {
                Some(after) => config.state == *after,
                None => observes && model.step(&config.state, op.borrow(), known).is_some(),
            };
            config.free |= if done { bit } else { 0 };
        }
        self.steps = self.steps.saturating_sub(1 + self.now.list.len() as u64);
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some(Slot { op, ret, number, after, suppliers });
        Ok(at)
    }

    /// An operation begins whose outcome stays unknown.
    pub fn invoke_unknown(&mut self, model: &M, number: u32, op: O) {
        if model.observes(op.borrow(), None) {
            return;
        }
        let after = model
            .overwrites(op.borrow(), None)
            .then(|| model.step(&self.now.list[0].state, op.borrow(), None))
            .flatten();
        let nth = self.groups.len() as u32;
        let Some(after) = after else {
            for &other in &self.others {
                let group = &mut self.groups[other as usize];
                if model.alike(group.op.borrow(), op.borrow()) {
                    group.numbers.push(number);
                    return;
                }
            }
            for group in &mut self.groups {
                group.leads_on |= group
                    .after
                    .as_ref()
                    .is_some_and(|state| model.step(state, op.borrow(), None).is_some());
            }
            self.others.push(nth);
            self.possible.clear();
            let numbers = vec![number];
            self.groups.push(Group { op, numbers, after: None, leads_on: false });
            return;
        };
        if let Some(&group) = self.of_state.get(&after) {
            self.groups[group as usize].numbers.push(number);
            return;
        }
        self.of_state.insert(after.clone(), nth);
        let enables = |other: &u32| {
            model.step(&after, self.groups[*other as usize].op.borrow(), None).is_some()
        };
        let leads_on = self.others.iter().any(enables);
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.after.is_none()) {
            if model.step(&after, slot.op.borrow(), Some(slot.ret.borrow())).is_some() {
                slot.suppliers.push(nth);
            }
        }
        self.groups.push(Group { op, numbers: vec![number], after: Some(after), leads_on });
    }

    /// The operation in a slot completes, as event `at`.
    pub fn complete(&mut self, model: &M, slot: usize, at: u32) -> Result<(), Stop> {
        let bit: u128 = 1 << slot;
        if self
            .now
            .list
            .iter()
            .all(|config| (config.taken | config.free & self.observers) & bit != 0)
        {
            return self.close(slot, |now, _| {
                for config in &mut now.list {
                    config.taken &= !bit;
                    config.free &= !bit;
                }
            });
        }
        self.next.optional = self.writes | self.observers;
        self.between.optional = self.writes | self.observers;
        let mut now = std::mem::take(&mut self.now);
        for config in now.list.drain(..) {
            let done = (config.taken | config.free) & bit != 0;
            if done {
                let (taken, free) = (config.taken & !bit, config.free & !bit);
                let done = Config { taken, free, ..config.clone() };
                self.next.insert(done, &self.used);
            }
            // A write that is free may still be wanted to be seen.
            if !done || (config.taken | self.observers) & bit == 0 {
                self.between.insert(config, &self.used);
            }
        }
        self.now = now;
        let mut nth = 0;
        while nth < self.between.list.len() {
            let config = &self.between.list[nth];
            if config.used != DEAD {
                let config = config.clone();
                self.expand(model, &config, slot, at);
            }
            nth += 1;
            let width = self.between.list.len() + self.next.list.len();
            self.peak = self.peak.max(width);
            if self.steps == 0 {
                return Err(Stop::OutOfSteps);
            }
            if width + self.used.len() > self.most {
                return Err(Stop::OutOfMemory);
            }
        }
        self.close(slot, |now, next| {
            now.lossy |= next.lossy;
            next.list.retain(|config| config.used != DEAD);
            std::mem::swap(&mut now.list, &mut next.list);
        })
    }

    /// Frees a slot, and what no configuration remembers.
    fn close(
        &mut self,
        slot: usize,
        settle: impl FnOnce(&mut Configs<M::State>, &mut Configs<M::State>),
    ) -> Result<(), Stop> {
        settle(&mut self.now, &mut self.next);
        self.open &= !(1 << slot);
        self.slots[slot] = None;
        if self.now.list.is_empty() {
            return Err(Stop::Impossible);
        }
        self.next.clear();
        self.between.clear();
        if self.used.len() > 2 * self.kept {
            self.used.keep(self.now.list.iter_mut().map(|config| &mut config.used));
            self.kept = self.used.len().max(1024);
        }
        if let Some(lineage) = &mut self.lineage {
            lineage.tidy(&mut self.now.list);
        }
        Ok(())
    }

    /// Everything that can take effect next in a configuration in which `slot` has not: that one,
    /// which ends the matter, or another before it.
    fn expand(&mut self, model: &M, config: &Config<M::State>, slot: usize, at: u32) {
        let candidates = self.open & !self.observers & !config.taken | 1 << slot;
        let mut rest = candidates;
        while rest != 0 {
            let nth = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            self.steps = self.steps.saturating_sub(1);
            let Some(it) = &self.slots[nth] else { continue };
            let after = match &it.after {
                Some(after) => Some(after.clone()),
                None => model.step(&config.state, it.op.borrow(), Some(it.ret.borrow())),
            };
            let Some(after) = after else { continue };
            let number = it.number;
            let mut next = Config { state: after, ..*config };
            let bit = 1 << nth;
            next.taken |= bit;
            let writes = self.writes & bit != 0;
            let satisfies = self.settle(model, &mut next, writes);
            if nth == slot {
                (next.taken, next.free) = (next.taken & !bit, next.free & !bit);
                next.past = self.descend(config.past, number, at);
                self.next.insert(next, &self.used);
            } else if !writes || satisfies || self.thorough || self.leads_on(model, &next) {
                next.past = self.descend(config.past, number, at);
                self.between.insert(next, &self.used);
            }
        }
        if self.groups.is_empty() {
            return;
        }
        for (group, after) in self.possible(model, &config.state).iter() {
            self.expand_unknown(model, config, *group, after.clone(), at);
        }
        for group in self.of_use(config) {
            let after = self.groups[group as usize].after.clone();
            if let Some(after) = after.filter(|after| *after != config.state) {
                self.expand_unknown(model, config, group, after, at);
            }
        }
    }

    /// The groups of optional writes that are of use: to what waits, or to an optional operation.
    /// Of those that are of use to the same, as few as there may be variants.
    fn of_use(&mut self, config: &Config<M::State>) -> Vec<u32> {
        if self.thorough {
            return (0..self.groups.len() as u32).collect();
        }
        let mut useful: Vec<(u32, u128)> = Vec::new();
        let mut waiting = self.open & !self.writes & !config.taken & !config.free;
        while waiting != 0 {
            let bit = waiting & waiting.wrapping_neg();
            waiting ^= bit;
            if let Some(it) = &self.slots[bit.trailing_zeros() as usize] {
                useful.extend(it.suppliers.iter().map(|group| (*group, bit)));
            }
        }
        if !self.others.is_empty() {
            let all = (0_u32..).zip(&self.groups).filter(|(_, group)| group.leads_on);
            useful.extend(all.map(|(nth, _)| (nth, 0)));
        }
        useful.sort_unstable();
        let mut of_same: Vec<(u128, usize)> = Vec::new();
        let mut kept = Vec::new();
        for same in useful.chunk_by(|(a, _), (b, _)| a == b) {
            let (group, leads_on) = (same[0].0, same[0].1 == 0);
            let left = self.groups[group as usize].numbers.len() as u32;
            if leads_on || self.relaxed {
                kept.push(group);
            } else if self.used.count(config.used, group) < left {
                let to = same.iter().fold(0, |to, (_, bit)| to | bit);
                let place = of_same.iter().position(|(other, _)| *other == to);
                let place = place.unwrap_or_else(|| {
                    of_same.push((to, 0));
                    of_same.len() - 1
                });
                of_same[place].1 += 1;
                if of_same[place].1 <= self.now.variants {
                    kept.push(group);
                } else {
                    self.between.lossy = true;
                }
            }
        }
        kept
    }

    /// One operation of a group of unknown outcome takes effect.
    fn expand_unknown(
        &mut self,
        model: &M,
        config: &Config<M::State>,
        group: u32,
        after: M::State,
        at: u32,
    ) {
        let Group { numbers, after: writes, .. } = &self.groups[group as usize];
        let count = self.used.count(config.used, group) as usize;
        if count >= numbers.len() && !self.relaxed {
            return;
        }
        let (number, writes) = (numbers[count.min(numbers.len() - 1)], writes.is_some());
        let used = if self.relaxed { 0 } else { self.used.with(config.used, group) };
        let mut next = Config { state: after, used, ..*config };
        self.settle(model, &mut next, writes);
        next.past = self.descend(config.past, number, at);
        self.between.insert(next, &self.used);
    }

    /// What is free in a state that has just been reached, by a write or not. Whether an observer
    /// was satisfied that had waited.
    fn settle(&mut self, model: &M, config: &mut Config<M::State>, written: bool) -> bool {
        config.free &= !config.taken;
        let mut rest = self.open & !config.taken & !config.free;
        if written {
            config.free |= rest & self.writes;
            rest &= self.observers;
        } else {
            rest &= self.observers | self.writes;
        }
        let before = config.free & self.observers;
        while rest != 0 {
            let nth = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let Some(it) = &self.slots[nth] else { continue };
            self.steps = self.steps.saturating_sub(1);
            let done = match &it.after {
                Some(after) => config.state == *after,
                None => model.step(&config.state, it.op.borrow(), Some(it.ret.borrow())).is_some(),
            };
            config.free |= if done { 1 << nth } else { 0 };
        }
        config.free & self.observers != before
    }

    /// Whether something is possible here that is no write.
    fn leads_on(&mut self, model: &M, config: &Config<M::State>) -> bool {
        let mut rest = self.open & !self.observers & !self.writes & !config.taken;
        while rest != 0 {
            let nth = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let Some(it) = &self.slots[nth] else { continue };
            self.steps = self.steps.saturating_sub(1);
            if model.step(&config.state, it.op.borrow(), Some(it.ret.borrow())).is_some() {
                return true;
            }
        }
        !self.possible(model, &config.state).is_empty()
    }

    /// The operations of unknown outcome, but for writes, that are possible in a state and change
    /// it.
    fn possible(&mut self, model: &M, state: &M::State) -> Possible<M::State> {
        if self.others.is_empty() {
            return Rc::from([]);
        }
        if let Some(known) = self.possible.get(state) {
            return Rc::clone(known);
        }
        self.steps = self.steps.saturating_sub(self.others.len() as u64);
        let after = |&group: &u32| {
            let op = self.groups[group as usize].op.borrow();
            let after = model.step(state, op, None)?;
            (after != *state).then_some((group, after))
        };
        let found: Possible<M::State> = self.others.iter().filter_map(after).collect();
        if self.possible.len() >= POSSIBLE {
            self.possible.clear();
        }
        self.possible.insert(state.clone(), Rc::clone(&found));
        found
    }

    fn descend(&mut self, past: u32, number: u32, at: u32) -> u32 {
        self.lineage.as_mut().map_or(0, |lineage| lineage.descend(past, number, at))
    }
}
