//! One machine: how its process starts and ends, what it is told, and what waits while it cannot
//! go on.

use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine::{Event, World, nanos};
use crate::fault::{Edge, FaultKind, Faults};
use crate::origin::OriginId;
use crate::trace::Happening;
use history::{Actor, What};
use node::{Context, Dice, Effect, Incarnation, Node, NodeId, RequestId, StepId, mix};
use std::collections::VecDeque;
use std::panic::Location;
use std::time::Duration;

/// What a node is told.
pub(crate) enum Input<N: Node> {
    Request(RequestId, N::Op),
    Message(NodeId, N::Msg),
    Timer(N::Timer),
}

/// What waits for a node that cannot go on.
pub(crate) enum Waiting<N: Node> {
    Input(Input<N>, OriginId),
    /// A timer has run out. What waits before it may still cancel it.
    Ring(u64),
}

pub(crate) struct ArmedTimer<T> {
    pub(crate) key: u64,
    pub(crate) timer: T,
    pub(crate) origin: OriginId,
}

/// An effect behind a slow sync or a pause.
pub(crate) struct Queued<N: Node> {
    pub(crate) effect: Effect<N>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) origin: OriginId,
    /// The faults that are placed on it, if what was due before it has struck.
    pub(crate) due: Option<Vec<(Edge, usize)>>,
}

/// A stopped process.
#[derive(Clone, Copy)]
pub(crate) struct Pause {
    pub(crate) fault: usize,
    pub(crate) until: u64,
}

/// One machine of the cluster.
pub(crate) struct Machine<N: Node> {
    /// The process; none while it is down.
    pub(crate) node: Option<N>,
    pub(crate) incarnation: Incarnation,
    pub(crate) disk: Disk<N::Record>,
    pub(crate) clock: Clock,
    /// The kinds of clock faults that have struck it.
    pub(crate) wrong: Faults,
    pub(crate) timers: Vec<ArmedTimer<N::Timer>>,
    pub(crate) effects: VecDeque<Queued<N>>,
    pub(crate) inputs: VecDeque<Waiting<N>>,
    /// Grows with every start that is scheduled or happens: an earlier one is void.
    pub(crate) token: u32,
    pub(crate) boot_at: u64,
    pub(crate) syncing: bool,
    /// Grows with every sync: the end of an earlier one is void.
    pub(crate) syncs: u32,
    /// Faults that strike when the sync is done.
    pub(crate) after_sync: Vec<usize>,
    pub(crate) paused: Option<Pause>,
    pub(crate) retired: bool,
    /// The cause of the next boot, and then of what belongs to it.
    pub(crate) boot: OriginId,
    /// Handled anything but its start in this life: a crash would cost something.
    pub(crate) busy: bool,
    /// The fault that counts when a message finds the node down.
    pub(crate) downed_by: Option<usize>,
    pub(crate) steps: u32,
    /// Open steps of a role: step, operation, process.
    pub(crate) open: Vec<(StepId, u32, u32)>,
    /// Processes of a role that are free for its next steps.
    pub(crate) processes: Vec<u32>,
    /// When and for what it ran last, and how often in a row.
    last: (u64, u64, u64),
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

const NODE_DICE: u64 = 0x6e6f_6465_6469_6365;

/// A process takes a moment to start even when nothing keeps it down.
const START: Duration = Duration::from_millis(1);

/// Until a start that met bad data reads it again.
const READ_AGAIN: Duration = Duration::from_millis(10);

impl<N: Node> Machine<N> {
    pub(crate) fn new(boot: OriginId) -> Self {
        Self {
            node: None,
            incarnation: 0,
            disk: Disk::new(),
            clock: Clock::default(),
            wrong: Faults::NONE,
            timers: Vec::new(),
            effects: VecDeque::new(),
            inputs: VecDeque::new(),
            token: 0,
            boot_at: 0,
            syncing: false,
            syncs: 0,
            after_sync: Vec::new(),
            paused: None,
            retired: false,
            boot,
            busy: false,
            downed_by: None,
            steps: 0,
            open: Vec::new(),
            processes: Vec::new(),
            last: (u64::MAX, 0, 0),
        }
    }

    #[inline]
    pub(crate) fn flow(&self) -> Flow {
        if self.node.is_none() {
            Flow::Dead
        } else if self.syncing || self.paused.is_some() {
            Flow::Blocked
        } else {
            Flow::On
        }
    }

    /// A handler's context. Its dice are keyed by the life, the cause and the time, so that other
    /// causes' draws stay as they are; calls that have all three in common are counted.
    #[inline]
    fn context(&mut self, me: NodeId, now: u64, seed: u64, origin: u64) -> Context {
        self.last = match self.last {
            (at, cause, calls) if (at, cause) == (now, origin) => (at, cause, calls + 1),
            _ => (now, origin, 0),
        };
        let life = u64::from(me.0) << 32 | u64::from(self.incarnation);
        let key = mix(seed ^ NODE_DICE ^ origin.rotate_left(17), life ^ self.last.2 << 48);
        Context {
            me,
            incarnation: self.incarnation,
            now_nanos: self.clock.local(now),
            wall_nanos: self.clock.wall(now),
            dice: Dice::new(mix(key, now)),
            next_step: self.steps,
            read_now: false,
            read_wall: false,
        }
    }
}

impl<N: Node> World<N> {
    pub(crate) fn machine(&mut self, id: NodeId) -> &mut Machine<N> {
        &mut self.machines[id.index()]
    }

    /// Tells a node something, or lets it wait behind a slow sync or a pause.
    #[inline]
    pub(crate) fn tell(&mut self, id: NodeId, input: Input<N>, origin: OriginId) {
        match self.machine(id).flow() {
            Flow::On => self.handle(id, input, origin),
            Flow::Blocked => self.machine(id).inputs.push_back(Waiting::Input(input, origin)),
            Flow::Dead => {}
        }
    }

    /// A timer runs out, unless it was cancelled or set again.
    pub(crate) fn ring(&mut self, id: NodeId, key: u64) {
        let machine = self.machine(id);
        let Some(at) = machine.timers.iter().position(|armed| armed.key == key) else { return };
        if machine.flow() == Flow::Blocked {
            return machine.inputs.push_back(Waiting::Ring(key));
        }
        let ArmedTimer { timer, origin, .. } = machine.timers.swap_remove(at);
        self.note(Happening::Timer, id, origin, &timer, |event| {
            event.text = format!("{timer:?}");
        });
        self.handle(id, Input::Timer(timer), origin);
    }

    /// Runs one handler, and then its effects.
    #[inline]
    fn handle(&mut self, id: NodeId, input: Input<N>, origin: OriginId) {
        let machine = &mut self.machines[id.index()];
        machine.busy = true;
        self.running = Some(id);
        let cx = &mut self.cx;
        cx.context = machine.context(id, self.now, self.seed, self.origins.code(origin));
        let Some(node) = machine.node.as_mut() else { return };
        match (&self.mutation, input) {
            (None, Input::Message(from, msg)) => node.on_message(from, msg, cx),
            (None, Input::Timer(timer)) => node.on_timer(timer, cx),
            (None, Input::Request(request, op)) => node.on_request(request, op, cx),
            (Some(bug), Input::Message(from, msg)) => bug.on_message(node, from, msg, cx),
            (Some(bug), Input::Timer(timer)) => bug.on_timer(node, timer, cx),
            (Some(bug), Input::Request(request, op)) => bug.on_request(node, request, op, cx),
        }
        self.settle(id, origin);
    }

    /// After a handler: does what it asked for.
    #[inline]
    fn settle(&mut self, id: NodeId, origin: OriginId) {
        self.running = None;
        self.machines[id.index()].steps = self.cx.context.next_step;
        if self.cx.context.read_wall {
            self.uses.wall = true;
            self.clock_used(id, WALL);
        }
        if self.cx.context.read_now {
            self.uses.clock = true;
            self.clock_used(id, MONOTONIC);
        }
        let mut effects = std::mem::take(self.cx.buffer());
        let mut rest = effects.drain(..);
        while let Some((effect, place)) = rest.next() {
            match self.apply(id, effect, place, origin) {
                Flow::On => {}
                Flow::Blocked => {
                    let rest = rest.by_ref();
                    let rest =
                        rest.map(|(effect, place)| Queued { effect, place, origin, due: None });
                    self.machines[id.index()].effects.extend(rest);
                    break;
                }
                Flow::Dead => break,
            }
        }
        drop(rest);
        *self.cx.buffer() = effects;
    }

    /// What a node reads from a clock that is wrong is the effect of what made it so.
    pub(crate) fn clock_used(&mut self, id: NodeId, kinds: Faults) {
        let wrong = self.machine(id).wrong.only(kinds);
        self.plan.count(wrong);
    }

    /// A node can go on: first with the effects that waited, then with what arrived meanwhile.
    pub(crate) fn proceed(&mut self, id: NodeId) {
        while self.machine(id).flow() == Flow::On {
            if let Some(queued) = self.machine(id).effects.pop_front() {
                let Queued { effect, place, origin, due } = queued;
                match due {
                    None => self.apply(id, effect, place, origin),
                    Some(due) => self.apply_due(id, effect, place, origin, due),
                };
                continue;
            }
            match self.machine(id).inputs.pop_front() {
                Some(Waiting::Input(input, origin)) => self.handle(id, input, origin),
                Some(Waiting::Ring(key)) => self.ring(id, key),
                None => return,
            }
        }
    }

    pub(crate) fn boot(&mut self, id: NodeId, token: u32) {
        let machine = &mut self.machines[id.index()];
        if machine.token != token || machine.node.is_some() || machine.retired {
            return;
        }
        // The incarnation is forced at boot, which a full disk does not allow.
        if let Some(fault) = machine.disk.full {
            return self.plan.effective(fault);
        }
        if let Some((permanent, fault)) = machine.disk.rot.take()
            && !machine.disk.written().is_empty()
        {
            return self.meet_rot(id, permanent, fault);
        }
        machine.disk.sync();
        machine.incarnation += 1;
        machine.busy = false;
        machine.downed_by = None;
        machine.token += 1;
        let (origin, incarnation) = (machine.boot, machine.incarnation);
        self.changed = Some(id);
        self.note(Happening::Boot, id, origin, &incarnation, |event| {
            event.text = format!("incarnation {incarnation}");
        });
        self.running = Some(id);
        let machine = &mut self.machines[id.index()];
        let cx = &mut self.cx;
        cx.context = machine.context(id, self.now, self.seed, self.origins.code(origin));
        let node = machine.node.insert((self.make)(id, &self.configs[id.index()]));
        match &self.mutation {
            None => node.on_start(machine.disk.written(), cx),
            Some(bug) => bug.on_start(node, machine.disk.written(), cx),
        }
        self.settle(id, origin);
    }

    /// A start meets bad data: read again, it is good; or the node stays down.
    fn meet_rot(&mut self, id: NodeId, permanent: bool, fault: usize) {
        self.plan.effective(fault);
        if permanent {
            self.machine(id).retired = true;
        } else {
            self.boot_later(id, READ_AGAIN);
        }
    }

    /// Schedules a start, and makes void what was scheduled before.
    pub(crate) fn boot_later(&mut self, id: NodeId, down: Duration) {
        let at = self.now + nanos(down.max(START));
        let machine = self.machine(id);
        machine.token += 1;
        machine.boot_at = at;
        let token = machine.token;
        self.queue.push(at, Event::Boot { node: id, token });
    }

    /// Power comes back after so long: a machine that is down stays down until then.
    pub(crate) fn boot_no_sooner(&mut self, id: NodeId, fault: usize, down: Duration) {
        if self.now + nanos(down.max(START)) > self.machine(id).boot_at {
            let origin = self.plan.origin(fault);
            self.machine(id).boot = origin;
            self.machine(id).downed_by = Some(fault);
            self.boot_later(id, down);
        }
    }

    /// Ends a process: what it held in memory is gone, and so are its timers and open steps. What
    /// follows from its next start goes back to the fault.
    pub(crate) fn stop(&mut self, id: NodeId, fault: usize) {
        self.wake(id);
        let origin = self.plan.origin(fault);
        let machine = self.machine(id);
        machine.node = None;
        machine.timers.clear();
        machine.effects.clear();
        machine.inputs.clear();
        machine.after_sync.clear();
        machine.processes.clear();
        machine.syncing = false;
        machine.token += 1;
        machine.steps = 0;
        machine.boot = origin;
        let (open, downed_by) = (std::mem::take(&mut machine.open), machine.downed_by);
        self.network.disconnect(id, downed_by);
        for (step, operation, process) in open {
            self.note_end(id, origin, step, &What::Info);
            self.tell_history(operation, Actor::Role(id.0), process, step.nth, What::Info);
        }
    }

    pub(crate) fn pause(&mut self, id: NodeId, fault: usize, lasts: Duration) {
        let until = self.now + nanos(lasts);
        let machine = self.machine(id);
        if machine.node.is_none() || machine.paused.is_some_and(|pause| pause.until >= until) {
            return;
        }
        machine.paused = Some(Pause { fault, until });
        self.queue.push(until, Event::Resume { node: id });
    }

    /// A paused process goes on, with what has waited for it, if no longer pause is under way.
    pub(crate) fn resume(&mut self, id: NodeId) {
        if self.machine(id).paused.is_some_and(|pause| pause.until <= self.now) {
            self.wake(id);
            self.proceed(id);
        }
    }

    /// Ends a pause, which has had an effect if something waited for nothing else.
    fn wake(&mut self, id: NodeId) {
        let machine = self.machine(id);
        let waits = !machine.effects.is_empty() || !machine.inputs.is_empty();
        if let Some(pause) = machine.paused.take()
            && waits
            && !machine.syncing
        {
            self.plan.effective(pause.fault);
        }
    }
}

/// Kinds that make a wall clock wrong.
pub const WALL: Faults =
    Faults::of(&[FaultKind::WallOffset, FaultKind::WallDrift, FaultKind::WallJump]);
/// Kinds that make a monotonic clock wrong.
pub const MONOTONIC: Faults = Faults::of(&[FaultKind::Rate]);
