//! Judges of what a run left behind. They never see the world: what they judge is handed to them.

mod verdict;

pub use verdict::{Anomaly, Verdict};
