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
mod stability;
mod stock;
mod three_phase_commit;

use explorer::{Budget, Narrow, Progress, Report, Scenario, explore};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Happening, TraceEvent};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn campaign<S: Scenario>(scenario: &S, seeds: u64, narrow: Narrow) -> Report {
    let budget = Budget { campaign: Some(1), narrow, ..Budget::seeds(seeds) };
    explore(scenario, &budget, &Progress::default())
}

fn signatures(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| finding.anomaly.signature()).collect()
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
