//! The queue: what a calm job costs, a small campaign, and what must be found.

use crate::{breaks, copies_do_no_harm, costs, finds, holds, holds_with_few, paid as cost_of};
use explorer::judge_recorded;
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
    holds(&queue());
}

#[test]
fn a_few_faults_do_not_break_it() {
    holds_with_few(&queue());
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds(&queue(), "send_before_force(Published)", "delivery / lost");
    finds(&queue(), "send_before_force(Committed)", "delivery / lost");
    finds(&queue(), "lose_on_restart", "delivery / duplicate");
    finds(&queue(), "forget_timer(Lease)", "progress / queue not drained");
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    copies_do_no_harm(&queue());
}

#[test]
fn the_exhibits_are_found_and_made_small() {
    breaks(&pop_then_process(), 1_000, &["delivery / lost", "delivery / wrong reply"], (4, 3));
    breaks(&acknowledge_first(), 1_000, &["delivery / lost", "delivery / duplicate"], (4, 3));
}
