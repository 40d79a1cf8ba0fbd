//! The adversary's moves: what each fault does when it strikes, and the heal that ends them all.
//!
//! A fault counts as one that had an effect if it met a call: one was open while it held, or, for
//! what ends a process, had begun since the process started. What madsim's network did with it is
//! not seen from here.

use super::stage::{Stage, State};
use checkers::Verdict;
use madsim::net::NetSim;
use madsim::runtime::Handle;
use madsim::time::sleep_until;
use node::NodeId;
use std::future::pending;
use std::time::Duration;
use world::parts::nanos;
use world::{Direction, Fault, FaultKind, Faults, Happening, Kind, Origin, Place};

/// A process takes a moment to start. It is the time in which madsim drops what has been killed.
const START: u64 = 1_000_000;

/// What is to be done at some time.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The fault of that index strikes.
    Strike(usize),
    /// A cut is over.
    Lift(usize),
    /// A process starts, unless another start has made this one void.
    Boot(NodeId, u32),
    /// A pause may be over.
    Resume(NodeId),
    /// A process that crashes again and again does so.
    CrashAgain { fault: usize, left: u32 },
    /// All faults end.
    Heal,
    /// What is promised must have come true.
    End,
}

/// A cut that is in force.
pub(super) struct Cut {
    fault: usize,
    nodes: Vec<NodeId>,
    direction: Direction,
}

impl Cut {
    fn silences(&self, from: NodeId, to: NodeId) -> bool {
        let (from, to) = (self.nodes.contains(&from), self.nodes.contains(&to));
        from != to
            && match self.direction {
                Direction::Both => true,
                Direction::Into => to,
                Direction::OutOf => from,
            }
    }
}

/// Does what is due, one after the other, for as long as anything is.
pub(super) async fn drive(stage: &Stage) {
    loop {
        let next = stage.state().agenda.pop_first();
        let Some(((at, _), act)) = next else { return pending().await };
        let (now, due) = {
            let state = stage.state();
            (state.now(), state.instant(at))
        };
        if now < at {
            sleep_until(due).await;
        }
        stage.act(act);
    }
}

impl State {
    /// The agenda of a case.
    pub(super) fn plan_all(&mut self) {
        let Some(case) = self.case.clone() else { return };
        self.struck = vec![false; case.faults.len()];
        for (index, fault) in case.faults.iter().enumerate() {
            if let Place::At(at) = fault.place {
                self.plan(nanos(at), Act::Strike(index));
            }
        }
        self.plan(nanos(case.heal_at), Act::Heal);
        self.plan(nanos(case.end_at), Act::End);
    }

    fn plan(&mut self, at: u64, act: Act) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), act);
    }

    fn plan_after(&mut self, time: Duration, act: Act) {
        self.plan(self.now().saturating_add(nanos(time)), act);
    }

    pub(super) fn fault(&self, index: usize) -> Option<Fault> {
        self.case.as_ref()?.faults.get(index).cloned()
    }

    fn note_fault(&mut self, what: Happening, fault: &Fault) {
        let mut kind = fault.kind.clone();
        let node = kind.nodes_mut().first().map_or(NodeId(0), |node| **node);
        let text = || world::describe(&fault.kind);
        self.note(what, node, Some(Origin::Fault(fault.id)), &fault.id, text);
    }

    fn effective(&mut self, fault: usize) {
        if let Some(fault) = self.fault(fault) {
            self.effective.add(fault.kind.kind());
        }
    }

    /// A call begins: what holds now has met it.
    pub(super) fn meets_call(&mut self) {
        if !self.cuts.is_empty() {
            self.effective.add(FaultKind::Cut);
        }
        if self.machines.iter().any(|machine| machine.paused.is_some()) {
            self.effective.add(FaultKind::Pause);
        }
        if self.case.as_ref().is_some_and(|case| case.network.delay > 0) {
            self.effective.add(FaultKind::Delay);
        }
    }

    /// Tells madsim which links carry nothing: those between any two machines of the case.
    fn cut_links(&self) {
        let net = NetSim::current();
        let nodes = self.machines.iter().map(|machine| machine.task);
        let tasks: Vec<_> = nodes.chain(self.clients.iter().map(|task| Some(*task))).collect();
        let machines = || tasks.iter().zip((0..).map(NodeId));
        for (from, from_id) in machines() {
            for (to, to_id) in machines().filter(|(_, to)| *to != from_id) {
                let (Some(from), Some(to)) = (from, to) else { continue };
                match self.cuts.iter().any(|cut| cut.silences(from_id, to_id)) {
                    true => net.clog_link(*from, *to),
                    false => net.unclog_link(*from, *to),
                }
            }
        }
    }
}

impl Stage {
    fn act(&self, act: Act) {
        match act {
            Act::Strike(fault) => self.strike(fault),
            Act::Lift(fault) => self.lift(fault),
            Act::Boot(node, token) => {
                if self.state().machines[node.index()].token == token {
                    self.boot(node);
                    self.state().cut_links();
                    self.state().stir();
                }
            }
            Act::Resume(node) => self.resume(node),
            Act::CrashAgain { fault, left } => self.crash_again(fault, left),
            Act::Heal => self.heal(),
            Act::End => {
                let what = "the test's body has not ended, long after all faults have";
                self.state().found(Verdict::violated("progress", "no end", what));
            }
        }
    }

    /// Clients have come: cuts hold for them too.
    pub(super) fn cut_newcomers(&self) {
        self.state().cut_links();
    }

    fn strike(&self, index: usize) {
        let Some(fault) = self.state().fault(index) else { return };
        if self.state().healed {
            return;
        }
        {
            let mut state = self.state();
            state.struck[index] = true;
            state.note_fault(Happening::Fault, &fault);
        }
        match fault.kind {
            Kind::Cut { nodes, direction, lasts } => {
                let mut state = self.state();
                state.cuts.push(Cut { fault: index, nodes, direction });
                state.cut_links();
                state.plan_after(lasts, Act::Lift(index));
                if state.open > 0 {
                    state.effective(index);
                }
            }
            Kind::Crash { node, down } => self.crash(node, index, down),
            Kind::Restart { node } => self.crash(node, index, Duration::ZERO),
            Kind::CrashLoop { times, .. } => self.crash_again(index, times),
            Kind::Pause { node, lasts } => self.pause(node, index, lasts),
            // The rest is decided when a call begins, or is none of this engine's.
            _ => {}
        }
    }

    fn lift(&self, index: usize) {
        let mut state = self.state();
        let before = state.cuts.len();
        state.cuts.retain(|cut| cut.fault != index);
        if state.cuts.len() < before {
            state.cut_links();
            if let Some(fault) = state.fault(index) {
                state.note_fault(Happening::Lifted, &fault);
            }
        }
    }

    /// A process ends and starts again later. One that does not run cannot end.
    fn crash(&self, node: NodeId, index: usize, down: Duration) {
        let task = {
            let mut state = self.state();
            let (open, begun) = (state.open, state.begun);
            let origin = state.fault(index).map(|fault| Origin::Fault(fault.id));
            let machine = &mut state.machines[node.index()];
            if !machine.up {
                return;
            }
            machine.up = false;
            machine.paused = None;
            machine.origin = origin;
            machine.token += 1;
            let (task, token) = (machine.task, machine.token);
            if open > 0 || begun > machine.begun {
                state.effective(index);
            }
            let down = down.max(Duration::from_nanos(START));
            state.plan_after(down, Act::Boot(node, token));
            task
        };
        // What is killed may come back to the stage while it goes.
        if let Some(task) = task {
            Handle::current().kill(task);
        }
    }

    fn crash_again(&self, index: usize, left: u32) {
        let Some(Fault { kind: Kind::CrashLoop { node, every, .. }, .. }) =
            self.state().fault(index)
        else {
            return;
        };
        if left == 0 || self.state().healed {
            return;
        }
        self.crash(node, index, every);
        let after = 2 * every.max(Duration::from_millis(1));
        self.state().plan_after(after, Act::CrashAgain { fault: index, left: left - 1 });
    }

    fn pause(&self, node: NodeId, index: usize, lasts: Duration) {
        let mut state = self.state();
        let until = state.now().saturating_add(nanos(lasts));
        let open = state.open > 0;
        let machine = &mut state.machines[node.index()];
        if !machine.up || machine.paused.is_some_and(|there| there >= until) {
            return;
        }
        machine.paused = Some(until);
        let task = machine.task;
        if open {
            state.effective(index);
        }
        state.plan(until, Act::Resume(node));
        drop(state);
        if let Some(task) = task {
            Handle::current().pause(task);
        }
    }

    /// A paused process goes on, if no longer pause is under way.
    fn resume(&self, node: NodeId) {
        let mut state = self.state();
        let now = state.now();
        let machine = &mut state.machines[node.index()];
        if machine.paused.is_none_or(|until| until > now) {
            return;
        }
        machine.paused = None;
        let task = machine.task;
        drop(state);
        if let Some(task) = task {
            Handle::current().resume(task);
        }
    }

    /// The end of all faults: links work, nodes that are down start, paused ones go on.
    fn heal(&self) {
        let mut state = self.state();
        state.healed = true;
        state.note(Happening::Heal, NodeId(0), Some(Origin::Heal), &0u8, || {
            "all faults end".to_owned()
        });
        state.cuts.clear();
        state.cut_links();
        let now = state.now();
        for index in 0..state.machines.len() {
            let node = NodeId(index as u16);
            let machine = &mut state.machines[index];
            if !machine.up && machine.life.is_some() {
                machine.origin = Some(Origin::Heal);
                machine.token += 1;
                let token = machine.token;
                state.plan(now + START, Act::Boot(node, token));
            } else if machine.paused.is_some() {
                machine.paused = Some(now);
                state.plan(now, Act::Resume(node));
            }
        }
        state.stir();
    }

    /// The kinds of this run that met a call.
    pub(super) fn effects(&self) -> Faults {
        self.state().effective
    }
}
