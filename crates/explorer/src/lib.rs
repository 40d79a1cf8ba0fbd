//! From a seed to a verdict, and from a failure to a small file that replays for ever.
//!
//! - [`scenario`]: what to try and what must hold
//! - [`generate`]: cases out of seeds, or out of a fuzzer's bytes
//! - [`mod@judge`]: one run of one case
//! - [`engine`]: where it runs, if not on the heap engine
//! - [`planted`]: a scenario's own planted bugs
//! - [`campaign`]: many seeds on all cores
//! - [`mod@shrink`]: smaller cases with the same signature
//! - [`repro`]: saved cases
//! - [`story`]: what happened, for people
//! - [`any`]: scenarios with their types erased

pub mod any;
pub mod campaign;
pub mod engine;
pub mod generate;
pub mod judge;
pub mod measure;
pub mod planted;
pub mod repro;
pub mod scenario;
pub mod shrink;
pub mod story;

/// For `#[serde(crate = …)]` in crates that depend on Tribunal alone.
pub use serde;

pub use any::{AnyScenario, Exhibit, Replay, Replayed};
pub use campaign::{Broken, Budget, Finding, Progress, Report, campaign_of, explore, seed_of};
pub use checkers::{Anomaly, Verdict};
pub use engine::Engine;
pub use generate::{Narrow, case_of_bytes, case_of_seed};
pub use judge::{Outcome, Record, judge, judge_recorded};
pub use measure::{Metric, Sample, Unit};
pub use planted::Planted;
pub use repro::{Repro, ReproError, Status};
pub use scenario::{CaseFor, ConfigOf, Expected, OpOf, Run, Scenario, Shape};
pub use shrink::{Shrunk, shrink};
