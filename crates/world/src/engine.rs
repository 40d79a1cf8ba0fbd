//! The heap engine: one thread, one heap of events, no async. [`World::step`] takes the next event
//! and follows it to its end.

use crate::Mutant;
use crate::case::CaseOf;
use crate::clients::Clients;
use crate::fault::Origin;
use crate::machine::Machine;
use crate::network::{Drawn, Network};
use crate::origin::{OriginId, Origins};
use crate::plan::Plan;
use crate::post::Envelope;
use crate::queue::Queue;
use crate::trace::{Happening, Trace, TraceEvent};
use history::History;
use node::{Cx, Mutation, Node, NodeId};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

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

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Not yet.
    Running,
    /// Nothing more can happen.
    Quiet,
    /// The case's end was reached.
    Time,
    /// More steps than any honest run takes, or more that waits: a livelock, or a storm.
    Steps,
    /// A node answered a request that it was never asked, or sent to what is no node: no shell
    /// could deliver that.
    Misuse(NodeId),
}

/// What nodes made use of: a fault of a clock that nobody reads has nothing to act on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Uses {
    /// Somebody read a wall clock.
    pub wall: bool,
    /// Somebody read a monotonic clock or set a timer.
    pub clock: bool,
    /// Somebody wrote to a log.
    pub disk: bool,
}

/// What makes a node at every boot, as [`Node::new`] does.
pub type Make<N> = fn(NodeId, &<N as Node>::Config) -> N;

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
    pub(crate) make: Make<N>,
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
    /// Messages sent, and timers set.
    pub(crate) sent: u32,
    pub(crate) timers: u64,
    pub(crate) cx: Cx<N>,
}

/// Steps after which a run counts as a livelock.
pub const STEP_LIMIT: u64 = 2_000_000;

/// Events that wait at once in no honest run: a storm.
pub const QUEUE_LIMIT: usize = 1 << 20;

/// Nanoseconds, bounded so that a few of them can be added.
pub fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

impl<N: Node> World<N> {
    /// A cluster before anything has happened.
    ///
    /// # Panics
    /// Here or in a later step, if the case is one that [`Case::check`](crate::Case::check)
    /// refuses: check it first.
    pub fn new(case: &CaseOf<N>) -> Self {
        Self::made_by(case, N::new)
    }

    /// As [`World::new`], where nodes are made otherwise than by [`Node::new`].
    ///
    /// # Panics
    /// As [`World::new`].
    pub fn made_by(case: &CaseOf<N>, make: Make<N>) -> Self {
        let servers = case.nodes.len();
        let machines = servers + usize::from(case.clients.count);
        let expected = servers + case.calls.len() + case.faults.len() + 1;
        let mut origins = Origins::new(servers, expected);
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
            make,
            machines: (0..servers as u32).map(|n| Machine::new(OriginId(n))).collect(),
            clients: Clients::new(case),
            network: Network::new(&case.network, case.seed.0, machines),
            plan,
            origins,
            first_call,
            heal_origin,
            mutation: case.mutant.as_ref().and_then(Mutant::generic).cloned(),
            history: History::new(),
            operations: 0,
            next_process: machines as u32,
            trace: Trace::default(),
            drawn: None,
            marks: Vec::new(),
            uses: Uses::default(),
            changed: None,
            running: None,
            sent: 0,
            timers: 0,
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

    /// Other dice from now on: another future of the same past.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.network.reseed(seed);
    }

    /// Ends the run after so many steps, as a livelock; 2,000,000 unless set.
    pub fn limit_steps(&mut self, limit: u64) {
        self.step_limit = limit;
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
            Event::Timer { node, key } => self.ring(node, key),
            Event::Synced { node, token } => self.synced(node, token),
            Event::Boot { node, token } => self.boot(node, token),
            Event::Resume { node } => self.resume(node),
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
        if at > self.end_at {
            self.end = End::Time;
            return None;
        }
        if self.steps >= self.step_limit || self.queue.len() >= QUEUE_LIMIT {
            self.end = End::Steps;
            return None;
        }
        Some((at, event))
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
        let incarnation = self.machines.get(node.index()).map_or(0, |m| m.incarnation);
        let origin = self.origins.get(origin);
        self.trace.append(self.now, what, (node, incarnation), origin, describe);
    }
}
