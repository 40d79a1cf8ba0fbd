//! What stock keepers cost, their trial in small, and the exhibits' findings.

use crate::{breaks, holds, ms};
use explorer::{Scenario, judge_recorded};
use node::NodeId;
use protocols::stock::{Config, Item, Op, Role};
use scenarios::stock::{by_value, get_set, optimistic, pooled, row_lock, watch, without_exec};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, Happening, Network, Seed};

const STORE: NodeId = NodeId(0);
const WORKER: NodeId = NodeId(1);

/// A store and two workers, a message takes 1 ms; the calls come 100 ms apart.
fn case(scenario: &str, ops: &[Op]) -> Case<Op, Config> {
    let calls = (0..).zip(ops).map(|(id, op)| Call {
        id,
        at: ms(100) * id,
        client: 0,
        to: WORKER,
        op: *op,
    });
    let roles = [Role::Store, Role::Worker, Role::Worker];
    let nodes = roles.map(|role| Config {
        role,
        store: STORE,
        think: ms(1),
        patience: ms(50),
        backoff: ms(5),
        attempts: 4,
    });
    Case {
        version: CASE_VERSION,
        scenario: scenario.into(),
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

/// What a calm case costs, in order: who sends or forces what.
fn costs<S>(scenario: &S, case: &Case<Op, Config>) -> Vec<(NodeId, Happening, String)>
where
    S: Scenario,
    S::Node: node::Node<Op = Op, Config = Config>,
{
    let (outcome, record) = judge_recorded(scenario, case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    let paid = record.events.iter().filter(|event| costs.contains(&event.what));
    paid.map(|event| (event.node, event.what, name(&event.text).unwrap_or_default())).collect()
}

fn named(paid: &[(NodeId, Happening, String)]) -> Vec<(NodeId, Happening, &str)> {
    paid.iter().map(|(node, what, name)| (*node, *what, name.as_str())).collect()
}

/// Without conflict: 4 messages, 1 force.
#[test]
fn what_a_calm_sale_costs() {
    let paid = costs(&optimistic(), &case("optimistic", &[Op::Sell { item: Item(0) }]));
    let expected = [
        (WORKER, Happening::Send, "Read"),
        (STORE, Happening::Send, "Row"),
        (WORKER, Happening::Send, "Update"),
        (STORE, Happening::Force, "Updated"),
        (STORE, Happening::Send, "Done"),
    ];
    assert_eq!(named(&paid), expected);
}

/// A look: 2 messages.
#[test]
fn what_a_calm_look_costs() {
    let paid = costs(&optimistic(), &case("optimistic", &[Op::Look { item: Item(0) }]));
    let expected = [(WORKER, Happening::Send, "Read"), (STORE, Happening::Send, "Row")];
    assert_eq!(named(&paid), expected);
}

/// Open, read and execute with their answers, and close: 7 messages, 1 force.
#[test]
fn what_a_calm_sale_under_watch_costs() {
    let paid = costs(&watch(), &case("watch", &[Op::Sell { item: Item(0) }]));
    let expected = [
        (WORKER, Happening::Send, "Open"),
        (STORE, Happening::Send, "Opened"),
        (WORKER, Happening::Send, "Pipeline"),
        (STORE, Happening::Send, "Replies"),
        (WORKER, Happening::Send, "Pipeline"),
        (STORE, Happening::Force, "Executed"),
        (STORE, Happening::Send, "Replies"),
        (WORKER, Happening::Send, "Close"),
    ];
    assert_eq!(named(&paid), expected);
}

/// Open, lock, update and commit with their answers, and close: 9 messages, 1 force.
#[test]
fn what_a_calm_sale_under_a_row_lock_costs() {
    let paid = costs(&row_lock(), &case("row_lock", &[Op::Sell { item: Item(0) }]));
    let expected = [
        (WORKER, Happening::Send, "Open"),
        (STORE, Happening::Send, "Opened"),
        (WORKER, Happening::Send, "Run"),
        (STORE, Happening::Send, "Ran"),
        (WORKER, Happening::Send, "Run"),
        (STORE, Happening::Send, "Ran"),
        (WORKER, Happening::Send, "Run"),
        (STORE, Happening::Force, "Committed"),
        (STORE, Happening::Send, "Ran"),
        (WORKER, Happening::Send, "Close"),
    ];
    assert_eq!(named(&paid), expected);
}

/// A look takes no lock: 5 messages.
#[test]
fn what_a_calm_look_past_a_row_lock_costs() {
    let paid = costs(&row_lock(), &case("row_lock", &[Op::Look { item: Item(0) }]));
    let expected = [
        (WORKER, Happening::Send, "Open"),
        (STORE, Happening::Send, "Opened"),
        (WORKER, Happening::Send, "Run"),
        (STORE, Happening::Send, "Ran"),
        (WORKER, Happening::Send, "Close"),
    ];
    assert_eq!(named(&paid), expected);
}

#[test]
fn small_campaigns_hold() {
    holds(&optimistic());
    holds(&watch());
    holds(&row_lock());
}

#[test]
fn without_a_version_updates_are_lost() {
    breaks(&get_set(), 100, &["linearizable / not linearizable"], (2, 0));
}

#[test]
fn the_same_value_again_is_not_the_same_value_still() {
    breaks(&by_value(), 1_000, &["linearizable / not linearizable"], (3, 1));
}

#[test]
fn without_exec_nothing_is_done() {
    breaks(&without_exec(), 100, &["linearizable / not linearizable"], (2, 0));
}

#[test]
fn a_session_is_whoever_the_pool_lends_it_to() {
    breaks(&pooled(), 100, &["linearizable / not linearizable"], (2, 0));
}
