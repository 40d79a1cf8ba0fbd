//! The shrinker: works on the case as data, never by drawing again. What is left is 1-minimal: no
//! call, fault or client can be left out without losing the signature, nor a node where the
//! scenario says how one is. Unless a bound ended it: then it is the best case so far.

mod simpler;

use crate::engine::Runner;
use crate::judge::Record;
use crate::scenario::{CaseFor, OpOf, Scenario};
use node::{EffectKind, NodeId};
use simpler::{shorter, simpler};
use std::collections::BTreeMap;
use std::time::Duration;
use world::case::Profile;
use world::parts::STEP_LIMIT;
use world::{
    Address, Case, Edge, EffectPattern, Fault, Happening, Kind, Origin, Place, TraceEvent,
};

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk<C> {
    /// The smallest case found.
    pub case: C,
    /// Candidates that were run.
    pub runs: u64,
    /// Engine steps that they took.
    pub steps: u64,
    /// Calls and faults before, random fates counted as faults.
    pub before: (usize, usize),
    /// Calls and faults after.
    pub after: (usize, usize),
}

/// Runs after which the best case so far is taken.
const MOST_RUNS: u64 = 20_000;

/// Engine steps after which it is taken, for a run may be a thousand times as long as another one.
pub(crate) const MOST_STEPS: u64 = 100_000_000;

/// A run that takes so many times the steps of the one that is made smaller shows something else,
/// and one that makes no end is known by such a part of it.
const LONGER: u64 = 16;

/// Makes a case smaller while its signature stays the same. A case that does not show the signature
/// comes back as it is.
pub fn shrink<S: Scenario>(scenario: &S, case: CaseFor<S>, signature: &str) -> Shrunk<CaseFor<S>> {
    shrink_on(Runner::new(scenario, None), case, signature)
}

pub(crate) fn shrink_on<S: Scenario>(
    runner: Runner<'_, S>,
    case: CaseFor<S>,
    signature: &str,
) -> Shrunk<CaseFor<S>> {
    let (outcome, record) = runner.record(&case);
    let before = (case.calls.len(), case.faults.len() + record.drawn.len());
    let steps = match outcome.steps {
        STEP_LIMIT.. => STEP_LIMIT / LONGER,
        steps => steps.saturating_mul(LONGER),
    };
    let bounded = runner.within(steps);
    let mut shrinker =
        Shrinker { runner: bounded, signature, best: case.clone(), runs: 0, steps: 0 };
    shrinker.run();
    if !shrinker.shows(runner) {
        // It is not what the whole run shows.
        (shrinker.runner, shrinker.best) = (runner, case);
        shrinker.run();
    }
    let Shrinker { best: case, runs, steps, .. } = shrinker;
    Shrunk { after: (case.calls.len(), case.faults.len()), case, runs, steps, before }
}

struct Shrinker<'a, S: Scenario> {
    runner: Runner<'a, S>,
    signature: &'a str,
    best: CaseFor<S>,
    runs: u64,
    steps: u64,
}

impl<S: Scenario> Shrinker<'_, S> {
    fn run(&mut self) {
        self.pin_calls();
        self.pin_faults();
        self.drop_calls();
        self.place_fates();
        loop {
            let before = self.best.clone();
            self.drop_faults();
            self.pin_calls();
            self.pin_faults();
            self.drop_calls();
            self.drop_nodes();
            self.drop_clients();
            self.calm();
            self.simplify_faults();
            self.name_places();
            self.simplify_values();
            if self.best == before {
                self.drop_pairs();
            }
            if self.best == before || self.is_spent() {
                return;
            }
        }
    }

    /// Lets every call begin at the time at which it really begins, so that the end of a client's
    /// earlier call no longer matters to it.
    fn pin_calls(&mut self) {
        let (_, record) = self.runner.record(&self.best);
        let begins = record.events.iter().filter_map(|event| match (event.what, event.origin) {
            (Happening::Invoke, Some(Origin::Call(call))) if event.incarnation == 0 => {
                Some((call, Duration::from_nanos(event.at)))
            }
            _ => None,
        });
        let begins: BTreeMap<u32, Duration> = begins.collect();
        self.edit(|case| {
            for call in &mut case.calls {
                call.at = begins.get(&call.id).copied().unwrap_or(call.at);
            }
        });
    }

    /// Lets faults that strike at an effect strike at its time, so that counting effects no longer
    /// ties them to calls that have nothing to do with them. They get named places in the end.
    fn pin_faults(&mut self) {
        let (_, record) = self.runner.record(&self.best);
        for index in 0..self.best.faults.len() {
            let fault = &self.best.faults[index];
            if let (Place::Effect { .. }, Some(at)) = (&fault.place, struck(&record.events, fault))
            {
                let after = Duration::from_nanos(record.events[at].at + 1);
                self.edit(|case| case.faults[index].place = Place::At(after));
            }
        }
    }

    /// What cannot be left out alone may be left out in pairs: a call and a fault, two calls, two
    /// faults.
    fn drop_pairs(&mut self) {
        let mut first = 0;
        while first < self.best.calls.len() + self.best.faults.len() {
            let mut second = first + 1;
            while second < self.best.calls.len() + self.best.faults.len() {
                let calls = self.best.calls.len();
                let took = self.edit(|case| {
                    for index in [second, first] {
                        if index >= calls && index - calls < case.faults.len() {
                            case.faults.remove(index - calls);
                        } else if index < calls {
                            drop_call(case, index..index + 1);
                        }
                    }
                });
                if !took {
                    second += 1;
                }
            }
            first += 1;
        }
    }

    fn is_spent(&self) -> bool {
        self.runs >= MOST_RUNS || self.steps >= MOST_STEPS
    }

    /// Takes a candidate if it still shows the signature.
    fn offer(&mut self, candidate: CaseFor<S>) -> bool {
        if self.is_spent()
            || candidate == self.best
            || candidate.calls.is_empty()
            || candidate.check().is_err()
            || !self.runner.scenario().valid(&candidate)
        {
            return false;
        }
        self.runs += 1;
        let best = std::mem::replace(&mut self.best, candidate);
        let same = self.shows(self.runner);
        if !same {
            self.best = best;
        }
        same
    }

    /// Whether the best case shows the signature.
    fn shows(&mut self, runner: Runner<'_, S>) -> bool {
        let outcome = runner.judge(&self.best);
        self.steps += outcome.steps;
        outcome.verdict.anomaly().is_some_and(|a| a.signature() == self.signature)
    }

    fn edit(&mut self, edit: impl FnOnce(&mut CaseFor<S>)) -> bool {
        let mut candidate = self.best.clone();
        edit(&mut candidate);
        self.offer(candidate)
    }

    /// Leaves out runs of a list: halves first, then smaller ones, then single ones.
    fn drop_runs(
        &mut self,
        length: impl Fn(&CaseFor<S>) -> usize,
        drop: impl Fn(&mut CaseFor<S>, std::ops::Range<usize>),
    ) {
        let mut size = length(&self.best).div_ceil(2).max(1);
        loop {
            let mut end = length(&self.best);
            while end > 0 {
                let start = end.saturating_sub(size);
                self.edit(|case| drop(case, start..end));
                end = start.min(length(&self.best));
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn drop_calls(&mut self) {
        self.drop_runs(|case| case.calls.len(), drop_call);
    }

    fn drop_faults(&mut self) {
        self.drop_runs(|case| case.faults.len(), |case, range| drop(case.faults.drain(range)));
    }

    /// Turns random fates into placed ones, which can be left out one by one.
    fn place_fates(&mut self) {
        if self.best.network.fates().is_empty() {
            return;
        }
        let (_, record) = self.runner.record(&self.best);
        let Record { drawn, .. } = record;
        self.edit(|case| {
            case.network = case.network.calm();
            let free = case.faults.iter().map(|fault| fault.id + 1).max().unwrap_or(0);
            let placed = (free..).zip(drawn).map(|(id, drawn)| Fault {
                id,
                place: Place::Message(drawn.address),
                kind: drawn.kind,
            });
            case.faults.extend(placed);
        });
    }

    fn drop_nodes(&mut self) {
        for node in (0..self.best.nodes.len() as u16).rev().map(NodeId) {
            let Some(nodes) = self.runner.scenario().without_node(&self.best.nodes, node) else {
                continue;
            };
            let mut candidate = self.best.clone();
            candidate.nodes = nodes;
            candidate.faults.retain(|fault| !strikes(fault, node));
            candidate.faults.iter_mut().for_each(|fault| leave_out(fault, node));
            candidate.calls.retain(|call| call.to != node);
            for call in &mut candidate.calls {
                self.runner.scenario().fit(&mut call.op, &candidate.nodes);
            }
            renumber(&mut candidate, |n| if n > node { NodeId(n.0 - 1) } else { n });
            self.offer(candidate);
        }
    }

    /// Clients without a call go; then calls move to clients with a smaller number.
    fn drop_clients(&mut self) {
        for client in (0..self.best.clients.count).rev() {
            let servers = self.best.nodes.len() as u16;
            let machine = NodeId(servers + client);
            let used = self.best.calls.iter().any(|call| call.client == client);
            let mut candidate = self.best.clone();
            if used {
                if client == 0 {
                    continue;
                }
                let calls = candidate.calls.iter_mut();
                calls.filter(|c| c.client == client).for_each(|c| c.client = client - 1);
            }
            if candidate.clients.count == 1 {
                continue;
            }
            candidate.clients.count -= 1;
            for call in candidate.calls.iter_mut().filter(|c| c.client > client) {
                call.client -= 1;
            }
            if !used {
                candidate.faults.retain(|fault| !strikes(fault, machine));
                candidate.faults.iter_mut().for_each(|fault| leave_out(fault, machine));
            }
            let moved = |n: NodeId| n > machine || n == machine && used;
            renumber(&mut candidate, |n| if moved(n) { NodeId(n.0 - 1) } else { n });
            self.offer(candidate);
        }
    }

    /// Plainer links and disks.
    fn calm(&mut self) {
        self.edit(|case| case.network.profile = Profile::Datagram);
        self.edit(|case| case.sync = Duration::ZERO);
        self.edit(|case| {
            case.network.fastest = Duration::from_millis(1);
            case.network.slowest = Duration::from_millis(1);
        });
        self.edit(|case| case.network.slowest = case.network.fastest);
    }

    fn simplify_faults(&mut self) {
        for index in 0..self.best.faults.len() {
            for kind in simpler(&self.best.faults[index].kind) {
                if self.edit(|case| case.faults[index].kind = kind) {
                    break;
                }
            }
        }
    }

    /// Places a fault that strikes at a time, or at any effect, on the named effect beside it: a
    /// repro then reads as a story, and survives other timings.
    fn name_places(&mut self) {
        for index in 0..self.best.faults.len() {
            let fault = self.best.faults[index].clone();
            let named = match &fault.place {
                Place::At(_) => false,
                Place::Effect { effect, .. } => effect.variant.is_some(),
                Place::Message(_) | Place::Call(_) => continue,
            };
            let clock = matches!(
                fault.kind,
                Kind::Rate { .. } | Kind::WallOffset { .. } | Kind::WallDrift { .. }
            );
            if named || clock {
                continue;
            }
            let (_, record) = self.runner.record(&self.best);
            for place in beside(&record.events, &fault) {
                if self.edit(|case| case.faults[index].place = place) {
                    break;
                }
            }
        }
    }

    fn simplify_values(&mut self) {
        for index in 0..self.best.calls.len() {
            self.simplify_op(index);
            let at = self.best.calls[index].at;
            for simpler in shorter(at) {
                if self.edit(|case| case.calls[index].at = simpler) {
                    break;
                }
            }
        }
        for index in 0..self.best.faults.len() {
            if let Place::At(at) = self.best.faults[index].place {
                let whole = Duration::from_millis(at.as_millis() as u64);
                self.edit(|case| case.faults[index].place = Place::At(whole));
            }
        }
    }

    /// Integers of an operation towards 0, and its lists shorter.
    fn simplify_op(&mut self, index: usize) {
        let mut place = 0;
        loop {
            let Ok(value) = toml::Value::try_from(&self.best.calls[index].op) else { return };
            let mut candidates = Vec::new();
            let mut leaf = 0;
            vary(&value, &mut leaf, place, &mut candidates);
            if place >= leaf {
                return;
            }
            let took = candidates.into_iter().any(|value| {
                let Ok(mut op) = value.try_into::<OpOf<S>>() else { return false };
                self.runner.scenario().fit(&mut op, &self.best.nodes);
                self.edit(|case| case.calls[index].op = op)
            });
            if !took {
                place += 1;
            }
        }
    }
}

/// Leaves calls out, with what struck them.
fn drop_call<Op, Config>(case: &mut Case<Op, Config>, range: std::ops::Range<usize>) {
    let gone: Vec<u32> = case.calls.drain(range).map(|call| call.id).collect();
    case.faults.retain(|fault| match fault.place {
        Place::Call(call)
        | Place::Message(Address { origin: Origin::Call(call), .. })
        | Place::Effect { origin: Some(Origin::Call(call)), .. } => !gone.contains(&call),
        _ => true,
    });
}

/// Simpler values in the place of leaf number `wanted`, and of the list that begins there.
fn vary(value: &toml::Value, leaf: &mut usize, wanted: usize, found: &mut Vec<toml::Value>) {
    let mine = *leaf;
    match value {
        toml::Value::Integer(n) => {
            *leaf += 1;
            if mine == wanted && *n != 0 {
                found.extend([0, 1, n / 2, n - n.signum()].map(toml::Value::Integer));
                found.retain(|v| v.as_integer().is_some_and(|v| v.abs() < n.abs()));
            }
        }
        toml::Value::Array(items) => {
            *leaf += 1;
            if mine == wanted {
                for at in 0..items.len() {
                    let mut fewer = items.clone();
                    fewer.remove(at);
                    found.push(toml::Value::Array(fewer));
                }
            }
            for (at, item) in items.iter().enumerate() {
                nested(item, leaf, wanted, found, |value| {
                    let mut items = items.clone();
                    items[at] = value;
                    toml::Value::Array(items)
                });
            }
        }
        toml::Value::Table(table) => {
            for (key, item) in table {
                nested(item, leaf, wanted, found, |value| {
                    let mut table = table.clone();
                    table.insert(key.clone(), value);
                    toml::Value::Table(table)
                });
            }
        }
        _ => {}
    }
}

fn nested(
    item: &toml::Value,
    leaf: &mut usize,
    wanted: usize,
    found: &mut Vec<toml::Value>,
    wrap: impl Fn(toml::Value) -> toml::Value,
) {
    let mut inner = Vec::new();
    vary(item, leaf, wanted, &mut inner);
    found.extend(inner.into_iter().map(wrap));
}

/// Whether a fault is about a machine alone and goes with it.
fn strikes(fault: &Fault, machine: NodeId) -> bool {
    let mut kind = fault.kind.clone();
    let nodes = kind.nodes_mut();
    let about = !nodes.is_empty() && nodes.iter().all(|node| **node == machine);
    about
        || match &fault.place {
            Place::Effect { node, .. } => *node == machine,
            Place::Message(address) => address.from == machine || address.to == machine,
            Place::At(_) | Place::Call(_) => false,
        }
}

/// Takes a machine out of the faults that strike several.
fn leave_out(fault: &mut Fault, machine: NodeId) {
    if let Kind::Cut { nodes, .. } | Kind::PowerLoss { nodes, .. } = &mut fault.kind {
        nodes.retain(|node| *node != machine);
    }
}

/// Gives every machine that a case names another number.
fn renumber<Op, Config>(case: &mut Case<Op, Config>, to: impl Fn(NodeId) -> NodeId) {
    for call in &mut case.calls {
        call.to = to(call.to);
    }
    for fault in &mut case.faults {
        for node in fault.kind.nodes_mut() {
            *node = to(*node);
        }
        match &mut fault.place {
            Place::Effect { node, origin, .. } => {
                *node = to(*node);
                renumber_origin(origin.as_mut(), &to);
            }
            Place::Message(address) => {
                address.from = to(address.from);
                address.to = to(address.to);
                renumber_origin(Some(&mut address.origin), &to);
            }
            Place::At(_) | Place::Call(_) => {}
        }
    }
}

fn renumber_origin(origin: Option<&mut Origin>, to: &impl Fn(NodeId) -> NodeId) {
    if let Some(Origin::Boot(node)) = origin {
        *node = to(NodeId(*node)).0;
    }
}

/// The event at which a fault struck.
fn struck(events: &[TraceEvent], fault: &Fault) -> Option<usize> {
    let origin = Some(Origin::Fault(fault.id));
    events.iter().position(|event| event.what == Happening::Fault && event.origin == origin)
}

/// The effects right before and right after a fault struck, as places for it.
fn beside(events: &[TraceEvent], fault: &Fault) -> Vec<Place> {
    let Some(at) = struck(events, fault) else { return Vec::new() };
    let node = events[at].node;
    let effect = |event: &TraceEvent| -> Option<EffectKind> {
        if event.node != node {
            return None;
        }
        match event.what {
            Happening::Force => Some(EffectKind::Force),
            Happening::Send => Some(EffectKind::Send),
            Happening::Persist => Some(EffectKind::Persist),
            Happening::Reply => Some(EffectKind::Reply),
            _ => None,
        }
    };
    let name = |event: &TraceEvent| -> String {
        event.text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let place = |index: usize, edge: Edge| -> Option<Place> {
        let kind = effect(&events[index])?;
        let variant = name(&events[index]);
        // Within one call the count stays the same whatever other calls do.
        let origin = events[index].origin.filter(|origin| matches!(origin, Origin::Call(_)));
        let same = events[..=index]
            .iter()
            .filter(|e| effect(e) == Some(kind) && name(e) == variant)
            .filter(|e| origin.is_none() || e.origin == origin)
            .count();
        Some(Place::Effect {
            edge,
            node,
            effect: EffectPattern { kind: Some(kind), variant: Some(variant) },
            origin,
            nth: same as u32,
        })
    };
    let before = (0..at).rev().find(|i| effect(&events[*i]).is_some());
    let after = (at + 1..events.len()).find(|i| effect(&events[*i]).is_some());
    let mut places = Vec::new();
    if let Some(index) = before {
        places.extend(place(index, Edge::After));
        places.extend(place(index, Edge::During));
    }
    if let Some(index) = after {
        places.extend(place(index, Edge::Before));
    }
    places
}
