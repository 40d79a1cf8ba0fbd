//! Negative controls: planted bugs that do no harm, and must stay green.
//!
//! A message that is handled twice is the `duplicate` fault whose copy arrives at once, which every
//! schedule may contain. A protocol that survives duplicates survives it: votes, acknowledgements
//! and answers are kept by sender or by round, a store takes each numbered write once, a grant is
//! found again by its request.

use explorer::{AnyScenario, Budget, Narrow, Progress};
use node::MutationKind;

fn stays_green(scenario: &dyn AnyScenario) {
    let mutant = Some(MutationKind::HandleTwice.into());
    let narrow = Narrow { mutant, ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(1_000) };
    let report = scenario.explore(&budget, &Progress::default());
    assert!(report.findings.is_empty(), "{}: {}", report.scenario, report.verdict());
}

#[test]
fn two_phase_commit_handles_messages_twice() {
    stays_green(&scenarios::two_phase_commit::two_phase_commit());
}

#[test]
fn the_lease_lock_handles_messages_twice() {
    stays_green(&scenarios::lease_lock::lease_lock());
}

#[test]
fn the_register_handles_messages_twice() {
    stays_green(&scenarios::quorum_register::register());
}
