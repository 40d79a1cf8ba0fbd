//! What the engine sees of a running node, and where it steps in.

use super::port::Heard;
use super::stage::{About, Machine, Shared, Stage};
use checkers::Verdict;
use history::{Actor, What};
use node::{Context, Effect, Incarnation, Node, NodeId, Step, StepId};
use shell::{Event, Observer, Refused};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use world::parts::{MONOTONIC, OriginId, WALL};
use world::{Edge, End, Happening};

/// Watches one life.
pub(super) struct Watch<N: Node> {
    pub(super) stage: Shared<N>,
    pub(super) me: NodeId,
    pub(super) token: u32,
}

/// What becomes of a life's remaining effects.
enum Flow {
    On,
    /// They wait for the end of a pause.
    Blocked,
    /// The process has ended, and they with it.
    Dead,
}

impl<N: Node> Watch<N> {
    /// Waits while the process is paused; says whether it has ended.
    async fn go_on(&self) -> ControlFlow<()> {
        loop {
            match self.stage.borrow_mut().flow(self.me, self.token) {
                Flow::On => return ControlFlow::Continue(()),
                Flow::Dead => return ControlFlow::Break(()),
                Flow::Blocked => {}
            }
            // A paused task that is ready to run is put aside until it may go on.
            let mut yielded = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }
}

impl<N: Node> Observer<N> for Watch<N> {
    fn born(&mut self, node: &Arc<Mutex<N>>) {
        self.stage.borrow_mut().machine(self.me).node = Some(Arc::clone(node));
    }

    fn booted(&mut self, incarnation: Incarnation, log: &[N::Record]) {
        self.stage.borrow_mut().booted(self.me, incarnation, log);
    }

    fn event(&mut self, event: &Event<N>) {
        self.stage.borrow_mut().told(self.me, event);
    }

    fn handled(&mut self, _: &N, context: &Context) {
        let mut stage = self.stage.borrow_mut();
        if context.read_wall {
            stage.uses.wall = true;
            stage.clock_used(self.me, WALL);
        }
        if context.read_now {
            stage.uses.clock = true;
            stage.clock_used(self.me, MONOTONIC);
        }
    }

    async fn effect(
        &mut self,
        edge: shell::Edge,
        effect: &Effect<N>,
        place: &'static Location<'static>,
    ) -> ControlFlow<()> {
        if edge != shell::Edge::Before {
            self.stage.borrow_mut().done(self.me, edge, effect);
            return self.go_on().await;
        }
        self.stage.borrow_mut().approach(self.me, effect);
        if self.go_on().await.is_break() {
            return ControlFlow::Break(());
        }
        self.stage.borrow_mut().perform(self.me, effect, place);
        match self.stage.borrow().end {
            End::Running => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    /// What is refused is distrusted as well, and that is where the engine learns of it.
    fn refused(&mut self, _: NodeId, _: &Refused) {}
}

impl<N: Node> Stage<N> {
    fn flow(&mut self, id: NodeId, token: u32) -> Flow {
        let running = self.end == End::Running;
        let machine = self.machine(id);
        if !running || !machine.up || machine.token != token {
            Flow::Dead
        } else if machine.paused.is_some() {
            machine.held_up = true;
            Flow::Blocked
        } else {
            Flow::On
        }
    }

    /// A life begins with these records. Whatever was durable must be among them, or the snapshot
    /// that was about to take its place.
    fn booted(&mut self, id: NodeId, incarnation: Incarnation, log: &[N::Record]) {
        let machine = self.machine(id);
        let grown = log.starts_with(&machine.log[..machine.synced]);
        let (durable, before) = (machine.synced, machine.incarnation);
        let kept = grown || machine.beside.as_deref() == Some(log);
        machine.rewrites += u32::from(!grown);
        machine.log = log.to_vec();
        machine.synced = log.len();
        machine.beside = None;
        machine.incarnation = incarnation;
        machine.trouble.met = None;
        let origin = machine.boot;
        if !kept {
            let message = format!(
                "{id} starts with {} records, which are not the {durable} that were durable with \
                 more behind them",
                log.len()
            );
            self.found(Verdict::violated("log", "durable record lost", message));
        }
        if incarnation <= before {
            let message = format!("{id} starts life {incarnation} after life {before}");
            self.found(Verdict::violated("log", "life begun again", message));
        }
        self.changed.push(id);
        self.note(Happening::Boot, id, origin, &incarnation, |event| {
            event.text = format!("incarnation {incarnation}");
        });
    }

    /// A node is told something: from now on all that it does goes back to what caused that.
    fn told(&mut self, id: NodeId, event: &Event<N>) {
        self.tick();
        self.count_step();
        let heard = self.heard[id.index()];
        let machine = &mut self.machines[id.index()];
        machine.busy = true;
        let boot = machine.boot;
        let of = |heard: Option<Heard>| heard.map_or((boot, 0), |heard| (heard.origin, heard.nth));
        match event {
            Event::Message(from, msg) => {
                let (origin, nth) = match *from == id {
                    true => (machine.own.pop_front().unwrap_or(boot), 0),
                    false => of(heard),
                };
                machine.origin = origin;
                self.note(Happening::Receive, id, origin, &(*from, msg), |event| {
                    event.peer = Some(*from);
                    event.nth = nth;
                    event.text = format!("{msg:?}");
                });
            }
            Event::Request(request, op) => {
                let (mut origin, nth) = of(heard);
                if let Some(call) = self.calls.find(*request) {
                    self.calls.calls[call as usize].asked |= 1 << id.0;
                    origin = self.call_origin(call);
                }
                self.machines[id.index()].origin = origin;
                self.note(
                    Happening::Request,
                    id,
                    origin,
                    &(request.client, *request, op),
                    |event| {
                        event.peer = Some(request.client);
                        event.nth = nth;
                        event.text = format!("{op:?}");
                    },
                );
            }
            Event::Timer(timer) => {
                let origin = machine.timers.remove(timer).unwrap_or(boot);
                machine.origin = origin;
                self.note(Happening::Timer, id, origin, timer, |event| {
                    event.text = format!("{timer:?}");
                });
            }
        }
    }

    /// An effect is next: what is placed before it strikes.
    fn approach(&mut self, id: NodeId, effect: &Effect<N>) {
        if !self.plan.is_armed(id) || self.healed {
            return;
        }
        let origin = self.origins.get(self.machines[id.index()].origin);
        self.machine(id).due = self.plan.due(id, effect, origin);
        self.strike_due(id, Edge::Before);
    }

    fn strike_due(&mut self, id: NodeId, side: Edge) {
        // A strike may end the process, and what was due with it.
        let due = self.machine(id).due.clone();
        for (edge, fault) in due {
            if edge == side {
                self.strike(fault);
            }
        }
    }

    /// An effect happens, now or as soon as the shell has done it.
    fn perform(&mut self, id: NodeId, effect: &Effect<N>, place: &'static Location<'static>) {
        let machine = &mut self.machines[id.index()];
        let (origin, boot) = (machine.origin, machine.boot);
        match effect {
            Effect::Persist(_) | Effect::Force(_) | Effect::Snapshot(_) => self.uses.disk = true,
            Effect::Send(to, _) if *to == id => machine.own.push_back(origin),
            Effect::Send(..) => machine.sending = Some((origin, About::Peer)),
            Effect::SetTimer { timer, background, .. } => {
                machine.timers.insert(timer.clone(), if *background { boot } else { origin });
                self.uses.clock = true;
                self.clock_used(id, MONOTONIC);
            }
            Effect::CancelTimer(timer) => drop(machine.timers.remove(timer)),
            Effect::Reply(request, _) => self.answers(id, *request),
            Effect::Invoke(step, op) => self.invoke_step(id, *step, op.clone(), origin),
            Effect::Complete(step, outcome) => self.complete_step(id, *step, outcome, origin),
            Effect::Mark(label) => self.mark(label),
        }
        self.note_effect(id, effect, place, origin);
    }

    /// A node answers: whom it was asked by, if it ever was.
    fn answers(&mut self, id: NodeId, request: node::RequestId) {
        let Some(index) = self.calls.find(request) else { return self.misuse(id) };
        let call = &mut self.calls.calls[index as usize];
        if call.asked & 1 << id.0 == 0 {
            return self.misuse(id);
        }
        let reply = call.attempts.reply();
        let origin = self.call_origin(index);
        self.machine(id).sending = Some((origin, About::Answer(index, reply)));
    }

    /// An effect has come so far.
    fn done(&mut self, id: NodeId, edge: shell::Edge, effect: &Effect<N>) {
        let machine = &mut self.machines[id.index()];
        let synced = matches!(effect, Effect::Force(_) | Effect::Snapshot(_));
        if edge == shell::Edge::During {
            match effect {
                Effect::Force(record) => machine.log.push(record.clone()),
                Effect::Snapshot(records) => machine.beside = Some(records.clone()),
                _ => {}
            }
            return self.strike_due(id, Edge::During);
        }
        if let Effect::Persist(record) = effect {
            machine.log.push(record.clone());
        }
        if synced {
            machine.sync();
            let boot = machine.boot;
            self.changed.push(id);
            self.note(Happening::Synced, id, boot, &0u8, |_| {});
        } else {
            self.strike_due(id, Edge::During);
        }
        self.strike_due(id, Edge::After);
    }

    fn invoke_step(&mut self, id: NodeId, step: StepId, op: N::Op, origin: OriginId) {
        let free = self.machine(id).processes.pop();
        let process = free.unwrap_or_else(|| {
            self.next_process += 1;
            self.next_process - 1
        });
        let operation = self.operations;
        self.operations += 1;
        self.machine(id).open.push((step, operation, process));
        self.note(Happening::Invoke, id, origin, &op, |event| event.text = format!("{op:?}"));
        self.tell_history(operation, Actor::Role(id.0), process, step.nth, What::Invoke(op));
    }

    fn complete_step(&mut self, id: NodeId, step: StepId, outcome: &Step<N::Ret>, at: OriginId) {
        let machine = self.machine(id);
        let Some(index) = machine.open.iter().position(|(open, ..)| *open == step) else { return };
        let (_, operation, process) = machine.open.swap_remove(index);
        let what = match outcome {
            Step::Ok(ret) => What::Ok(ret.clone()),
            Step::Fail(reason) => What::Fail(reason.clone()),
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

    /// An effect in the digest and, when recording, in the trace. `Invoke` and `Complete` are there
    /// where they reach the history.
    fn note_effect(
        &mut self,
        id: NodeId,
        effect: &Effect<N>,
        place: &'static Location<'static>,
        origin: OriginId,
    ) {
        let (trace, at) = (&mut self.trace, self.now);
        match effect {
            Effect::Persist(record) => trace.hash(at, Happening::Persist, id, record),
            Effect::Force(record) => trace.hash(at, Happening::Force, id, record),
            Effect::Snapshot(records) => trace.hash(at, Happening::Snapshot, id, records),
            Effect::Send(to, msg) => trace.hash(at, Happening::Send, id, &(*to, msg)),
            Effect::SetTimer { after, timer, .. } => {
                trace.hash(at, Happening::SetTimer, id, &(*after, timer));
            }
            Effect::CancelTimer(timer) => trace.hash(at, Happening::CancelTimer, id, timer),
            Effect::Reply(request, answer) => {
                trace.hash(at, Happening::Reply, id, &(*request, answer));
            }
            Effect::Mark(label) => trace.hash(at, Happening::Mark, id, label),
            Effect::Invoke(..) | Effect::Complete(..) => {}
        }
        if trace.events.is_none() {
            return;
        }
        let (what, peer, text) = match effect {
            Effect::Persist(record) => (Happening::Persist, None, format!("{record:?}")),
            Effect::Force(record) => (Happening::Force, None, format!("{record:?}")),
            Effect::Snapshot(records) => (Happening::Snapshot, None, format!("{records:?}")),
            Effect::Send(to, msg) => (Happening::Send, Some(*to), format!("{msg:?}")),
            Effect::SetTimer { after, timer, .. } => {
                (Happening::SetTimer, None, format!("{timer:?} after {after:?}"))
            }
            Effect::CancelTimer(timer) => (Happening::CancelTimer, None, format!("{timer:?}")),
            Effect::Reply(request, answer) => {
                (Happening::Reply, Some(request.client), format!("{answer:?}"))
            }
            Effect::Mark(label) => (Happening::Mark, None, (*label).to_owned()),
            Effect::Invoke(..) | Effect::Complete(..) => return,
        };
        self.append(what, id, origin, |event| {
            (event.peer, event.text, event.source) = (peer, text, Some(place));
        });
    }
}

impl<N: Node> Machine<N> {
    /// What was written is synced.
    fn sync(&mut self) {
        if let Some(records) = self.beside.take() {
            self.log = records;
            self.rewrites += 1;
        }
        self.synced = self.log.len();
    }
}
