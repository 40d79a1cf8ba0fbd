//! Orders by two-phase commit: what calm ones cost, a small campaign, and what must be found.

use crate::{breaks, campaign, costs, holds, holds_with_few, ms, paid, signatures};
use explorer::{Narrow, judge_recorded};
use node::NodeId;
use protocols::commit::{Config, Op};
use scenarios::orders_2pc::{cancel, cluster, forgetful, orders_2pc, place, report};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, Network, Seed};

/// One client, one call after another, and no trouble at all.
fn calm(ops: &[Op]) -> Case<Op, Config> {
    let timing = Config {
        vote_timeout: ms(400),
        work_timeout: ms(400),
        compact_after: 1000,
        ..Config::default()
    };
    let calls = (0..).zip(ops).map(|(id, op)| Call {
        id,
        at: ms(1_000) * (id + 1),
        client: 0,
        to: NodeId(0),
        op: op.clone(),
    });
    Case {
        version: CASE_VERSION,
        scenario: "orders_2pc".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(5_000),
        end_at: ms(20_000),
        sync: Duration::ZERO,
        clients: Clients { count: 1, give_up: ms(500), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: cluster(1, &timing),
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

#[track_caller]
fn calm_costs(ops: &[Op], expected: &[(&str, usize)]) {
    let (outcome, record) = judge_recorded(&orders_2pc(), &calm(ops));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    // The first boot writes what there is at first.
    let servers = record.events.iter().filter(|event| event.node < NodeId(4) && event.at > 0);
    assert_eq!(paid(servers), costs(expected));
}

/// protocols.md P14 with N = 3, and the execution round: 4N messages from Prepare on, 1 force at
/// the coordinator and 2 at each participant.
#[test]
fn p14_an_order_costs_18_messages_and_7_forces() {
    let expected = [
        ("force Commit", 1),
        ("force Committed", 3),
        ("force Prepared", 3),
        ("persist End", 1),
        ("send Ack", 3),
        ("send Decision", 3),
        ("send Done", 3),
        ("send Prepare", 3),
        ("send Vote", 3),
        ("send Work", 3),
    ];
    calm_costs(&[place(0)], &expected);
}

/// An order that is called off concerns its own book alone; a report changes nothing.
#[test]
fn p14_a_report_costs_12_messages_and_no_force() {
    let expected = [("send Done", 3), ("send Prepare", 3), ("send Vote", 3), ("send Work", 3)];
    calm_costs(&[report()], &expected);
}

#[test]
fn a_small_campaign_holds() {
    holds(&orders_2pc());
    holds_with_few(&orders_2pc());
}

/// Placed twice, or called off: an order that has ended refuses both.
#[test]
fn an_order_ends_once() {
    let ops = [place(0), cancel(0), place(0), cancel(1), place(1), report()];
    let (outcome, record) = judge_recorded(&orders_2pc(), &calm(&ops));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let told = |what: &str| {
        let told = |text: &str| text.starts_with(what);
        record.events.iter().filter(|event| event.node == NodeId(0) && told(&event.text)).count()
    };
    assert_eq!((told("Ok(Committed"), told("Fail(")), (3, 3));
}

#[test]
fn a_part_of_an_order_is_found() {
    let forgets = Narrow {
        mutant: Some("lose_on_restart".parse().expect("a planted bug")),
        ..Narrow::default()
    };
    let found = signatures(&campaign(&orders_2pc(), 1_000, forgets));
    assert!(found.iter().any(|found| found == "orders / partial order"), "{found:?}");
}

/// No fault is needed: an order is sold out, and what the others have set aside stays so.
#[test]
fn who_is_not_told_of_a_refusal_waits_for_ever() {
    breaks(&forgetful(), 100, &["progress / in doubt"], (2, 0));
}
