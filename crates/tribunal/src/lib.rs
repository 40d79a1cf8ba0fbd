//! Puts a distributed protocol on trial under a simulated network, disk and clock.
//!
//! A protocol is a [`Node`]: a state machine that answers events with effects. A [`Scenario`] says
//! what to try with it and what must hold. [`explore`] searches for the seed that breaks it, and a
//! failure becomes a small file under `tests/repros` that [`replay`]s for ever.
//!
//! ```
//! use tribunal::prelude::*;
//!
//! /// One server that leases one thing. What it answered stands in its log: a request that comes
//! /// again gets the same answer and does nothing.
//! #[derive(Default)]
//! struct Server {
//!     holder: Option<u8>,
//!     answered: Vec<(RequestId, bool)>,
//! }
//!
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
//! #[serde(crate = "tribunal::serde")]
//! enum Op {
//!     Acquire(u8),
//!     Release(u8),
//! }
//!
//! impl Server {
//!     fn apply(&mut self, request: RequestId, op: &Op) -> bool {
//!         let (granted, holder) = match op {
//!             Op::Acquire(owner) => (self.holder.is_none(), Some(*owner)),
//!             Op::Release(owner) => (self.holder == Some(*owner), None),
//!         };
//!         if granted {
//!             self.holder = holder;
//!         }
//!         self.answered.push((request, granted));
//!         granted
//!     }
//! }
//!
//! impl Node for Server {
//!     type Config = ();
//!     type Op = Op;
//!     type Ret = bool;
//!     type Msg = ();
//!     type Record = (RequestId, Op);
//!     type Timer = ();
//!
//!     fn new(_: NodeId, _: &()) -> Self {
//!         Self::default()
//!     }
//!     fn on_start(&mut self, log: &[(RequestId, Op)], _: &mut Cx<Self>) {
//!         for (request, op) in log {
//!             self.apply(*request, op);
//!         }
//!     }
//!     fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
//!         let known = self.answered.iter().find(|(known, _)| *known == request);
//!         let granted = match known.map(|(_, granted)| *granted) {
//!             Some(granted) => granted,
//!             None => {
//!                 let granted = self.apply(request, &op);
//!                 cx.force((request, op)); // leave this out, and the trial finds it
//!                 granted
//!             }
//!         };
//!         cx.reply(request, granted);
//!     }
//!     fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}
//!     fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
//! }
//!
//! /// What a lease is when nobody else uses it.
//! struct Lease;
//!
//! impl Model for Lease {
//!     type Op = Op;
//!     type Ret = bool;
//!     type State = Option<u8>;
//!     type Key = ();
//!
//!     fn key(&self, _: &Op) {}
//!     fn initial(&self, (): &()) -> Option<u8> {
//!         None
//!     }
//!     fn step(&self, holder: &Option<u8>, op: &Op, ret: Option<&bool>) -> Option<Option<u8>> {
//!         let (granted, next) = match op {
//!             Op::Acquire(owner) => (holder.is_none(), Some(*owner)),
//!             Op::Release(owner) => (*holder == Some(*owner), None),
//!         };
//!         ret.is_none_or(|ret| *ret == granted).then_some(if granted { next } else { *holder })
//!     }
//! }
//!
//! struct LeaseScenario;
//!
//! impl Scenario for LeaseScenario {
//!     type Node = Server;
//!
//!     fn name(&self) -> String {
//!         "lease".into()
//!     }
//!     fn shape(&self) -> Shape {
//!         Shape { nodes: 1, ..Shape::default() } // 4 clients and every kind of fault
//!     }
//!     fn op(&self) -> impl Strategy<Value = Op> {
//!         prop_oneof![(0..3u8).prop_map(Op::Acquire), (0..3u8).prop_map(Op::Release)]
//!     }
//!     fn cluster(&self, shape: &Shape) -> impl Strategy<Value = Vec<()>> {
//!         Just(vec![(); shape.nodes.into()])
//!     }
//!     fn check(&self, run: &Run<Server>) -> Verdict {
//!         linearizable(&Lease, run.history())
//!     }
//! }
//!
//! explore(&LeaseScenario, Budget::seeds(500)).assert_holds();
//!
//! // Would it have noticed? A planted bug leaves `cx.force` out, and the trial finds it.
//! let narrow = Narrow { mutant: Some(MutationKind::DropForce.into()), ..Narrow::default() };
//! explore(&LeaseScenario, Budget { narrow, ..Budget::seeds(500) }).assert_violated();
//! ```
//!
//! In a test of yours, `#[test]` stands around these lines. When the first of them fails it shows
//! the smallest case in columns, one for each machine, and says where that case is saved.
//! `examples/own-protocol` goes on from here.

mod explored;
pub mod service;

pub use cli::{Registry, in_ci, run as main, run_from};
pub use explored::{Explored, explore, explore_with, replay, replay_all};
pub use macros::test;
pub use service::{Client, Failure, Machine, Trial};

/// For `#[serde(crate = "tribunal::serde")]`.
pub use explorer::serde;
/// For strategies beyond the prelude's.
pub use proptest;

pub use checkers;
pub use explorer;
pub use history;
pub use node;
pub use world;

/// What a protocol and its scenario need.
pub mod prelude {
    pub use crate::{Explored, explore, replay, replay_all};
    pub use checkers::{Anomaly, Model, Verdict, linearizable};
    pub use explorer::serde::{Deserialize, Serialize};
    pub use explorer::{Budget, CaseFor, Expected, Narrow, Run, Scenario, Shape};
    pub use history::{Actor, History, Outcome};
    pub use node::{Cx, Effect, Mutation, MutationKind, Node, NodeId, Observe, RequestId, Step};
    pub use proptest::prelude::{Just, Strategy, any, prop_oneof};
    pub use world::{FaultKind, Faults, Scene, World};
}
