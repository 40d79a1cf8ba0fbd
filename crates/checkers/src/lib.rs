//! Judges of what a run left behind. They never see the world: what they judge is handed to them.
//!
//! - [`linearizable`] judges a history against a [`Model`]: a sequential object, such as those in
//!   [`models`].
//! - [`isolation`] judges transactions against isolation levels.

mod decision;
pub mod isolation;
mod linearizable;
mod model;
pub mod models;
mod verdict;

pub use decision::{Conflict, Decision};
pub use linearizable::{DEAD_END, STEPS, linearizable, linearizable_within};
pub use model::{Keyed, Model};
pub use verdict::{Anomaly, Verdict};
