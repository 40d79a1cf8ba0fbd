//! The heap engine: one thread, one heap of events, no async. [`World::step`] takes the next event
//! and follows it to its end.

use crate::case::CaseOf;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::fault::{Address, Origin};
use crate::network::{Drawn, Fate, Network};
use crate::origin::{OriginId, Origins};
use crate::plan::Plan;
use crate::queue::Queue;
use crate::trace::{Digest, Happening, Trace, TraceEvent};
use derive_where::derive_where;
use history::History;
use node::{
    Answer, Context, Cx, Dice, Effect, Incarnation, Mutation, Node, NodeId, RequestId, mix,
};
use std::collections::VecDeque;
use std::hash::Hash;
use std::panic::Location;

/// What travels.
#[derive_where(Clone)]
pub(crate) enum Wire<N: Node> {
    Peer(N::Msg),
    Request(RequestId, N::Op),
    /// The answer, and its number among all answers to the request.
    Answer(RequestId, Answer<N::Ret>, u32),
}

/// A message under way.
#[derive_where(Clone)]
pub(crate) struct Envelope<N: Node> {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) origin: OriginId,
    pub(crate) nth: u32,
    pub(crate) epoch: u32,
    pub(crate) lost: bool,
    pub(crate) corrupt: bool,
    pub(crate) copy: bool,
    pub(crate) wire: Wire<N>,
}

/// What is still to happen.
pub(crate) enum Event<N: Node> {
    Deliver(Envelope<N>),
    Timer {
        node: NodeId,
        key: u64,
    },
    Synced {
        node: NodeId,
        token: u32,
    },
    Boot {
        node: NodeId,
        token: u32,
    },
    Resume {
        node: NodeId,
        token: u32,
    },
    Fault(usize),
    Lift(usize),
    CrashAgain {
        fault: usize,
        left: u32,
    },
    Begin {
        client: u16,
    },
    /// A Retry answer sends the request on.
    Resend {
        call: u32,
    },
    /// A client's fault sends it again.
    Again {
        call: u32,
        fault: usize,
    },
    GiveUp {
        call: u32,
    },
    ClientCrash {
        call: u32,
        fault: usize,
    },
    Heal,
}

/// What a node is told.
pub(crate) enum Input<N: Node> {
    Request(RequestId, N::Op),
    Message(NodeId, N::Msg),
    Timer(u64),
}

pub(crate) struct ArmedTimer<T> {
    pub(crate) key: u64,
    pub(crate) timer: T,
    pub(crate) origin: OriginId,
}

pub(crate) type Queued<N> = (Effect<N>, &'static Location<'static>, OriginId);

/// One machine of the cluster.
pub(crate) struct Machine<N: Node> {
    pub(crate) node: Option<N>,
    pub(crate) incarnation: Incarnation,
    pub(crate) disk: Disk<N::Record>,
    pub(crate) clock: Clock,
    pub(crate) timers: Vec<ArmedTimer<N::Timer>>,
    /// Effects behind a slow sync or a pause, and what arrived meanwhile.
    pub(crate) effects: VecDeque<Queued<N>>,
    pub(crate) inputs: VecDeque<(Input<N>, OriginId)>,
    /// Grows with every crash and boot: a start that was scheduled earlier is void.
    pub(crate) token: u32,
    pub(crate) syncing: bool,
    /// Grows with every sync, and `pauses` with every pause: the end of an earlier one is void.
    pub(crate) syncs: u32,
    pub(crate) pauses: u32,
    pub(crate) after_sync: Vec<usize>,
    pub(crate) paused: Option<usize>,
    pub(crate) retired: bool,
    /// The cause of the next boot, and then of what belongs to it.
    pub(crate) boot: OriginId,
    /// Handled anything but its start in this life: a crash would cost something.
    pub(crate) busy: bool,
    pub(crate) downed_by: Option<usize>,
    pub(crate) steps: u32,
    /// Open steps of a role: step, operation, process.
    pub(crate) open: Vec<(node::StepId, u32, u32)>,
    pub(crate) processes: Vec<u32>,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Not yet.
    Running,
    /// Nothing more can happen.
    Quiet,
    /// The case's end was reached.
    Time,
    /// More steps than any honest run takes: a livelock.
    Steps,
    /// A node answered a request that it was never asked, which no shell could deliver.
    Misuse(NodeId),
}

/// What nodes made use of: a fault of a clock that nobody reads has nothing to act on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Uses {
    /// Somebody read a wall clock.
    pub wall: bool,
    /// Somebody read a monotonic clock or set a timer.
    pub clock: bool,
    /// Somebody wrote to a log.
    pub disk: bool,
}

/// The simulated cluster: it runs one case.
pub struct World<N: Node> {
    pub(crate) now: u64,
    pub(crate) end_at: u64,
    pub(crate) healed: bool,
    pub(crate) end: End,
    pub(crate) steps: u64,
    pub(crate) step_limit: u64,
    pub(crate) deliveries: u64,
    pub(crate) seed: u64,
    pub(crate) sync: u64,
    pub(crate) queue: Queue<Event<N>>,
    pub(crate) configs: Vec<N::Config>,
    pub(crate) machines: Vec<Machine<N>>,
    pub(crate) clients: Clients<N>,
    pub(crate) network: Network,
    pub(crate) plan: Plan,
    pub(crate) origins: Origins,
    pub(crate) first_call: u32,
    pub(crate) heal_origin: OriginId,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) history: History<N::Op, N::Ret>,
    pub(crate) operations: u32,
    pub(crate) next_process: u32,
    pub(crate) trace: Trace,
    pub(crate) drawn: Option<Vec<Drawn>>,
    pub(crate) marks: Vec<(&'static str, u32)>,
    pub(crate) uses: Uses,
    pub(crate) changed: Option<NodeId>,
    pub(crate) running: Option<NodeId>,
    next_timer: u64,
    cx: Cx<N>,
}

/// What becomes of a node's remaining effects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// They go on.
    On,
    /// They wait, with what arrives meanwhile.
    Blocked,
    /// The process has ended, and they with it.
    Dead,
}

/// Steps after which a run counts as a livelock.
const STEP_LIMIT: u64 = 2_000_000;

const NODE_DICE: u64 = 0x6e6f_6465_6469_6365;

pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

impl<N: Node> World<N> {
    /// A cluster before anything has happened.
    ///
    /// # Panics
    /// On a case that [`Case::check`](crate::Case::check) refuses.
    pub fn new(case: &CaseOf<N>) -> Self {
        let servers = case.nodes.len();
        let machines = servers + usize::from(case.clients.count);
        let expected = servers + case.calls.len() + case.faults.len() + 1;
        let mut origins = Origins::new(machines, expected);
        for node in 0..servers {
            origins.add(Origin::Boot(node as u16));
        }
        let heal_origin = origins.add(Origin::Heal);
        let first_call = heal_origin.0 + 1;
        for call in &case.calls {
            origins.add(Origin::Call(call.id));
        }
        let plan = Plan::new(&case.faults, &mut origins);
        let mut world = Self {
            now: 0,
            end_at: nanos(case.end_at),
            healed: false,
            end: End::Running,
            steps: 0,
            step_limit: STEP_LIMIT,
            deliveries: 0,
            seed: case.seed.0,
            sync: nanos(case.sync),
            queue: Queue::new(),
            configs: case.nodes.clone(),
            machines: (0..servers as u32).map(|n| Machine::new(OriginId(n))).collect(),
            clients: Clients::new(case),
            network: Network::new(&case.network, case.seed.0, machines),
            plan,
            origins,
            first_call,
            heal_origin,
            mutation: case.mutant.clone(),
            history: History::new(),
            operations: 0,
            next_process: machines as u32,
            trace: Trace::default(),
            drawn: None,
            marks: Vec::new(),
            uses: Uses::default(),
            changed: None,
            running: None,
            next_timer: 0,
            cx: Cx::default(),
        };
        world.schedule(nanos(case.heal_at));
        world
    }

    /// Keeps every event of the trace, and every fate that is drawn. The digest stays the same.
    pub fn record(&mut self) {
        self.trace.events = Some(Vec::new());
        self.drawn = Some(Vec::new());
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
        for client in 0..self.clients.clients.len() {
            if let Some(call) = self.clients.clients[client].waiting.last() {
                let at = self.clients.calls[*call as usize].at;
                self.queue.push(at, Event::Begin { client: client as u16 });
            }
        }
        self.queue.push(heal_at, Event::Heal);
    }

    /// Takes the next event and follows it to its end; false when the run is over.
    pub fn step(&mut self) -> bool {
        self.changed = None;
        let Some((at, event)) = self.next() else { return false };
        self.now = at;
        self.steps += 1;
        match event {
            Event::Deliver(envelope) => self.deliver(envelope),
            Event::Timer { node, key } => self.tell(node, Input::Timer(key), self.heal_origin),
            Event::Synced { node, token } => self.synced(node, token),
            Event::Boot { node, token } => self.boot(node, token),
            Event::Resume { node, token } => self.resume(node, token),
            Event::Fault(fault) => self.strike(fault),
            Event::Lift(fault) => self.lift(fault),
            Event::CrashAgain { fault, left } => self.crash_again(fault, left),
            Event::Begin { client } => self.begin(client),
            Event::Resend { call } => self.resend(call),
            Event::Again { call, fault } => self.again(call, fault),
            Event::GiveUp { call } => self.give_up(call),
            Event::ClientCrash { call, fault } => self.client_crash(call, fault),
            Event::Heal => self.heal(),
        }
        true
    }

    /// Runs to the end.
    pub fn run(&mut self) -> End {
        while self.step() {}
        self.end
    }

    fn next(&mut self) -> Option<(u64, Event<N>)> {
        if self.end != End::Running {
            return None;
        }
        let Some((at, event)) = self.queue.pop() else {
            self.end = End::Quiet;
            return None;
        };
        if at > self.end_at || self.steps >= self.step_limit {
            self.end = if at > self.end_at { End::Time } else { End::Steps };
            return None;
        }
        Some((at, event))
    }

    /// Sends a message on its way, as its address decides.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, origin: OriginId, wire: Wire<N>) {
        let nth = self.origins.next(origin, from, to);
        let cause = self.origins.get(origin);
        let mut fate = Fate::default();
        if from != to {
            fate = self.network.fate(from, to, cause.code(), nth);
            if self.plan.has_fates() && !self.healed {
                self.plan.place_fates(Address { from, to, origin: cause, nth }, &mut fate);
            }
            if let Some(drawn) = &mut self.drawn {
                let address = Address { from, to, origin: cause, nth };
                drawn.extend(fate.as_placed().map(|kind| Drawn { address, kind }));
            }
        }
        self.dispatch(
            fate,
            Envelope {
                from,
                to,
                origin,
                nth,
                epoch: 0,
                lost: fate.lost,
                corrupt: fate.corrupt,
                copy: false,
                wire,
            },
        );
    }

    fn dispatch(&mut self, fate: Fate, mut envelope: Envelope<N>) {
        let (from, to) = (envelope.from, envelope.to);
        let mut at = self.now + fate.delay;
        if let Some((by, fault)) = self.network.slowness(from, to) {
            at += by;
            self.plan.effective(fault);
        }
        if let Some(late) = fate.late {
            at += self.plan.late(late);
        }
        self.plan.overtaken(from, to, at, fate.late);
        if let Wire::Request(request, _) = &envelope.wire
            && let Some(call) = self.clients.find(*request)
        {
            let attempts = &mut self.clients.calls[call as usize].attempts;
            attempts.copy();
            if fate.copy.is_some() && !self.network.is_stream() {
                attempts.copy();
            }
        }
        if self.network.is_stream() {
            (at, envelope.epoch) = self.network.enqueue(from, to, at, envelope.lost);
        } else if let Some((takes, lost)) = fate.copy {
            let copy = Envelope { copy: true, corrupt: false, lost, ..envelope.clone() };
            self.queue.push(self.now + takes, Event::Deliver(copy));
        }
        self.queue.push(at, Event::Deliver(envelope));
    }

    /// A message arrives, or does not: cuts, loss and the life that receives it are decided now.
    fn deliver(&mut self, mut envelope: Envelope<N>) {
        let (from, to) = (envelope.from, envelope.to);
        if let Some(why) = self.lost_on_the_way(&mut envelope) {
            return self.drop_message(&envelope, why);
        }
        self.deliveries += 1;
        if envelope.copy {
            self.plan.duplicated();
        }
        let Envelope { origin, wire, nth, .. } = envelope;
        match wire {
            Wire::Peer(msg) => {
                self.note(Happening::Receive, to, origin, &(from, &msg), |event| {
                    event.peer = Some(from);
                    event.nth = nth;
                    event.text = format!("{msg:?}");
                });
                self.tell(to, Input::Message(from, msg), origin);
            }
            Wire::Request(request, op) => {
                self.note(Happening::Request, to, origin, &(from, request, &op), |event| {
                    event.peer = Some(from);
                    event.nth = nth;
                    event.text = format!("{op:?}");
                });
                if let Some(call) = self.clients.find(request) {
                    self.clients.calls[call as usize].asked |= 1 << to.0;
                }
                self.tell(to, Input::Request(request, op), origin);
            }
            Wire::Answer(request, answer, reply) => self.answered(from, request, answer, reply),
        }
    }

    /// Why a message is not handled, if it is not.
    fn lost_on_the_way(&mut self, envelope: &mut Envelope<N>) -> Option<&'static str> {
        let (from, to) = (envelope.from, envelope.to);
        if let Some(fault) = self.network.cut_by(from, to) {
            self.plan.effective(fault);
            return Some("cut");
        }
        if envelope.lost && !self.healed {
            self.plan.lost();
            return Some("lost");
        }
        if self.network.is_stream() && !self.network.connected(from, to, envelope.epoch) {
            return Some("connection broken");
        }
        if envelope.corrupt && !self.healed && self.is_refused(envelope) {
            self.plan.corrupted();
            return Some("corrupt");
        }
        let machine = self.machines.get(to.index())?;
        if machine.node.is_none() {
            if let Some(fault) = machine.downed_by {
                self.plan.effective(fault);
            }
            return Some("node down");
        }
        None
    }

    /// Encodes a message, flips one of its bits and lets the codec judge it. What the codec lets
    /// through is what arrives.
    fn is_refused(&self, envelope: &mut Envelope<N>) -> bool {
        let key = mix(self.seed, u64::from(envelope.nth) << 32 | u64::from(envelope.from.0));
        let mut dice = Dice::new(key);
        match &mut envelope.wire {
            Wire::Peer(msg) => corrupt(msg, &mut dice),
            Wire::Request(_, op) => corrupt(op, &mut dice),
            Wire::Answer(_, answer, _) => corrupt(answer, &mut dice),
        }
    }

    fn drop_message(&mut self, envelope: &Envelope<N>, why: &'static str) {
        let Envelope { from, to, origin, nth, .. } = *envelope;
        self.note(Happening::Drop, to, origin, &(from, why), |event| {
            event.peer = Some(from);
            event.nth = nth;
            event.text = match &envelope.wire {
                Wire::Peer(msg) => format!("{why}: {msg:?}"),
                Wire::Request(_, op) => format!("{why}: {op:?}"),
                Wire::Answer(_, answer, _) => format!("{why}: {answer:?}"),
            };
        });
    }

    /// Tells a node something, or lets it wait behind a slow sync or a pause.
    fn tell(&mut self, id: NodeId, input: Input<N>, origin: OriginId) {
        let machine = &mut self.machines[id.index()];
        if machine.node.is_none() {
            return;
        }
        if machine.syncing || machine.paused.is_some() {
            if let Some(fault) = machine.paused {
                self.plan.effective(fault);
            }
            machine.inputs.push_back((input, origin));
            return;
        }
        self.handle(id, input, origin);
    }

    /// Runs one handler, and then its effects.
    fn handle(&mut self, id: NodeId, input: Input<N>, mut origin: OriginId) {
        let machine = &mut self.machines[id.index()];
        let told = match input {
            Input::Timer(key) => {
                let Some(at) = machine.timers.iter().position(|t| t.key == key) else { return };
                let armed = machine.timers.swap_remove(at);
                origin = armed.origin;
                self.note(Happening::Timer, id, origin, &armed.timer, |event| {
                    event.text = format!("{:?}", armed.timer);
                });
                Told::<N>::Timer(armed.timer)
            }
            Input::Message(from, msg) => Told::Message(from, msg),
            Input::Request(request, op) => Told::Request(request, op),
        };
        let machine = &mut self.machines[id.index()];
        machine.busy = true;
        self.running = Some(id);
        let cx = &mut self.cx;
        cx.context = machine.context(id, self.now, self.seed, self.origins.get(origin).code());
        let Some(node) = machine.node.as_mut() else { return };
        match (&self.mutation, told) {
            (None, Told::Message(from, msg)) => node.on_message(from, msg, cx),
            (None, Told::Timer(timer)) => node.on_timer(timer, cx),
            (None, Told::Request(request, op)) => node.on_request(request, op, cx),
            (Some(bug), Told::Message(from, msg)) => bug.on_message(node, from, msg, cx),
            (Some(bug), Told::Timer(timer)) => bug.on_timer(node, timer, cx),
            (Some(bug), Told::Request(request, op)) => bug.on_request(node, request, op, cx),
        }
        self.settle(id, origin);
    }

    /// After a handler: takes over what it asked for.
    fn settle(&mut self, id: NodeId, origin: OriginId) {
        let machine = &mut self.machines[id.index()];
        machine.steps = self.cx.context.next_step;
        self.uses.wall |= self.cx.context.read_wall;
        self.uses.clock |= self.cx.context.read_now;
        self.running = None;
        let mut effects = std::mem::take(self.cx.buffer());
        let mut rest = effects.drain(..);
        while let Some((effect, place)) = rest.next() {
            match self.apply(id, effect, place, origin) {
                Flow::On => {}
                Flow::Blocked => {
                    let waiting = rest.by_ref().map(|(effect, place)| (effect, place, origin));
                    self.machines[id.index()].effects.extend(waiting);
                    break;
                }
                Flow::Dead => break,
            }
        }
        drop(rest);
        *self.cx.buffer() = effects;
    }

    /// A node can go on: first with the effects that waited, then with what arrived meanwhile.
    pub(crate) fn proceed(&mut self, id: NodeId) {
        loop {
            let machine = &mut self.machines[id.index()];
            if machine.node.is_none() || machine.syncing || machine.paused.is_some() {
                return;
            }
            if let Some((effect, place, origin)) = machine.effects.pop_front() {
                self.apply(id, effect, place, origin);
            } else if let Some((input, origin)) = machine.inputs.pop_front() {
                self.handle(id, input, origin);
            } else {
                return;
            }
        }
    }

    fn boot(&mut self, id: NodeId, token: u32) {
        let machine = &mut self.machines[id.index()];
        if machine.token != token || machine.node.is_some() || machine.retired {
            return;
        }
        // The incarnation is forced at boot, which a full disk does not allow.
        if machine.disk.full {
            return;
        }
        if let Some((permanent, fault)) = machine.disk.rot.take() {
            return self.meet_rot(id, permanent, fault as usize);
        }
        machine.disk.sync();
        machine.incarnation += 1;
        machine.busy = false;
        machine.downed_by = None;
        machine.token += 1;
        let origin = machine.boot;
        let mut node = N::new(id, &self.configs[id.index()]);
        let context = machine.context(id, self.now, self.seed, self.origins.get(origin).code());
        self.cx.context = Context { next_step: 0, ..context };
        self.running = Some(id);
        let log = machine.disk.written();
        match &self.mutation {
            None => node.on_start(log, &mut self.cx),
            Some(bug) => bug.on_start(&mut node, log, &mut self.cx),
        }
        machine.node = Some(node);
        let incarnation = machine.incarnation;
        self.changed = Some(id);
        self.note(Happening::Boot, id, origin, &incarnation, |event| {
            event.text = format!("incarnation {incarnation}");
        });
        self.settle(id, origin);
    }

    /// Adds an event to the digest and, when recording, to the trace.
    #[inline]
    pub(crate) fn note(
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
    pub(crate) fn append(
        &mut self,
        what: Happening,
        node: NodeId,
        origin: OriginId,
        describe: impl FnOnce(&mut TraceEvent),
    ) {
        let mut event = TraceEvent {
            at: self.now,
            node,
            incarnation: self.machines.get(node.index()).map_or(0, |m| m.incarnation),
            origin: Some(self.origins.get(origin)),
            what,
            peer: None,
            nth: 0,
            text: String::new(),
            digest: self.trace.digest.value(),
            source: None,
        };
        describe(&mut event);
        self.trace.events.get_or_insert_default().push(event);
    }

    pub(crate) fn new_timer(&mut self, id: NodeId, at: u64) -> u64 {
        self.next_timer += 1;
        self.queue.push(at, Event::Timer { node: id, key: self.next_timer });
        self.next_timer
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        Digest::value(&self.trace.digest)
    }
}

enum Told<N: Node> {
    Request(RequestId, N::Op),
    Message(NodeId, N::Msg),
    Timer(N::Timer),
}

fn corrupt<T: node::Data>(value: &mut T, dice: &mut Dice) -> bool {
    let mut bytes = codec::encode(value);
    let bit = dice.below(bytes.len() as u64 * 8);
    bytes[bit as usize / 8] ^= 1 << (bit % 8);
    match codec::decode(&bytes) {
        Ok(other) => {
            *value = other;
            false
        }
        Err(_) => true,
    }
}

impl<N: Node> Machine<N> {
    fn new(boot: OriginId) -> Self {
        Self {
            node: None,
            incarnation: 0,
            disk: Disk::new(),
            clock: Clock::default(),
            timers: Vec::new(),
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            token: 0,
            syncing: false,
            syncs: 0,
            pauses: 0,
            after_sync: Vec::new(),
            paused: None,
            retired: false,
            boot,
            busy: false,
            downed_by: None,
            steps: 0,
            open: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// A handler's dice are keyed by the node, what caused the call and how many it has handled
    /// in this life, so other causes' draws stay as they are as far as that is possible.
    fn context(&self, me: NodeId, now: u64, seed: u64, origin: u64) -> Context {
        let life = u64::from(me.0) << 32 | u64::from(self.incarnation);
        Context {
            me,
            incarnation: self.incarnation,
            now_nanos: self.clock.local(now),
            wall_nanos: self.clock.wall(now),
            dice: Dice::new(mix(seed ^ NODE_DICE ^ origin.rotate_left(17), life ^ now << 20)),
            next_step: self.steps,
            read_now: false,
            read_wall: false,
        }
    }
}
