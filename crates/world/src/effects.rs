//! What each effect does to the world. A fault can fall before, during or after any of them.

use crate::clients::Status;
use crate::engine::{ArmedTimer, End, Event, Flow, Wire, World, nanos};
use crate::fault::{Edge, SyncFailure};
use crate::origin::OriginId;
use crate::trace::Happening;
use history::{Actor, What};
use node::{Answer, Effect, Node, NodeId, Reason, RequestId, Step, StepId};
use std::panic::Location;

impl<N: Node> World<N> {
    /// Applies one effect of a node, with the faults that are placed on it.
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
        match self.flow(id) {
            Flow::On => self.perform(id, effect, place, origin, &due),
            Flow::Blocked => {
                self.machines[id.index()].effects.push_front((effect, place, origin));
                Flow::Blocked
            }
            Flow::Dead => Flow::Dead,
        }
    }

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
                let machine = &mut self.machines[id.index()];
                if machine.disk.full {
                    self.disk_fails(id, SyncFailure::Lost);
                } else {
                    machine.disk.write(record);
                }
            }
            Effect::Force(record) => {
                self.trace.hash(self.now, Happening::Force, id, &record);
                self.machines[id.index()].disk.write(record);
                return self.sync(id, due);
            }
            Effect::Snapshot(records) => {
                self.trace.hash(self.now, Happening::Snapshot, id, &records);
                self.machines[id.index()].disk.replace(records);
                return self.sync(id, due);
            }
            Effect::Send(to, msg) => self.send_peer(id, to, origin, msg),
            Effect::SetTimer { after, timer, background } => {
                self.uses.clock = true;
                let machine = &self.machines[id.index()];
                let owner = if background { machine.boot } else { origin };
                let clock = &machine.clock;
                let at = clock.global(clock.local(self.now).saturating_add(nanos(after)));
                self.set_timer(id, timer, at.max(self.now), owner);
            }
            Effect::CancelTimer(timer) => {
                self.machines[id.index()].timers.retain(|armed| armed.timer != timer);
            }
            Effect::Reply(request, answer) => self.reply(id, request, answer),
            Effect::Invoke(step, op) => self.invoke_step(id, step, op, origin),
            Effect::Complete(step, outcome) => self.complete_step(id, step, outcome, origin),
            Effect::Mark(label) => self.mark(label),
        }
        self.strike_all(due, Edge::During);
        self.strike_all(due, Edge::After);
        self.flow(id)
    }

    fn send_peer(&mut self, from: NodeId, to: NodeId, origin: OriginId, msg: N::Msg) {
        if to.index() < self.machines.len() {
            self.send(from, to, origin, Wire::Peer(msg));
        } else {
            self.end = End::Misuse(from);
        }
    }

    fn set_timer(&mut self, id: NodeId, timer: N::Timer, at: u64, origin: OriginId) {
        let key = self.new_timer(id, at);
        let timers = &mut self.machines[id.index()].timers;
        match timers.iter_mut().find(|armed| armed.timer == timer) {
            Some(armed) => (armed.key, armed.origin) = (key, origin),
            None => timers.push(ArmedTimer { key, timer, origin }),
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
        if machine.disk.full {
            return self.disk_fails(id, SyncFailure::Lost);
        }
        if let Some((leaves, fault)) = machine.disk.failing.take() {
            self.plan.effective(fault as usize);
            return self.disk_fails(id, leaves);
        }
        let cost = self.sync + machine.disk.slow;
        if machine.disk.slow > 0 {
            self.plan.slow_sync();
        }
        let later = due.iter().filter(|(edge, _)| *edge == Edge::After).map(|(_, fault)| *fault);
        if cost == 0 {
            machine.disk.sync();
            self.changed = Some(id);
            self.strike_all(due, Edge::After);
            return self.flow(id);
        }
        machine.after_sync.extend(later);
        machine.syncing = true;
        machine.syncs += 1;
        let token = machine.syncs;
        self.queue.push(self.now + cost, Event::Synced { node: id, token });
        Flow::Blocked
    }

    /// A sync is done: what waited behind it goes on.
    pub(crate) fn synced(&mut self, id: NodeId, token: u32) {
        let machine = &mut self.machines[id.index()];
        if !machine.syncing || machine.syncs != token {
            return;
        }
        machine.syncing = false;
        machine.disk.sync();
        self.changed = Some(id);
        for fault in std::mem::take(&mut self.machines[id.index()].after_sync) {
            self.strike(fault);
        }
        let origin = self.machines[id.index()].boot;
        self.note(Happening::Synced, id, origin, &0u8, |_| {});
        self.proceed(id);
    }

    /// There is no error to handle: a node whose disk fails ends.
    fn disk_fails(&mut self, id: NodeId, leaves: SyncFailure) -> Flow {
        let machine = &mut self.machines[id.index()];
        let down = machine.disk.down_after_failure;
        if machine.disk.full {
            self.plan.full_disk();
        }
        machine.disk.fail(leaves);
        self.stop(id, None);
        self.boot_later(id, down);
        Flow::Dead
    }

    /// Whether a node's effects go on.
    pub(crate) fn flow(&self, id: NodeId) -> Flow {
        let machine = &self.machines[id.index()];
        if machine.node.is_none() && self.running != Some(id) {
            Flow::Dead
        } else if machine.syncing || machine.paused.is_some() {
            Flow::Blocked
        } else {
            Flow::On
        }
    }

    fn strike_all(&mut self, due: &[(Edge, usize)], side: Edge) {
        for (edge, fault) in due {
            if *edge == side {
                self.strike(*fault);
            }
        }
    }

    fn reply(&mut self, id: NodeId, request: RequestId, answer: Answer<N::Ret>) {
        self.trace.hash(self.now, Happening::Reply, id, &(request, &answer));
        let call = self.clients.find(request);
        let Some(call) = call.filter(|c| self.clients.calls[*c as usize].asked & 1 << id.0 != 0)
        else {
            self.end = End::Misuse(id);
            return;
        };
        let reply = self.clients.calls[call as usize].attempts.reply();
        let origin = OriginId(self.first_call + call);
        self.send(id, request.client, origin, Wire::Answer(request, answer, reply));
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
        let happening = match &what {
            What::Ok(_) | What::Invoke(_) => Happening::Ok,
            What::Fail(_) => Happening::Fail,
            What::Info => Happening::Info,
        };
        self.note(happening, id, at, &step, |event| event.text = describe(&what));
        self.tell_history(operation, Actor::Role(id.0), process, step.nth, what);
    }

    pub(crate) fn tell_history(
        &mut self,
        op: u32,
        actor: Actor,
        process: u32,
        call: u32,
        what: What<N::Op, N::Ret>,
    ) {
        self.history.events.push(history::Event { at: self.now, op, actor, process, call, what });
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

    /// Begins a client's next call.
    pub(crate) fn begin(&mut self, client: u16) {
        let state = &mut self.clients.clients[usize::from(client)];
        if state.busy.is_some() {
            return;
        }
        let Some(index) = state.waiting.pop() else { return };
        state.busy = Some(index);
        let process = state.process;
        let operation = self.operations;
        self.operations += 1;
        let call = &mut self.clients.calls[index as usize];
        call.status = Status::Open(operation);
        let (id, op) = (call.id, call.op.clone());
        let origin = OriginId(self.first_call + index);
        let machine = self.clients.machine(index);
        self.note(Happening::Invoke, machine, origin, &(id, &op), |event| {
            event.text = format!("{op:?}");
        });
        self.tell_history(operation, Actor::Client(client), process, id, What::Invoke(op));
        self.attempt(index);
        let patience = nanos(self.clients.config.give_up);
        self.queue.push(self.now + patience, Event::GiveUp { call: index });
        self.trouble_call(index, id);
    }

    /// Sends the request of a call, for the first time or again.
    fn attempt(&mut self, index: u32) {
        let request = self.clients.request(index);
        let call = &self.clients.calls[index as usize];
        let (to, op) = (call.to, call.op.clone());
        let origin = OriginId(self.first_call + index);
        self.send(request.client, to, origin, Wire::Request(request, op));
    }

    /// A retry or a duplicate of a call that is still open.
    pub(crate) fn resend(&mut self, call: u32) {
        if let Status::Open(_) = self.clients.calls[call as usize].status {
            self.attempt(call);
        }
    }

    /// An answer reaches its client.
    pub(crate) fn answered(
        &mut self,
        from: NodeId,
        request: RequestId,
        answer: Answer<N::Ret>,
        reply: u32,
    ) {
        let Some(index) = self.clients.find(request) else { return };
        let call = &mut self.clients.calls[index as usize];
        if !call.attempts.arrive(reply) || !matches!(call.status, Status::Open(_)) {
            return;
        }
        let certain = call.attempts.all_answered() || self.clients.config.deduplicated;
        match answer {
            Answer::Ok(ret) => self.complete(index, What::Ok(ret)),
            Answer::Fail(reason) if certain => self.complete(index, What::Fail(reason)),
            Answer::Fail(_) => self.complete(index, What::Info),
            Answer::Retry(hint) => {
                let nodes = self.machines.len() as u16;
                let next = hint.unwrap_or(NodeId((from.0 + 1) % nodes));
                call.to = if next.0 < nodes { next } else { NodeId(0) };
                call.forwarded += 1;
                // Slower each time, so that a cluster without a leader is not stormed.
                let pause = 1_000_000 << call.forwarded.min(8);
                self.queue.push(self.now + pause, Event::Resend { call: index });
            }
        }
    }

    /// A call without an answer: its outcome stays unknown.
    pub(crate) fn give_up(&mut self, call: u32) {
        self.complete(call, What::Info);
    }

    /// Records the end of a call, and lets its client go on.
    pub(crate) fn complete(&mut self, index: u32, what: What<N::Op, N::Ret>) {
        let call = &mut self.clients.calls[index as usize];
        let Status::Open(operation) = call.status else { return };
        call.status = Status::Done;
        let (id, client) = (call.id, call.client);
        let machine = self.clients.machine(index);
        let origin = OriginId(self.first_call + index);
        let happening = match &what {
            What::Ok(_) | What::Invoke(_) => Happening::Ok,
            What::Fail(_) => Happening::Fail,
            What::Info => Happening::Info,
        };
        self.note(happening, machine, origin, &id, |event| event.text = describe(&what));
        let state = &mut self.clients.clients[usize::from(client)];
        let process = state.process;
        if what == What::Info {
            state.process = self.next_process;
            self.next_process += 1;
        }
        state.busy = None;
        let next = state.waiting.last().copied();
        self.tell_history(operation, Actor::Client(client), process, id, what);
        if let Some(next) = next {
            let at = self.clients.calls[next as usize].at.max(self.now);
            self.queue.push(at, Event::Begin { client });
        }
    }
}

fn describe<Op: std::fmt::Debug, Ret: std::fmt::Debug>(what: &What<Op, Ret>) -> String {
    match what {
        What::Invoke(op) => format!("{op:?}"),
        What::Ok(ret) => format!("{ret:?}"),
        What::Fail(reason) => Reason::to_string(reason),
        What::Info => "outcome unknown".to_owned(),
    }
}
