//! Runs one life of one node: tells it what happens, and does what it asks for.

use crate::clock::Clock;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::log::{self, Log};
use crate::observer::{Edge, Observer};
use crate::timers::Timers;
use crate::transport::Transport;
use crate::wire::{Wire, WireOf, WireRef};
use bytes::Bytes;
use derive_where::derive_where;
use node::{
    Answer, Context, Cx, Dice, Effect, Incarnation, Mutation, Node, NodeId, RequestId, mix,
};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One life of a node, about to begin.
pub struct Server<N: Node, T, D, C, O> {
    /// Who it is.
    pub identity: Identity,
    /// What its operator has written down.
    pub config: N::Config,
    /// How many nodes the cluster has: machines from this number on are clients'.
    pub servers: u16,
    /// What the protocol's dice are keyed by, with the node and its life.
    pub seed: u64,
    /// A planted bug.
    pub mutant: Option<Mutation>,
    /// The way to other machines.
    pub transport: T,
    /// Where its log is.
    pub disk: D,
    /// Its clocks.
    pub clock: C,
    /// Who watches: `()` for nobody.
    pub observer: O,
}

/// What a node is told.
#[derive_where(Clone, PartialEq, Eq, Debug)]
pub enum Event<N: Node> {
    /// A client asks.
    Request(RequestId, N::Op),
    /// A node says something.
    Message(NodeId, N::Msg),
    /// A timer has run out.
    Timer(N::Timer),
}

/// Why a frame was dropped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Bytes that mean nothing.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// A message from a client, a request from a node, or an answer.
    #[error("{0}")]
    OutOfPlace(&'static str),
}

/// How a life ended, unless it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It was asked to stop.
    Stopped,
    /// Its observer broke it off.
    Broken,
}

/// Why a life failed. The node may start again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its log cannot be used.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The node asked for what no shell can do.
    #[error("a bug in the protocol: {0}")]
    Misuse(String),
}

/// Why a life goes no further.
enum Stop {
    Broken,
    Failed(Error),
}

impl From<log::Error> for Stop {
    fn from(error: log::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl<N, T, D, C, O> Server<N, T, D, C, O>
where
    N: Node,
    T: Transport,
    D: Disk,
    C: Clock,
    O: Observer<N>,
{
    /// Starts the node and runs it until `stop` answers, its log fails or its observer breaks it
    /// off. A node that is asked to stop ends the event at hand, syncs its log and lets its
    /// transport close; to drop the future is a crash.
    ///
    /// One event is handled at a time. Its effects are applied in order, one by one, and while a
    /// sync is slow the next event waits. A sync that fails ends the life.
    ///
    /// # Errors
    ///
    /// When the log cannot be opened, written or synced, or the node does what no node may.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<End, Error> {
        let Self { identity, config, servers, seed, mutant, transport, disk, clock, .. } = self;
        let mut observer = self.observer;
        let me = identity.node;
        let (log, boot) = Log::open::<N::Record>(disk, &identity).await?;
        let node = Arc::new(Mutex::new(N::new(me, &config)));
        observer.born(&node);
        let mut running = Running {
            me,
            servers,
            incarnation: boot.incarnation,
            dice: mix(seed, u64::from(me.0) << 32 | u64::from(boot.incarnation)),
            mutant,
            node,
            cx: Cx::default(),
            transport,
            log,
            clock,
            observer,
            timers: Timers::new(),
            own: VecDeque::new(),
            answers: 0,
            steps: 0,
            calls: 0,
        };
        let end = match running.live(&boot.records, pin!(stop)).await {
            Ok(()) => End::Stopped,
            Err(Stop::Broken) => return Ok(End::Broken),
            Err(Stop::Failed(error)) => return Err(error),
        };
        running.log.sync().await?;
        running.transport.close().await;
        Ok(end)
    }
}

/// A node and all that belongs to its life.
struct Running<N: Node, T, D, C, O> {
    me: NodeId,
    servers: u16,
    incarnation: Incarnation,
    /// The key of its dice.
    dice: u64,
    mutant: Option<Mutation>,
    /// Locked while it is told something, for whoever else looks at it.
    node: Arc<Mutex<N>>,
    cx: Cx<N>,
    transport: T,
    log: Log<D>,
    clock: C,
    observer: O,
    timers: Timers<N::Timer>,
    /// What it has told itself.
    own: VecDeque<N::Msg>,
    /// Answers so far.
    answers: u32,
    /// Steps of its own so far.
    steps: u32,
    /// Handler calls so far.
    calls: u64,
}

impl<N, T, D, C, O> Running<N, T, D, C, O>
where
    N: Node,
    T: Transport,
    D: Disk,
    C: Clock,
    O: Observer<N>,
{
    /// A round: the timers that are due, one message of its own, and one frame, if there is one.
    async fn live(
        &mut self,
        log: &[N::Record],
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Stop> {
        self.start(log).await?;
        loop {
            let (now, count) = (self.clock.now(), self.timers.count());
            while let Some(timer) = self.timers.ring(now, count) {
                self.tell(Event::Timer(timer)).await?;
            }
            if let Some(msg) = self.own.pop_front() {
                self.tell(Event::Message(self.me, msg)).await?;
            }
            let busy = !self.own.is_empty();
            let due = self.timers.next();
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                (from, frame) = self.transport.recv() => self.receive(from, &frame).await?,
                () = std::future::ready(()), if busy => {}
                () = self.clock.sleep_until(due.unwrap_or_default()), if due.is_some() => {}
            }
        }
    }

    async fn receive(&mut self, from: NodeId, frame: &Bytes) -> Result<(), Stop> {
        let client = from.0 >= self.servers;
        let refused = match WireOf::<N>::decode(frame) {
            Ok(Wire::Peer(msg)) if !client => return self.tell(Event::Message(from, msg)).await,
            Ok(Wire::Request { call, op }) if client => {
                return self.tell(Event::Request(RequestId { client: from, call }, op)).await;
            }
            Ok(Wire::Peer(_)) => Refused::OutOfPlace("a message between nodes, from a client"),
            Ok(Wire::Request { .. }) => Refused::OutOfPlace("a client's request, from a node"),
            Ok(Wire::Answer { .. }) => Refused::OutOfPlace("an answer: nodes ask nothing"),
            Err(error) => error.into(),
        };
        self.observer.refused(from, &refused);
        self.transport.distrust(from);
        Ok(())
    }

    async fn start(&mut self, log: &[N::Record]) -> Result<(), Stop> {
        self.observer.booted(self.incarnation, log);
        self.cx.context = self.context();
        match &self.mutant {
            None => locked(&self.node).on_start(log, &mut self.cx),
            Some(bug) => bug.on_start(&mut *locked(&self.node), log, &mut self.cx),
        }
        self.settle().await
    }

    /// Runs one handler, and then its effects.
    async fn tell(&mut self, event: Event<N>) -> Result<(), Stop> {
        self.observer.event(&event);
        self.cx.context = self.context();
        self.handle(event);
        self.settle().await
    }

    fn handle(&mut self, event: Event<N>) {
        let (node, cx) = (&mut *locked(&self.node), &mut self.cx);
        match (&self.mutant, event) {
            (None, Event::Message(from, msg)) => node.on_message(from, msg, cx),
            (None, Event::Timer(timer)) => node.on_timer(timer, cx),
            (None, Event::Request(request, op)) => node.on_request(request, op, cx),
            (Some(bug), Event::Message(from, msg)) => bug.on_message(node, from, msg, cx),
            (Some(bug), Event::Timer(timer)) => bug.on_timer(node, timer, cx),
            (Some(bug), Event::Request(request, op)) => bug.on_request(node, request, op, cx),
        }
    }

    fn context(&mut self) -> Context {
        self.calls += 1;
        Context {
            me: self.me,
            incarnation: self.incarnation,
            now_nanos: nanos(self.clock.now()),
            wall_nanos: nanos(self.clock.wall()),
            dice: Dice::new(mix(self.dice, self.calls)),
            next_step: self.steps,
            read_now: false,
            read_wall: false,
        }
    }

    /// After a handler: does what it asked for.
    async fn settle(&mut self) -> Result<(), Stop> {
        self.steps = self.cx.context.next_step;
        self.observer.handled(&locked(&self.node), &self.cx.context);
        let mut effects = std::mem::take(self.cx.buffer());
        for (effect, place) in effects.drain(..) {
            self.watch(Edge::Before, &effect, place).await?;
            self.apply(&effect, place).await?;
            self.watch(Edge::After, &effect, place).await?;
        }
        *self.cx.buffer() = effects;
        Ok(())
    }

    async fn watch(
        &mut self,
        edge: Edge,
        effect: &Effect<N>,
        place: &'static Location<'static>,
    ) -> Result<(), Stop> {
        match self.observer.effect(edge, effect, place).await {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Broken),
        }
    }

    async fn apply(
        &mut self,
        effect: &Effect<N>,
        place: &'static Location<'static>,
    ) -> Result<(), Stop> {
        match effect {
            Effect::Persist(record) => self.log.append(record).await?,
            Effect::Force(record) => {
                self.log.append(record).await?;
                self.watch(Edge::During, effect, place).await?;
                self.log.sync().await?;
            }
            Effect::Snapshot(records) => {
                self.log.write_beside(records).await?;
                self.watch(Edge::During, effect, place).await?;
                self.log.take_place().await?;
            }
            Effect::Send(to, msg) => self.send(*to, msg)?,
            Effect::SetTimer { after, timer, background: _ } => {
                self.timers.set(self.clock.now().saturating_add(*after), timer);
            }
            Effect::CancelTimer(timer) => self.timers.cancel(timer),
            Effect::Reply(request, answer) => self.reply(*request, answer)?,
            // These reach a history or a count by way of the observer.
            Effect::Invoke(..) | Effect::Complete(..) | Effect::Mark(_) => {}
        }
        Ok(())
    }

    fn send(&mut self, to: NodeId, msg: &N::Msg) -> Result<(), Stop> {
        if to.0 >= self.servers {
            let why = format!("{} sends to {to}, the cluster has {} nodes", self.me, self.servers);
            return Err(Stop::Failed(Error::Misuse(why)));
        }
        if to == self.me {
            self.own.push_back(msg.clone());
        } else {
            self.transport.send(to, WireRef::<N>::Peer(msg).encode());
        }
        Ok(())
    }

    fn reply(&mut self, request: RequestId, answer: &Answer<N::Ret>) -> Result<(), Stop> {
        let RequestId { client, call } = request;
        if client.0 < self.servers {
            let why = format!("{} answers {request:?}, which no client has asked", self.me);
            return Err(Stop::Failed(Error::Misuse(why)));
        }
        let (life, nth) = (self.incarnation, self.answers);
        self.answers = self.answers.wrapping_add(1);
        let wire = WireRef::<N>::Answer { call, answer, life, nth };
        self.transport.send(client, wire.encode());
        Ok(())
    }
}

/// A handler that panics ends its life, and nothing else is told to its node.
fn locked<N>(node: &Mutex<N>) -> MutexGuard<'_, N> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In whole nanoseconds, as far as they go: 584 years.
pub(crate) fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
