//! The simulated cluster: one thread, one heap of events, no async, no compiler flag.
//!
//! - `engine`: the [`World`] and its `step`; `observe`: the [`Scene`], what judges see of it
//! - an event's way: `post` brings it, `machine` runs the handler, `effects` does what that asks
//! - what is faked: `network`, `disk`, `clock`, `clients`
//! - what goes wrong: [`fault`] (as data), `plan` (while it runs), `adversary` (what each one does)
//! - `origin`: message addresses, which make every draw independent of what it did not cause
//! - [`case`]: one fully spelled-out attempt, as data
//! - `trace`: what happened, and its digest

mod adversary;
pub mod case;
mod clients;
mod clock;
mod disk;
mod effects;
mod engine;
pub mod fault;
mod faults;
mod machine;
mod mutant;
mod network;
mod observe;
mod origin;
mod plan;
mod post;
mod queue;
mod trace;

/// What this engine is made of, for another one that must do the same to other parts.
pub mod parts {
    pub use crate::adversary::describe;
    pub use crate::clients::describe_end;
    pub use crate::engine::{QUEUE_LIMIT, STEP_LIMIT, nanos};
    pub use crate::machine::{MONOTONIC, WALL};
    pub use crate::network::{Fate, Late, Network as Links};
    pub use crate::origin::{OriginId, Origins};
    pub use crate::plan::Plan;
    pub use crate::queue::Queue;
    pub use crate::trace::Trace;
}

pub use adversary::describe;
pub use case::{Call, Case, CaseOf, Clients, Network, Profile, Seed};
pub use clients::Attempts;
pub use clock::Clock;
pub use engine::{End, Make, Uses, World};
pub use fault::{
    Address, Direction, Edge, EffectPattern, Fault, FaultKind, Faults, Kind, Origin, Place,
    SyncFailure,
};
pub use mutant::Mutant;
pub use network::Drawn;
pub use observe::{NodeIds, Scene};
pub use trace::{Digest, Happening, TraceEvent};
