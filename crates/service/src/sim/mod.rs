//! A service on madsim: one run of one case, on a runtime of its own.
//!
//! - `run`: from the first event to the verdict
//! - `stage`: all that a run has in common; its machines, and what is noted
//! - `adversary`: what each fault does, and the heal that ends them all
//! - `clients`: who asks, and the history

mod adversary;
mod clients;
mod run;
mod stage;

pub(crate) use run::{declare, run};
pub(crate) use stage::Stage;
