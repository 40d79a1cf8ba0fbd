//! Raft: what calm runs cost, small campaigns, what must be found, and what its judges must say.

use explorer::{AnyScenario, Budget, Narrow, Progress, explore, judge_recorded};
use node::{Mutation, NodeId};
use protocols::replicated::{Config, Op, RegisterCommand};
use scenarios::raft::{raft_decisions, raft_lock, raft_register, single_server};
use std::collections::BTreeMap;
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::{Call, Happening, Network, Origin, Seed, TraceEvent};

const SERVERS: usize = 3;

/// Three servers and one client that asks the first of them, a second after the other.
fn calm(commands: &[RegisterCommand]) -> Case<Op<RegisterCommand>, Config> {
    let config = Config {
        members: (0..SERVERS as u16).map(NodeId).collect(),
        election: Duration::from_millis(100),
        heartbeat: Duration::from_millis(33),
        batch: 4,
        compact_after: 0,
    };
    let calls = (0..).zip(commands).map(|(id, command)| Call {
        id,
        at: Duration::from_secs(1 + u64::from(id)),
        client: 0,
        to: NodeId(0),
        op: Op::Command(*command),
    });
    Case {
        version: CASE_VERSION,
        scenario: "raft_register".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(6),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes: vec![config; SERVERS],
        calls: calls.collect(),
        faults: Vec::new(),
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

/// A command: 2(N − 1) messages, one force at each server. A query: the same messages, no force.
#[test]
fn what_a_calm_command_and_a_calm_query_cost() {
    let commands = [RegisterCommand::Write { key: 0, value: 5 }, RegisterCommand::Read { key: 0 }];
    let (outcome, record) = judge_recorded(&raft_register(), &calm(&commands));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert_eq!(outcome.operations, (2, 2));
    let of = |call| record.events.iter().filter(move |e| e.origin == Some(Origin::Call(call)));
    let others = SERVERS - 1;
    let messages = [("send Append", others), ("send Appended", others)];
    assert_eq!(paid(of(0)), costs(&[&messages[..], &[("force Entry", SERVERS)]].concat()));
    assert_eq!(paid(of(1)), costs(&messages));
}

/// An election: 4(N − 1) messages with the no-op's, two forces at each server.
#[test]
fn what_a_calm_election_costs() {
    let (outcome, record) = judge_recorded(&raft_register(), &calm(&[]));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let beats = |e: &&TraceEvent| e.what == Happening::Timer && e.text == "Heartbeat";
    let elected = record.events.iter().find(beats).expect("a leader").at;
    let others = SERVERS - 1;
    let expected = [
        ("send RequestVote", others),
        ("send Vote", others),
        ("send Append", others),
        ("send Appended", others),
        ("force Term", SERVERS),
        ("force Entry", SERVERS),
    ];
    assert_eq!(paid(record.events.iter().filter(|e| e.at < elected)), costs(&expected));
}

fn holds(scenario: &dyn AnyScenario) {
    scenario.explore(&Budget::seeds(1_000), &Progress::default()).assert_holds();
}

#[test]
fn small_campaigns_hold() {
    holds(&raft_register());
    holds(&raft_lock());
    holds(&raft_decisions());
}

#[track_caller]
fn finds(mutant: &str, signature: &str) {
    let mutant: Mutation = mutant.parse().expect("a planted bug");
    let narrow = Narrow { mutant: Some(mutant), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(1_000) };
    let report = explore(&raft_register(), &budget, &Progress::default());
    let found: Vec<String> = report.findings.iter().map(|f| f.anomaly.signature()).collect();
    assert!(found.iter().any(|found| found == signature), "{signature:?} not in {found:?}");
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds("drop_force(Term)", "raft / election safety");
    finds("lose_on_restart", "raft / election safety");
    finds("persist_instead_of_force(Entry)", "raft / committed on no disk");
    finds("forget_timer(Heartbeat)", "progress / not caught up");
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    let narrow = Narrow { mutant: "handle_twice".parse().ok(), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(1_000) };
    let report = explore(&raft_register(), &budget, &Progress::default());
    assert!(report.findings.is_empty(), "{}", report.verdict());
}

#[test]
fn the_exhibit_is_found_and_made_small() {
    let budget = Budget { first: true, ..Budget::seeds(1_000) };
    let report = explore(&single_server(), &budget, &Progress::default());
    let finding = report.findings.first().expect("an answer is lost within 1,000 cases");
    let exhibit = single_server().exhibit(finding.seed, &Narrow::default(), true);
    let exhibit = exhibit.expect("it fails again");
    assert_eq!(exhibit.anomaly.signature(), "linearizable / not linearizable");
    assert!(exhibit.after.0 <= 4 && exhibit.after.1 <= 3, "{:?}", exhibit.after);
}
