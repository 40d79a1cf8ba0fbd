//! A cache beside a database: what calm reads and writes cost, a small campaign, and what must be
//! found.

use crate::{breaks, copies_do_no_harm, finds, holds, ms};
use explorer::judge_recorded;
use node::NodeId;
use protocols::page::{Config, Op, Page, Role};
use scenarios::product_page::{delete_then_write, double_delete, product_page};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, Happening, Network, Origin, Seed};

const DATABASE: NodeId = NodeId(0);
const CACHE: NodeId = NodeId(1);
const FRONT: NodeId = NodeId(2);
const PAGE: Page = Page(0);
const READ: Op = Op::Read { page: PAGE };
const WRITE: Op = Op::Write { page: PAGE, price: 7 };

/// A database, a cache and a front; a message takes 1 ms, and the calls come 100 ms apart.
fn calm(ops: &[Op]) -> Case<Op, Config> {
    let calls =
        (0..).zip(ops).map(|(id, op)| Call { id, at: ms(100) * id, client: 0, to: FRONT, op: *op });
    let nodes = [Role::Database, Role::Cache, Role::Front].map(|role| Config {
        role,
        database: DATABASE,
        caches: 1,
        capacity: 2,
        lease: ms(50),
        lag: ms(2),
        patience: ms(50),
        pause: ms(5),
    });
    Case {
        version: CASE_VERSION,
        scenario: "product_page".into(),
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

/// What a call of a calm case costs, in order: who sends or writes what.
fn paid(ops: &[Op], call: u32) -> Vec<(NodeId, Happening, String)> {
    let (outcome, record) = judge_recorded(&product_page(), &calm(ops));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    let events = record.events.iter().filter(|event| event.origin == Some(Origin::Call(call)));
    let costly = events.filter(|event| costs.contains(&event.what));
    costly.map(|event| (event.node, event.what, name(&event.text).unwrap_or_default())).collect()
}

#[track_caller]
fn costs(ops: &[Op], expected: &[(NodeId, Happening, &str)]) {
    let paid = paid(ops, ops.len() as u32 - 1);
    let paid: Vec<_> = paid.iter().map(|(node, what, name)| (*node, *what, &name[..])).collect();
    assert_eq!(paid, expected);
}

const MISS: [(NodeId, Happening, &str); 5] = [
    (FRONT, Happening::Send, "Get"),
    (CACHE, Happening::Send, "Miss"),
    (FRONT, Happening::Send, "Read"),
    (DATABASE, Happening::Send, "Row"),
    (FRONT, Happening::Send, "Fill"),
];

#[test]
fn a_miss_costs_5_messages() {
    costs(&[READ], &MISS);
    costs(&[WRITE, READ], &MISS);
    costs(&[READ, WRITE, READ], &MISS);
}

#[test]
fn a_hit_costs_2_messages() {
    let hit = [(FRONT, Happening::Send, "Get"), (CACHE, Happening::Send, "Hit")];
    costs(&[READ, READ], &hit);
    costs(&[READ, WRITE, READ, READ], &hit);
}

/// And the record that the cache has heard of it is not forced.
#[test]
fn a_write_costs_4_messages_and_1_force() {
    let write = [
        (FRONT, Happening::Send, "Write"),
        (DATABASE, Happening::Force, "Committed"),
        (DATABASE, Happening::Send, "Written"),
        (DATABASE, Happening::Send, "Invalidate"),
        (CACHE, Happening::Send, "Heard"),
        (DATABASE, Happening::Persist, "Heard"),
    ];
    costs(&[WRITE], &write);
    costs(&[READ, WRITE], &write);
}

#[test]
fn a_small_campaign_holds() {
    holds(&product_page());
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds(&product_page(), "send_before_force(Committed)", "idempotency / effect lost");
    finds(&product_page(), "drop_force(Committed)", "cache / newer than the store");
    finds(&product_page(), "lose_on_restart", "idempotency / double effect");
    finds(&product_page(), "forget_timer(Invalidate)", "cache / stale at rest");
    finds(&product_page(), "forget_timer(Next)", "progress / operation never ends");
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    copies_do_no_harm(&product_page());
}

#[test]
fn the_exhibits_are_found_and_made_small() {
    breaks(
        &delete_then_write(),
        1_000,
        &["cache / stale at rest", "cache / version went back"],
        (4, 3),
    );
    breaks(
        &double_delete(),
        1_000,
        &["cache / stale at rest", "cache / version went back"],
        (4, 3),
    );
}
