//! Judges of what a run left behind. They never see the world: what they judge is handed to them.
//!
//! - [`linearizable`] judges a history against a [`Model`]: a sequential object, such as those in
//!   [`models`].
//! - [`isolation`] judges transactions against isolation levels.
//! - [`commit`], [`delivery`], [`idempotency`], [`conservation`], [`cache`], [`convergence`],
//!   [`clock`] and [`progress`] are fed facts as they become true, and name the one that breaks a
//!   rule. At the end `verdict` says `Unknown` where the facts prove nothing.

pub mod cache;
pub mod clock;
pub mod commit;
pub mod conservation;
pub mod convergence;
mod decision;
pub mod delivery;
pub mod idempotency;
pub mod isolation;
mod linearizable;
mod model;
pub mod models;
mod polynomial;
pub mod progress;
pub mod recorded;
mod verdict;

pub use decision::{Conflict, Decision};
pub use linearizable::{
    Budget, Consistency, DEAD_END, Explanation, Method, Online, Options, PartReport, Report, STEPS,
    Told, check, linearizable, linearizable_within, validate,
};
pub use model::{Keyed, Model};
pub use verdict::{Anomaly, Judged, Verdict};
