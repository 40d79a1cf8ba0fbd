//! Records behind HTTP: what calm requests cost, a small campaign, and what must be found.

use crate::{breaks, copies_do_no_harm, holds, ms};
use explorer::judge_recorded;
use node::NodeId;
use protocols::record::{Config, Op, Patient, Role};
use scenarios::records::{conditional_requests, on_reads, retried};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, Happening, Network, Origin, Seed};

const ORIGIN: NodeId = NodeId(0);
const AGENT: NodeId = NodeId(1);
const LOOK: Op = Op::Look { patient: Patient(0) };
const ADD: Op = Op::Add { patient: Patient(0), dose: 5 };

/// An origin and an agent; a message takes 1 ms, and the calls come 100 ms apart.
fn calm(ops: &[Op]) -> Case<Op, Config> {
    let calls =
        (0..).zip(ops).map(|(id, op)| Call { id, at: ms(100) * id, client: 0, to: AGENT, op: *op });
    let nodes = [Role::Origin, Role::Agent].map(|role| Config {
        role,
        origin: ORIGIN,
        think: ms(1),
        patience: ms(50),
        backoff: ms(5),
        attempts: 4,
    });
    Case {
        version: CASE_VERSION,
        scenario: "conditional_requests".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(1_000),
        end_at: ms(5_000),
        sync: Duration::ZERO,
        clients: Clients { count: 1, give_up: ms(500), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: nodes.to_vec(),
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// What the last call of a calm case costs, in order: who sends or writes what.
#[track_caller]
fn costs(ops: &[Op], expected: &[(NodeId, Happening, &str)]) {
    let (outcome, record) = judge_recorded(&conditional_requests(), &calm(ops));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let last = Some(Origin::Call(ops.len() as u32 - 1));
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    let events = record.events.iter().filter(|event| event.origin == last);
    let costly = events.filter(|event| costs.contains(&event.what));
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let paid: Vec<(NodeId, Happening, String)> = costly
        .map(|event| (event.node, event.what, name(&event.text).unwrap_or_default()))
        .collect();
    let paid: Vec<_> = paid.iter().map(|(node, what, name)| (*node, *what, &name[..])).collect();
    assert_eq!(paid, expected);
}

const EXCHANGE: [(NodeId, Happening, &str); 2] =
    [(AGENT, Happening::Send, "Request"), (ORIGIN, Happening::Send, "Response")];

#[test]
fn a_look_costs_2_messages() {
    costs(&[LOOK], &EXCHANGE);
    costs(&[ADD, LOOK], &EXCHANGE);
    costs(&[ADD, LOOK, LOOK], &EXCHANGE);
}

#[test]
fn an_entry_costs_4_messages_and_1_force() {
    let put = [
        (AGENT, Happening::Send, "Request"),
        (ORIGIN, Happening::Force, "Put"),
        (ORIGIN, Happening::Send, "Response"),
    ];
    let expected = [&EXCHANGE[..], &put].concat();
    costs(&[ADD], &expected);
    costs(&[ADD, ADD], &expected);
}

#[test]
fn a_small_campaign_holds() {
    holds(&conditional_requests());
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    copies_do_no_harm(&conditional_requests());
}

#[test]
fn without_a_condition_updates_are_lost() {
    breaks(&on_reads(), 1_000, &["records / lost update"], (4, 3));
}

#[test]
fn a_refused_write_may_have_been_done() {
    breaks(&retried(), 1_000, &["idempotency / double effect"], (4, 3));
}
