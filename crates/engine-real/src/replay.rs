//! A run lived again, in the order of its time: every node from its journal, with what clients saw
//! and what the engine did.
//!
//! All processes of a machine share its monotonic clock, and every entry carries a moment between
//! what it follows from and what follows from it. So the order of these moments is one in which
//! everything can have happened, and judges are shown the run step by step, as by the heap engine.

use crate::journal::{Entry, Told, ToldTo};
use derive_where::derive_where;
use history::{Actor, Event, History, What};
use node::{
    Answer, Context, Cx, Dice, Effect, Incarnation, Node, NodeId, RequestId, Step, StepId, mix,
};
use std::collections::{BTreeMap, VecDeque};
use world::{CaseOf, Clock, Happening, Mutant, Origin, Scene, TraceEvent, Uses};

/// What happened at a moment of the run.
#[derive_where(Clone)]
pub(crate) enum Moment<N: Node> {
    /// An entry of a node's journal.
    Entry(NodeId, Entry<ToldTo<N>>),
    /// A client's operation begins or ends. Operations are numbered when it is its turn.
    Client {
        /// Which client.
        client: u16,
        /// The call.
        call: u32,
        /// What happened.
        what: What<N::Op, N::Ret>,
    },
    /// A process has ended, by a fault of that index, or because it was asked to.
    Ended(NodeId, Option<usize>),
    /// A node is lost for good.
    Retired(NodeId),
    /// A fault strikes, or is over, in words.
    Fault(Happening, NodeId, u32, String),
    /// All faults end.
    Heal,
}

/// A process whose journal is not what its node does, or whose log is not what it has written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mismatch {
    /// What kind.
    pub(crate) class: &'static str,
    /// What was found.
    pub(crate) message: String,
}

fn mismatch(class: &'static str, message: String) -> Mismatch {
    Mismatch { class, message }
}

/// A node's life.
struct Life<N: Node> {
    node: N,
    incarnation: Incarnation,
    dice: u64,
    calls: u64,
    next_step: u32,
    /// What its last handler has asked for and has not happened.
    effects: VecDeque<Effect<N>>,
    timers: BTreeMap<u64, N::Timer>,
    armed: u64,
    /// Steps of its own that are open, with their operations and processes.
    open: Vec<(StepId, u32, u32)>,
    /// Processes of it that are free for its next steps.
    processes: Vec<u32>,
}

struct Machine<N: Node> {
    life: Option<Life<N>>,
    /// What was under way when its last life ended: it may be in the log or not.
    pending: Option<Effect<N>>,
    log: Vec<N::Record>,
    synced: usize,
    rewrites: u32,
    retired: bool,
}

/// The cluster as it was at one moment.
pub(crate) struct Stage<'a, N: Node> {
    case: &'a CaseOf<N>,
    now: u64,
    healed: bool,
    changed: Option<NodeId>,
    machines: Vec<Machine<N>>,
    history: History<N::Op, N::Ret>,
    operations: u32,
    next_process: u32,
    /// Each client's logical process, and its open operation.
    clients: Vec<(u32, u32)>,
    cx: Cx<N>,
    /// What was worth counting.
    pub(crate) marks: BTreeMap<&'static str, u32>,
    /// What nodes made use of.
    pub(crate) uses: Uses,
    /// Messages and requests that nodes were told.
    pub(crate) deliveries: u64,
    /// How often each request was handled.
    pub(crate) handled: BTreeMap<RequestId, u32>,
    /// Faults that have ended a life in which something had happened, each time anew.
    pub(crate) deaths: Vec<usize>,
    /// Every event, if they are recorded.
    pub(crate) events: Option<Vec<TraceEvent>>,
}

impl<'a, N: Node> Stage<'a, N> {
    pub(crate) fn new(case: &'a CaseOf<N>, recording: bool) -> Self {
        let machine = |_| Machine {
            life: None,
            pending: None,
            log: Vec::new(),
            synced: 0,
            rewrites: 0,
            retired: false,
        };
        Self {
            case,
            now: 0,
            healed: false,
            changed: None,
            machines: case.nodes.iter().map(machine).collect(),
            history: History::new(),
            operations: 0,
            next_process: case.clients.count.into(),
            clients: (0..case.clients.count).map(|client| (client.into(), 0)).collect(),
            cx: Cx::default(),
            marks: BTreeMap::new(),
            uses: Uses::default(),
            deliveries: 0,
            handled: BTreeMap::new(),
            deaths: Vec::new(),
            events: recording.then(Vec::new),
        }
    }

    /// A logical process for whoever's last one is still busy.
    fn fresh_process(&mut self) -> u32 {
        self.next_process += 1;
        self.next_process - 1
    }

    /// Whether a running node waits for a timer.
    pub(crate) fn is_waiting(&self) -> bool {
        let mut lives = self.machines.iter().filter_map(|machine| machine.life.as_ref());
        lives.any(|life| !life.timers.is_empty() || !life.effects.is_empty())
    }

    /// What a node's log must say when its process has stopped in good order.
    pub(crate) fn written(&self, node: NodeId) -> &[N::Record] {
        self.machines.get(node.index()).map_or(&[], |machine| &machine.log)
    }

    /// One step of the run.
    ///
    /// # Errors
    /// When the process has done otherwise than its node does.
    pub(crate) fn step(&mut self, at: u64, moment: &Moment<N>) -> Result<(), Mismatch> {
        self.now = self.now.max(at);
        self.changed = None;
        match moment {
            Moment::Entry(node, Entry::Told { at, wall, told }) => {
                self.tell(*node, *at, *wall, told)
            }
            Moment::Entry(node, Entry::Done { kind, .. }) => {
                let life = self.machines[node.index()].life.as_mut();
                let effect = life.and_then(|life| life.effects.pop_front());
                match effect.filter(|effect| effect.kind() == *kind) {
                    Some(effect) => {
                        self.apply(*node, effect);
                        Ok(())
                    }
                    None => Err(mismatch(
                        "replay differs",
                        format!("{node} has done a {kind:?}, which its journal does not lead to"),
                    )),
                }
            }
            Moment::Client { client, call, what } => {
                self.client(*client, *call, what.clone());
                Ok(())
            }
            Moment::Ended(node, by) => {
                self.end(*node, *by);
                Ok(())
            }
            Moment::Retired(node) => {
                self.machines[node.index()].retired = true;
                Ok(())
            }
            Moment::Fault(what, node, id, text) => {
                self.note(*what, *node, Some(Origin::Fault(*id)), None, text.clone());
                Ok(())
            }
            Moment::Heal => {
                self.healed = true;
                let text = "all faults end".to_owned();
                self.note(Happening::Heal, NodeId(0), Some(Origin::Heal), None, text);
                Ok(())
            }
        }
    }

    fn tell(&mut self, id: NodeId, at: u64, wall: u64, told: &ToldTo<N>) -> Result<(), Mismatch> {
        if let Told::Start(incarnation, log) = told {
            return self.start(id, at, wall, *incarnation, log);
        }
        let life = self.machines[id.index()].life.take();
        let Some(mut life) = life.filter(|life| life.effects.is_empty()) else {
            let message = format!("{id} is told something while it is down or busy");
            return Err(mismatch("replay differs", message));
        };
        life.calls += 1;
        self.cx.context = context(id, &life, at, wall);
        let (node, cx) = (&mut life.node, &mut self.cx);
        let (happening, peer, text) = match told.clone() {
            Told::Request(request, op) => {
                *self.handled.entry(request).or_default() += 1;
                self.deliveries += 1;
                let text = format!("{op:?}");
                match self.case.mutant.as_ref().and_then(Mutant::generic) {
                    None => node.on_request(request, op, cx),
                    Some(bug) => bug.on_request(node, request, op, cx),
                }
                (Happening::Request, Some(request.client), text)
            }
            Told::Message(from, msg) => {
                self.deliveries += 1;
                let text = format!("{msg:?}");
                match self.case.mutant.as_ref().and_then(Mutant::generic) {
                    None => node.on_message(from, msg, cx),
                    Some(bug) => bug.on_message(node, from, msg, cx),
                }
                (Happening::Receive, Some(from), text)
            }
            Told::Timer(timer) => {
                life.timers.retain(|_, armed| *armed != timer);
                let text = format!("{timer:?}");
                match self.case.mutant.as_ref().and_then(Mutant::generic) {
                    None => node.on_timer(timer, cx),
                    Some(bug) => bug.on_timer(node, timer, cx),
                }
                (Happening::Timer, None, text)
            }
            Told::Start(..) => (Happening::Boot, None, String::new()),
        };
        self.settle(&mut life);
        self.machines[id.index()].life = Some(life);
        self.note(happening, id, None, peer, text);
        Ok(())
    }

    /// After a handler: what it has asked for is still to happen.
    fn settle(&mut self, life: &mut Life<N>) {
        let context = &self.cx.context;
        life.next_step = context.next_step;
        self.uses.wall |= context.read_wall;
        self.uses.clock |= context.read_now;
        life.effects = self.cx.take().into();
    }

    fn start(
        &mut self,
        id: NodeId,
        at: u64,
        wall: u64,
        incarnation: Incarnation,
        log: &[N::Record],
    ) -> Result<(), Mismatch> {
        self.boot(id, log)?;
        let seed = self.case.seed.0;
        let mut life = Life {
            node: N::new(id, &self.case.nodes[id.index()]),
            incarnation,
            dice: mix(seed, u64::from(id.0) << 32 | u64::from(incarnation)),
            calls: 1,
            next_step: 0,
            effects: VecDeque::new(),
            timers: BTreeMap::new(),
            armed: 0,
            open: Vec::new(),
            processes: Vec::new(),
        };
        self.cx.context = context(id, &life, at, wall);
        match self.case.mutant.as_ref().and_then(Mutant::generic) {
            None => life.node.on_start(log, &mut self.cx),
            Some(bug) => bug.on_start(&mut life.node, log, &mut self.cx),
        }
        self.settle(&mut life);
        self.machines[id.index()].life = Some(life);
        self.changed = Some(id);
        self.note(Happening::Boot, id, None, None, format!("boot {incarnation}"));
        Ok(())
    }

    /// A process has found this log. SIGKILL takes nothing that was written, so it is what the
    /// journal tells, and what was being written when the last life ended may be in it or not.
    fn boot(&mut self, id: NodeId, found: &[N::Record]) -> Result<(), Mismatch> {
        let machine = &mut self.machines[id.index()];
        let pending = machine.pending.take();
        let (known, kept) = (machine.log.len(), found.len());
        let grown = found.starts_with(&machine.log);
        let fits = match pending {
            Some(Effect::Persist(record) | Effect::Force(record)) => {
                grown && (kept == known || found[known..] == [record])
            }
            Some(Effect::Snapshot(records)) => {
                let taken = found == records && !(grown && kept == known);
                machine.rewrites += u32::from(taken);
                taken || grown && kept == known
            }
            _ => grown && kept == known,
        };
        if !fits {
            let message = format!(
                "{id} had written {known} records, {} of them synced, and starts with {kept}, \
                 which are others",
                machine.synced
            );
            return Err(mismatch("log lost", message));
        }
        machine.log = found.to_vec();
        machine.synced = machine.log.len();
        Ok(())
    }

    fn end(&mut self, id: NodeId, by: Option<usize>) {
        let machine = &mut self.machines[id.index()];
        let Some(mut life) = machine.life.take() else { return };
        machine.pending = life.effects.pop_front();
        if let Some(fault) = by.filter(|_| life.calls > 1) {
            self.deaths.push(fault);
        }
        for (step, operation, process) in life.open {
            self.push(operation, Actor::Role(id.0), process, step.nth, What::Info);
        }
    }

    fn apply(&mut self, id: NodeId, effect: Effect<N>) {
        let (what, peer, text) = told_of(&effect);
        self.note(what, id, None, peer, text);
        let machine = &mut self.machines[id.index()];
        let Some(life) = &mut machine.life else { return };
        match effect {
            Effect::Persist(record) => {
                self.uses.disk = true;
                machine.log.push(record);
            }
            Effect::Force(record) => {
                self.uses.disk = true;
                machine.log.push(record);
                machine.synced = machine.log.len();
                self.changed = Some(id);
            }
            Effect::Snapshot(records) => {
                self.uses.disk = true;
                machine.log = records;
                machine.synced = machine.log.len();
                machine.rewrites += 1;
                self.changed = Some(id);
            }
            Effect::SetTimer { timer, .. } => {
                self.uses.clock = true;
                life.timers.retain(|_, armed| *armed != timer);
                life.armed += 1;
                life.timers.insert(life.armed, timer);
            }
            Effect::CancelTimer(timer) => life.timers.retain(|_, armed| *armed != timer),
            Effect::Invoke(step, op) => {
                let free = life.processes.pop();
                let process = free.unwrap_or_else(|| self.fresh_process());
                let operation = self.invoke(Actor::Role(id.0), process, step.nth, op);
                if let Some(life) = &mut self.machines[id.index()].life {
                    life.open.push((step, operation, process));
                }
            }
            Effect::Complete(step, outcome) => self.complete(id, step, outcome),
            Effect::Mark(label) => *self.marks.entry(label).or_default() += 1,
            Effect::Send(..) | Effect::Reply(..) => {}
        }
    }

    fn complete(&mut self, id: NodeId, step: StepId, outcome: Step<N::Ret>) {
        let Some(life) = &mut self.machines[id.index()].life else { return };
        let Some(index) = life.open.iter().position(|(open, ..)| *open == step) else { return };
        let (_, operation, process) = life.open.swap_remove(index);
        let what = match outcome {
            Step::Ok(ret) => What::Ok(ret),
            Step::Fail(reason) => What::Fail(reason),
            Step::Info => What::Info,
        };
        if what != What::Info {
            life.processes.push(process);
        }
        self.push(operation, Actor::Role(id.0), process, step.nth, what);
    }

    fn client(&mut self, client: u16, call: u32, what: What<N::Op, N::Ret>) {
        let machine = self.case.client_node(client);
        let (happening, text) = match &what {
            What::Invoke(op) => (Happening::Invoke, format!("{op:?}")),
            What::Ok(ret) => (Happening::Ok, format!("{ret:?}")),
            What::Fail(reason) => (Happening::Fail, reason.to_string()),
            What::Info => (Happening::Info, "outcome unknown".to_owned()),
        };
        self.note(happening, machine, Some(Origin::Call(call)), None, text);
        let (actor, index) = (Actor::Client(client), usize::from(client));
        let (process, operation) = self.clients[index];
        if let What::Invoke(op) = what {
            self.clients[index].1 = self.invoke(actor, process, call, op);
            return;
        }
        if what == What::Info {
            self.clients[index].0 = self.fresh_process();
        }
        self.push(operation, actor, process, call, what);
    }

    fn invoke(&mut self, actor: Actor, process: u32, call: u32, op: N::Op) -> u32 {
        let operation = self.operations;
        self.operations += 1;
        self.push(operation, actor, process, call, What::Invoke(op));
        operation
    }

    fn push(&mut self, op: u32, actor: Actor, process: u32, call: u32, what: What<N::Op, N::Ret>) {
        self.history.events.push(Event { at: self.now, op, actor, process, call, what });
    }

    fn note(
        &mut self,
        what: Happening,
        node: NodeId,
        origin: Option<Origin>,
        peer: Option<NodeId>,
        text: String,
    ) {
        let life = self.machines.get(node.index()).and_then(|machine| machine.life.as_ref());
        let incarnation = life.map_or(0, |life| life.incarnation);
        let (at, digest, nth, source) = (self.now, 0, 0, None);
        if let Some(events) = &mut self.events {
            let event =
                TraceEvent { at, node, incarnation, origin, what, peer, nth, text, digest, source };
            events.push(event);
        }
    }
}

/// What an effect is in a trace, whom it concerns, and what it says.
fn told_of<N: Node>(effect: &Effect<N>) -> (Happening, Option<NodeId>, String) {
    match effect {
        Effect::Persist(record) => (Happening::Persist, None, format!("{record:?}")),
        Effect::Force(record) => (Happening::Force, None, format!("{record:?}")),
        Effect::Snapshot(records) => {
            (Happening::Snapshot, None, format!("{} records", records.len()))
        }
        Effect::Send(to, msg) => (Happening::Send, Some(*to), format!("{msg:?}")),
        Effect::SetTimer { after, timer, .. } => {
            (Happening::SetTimer, None, format!("{timer:?} in {after:?}"))
        }
        Effect::CancelTimer(timer) => (Happening::CancelTimer, None, format!("{timer:?}")),
        Effect::Reply(request, answer) => {
            let text = match answer {
                Answer::Ok(ret) => format!("{ret:?}"),
                Answer::Fail(reason) => format!("fail: {reason}"),
                Answer::Retry(hint) => format!("retry at {hint:?}"),
            };
            (Happening::Reply, Some(request.client), text)
        }
        Effect::Invoke(_, op) => (Happening::Invoke, None, format!("{op:?}")),
        Effect::Complete(_, step) => match step {
            Step::Ok(ret) => (Happening::Ok, None, format!("{ret:?}")),
            Step::Fail(reason) => (Happening::Fail, None, reason.to_string()),
            Step::Info => (Happening::Info, None, "outcome unknown".to_owned()),
        },
        Effect::Mark(label) => (Happening::Mark, None, (*label).to_owned()),
    }
}

/// What the shell has told this handler of here and now.
fn context<N: Node>(me: NodeId, life: &Life<N>, now_nanos: u64, wall_nanos: u64) -> Context {
    Context {
        me,
        incarnation: life.incarnation,
        now_nanos,
        wall_nanos,
        dice: Dice::new(mix(life.dice, life.calls)),
        next_step: life.next_step,
        read_now: false,
        read_wall: false,
    }
}

impl<N: Node> Scene<N> for Stage<'_, N> {
    fn now(&self) -> u64 {
        self.now
    }

    fn nodes(&self) -> usize {
        self.machines.len()
    }

    fn state(&self, id: NodeId) -> Option<&N> {
        self.machines.get(id.index())?.life.as_ref().map(|life| &life.node)
    }

    fn durable(&self, id: NodeId) -> &[N::Record] {
        self.machines.get(id.index()).map_or(&[], |machine| &machine.log[..machine.synced])
    }

    fn rewrites(&self, id: NodeId) -> u32 {
        self.machines.get(id.index()).map_or(0, |machine| machine.rewrites)
    }

    fn changed(&self) -> Option<NodeId> {
        self.changed
    }

    fn config(&self, id: NodeId) -> Option<&N::Config> {
        self.case.nodes.get(id.index())
    }

    /// The run's own: all clocks are one.
    fn clock(&self, _: NodeId) -> Option<&Clock> {
        None
    }

    fn is_retired(&self, id: NodeId) -> bool {
        self.machines.get(id.index()).is_some_and(|machine| machine.retired)
    }

    fn is_healed(&self) -> bool {
        self.healed
    }

    fn history(&self) -> &History<N::Op, N::Ret> {
        &self.history
    }
}

#[cfg(test)]
mod tests;
