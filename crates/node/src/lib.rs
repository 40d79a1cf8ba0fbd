//! Protocols as state machines: the [`Node`] trait, the context it answers through, its effects.
//!
//! A protocol reaches nothing: no socket, no clock, no disk. It is told events and answers with
//! [`Effect`]s, which are data. An engine applies them one by one, so a crash can fall between any
//! two of them, a unit test needs no runtime, and a [`Mutation`] can plant a bug without touching
//! the protocol's text.

mod cx;
mod dice;
mod effect;
mod ids;
mod mutation;

pub use cx::{Context, Cx};
pub use dice::{Dice, mix};
pub use effect::{Answer, Effect, EffectKind, Reason, Step, variant};
pub use ids::{Incarnation, NodeId, RequestId, StepId};
pub use mutation::{Mutation, MutationKind, UnknownMutation};

use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::hash::Hash;

/// What travels, is stored or waits: plain comparable data. `Eq + Hash` keep floats out, whose
/// text and equality are not exact.
pub trait Data: Clone + Eq + Hash + Debug + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Eq + Hash + Debug + Serialize + DeserializeOwned + 'static> Data for T {}

/// A protocol as one machine runs it.
///
/// A value lives for one incarnation: a crash drops it, a restart makes a new one. One type per
/// protocol; where a cluster has several roles it is an enum over them, chosen by the `Config`.
pub trait Node: Sized + 'static {
    /// Role, peers, timeouts: what an operator would write down. Part of the case.
    type Config: Clone + PartialEq + Debug + Serialize + DeserializeOwned + 'static;
    /// What clients ask.
    type Op: Data;
    /// What clients are told.
    type Ret: Data;
    /// What nodes say to each other.
    type Msg: Data;
    /// What stands in the log.
    type Record: Data;
    /// What a node waits for.
    type Timer: Data;

    /// The state before anything happened. Nothing durable may be assumed yet.
    fn new(id: NodeId, config: &Self::Config) -> Self;

    /// First boot (an empty log) and every restart: `log` is what survived, and it is synced.
    fn on_start(&mut self, log: &[Self::Record], cx: &mut Cx<Self>);

    /// A client asks. The same `request` comes again when the client retries.
    fn on_request(&mut self, request: RequestId, op: Self::Op, cx: &mut Cx<Self>);

    /// Another node says something; `from` may be this node itself.
    fn on_message(&mut self, from: NodeId, msg: Self::Msg, cx: &mut Cx<Self>);

    /// A timer that this incarnation set has run out.
    fn on_timer(&mut self, timer: Self::Timer, cx: &mut Cx<Self>);
}

/// What generic invariants may look at: not a protocol's private fields, but what it chooses to
/// show in types that every variant of it shares.
pub trait Observe: Node {
    /// What a log promises.
    type Durable;
    /// What the running node believes.
    type View;

    /// What the records of a log promise.
    fn durable(log: &[Self::Record]) -> Self::Durable;

    /// What the node believes now.
    fn view(&self) -> Self::View;
}
