//! Scenarios on trial in small: what calm runs cost, what holds, and what must be found.

// One test program: each would link every engine and protocol again.
mod bytes;
mod commit;
mod controls;
mod data_sync;
mod generator;
mod lease_lock;
mod login;
mod orders;
mod orders_2pc;
mod paxos_commit;
mod product_page;
mod queue;
mod raft;
mod records;
mod redlock;
mod shrinker;
mod stability;
mod stock;
mod three_phase_commit;

use explorer::{AnyScenario, Budget, Narrow, Progress, Report};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Happening, TraceEvent};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn campaign(scenario: &dyn AnyScenario, seeds: u64, narrow: Narrow) -> Report {
    let budget = Budget { campaign: Some(1), narrow, ..Budget::seeds(seeds) };
    scenario.explore(&budget, &Progress::default())
}

#[track_caller]
fn holds(scenario: &dyn AnyScenario) {
    campaign(scenario, 2_000, Narrow::default()).assert_holds();
}

/// Where three faults are all that happens, and a judge that needs calm is asked more often.
#[track_caller]
fn holds_with_few(scenario: &dyn AnyScenario) {
    let few = Narrow { max_faults: Some(3), ..Narrow::default() };
    campaign(scenario, 1_000, few).assert_holds();
}

fn planted(mutant: &str) -> Narrow {
    Narrow { mutant: Some(mutant.parse().expect("a planted bug")), ..Narrow::default() }
}

/// A planted bug is found within 1,000 cases, among others as this.
#[track_caller]
fn finds(scenario: &dyn AnyScenario, mutant: &str, signature: &str) {
    let found = signatures(&campaign(scenario, 1_000, planted(mutant)));
    assert!(found.iter().any(|found| found == signature), "{mutant}: {found:?}");
}

/// A handler that has run twice has changed nothing: links make copies of messages anyway.
#[track_caller]
fn copies_do_no_harm(scenario: &dyn AnyScenario) {
    let report = campaign(scenario, 1_000, planted("handle_twice"));
    assert!(report.findings.is_empty(), "{}", report.verdict());
}

fn signatures(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| finding.anomaly.signature()).collect()
}

/// An exhibit breaks each of these within so many cases, and what is left of a case is small:
/// operations and faults.
#[track_caller]
fn breaks(exhibit: &dyn AnyScenario, within: u64, errors: &[&str], small: (usize, usize)) {
    let report = campaign(exhibit, within, Narrow::default());
    let name = exhibit.name();
    for error in errors {
        let found = report.findings.iter().find(|found| found.anomaly.signature() == *error);
        let found =
            found.unwrap_or_else(|| panic!("{name}: no {error}: {:?}", signatures(&report)));
        let left = exhibit.exhibit(found.seed, &Narrow::default(), true).expect("it fails again");
        let (calls, faults) = left.after;
        assert_eq!(left.anomaly.signature(), *error);
        assert!(
            calls <= small.0 && faults <= small.1,
            "{name}: {error}: {calls} calls and {faults} faults"
        );
    }
}

/// How many messages of each kind the servers sent, and how many records of each they forced.
fn paid<'a>(events: impl Iterator<Item = &'a TraceEvent>) -> BTreeMap<String, usize> {
    let mut paid = BTreeMap::new();
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    for event in events.filter(|event| costs.contains(&event.what)) {
        let name = event.text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        *paid.entry(format!("{} {name}", event.what)).or_default() += 1;
    }
    paid
}

fn costs(costs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    costs.iter().map(|(what, times)| ((*what).to_owned(), *times)).collect()
}
