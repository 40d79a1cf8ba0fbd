//! The context of a handler: what it may know, and where its effects go.

use crate::{Answer, Dice, Effect, Incarnation, Node, NodeId, Reason, RequestId, Step, StepId};
use std::panic::Location;
use std::time::Duration;

/// What an engine tells a handler about here and now.
#[derive(Clone, Debug)]
pub struct Context {
    /// The node.
    pub me: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its monotonic clock, in nanoseconds.
    pub now_nanos: u64,
    /// Its wall clock, in nanoseconds since the Unix epoch.
    pub wall_nanos: u64,
    /// Draws of this handler call.
    pub dice: Dice,
    /// The number of the next step of this life.
    pub next_step: u32,
    /// The handler looked at the monotonic clock.
    pub read_now: bool,
    /// The handler looked at the wall clock.
    pub read_wall: bool,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            me: NodeId(0),
            incarnation: 1,
            now_nanos: 0,
            wall_nanos: 0,
            dice: Dice::new(0),
            next_step: 0,
            read_now: false,
            read_wall: false,
        }
    }
}

/// A handler's view of its machine. It collects effects; nothing happens before the handler ends.
pub struct Cx<N: Node> {
    /// Here and now, as the engine set it.
    pub context: Context,
    effects: Vec<(Effect<N>, &'static Location<'static>)>,
}

impl<N: Node> Default for Cx<N> {
    fn default() -> Self {
        Self::new(Context::default())
    }
}

impl<N: Node> Cx<N> {
    /// A context for an engine, or for a unit test of a handler.
    pub fn new(context: Context) -> Self {
        Self { context, effects: Vec::new() }
    }

    /// The node that is running.
    pub fn me(&self) -> NodeId {
        self.context.me
    }

    /// Which life this is: 1 at first boot.
    pub fn incarnation(&self) -> Incarnation {
        self.context.incarnation
    }

    /// The node's own monotonic clock: it goes on through crashes and pauses, at its own rate.
    pub fn now(&mut self) -> Duration {
        self.context.read_now = true;
        Duration::from_nanos(self.context.now_nanos)
    }

    /// The node's wall clock since the Unix epoch: it may be off, drift and jump, also back.
    pub fn wall(&mut self) -> Duration {
        self.context.read_wall = true;
        Duration::from_nanos(self.context.wall_nanos)
    }

    /// Randomness for the protocol: jitter, election timeouts.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.context.dice
    }

    /// See [`Effect::Persist`].
    #[track_caller]
    pub fn persist(&mut self, record: N::Record) {
        self.push(Effect::Persist(record));
    }

    /// See [`Effect::Force`].
    #[track_caller]
    pub fn force(&mut self, record: N::Record) {
        self.push(Effect::Force(record));
    }

    /// See [`Effect::Snapshot`].
    #[track_caller]
    pub fn snapshot(&mut self, records: Vec<N::Record>) {
        self.push(Effect::Snapshot(records));
    }

    /// See [`Effect::Send`].
    #[track_caller]
    pub fn send(&mut self, to: NodeId, msg: N::Msg) {
        self.push(Effect::Send(to, msg));
    }

    /// Sets a timer that belongs to what caused this handler call.
    #[track_caller]
    pub fn set_timer(&mut self, after: Duration, timer: N::Timer) {
        self.push(Effect::SetTimer { after, timer, background: false });
    }

    /// Sets a timer that serves many operations and belongs to the boot.
    #[track_caller]
    pub fn set_background_timer(&mut self, after: Duration, timer: N::Timer) {
        self.push(Effect::SetTimer { after, timer, background: true });
    }

    /// See [`Effect::CancelTimer`].
    #[track_caller]
    pub fn cancel_timer(&mut self, timer: N::Timer) {
        self.push(Effect::CancelTimer(timer));
    }

    /// Tells a client that its operation took effect.
    #[track_caller]
    pub fn reply(&mut self, request: RequestId, ret: N::Ret) {
        self.push(Effect::Reply(request, Answer::Ok(ret)));
    }

    /// Tells a client that its operation never takes effect.
    #[track_caller]
    pub fn fail(&mut self, request: RequestId, reason: impl Into<Reason>) {
        self.push(Effect::Reply(request, Answer::Fail(reason.into())));
    }

    /// Sends a client on to another node.
    #[track_caller]
    pub fn retry(&mut self, request: RequestId, hint: Option<NodeId>) {
        self.push(Effect::Reply(request, Answer::Retry(hint)));
    }

    /// Records the begin of a role's own step.
    #[track_caller]
    pub fn invoke(&mut self, op: N::Op) -> StepId {
        let step = StepId { incarnation: self.context.incarnation, nth: self.context.next_step };
        self.context.next_step += 1;
        self.push(Effect::Invoke(step, op));
        step
    }

    /// Records how a role's own step ended.
    #[track_caller]
    pub fn complete(&mut self, step: StepId, outcome: Step<N::Ret>) {
        self.push(Effect::Complete(step, outcome));
    }

    /// Counts something that a campaign must have seen to mean anything.
    #[track_caller]
    pub fn mark(&mut self, label: &'static str) {
        self.push(Effect::Mark(label));
    }

    /// The effects so far, for a unit test: they stay.
    pub fn effects(&self) -> Vec<Effect<N>> {
        self.effects.iter().map(|(effect, _)| effect.clone()).collect()
    }

    /// Takes the effects so far, for a unit test.
    pub fn take(&mut self) -> Vec<Effect<N>> {
        self.effects.drain(..).map(|(effect, _)| effect).collect()
    }

    /// The effects with the places in the source that made them: an engine swaps this buffer
    /// against an empty one, applies it, and gives it back.
    pub fn buffer(&mut self) -> &mut Vec<(Effect<N>, &'static Location<'static>)> {
        &mut self.effects
    }

    #[track_caller]
    #[inline]
    fn push(&mut self, effect: Effect<N>) {
        self.effects.push((effect, Location::caller()));
    }
}
