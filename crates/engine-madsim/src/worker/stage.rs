//! All that a run has in common: its time, its machines, what is under way, and what is recorded.

use super::clients::Calls;
use super::medium::{Files, Trouble};
use super::port::{Heard, Port};
use super::streams::Streams;
use bytes::Bytes;
use history::{Actor, History, What};
use madsim::runtime::Handle;
use madsim::task::NodeId as Task;
use node::{Incarnation, Mutation, Node, NodeId, StepId};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use world::parts::{Links, OriginId, Origins, Plan, Queue, STEP_LIMIT, Trace, nanos};
use world::{
    CaseOf, Clock, Drawn, Edge, End, Fault, FaultKind, Faults, Happening, Kind, Mutant, Origin,
    TraceEvent, Uses,
};

/// The stage, as its tasks share it.
pub(super) type Shared<N> = Rc<RefCell<Stage<N>>>;

/// What is still to happen.
pub(super) enum Event {
    Deliver(Envelope),
    /// Somebody waits for this time.
    Alarm {
        id: NodeId,
        at: u64,
    },
    Boot {
        node: NodeId,
        token: u32,
    },
    Resume {
        node: NodeId,
    },
    Fault(usize),
    Lift(usize),
    CrashAgain {
        fault: usize,
        left: u32,
    },
    Heal,
}

/// What a frame is about. The frame itself says it to machines; this is for the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    Peer,
    /// The index of the call.
    Request(u32),
    /// The index of the call, and the answer's number among all answers to it.
    Answer(u32, u32),
}

/// A frame under way.
#[derive(Clone)]
pub(super) struct Envelope {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) origin: OriginId,
    pub(super) nth: u32,
    /// Its number among all frames, in the order of sending.
    pub(super) sent: u32,
    pub(super) epoch: u32,
    /// What will have had an effect when it is handled.
    pub(super) counts: Faults,
    pub(super) lost: bool,
    pub(super) corrupt: bool,
    pub(super) about: About,
    pub(super) frame: Bytes,
}

/// A stopped process.
#[derive(Clone, Copy)]
pub(super) struct Pause {
    pub(super) fault: usize,
    pub(super) until: u64,
}

/// A machine of the cluster: what stays when its process ends, and what belongs to the process.
pub(super) struct Machine<N: Node> {
    /// Its node in madsim's words, from its first start on.
    pub(super) task: Option<Task>,
    /// Its process runs.
    pub(super) up: bool,
    /// The node, when its start has read its log.
    pub(super) node: Option<Arc<Mutex<N>>>,
    pub(super) incarnation: Incarnation,
    pub(super) files: Files,
    pub(super) trouble: Trouble,
    pub(super) clock: Clock,
    /// The kinds of clock faults that have struck it.
    pub(super) wrong: Faults,
    /// The records that the shell has written, and how many of them it believes to be synced.
    pub(super) log: Vec<N::Record>,
    pub(super) synced: usize,
    /// A snapshot that may take their place at any time.
    pub(super) beside: Option<Vec<N::Record>>,
    pub(super) rewrites: u32,
    /// Who set the timers that wait.
    pub(super) timers: FxHashMap<N::Timer, OriginId>,
    /// Who caused what the node has told itself.
    pub(super) own: VecDeque<OriginId>,
    /// Who caused the event at hand.
    pub(super) origin: OriginId,
    /// The faults that are placed on the effect at hand.
    pub(super) due: Vec<(Edge, usize)>,
    /// What the next frame is about, and who caused it.
    pub(super) sending: Option<(OriginId, About)>,
    /// Grows with every start that is scheduled or happens: an earlier one is void.
    pub(super) token: u32,
    pub(super) boot_at: u64,
    pub(super) paused: Option<Pause>,
    /// Something has waited for the end of the pause.
    pub(super) held_up: bool,
    pub(super) retired: bool,
    /// The cause of the next start, and then of what belongs to it.
    pub(super) boot: OriginId,
    /// Handled anything but its start in this life: a crash would cost something.
    pub(super) busy: bool,
    /// The fault that counts when a frame finds the process down.
    pub(super) downed_by: Option<usize>,
    /// Open steps of a role: step, operation, process.
    pub(super) open: Vec<(StepId, u32, u32)>,
    /// Processes of a role that are free for its next steps.
    pub(super) processes: Vec<u32>,
}

impl<N: Node> Machine<N> {
    fn new(boot: OriginId) -> Self {
        Self {
            task: None,
            up: false,
            node: None,
            incarnation: 0,
            files: Files::default(),
            trouble: Trouble::default(),
            clock: Clock::default(),
            wrong: Faults::NONE,
            log: Vec::new(),
            synced: 0,
            beside: None,
            rewrites: 0,
            timers: FxHashMap::default(),
            own: VecDeque::new(),
            origin: boot,
            due: Vec::new(),
            sending: None,
            token: 0,
            boot_at: 0,
            paused: None,
            held_up: false,
            retired: false,
            boot,
            busy: false,
            downed_by: None,
            open: Vec::new(),
            processes: Vec::new(),
        }
    }
}

/// Everything of one run.
pub(super) struct Stage<N: Node> {
    pub(super) now: u64,
    pub(super) end_at: u64,
    pub(super) healed: bool,
    pub(super) end: End,
    /// What the engine itself has found wrong.
    pub(super) wrong: Option<checkers::Verdict>,
    pub(super) steps: u64,
    pub(super) deliveries: u64,
    pub(super) seed: u64,
    /// How long a sync takes.
    pub(super) sync: u64,
    pub(super) scenario: String,
    pub(super) mutant: Option<Mutation>,
    pub(super) configs: Vec<N::Config>,
    pub(super) queue: Queue<Event>,
    pub(super) machines: Vec<Machine<N>>,
    /// Of every machine, clients' included, as what each has heard last.
    pub(super) ports: Vec<Port>,
    pub(super) heard: Vec<Option<Heard>>,
    pub(super) calls: Calls<N>,
    pub(super) links: Links,
    pub(super) plan: Plan,
    pub(super) origins: Origins,
    pub(super) first_call: u32,
    pub(super) heal_origin: OriginId,
    pub(super) history: History<N::Op, N::Ret>,
    pub(super) operations: u32,
    pub(super) next_process: u32,
    pub(super) trace: Trace,
    pub(super) drawn: Option<Vec<Drawn>>,
    pub(super) marks: Vec<(&'static str, u32)>,
    pub(super) uses: Uses,
    /// Nodes whose durable log may have changed since judges looked.
    pub(super) changed: Vec<NodeId>,
    /// Frames sent.
    pub(super) sent: u32,
    /// Tasks woken since all were last idle.
    pub(super) woken: u32,
    /// madsim's own network, where that carries the frames.
    pub(super) streams: Option<Streams>,
    /// madsim's side.
    pub(super) handle: Handle,
    /// Itself, for the tasks that it starts.
    pub(super) me: std::rc::Weak<RefCell<Self>>,
}

impl<N: Node> Stage<N> {
    /// A cluster before anything has happened.
    pub(super) fn new(case: &CaseOf<N>, recording: bool, handle: Handle) -> Shared<N> {
        let servers = case.nodes.len();
        let machines = servers + usize::from(case.clients.count);
        let mut origins = Origins::new(servers, machines + case.calls.len() + case.faults.len());
        for node in 0..servers {
            origins.add(Origin::Boot(node as u16));
        }
        let heal_origin = origins.add(Origin::Heal);
        let first_call = heal_origin.0 + 1;
        for call in &case.calls {
            origins.add(Origin::Call(call.id));
        }
        let plan = Plan::new(&case.faults, &mut origins);
        let trace = Trace { events: recording.then(Vec::new), ..Trace::default() };
        let mut stage = Self {
            now: 0,
            end_at: nanos(case.end_at),
            healed: false,
            end: End::Running,
            wrong: None,
            steps: 0,
            deliveries: 0,
            seed: case.seed.0,
            sync: nanos(case.sync),
            scenario: case.scenario.clone(),
            mutant: case.mutant.as_ref().and_then(Mutant::generic).cloned(),
            configs: case.nodes.clone(),
            queue: Queue::new(),
            machines: (0..servers as u32).map(|n| Machine::new(OriginId(n))).collect(),
            ports: (0..machines).map(|_| Port::default()).collect(),
            heard: vec![None; machines],
            calls: Calls::new(case),
            links: Links::new(&case.network, case.seed.0, machines),
            plan,
            origins,
            first_call,
            heal_origin,
            history: History::new(),
            operations: 0,
            next_process: machines as u32,
            trace,
            drawn: recording.then(Vec::new),
            marks: Vec::new(),
            uses: Uses::default(),
            changed: Vec::new(),
            sent: 0,
            woken: 0,
            streams: None,
            handle,
            me: std::rc::Weak::new(),
        };
        stage.schedule(nanos(case.heal_at));
        Rc::new_cyclic(|me| {
            stage.me = me.clone();
            RefCell::new(stage)
        })
    }

    fn schedule(&mut self, heal_at: u64) {
        for fault in 0..self.plan.len() {
            if let Some(at) = self.plan.time(fault) {
                self.queue.push(at, Event::Fault(fault));
            }
        }
        for node in 0..self.machines.len() {
            self.queue.push(0, Event::Boot { node: NodeId(node as u16), token: 0 });
        }
        self.queue.push(heal_at, Event::Heal);
    }

    /// Follows an event to its end, but for what the tasks do that it wakes.
    pub(super) fn step(&mut self, event: Event) {
        self.count_step();
        match event {
            Event::Deliver(envelope) => self.deliver(envelope),
            Event::Alarm { id, at } => self.ring(id, at),
            Event::Boot { node, token } => self.boot(node, token),
            Event::Resume { node } => self.resume(node),
            Event::Fault(fault) => self.strike(fault),
            Event::Lift(fault) => self.lift(fault),
            Event::CrashAgain { fault, left } => self.crash_again(fault, left),
            Event::Heal => self.heal(),
        }
    }

    /// Counts a step; too many of them are a livelock.
    pub(super) fn count_step(&mut self) {
        self.steps += 1;
        if self.steps >= STEP_LIMIT && self.end == End::Running {
            self.end = End::Steps;
        }
    }

    pub(super) fn servers(&self) -> u16 {
        self.machines.len() as u16
    }

    pub(super) fn machine(&mut self, id: NodeId) -> &mut Machine<N> {
        &mut self.machines[id.index()]
    }

    /// A machine's clocks. Those of clients are right.
    pub(super) fn clock(&self, id: NodeId) -> Clock {
        self.machines.get(id.index()).map(|machine| machine.clock.clone()).unwrap_or_default()
    }

    pub(super) fn call_origin(&self, call: u32) -> OriginId {
        OriginId(self.first_call + call)
    }

    /// The engine has found something wrong by itself: the first thing counts.
    pub(super) fn found(&mut self, verdict: checkers::Verdict) {
        self.wrong.get_or_insert(verdict);
    }

    /// A node did what no shell can do for it.
    pub(super) fn misuse(&mut self, id: NodeId) {
        self.end = End::Misuse(id);
    }

    /// What a node reads from a clock that is wrong is the effect of what made it so.
    pub(super) fn clock_used(&mut self, id: NodeId, kinds: Faults) {
        let wrong = self.machine(id).wrong.only(kinds);
        self.plan.count(wrong);
    }

    pub(super) fn count(&mut self, kind: FaultKind) {
        self.plan.count(Faults::of(&[kind]));
    }

    pub(super) fn tell_history(
        &mut self,
        op: u32,
        actor: Actor,
        process: u32,
        call: u32,
        what: What<N::Op, N::Ret>,
    ) {
        self.history.events.push(history::Event { at: self.now, op, actor, process, call, what });
    }

    /// Notes how an operation ended.
    pub(super) fn note_end(
        &mut self,
        node: NodeId,
        origin: OriginId,
        about: impl Hash,
        what: &What<N::Op, N::Ret>,
    ) {
        let (happening, ret) = match what {
            What::Ok(ret) => (Happening::Ok, Some(ret)),
            What::Fail(_) => (Happening::Fail, None),
            What::Info | What::Invoke(_) => (Happening::Info, None),
        };
        self.note(happening, node, origin, &(about, ret), |event| {
            event.text = world::parts::describe_end(what);
        });
    }

    pub(super) fn note_fault(&mut self, what: Happening, index: usize) {
        let Fault { id, mut kind, .. } = self.plan.fault(index).clone();
        let node = Kind::nodes_mut(&mut kind).first().map_or(NodeId(0), |node| **node);
        let origin = self.plan.origin(index);
        self.note(what, node, origin, &id, |event| event.text = world::describe(&kind));
    }

    /// Adds an event to the digest and, when recording, to the trace.
    pub(super) fn note(
        &mut self,
        what: Happening,
        node: NodeId,
        origin: OriginId,
        about: &impl Hash,
        describe: impl FnOnce(&mut TraceEvent),
    ) {
        self.trace.hash(self.now, what, node, about);
        if self.trace.events.is_some() {
            self.append(what, node, origin, describe);
        }
    }

    /// Adds an event to the trace only: its digest part is hashed elsewhere.
    pub(super) fn append(
        &mut self,
        what: Happening,
        node: NodeId,
        origin: OriginId,
        describe: impl FnOnce(&mut TraceEvent),
    ) {
        let incarnation = self.machines.get(node.index()).map_or(0, |m| m.incarnation);
        let origin = self.origins.get(origin);
        self.trace.append(self.now, what, (node, incarnation), origin, describe);
    }
}
