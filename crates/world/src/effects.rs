//! What each effect does to the world. A fault can fall before, during or after any of them.

use crate::disk::Failing;
use crate::engine::{End, Event, World, nanos};
use crate::fault::{Edge, FaultKind, Faults, SyncFailure};
use crate::machine::{ArmedTimer, Flow, MONOTONIC, Queued};
use crate::origin::OriginId;
use crate::post::Wire;
use crate::trace::Happening;
use history::{Actor, What};
use node::{Effect, Node, NodeId, Step, StepId};
use std::panic::Location;
use std::time::Duration;

/// How long a node is down whose disk is full, if there is room again then.
const DOWN_WHEN_FULL: Duration = Duration::from_millis(50);

impl<N: Node> World<N> {
    /// Applies one effect of a node, with the faults that are placed on it.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        id: NodeId,
        effect: Effect<N>,
        place: &'static Location<'static>,
        origin: OriginId,
    ) -> Flow {
        if !self.plan.is_armed(id) || self.healed {
            return self.perform(id, effect, place, origin, &[]);
        }
        let due = self.plan.due(id, &effect, self.origins.get(origin));
        self.strike_all(&due, Edge::Before);
        self.apply_due(id, effect, place, origin, due)
    }

    /// Applies an effect when what was due before it has struck, unless the process has ended or
    /// must wait by now.
    pub(crate) fn apply_due(
        &mut self,
        id: NodeId,
        effect: Effect<N>,
        place: &'static Location<'static>,
        origin: OriginId,
        due: Vec<(Edge, usize)>,
    ) -> Flow {
        let flow = self.machine(id).flow();
        match flow {
            Flow::On => return self.perform(id, effect, place, origin, &due),
            Flow::Blocked => {
                let queued = Queued { effect, place, origin, due: Some(due) };
                self.machine(id).effects.push_front(queued);
            }
            Flow::Dead => {}
        }
        flow
    }

    #[inline]
    fn perform(
        &mut self,
        id: NodeId,
        effect: Effect<N>,
        place: &'static Location<'static>,
        origin: OriginId,
        due: &[(Edge, usize)],
    ) -> Flow {
        if self.trace.events.is_some() {
            self.record_effect(id, &effect, place, origin);
        }
        match effect {
            Effect::Persist(record) => {
                self.uses.disk = true;
                self.trace.hash(self.now, Happening::Persist, id, &record);
                if let Some(fault) = self.machine(id).disk.full {
                    return self.disk_is_full(id, fault);
                }
                self.machine(id).disk.write(record);
            }
            Effect::Force(record) => {
                self.trace.hash(self.now, Happening::Force, id, &record);
                self.machine(id).disk.write(record);
                return self.sync(id, due);
            }
            Effect::Snapshot(records) => {
                self.trace.hash(self.now, Happening::Snapshot, id, &records);
                self.machine(id).disk.replace(records);
                return self.sync(id, due);
            }
            Effect::Send(to, msg) => self.send_peer(id, to, origin, msg),
            Effect::SetTimer { after, timer, background } => {
                let owner = if background { self.machine(id).boot } else { origin };
                self.set_timer(id, timer, nanos(after), owner);
            }
            Effect::CancelTimer(timer) => {
                self.machine(id).timers.retain(|armed| armed.timer != timer);
            }
            Effect::Reply(request, answer) => self.reply(id, request, answer),
            Effect::Invoke(step, op) => self.invoke_step(id, step, op, origin),
            Effect::Complete(step, outcome) => self.complete_step(id, step, outcome, origin),
            Effect::Mark(label) => self.mark(label),
        }
        self.strike_all(due, Edge::During);
        self.strike_all(due, Edge::After);
        self.machine(id).flow()
    }

    #[inline]
    fn send_peer(&mut self, from: NodeId, to: NodeId, origin: OriginId, msg: N::Msg) {
        if to.index() < self.machines.len() {
            self.send(from, to, origin, Wire::Peer(msg));
        } else {
            self.misuse(from);
        }
    }

    /// A node did what no shell could do for it.
    #[cold]
    pub(crate) fn misuse(&mut self, id: NodeId) {
        self.end = End::Misuse(id);
    }

    /// Arms a timer for so many nanoseconds of the node's own clock; an equal one is void.
    fn set_timer(&mut self, id: NodeId, timer: N::Timer, after: u64, origin: OriginId) {
        self.uses.clock = true;
        self.clock_used(id, MONOTONIC);
        self.timers += 1;
        let key = self.timers;
        let machine = &mut self.machines[id.index()];
        let clock = &machine.clock;
        let at = clock.global(clock.local(self.now).saturating_add(after)).max(self.now);
        self.queue.push(at, Event::Timer { node: id, key });
        match machine.timers.iter_mut().find(|armed| armed.timer == timer) {
            Some(armed) => (armed.key, armed.origin) = (key, origin),
            None => machine.timers.push(ArmedTimer { key, timer, origin }),
        }
    }

    /// Begins the sync of a force or snapshot. While it is slow, the node waits.
    fn sync(&mut self, id: NodeId, due: &[(Edge, usize)]) -> Flow {
        self.uses.disk = true;
        self.strike_all(due, Edge::During);
        let machine = &mut self.machines[id.index()];
        if machine.node.is_none() {
            return Flow::Dead;
        }
        if let Some(fault) = machine.disk.full {
            return self.disk_is_full(id, fault);
        }
        if let Some(failing) = machine.disk.failing.take() {
            return self.disk_fails(id, failing);
        }
        if machine.disk.slow > 0 {
            self.plan.count(Faults::of(&[FaultKind::SlowSync]));
        }
        let cost = self.sync.saturating_add(machine.disk.slow);
        if cost == 0 {
            machine.disk.sync();
            self.changed = Some(id);
            self.strike_all(due, Edge::After);
            return self.machine(id).flow();
        }
        let later = due.iter().filter(|(edge, _)| *edge == Edge::After).map(|(_, fault)| *fault);
        machine.after_sync.extend(later);
        machine.syncing = true;
        machine.syncs += 1;
        let token = machine.syncs;
        self.queue.push(self.now.saturating_add(cost), Event::Synced { node: id, token });
        Flow::Blocked
    }

    /// A sync is done: what waited behind it goes on.
    pub(crate) fn synced(&mut self, id: NodeId, token: u32) {
        let machine = self.machine(id);
        if !machine.syncing || machine.syncs != token {
            return;
        }
        machine.syncing = false;
        machine.disk.sync();
        let (origin, after) = (machine.boot, std::mem::take(&mut machine.after_sync));
        self.changed = Some(id);
        self.note(Happening::Synced, id, origin, &0u8, |_| {});
        for fault in after {
            self.strike(fault);
        }
        self.proceed(id);
    }

    fn disk_is_full(&mut self, id: NodeId, fault: usize) -> Flow {
        let leaves = SyncFailure::Lost;
        self.disk_fails(id, Failing { leaves, fault, down: DOWN_WHEN_FULL })
    }

    /// There is no error to handle: a node whose disk fails ends.
    fn disk_fails(&mut self, id: NodeId, failing: Failing) -> Flow {
        let Failing { leaves, fault, down } = failing;
        self.plan.effective(fault);
        self.machine(id).disk.fail(leaves);
        self.stop(id, fault);
        self.boot_later(id, down);
        Flow::Dead
    }

    fn strike_all(&mut self, due: &[(Edge, usize)], side: Edge) {
        for (edge, fault) in due {
            if *edge == side {
                self.strike(*fault);
            }
        }
    }

    fn invoke_step(&mut self, id: NodeId, step: StepId, op: N::Op, origin: OriginId) {
        let machine = &mut self.machines[id.index()];
        let process = machine.processes.pop().unwrap_or_else(|| {
            self.next_process += 1;
            self.next_process - 1
        });
        let operation = self.operations;
        self.operations += 1;
        machine.open.push((step, operation, process));
        self.note(Happening::Invoke, id, origin, &op, |event| event.text = format!("{op:?}"));
        self.tell_history(operation, Actor::Role(id.0), process, step.nth, What::Invoke(op));
    }

    fn complete_step(&mut self, id: NodeId, step: StepId, outcome: Step<N::Ret>, at: OriginId) {
        let machine = &mut self.machines[id.index()];
        let Some(index) = machine.open.iter().position(|(open, ..)| *open == step) else { return };
        let (_, operation, process) = machine.open.swap_remove(index);
        let what = match outcome {
            Step::Ok(ret) => What::Ok(ret),
            Step::Fail(reason) => What::Fail(reason),
            Step::Info => What::Info,
        };
        if what != What::Info {
            machine.processes.push(process);
        }
        self.note_end(id, at, step, &what);
        self.tell_history(operation, Actor::Role(id.0), process, step.nth, what);
    }

    fn mark(&mut self, label: &'static str) {
        match self.marks.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1,
            None => self.marks.push((label, 1)),
        }
    }

    fn record_effect(
        &mut self,
        id: NodeId,
        effect: &Effect<N>,
        place: &'static Location<'static>,
        origin: OriginId,
    ) {
        let (what, text) = match effect {
            Effect::Persist(record) => (Happening::Persist, format!("{record:?}")),
            Effect::Force(record) => (Happening::Force, format!("{record:?}")),
            Effect::Snapshot(records) => (Happening::Snapshot, format!("{records:?}")),
            Effect::Send(_, msg) => (Happening::Send, format!("{msg:?}")),
            Effect::SetTimer { after, timer, .. } => {
                (Happening::SetTimer, format!("{timer:?} after {after:?}"))
            }
            Effect::CancelTimer(timer) => (Happening::CancelTimer, format!("{timer:?}")),
            Effect::Reply(_, answer) => (Happening::Reply, format!("{answer:?}")),
            Effect::Mark(label) => (Happening::Mark, (*label).to_owned()),
            // These two are recorded where they reach the history.
            Effect::Invoke(..) | Effect::Complete(..) => return,
        };
        let peer = match effect {
            Effect::Send(to, _) => Some(*to),
            Effect::Reply(request, _) => Some(request.client),
            _ => None,
        };
        self.append(what, id, origin, |event| {
            event.text = text;
            event.peer = peer;
            event.source = Some(place);
        });
    }
}
