//! The queue: what a calm job costs, a small campaign, and what must be found.

use crate::{costs, paid as cost_of};
use explorer::{AnyScenario, Budget, Narrow, Progress, explore, judge_recorded};
use node::NodeId;
use protocols::job::{Config, Job, Op, Role};
use scenarios::queue::{acknowledge_first, pop_then_process, queue};
use std::collections::BTreeMap;
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::{Call, Network, Origin, Seed};

const FRONT: NodeId = NodeId(2);

/// One client, one front, one worker, and no trouble: the calls come one second after the other.
fn calm(waits: &[bool]) -> Case<Op, Config> {
    let config = Config {
        role: Role::Broker,
        broker: NodeId(0),
        store: NodeId(1),
        lease: Duration::from_secs(1),
        resend: Duration::from_secs(1),
        poll: Duration::from_secs(100),
        tries: 3,
        trouble: 0,
        retention: Duration::from_secs(100),
        compact_after: 100,
    };
    let roles = [Role::Broker, Role::Store, Role::Front, Role::Worker];
    let job = Job { account: 0, amount: 5, poison: false };
    let calls = (0..).zip(waits).map(|(id, wait)| Call {
        id,
        at: Duration::from_secs(1 + u64::from(id)),
        client: 0,
        to: FRONT,
        op: Op { job, wait: *wait },
    });
    Case {
        version: CASE_VERSION,
        scenario: "queue".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(6),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes: roles.map(|role| Config { role, ..config.clone() }).to_vec(),
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// What nodes sent and wrote because of a call. The `Take` that comes with an `Ack` is for the next
/// message, and stands for the one that waited for this message.
fn paid(waits: &[bool], call: u32) -> BTreeMap<String, usize> {
    let (outcome, record) = judge_recorded(&queue(), &calm(waits));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    cost_of(record.events.iter().filter(|event| event.origin == Some(Origin::Call(call))))
}

/// protocols.md P14: publish 2 messages and 1 force; consume 3 messages and a transaction, which is
/// 1 force, and 2 messages because the store is a node of its own.
const PUBLISH: [(&str, usize); 3] =
    [("send Publish", 1), ("force Published", 1), ("send Published", 1)];
const CONSUME: [(&str, usize); 4] =
    [("send Take", 1), ("send Deliver", 1), ("send Ack", 1), ("persist Acked", 1)];
const TRANSACTION: [(&str, usize); 3] =
    [("send Commit", 1), ("force Committed", 1), ("send Committed", 1)];

#[test]
fn p14_a_job_costs_7_messages_and_2_forces() {
    let expected = costs(&[&PUBLISH[..], &CONSUME, &TRANSACTION].concat());
    assert_eq!(paid(&[false], 0), expected);
    assert_eq!(paid(&[false, false], 1), expected, "and so does the next one");
}

#[test]
fn p14_a_reply_costs_5_messages_and_1_force_more() {
    let doubled = |(what, times): (&'static str, usize)| (what, 2 * times);
    let queued = [PUBLISH.map(doubled).to_vec(), CONSUME.map(doubled).to_vec()].concat();
    let expected = costs(&[&queued[..], &TRANSACTION, &[("persist Marked", 1)]].concat());
    assert_eq!(paid(&[true], 0), expected);
}

#[test]
fn a_small_campaign_holds() {
    explore(&queue(), &Budget::seeds(2_000), &Progress::default()).assert_holds();
}

#[test]
fn a_few_faults_do_not_break_it() {
    let narrow = Narrow { max_faults: Some(3), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(1_000) };
    explore(&queue(), &budget, &Progress::default()).assert_holds();
}

/// The first finding of a planted bug.
#[track_caller]
fn finds(mutant: &str, signature: &str) {
    let mutant = mutant.parse().expect("a planted bug");
    let narrow = Narrow { mutant: Some(mutant), ..Narrow::default() };
    let budget = Budget { campaign: Some(1), narrow, ..Budget::seeds(500) };
    let report = explore(&queue(), &budget, &Progress::default());
    let found: Vec<_> = report.findings.iter().map(|f| f.anomaly.signature()).collect();
    assert!(found.iter().any(|found| found == signature), "{found:?}");
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds("send_before_force(Published)", "delivery / lost");
    finds("send_before_force(Committed)", "delivery / lost");
    finds("lose_on_restart", "delivery / duplicate");
    finds("forget_timer(Lease)", "progress / queue not drained");
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    let narrow = Narrow { mutant: "handle_twice".parse().ok(), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(1_000) };
    let report = explore(&queue(), &budget, &Progress::default());
    assert!(report.findings.is_empty(), "{}", report.verdict());
}

/// Each exhibit shows its own errors, and small.
fn shows(exhibit: &dyn AnyScenario, errors: &[&str]) {
    let budget = Budget { campaign: Some(1), ..Budget::seeds(1_000) };
    let report = exhibit.explore(&budget, &Progress::default());
    for error in errors {
        let found = report.findings.iter().find(|found| found.anomaly.signature() == *error);
        let found = found.unwrap_or_else(|| panic!("{}: no {error}", report.scenario));
        let small = exhibit.exhibit(found.seed, &Narrow::default(), true).expect("it fails");
        let (calls, faults) = small.after;
        assert!(calls <= 4 && faults <= 3, "{error}: {calls} calls and {faults} faults");
    }
}

#[test]
fn the_exhibits_are_found_and_made_small() {
    shows(&pop_then_process(), &["delivery / lost", "delivery / wrong reply"]);
    shows(&acknowledge_first(), &["delivery / lost", "delivery / duplicate"]);
}
