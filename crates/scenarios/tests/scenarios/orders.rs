//! Orders: what a calm saga costs, a small campaign, and what must be found.

use crate::{breaks, copies_do_no_harm, finds, holds, holds_with_few, ms};
use explorer::{Scenario, judge_recorded};
use node::NodeId;
use protocols::order::{Config, Locks, Op, Order, Role};
use scenarios::orders::{lock_only, locked, saga, undo_in_memory};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, Happening, Network, Seed};

const ORCHESTRATOR: NodeId = NodeId(0);
const STOCK: NodeId = NodeId(1);
const PAYMENT: NodeId = NodeId(2);
const SHIPPING: NodeId = NodeId(3);

/// So many items and coins, a message takes 1 ms and no fault strikes.
fn calm(stock: u32, coins: u32) -> Case<Op, Config> {
    let order = Order { number: 1, customer: 0, item: 0, quantity: 2 };
    let roles = [(Role::Orchestrator, 0), (Role::Stock, stock), (Role::Payment, coins)];
    let nodes = roles.into_iter().chain([(Role::Shipping, 0)]).map(|(role, opening)| Config {
        role,
        stock: STOCK,
        payment: PAYMENT,
        shipping: SHIPPING,
        opening,
        resend: ms(50),
        patience: ms(100),
        locks: None,
    });
    Case {
        version: CASE_VERSION,
        scenario: "orders_saga".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(1_000),
        end_at: ms(5_000),
        sync: Duration::ZERO,
        clients: Clients { count: 1, give_up: ms(500), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: nodes.collect(),
        calls: vec![Call {
            id: 0,
            at: ms(1),
            client: 0,
            to: ORCHESTRATOR,
            op: Op::Place { order },
        }],
        faults: Vec::new(),
    }
}

/// What a calm case costs, in order: who sends, forces or writes what.
#[track_caller]
fn costs(case: &Case<Op, Config>, expected: &[(NodeId, Happening, &str)]) {
    paid(&saga(), case, expected);
}

#[track_caller]
fn paid<S>(scenario: &S, case: &Case<Op, Config>, expected: &[(NodeId, Happening, &str)])
where
    S: Scenario,
    S::Node: node::Node<Op = Op, Config = Config>,
{
    let (outcome, record) = judge_recorded(scenario, case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    let paid = record.events.iter().filter(|event| costs.contains(&event.what));
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let paid: Vec<_> =
        paid.map(|event| (event.node, event.what, name(&event.text).unwrap_or_default())).collect();
    let paid: Vec<_> = paid.iter().map(|(node, what, name)| (*node, *what, &**name)).collect();
    assert_eq!(paid, expected);
}

/// A call and its answer, with what each writes first.
fn call(
    to: NodeId,
    before: &'static str,
    names: [&'static str; 3],
) -> Vec<(NodeId, Happening, &'static str)> {
    let [call, record, answer] = names;
    let mut paid = vec![(ORCHESTRATOR, Happening::Force, before)];
    paid.retain(|_| !before.is_empty());
    paid.push((ORCHESTRATOR, Happening::Send, call));
    paid.push((to, Happening::Force, record));
    paid.push((to, Happening::Send, answer));
    paid
}

const DO: [&str; 3] = ["Do", "Did", "Did"];
const COMPENSATE: [&str; 3] = ["Compensate", "Undid", "Compensated"];

/// protocols.md P14: `Started` before the first call, `Done` before each next one; a step is 2
/// messages and 1 force at its service. In all 8 messages and 9 forces.
#[test]
fn p14_a_completed_order_costs_8_messages_and_9_forces() {
    let end = vec![(ORCHESTRATOR, Happening::Force, "Done")];
    let paid = [
        call(STOCK, "Started", DO),
        call(PAYMENT, "Done", DO),
        call(STOCK, "Done", DO),
        call(SHIPPING, "Done", DO),
        end,
    ];
    costs(&calm(2, 2), &paid.concat());
}

/// 6 messages and 6 forces; that it has ended is not forced.
#[test]
fn p14_a_refused_charge_costs_6_messages_and_6_forces() {
    let end = vec![(ORCHESTRATOR, Happening::Persist, "Ended")];
    let paid = [
        call(STOCK, "Started", DO),
        call(PAYMENT, "Done", DO),
        call(STOCK, "Aborted", COMPENSATE),
        end,
    ];
    costs(&calm(2, 1), &paid.concat());
}

/// 2 messages and 3 forces.
#[test]
fn p14_an_order_that_is_sold_out_costs_2_messages_and_3_forces() {
    let end = vec![(ORCHESTRATOR, Happening::Force, "Aborted")];
    costs(&calm(1, 2), &[call(STOCK, "Started", DO), end].concat());
}

const WORKER: NodeId = NodeId(4);

/// The same with a lock server in the orchestrator's place, and two workers.
fn calm_under_a_lock(stock: u32, coins: u32) -> Case<Op, Config> {
    let mut case = calm(stock, coins);
    let locks = Locks {
        server: ORCHESTRATOR,
        workers: vec![WORKER, NodeId(5)],
        ttl: ms(300),
        drift_ppm: 50_000,
    };
    case.scenario = "orders_lock".into();
    case.nodes[0].role = Role::LockServer;
    case.nodes.iter_mut().for_each(|config| config.locks = Some(locks.clone()));
    let worker = Config { role: Role::Worker, ..case.nodes[0].clone() };
    case.nodes.extend([worker.clone(), worker]);
    case.calls[0].to = WORKER;
    case
}

/// A worker's call and its answer, with what is forced between them.
fn under_a_lock(at: NodeId, names: [&'static str; 3]) -> Vec<(NodeId, Happening, &'static str)> {
    let [call, record, answer] = names;
    vec![
        (WORKER, Happening::Send, call),
        (at, Happening::Force, record),
        (at, Happening::Send, answer),
    ]
}

const WRITE: [&str; 3] = ["Write", "Wrote", "State"];

fn release() -> Vec<(NodeId, Happening, &'static str)> {
    vec![(WORKER, Happening::Send, "Lock"), (ORCHESTRATOR, Happening::Persist, "Lock")]
}

/// Acquire, read, three writes and three steps: 17 messages and 8 forces; the release is lazy.
#[test]
fn p14_an_order_under_a_lock_costs_17_messages_and_8_forces() {
    let expected = [
        under_a_lock(ORCHESTRATOR, ["Lock", "Lock", "Lock"]),
        under_a_lock(SHIPPING, ["Read", "Token", "State"]),
        under_a_lock(SHIPPING, WRITE),
        under_a_lock(STOCK, DO),
        under_a_lock(PAYMENT, DO),
        under_a_lock(SHIPPING, WRITE),
        under_a_lock(STOCK, DO),
        under_a_lock(SHIPPING, WRITE),
        release(),
    ];
    paid(&locked(), &calm_under_a_lock(2, 2), &expected.concat());
}

/// 15 messages and 7 forces.
#[test]
fn p14_a_refused_charge_under_a_lock_costs_15_messages_and_7_forces() {
    let expected = [
        under_a_lock(ORCHESTRATOR, ["Lock", "Lock", "Lock"]),
        under_a_lock(SHIPPING, ["Read", "Token", "State"]),
        under_a_lock(SHIPPING, WRITE),
        under_a_lock(STOCK, DO),
        under_a_lock(PAYMENT, DO),
        under_a_lock(STOCK, ["Undo", "Undid", "Undone"]),
        under_a_lock(SHIPPING, WRITE),
        release(),
    ];
    paid(&locked(), &calm_under_a_lock(2, 1), &expected.concat());
}

#[test]
fn a_small_campaign_holds() {
    holds(&saga());
    holds(&locked());
}

#[test]
fn a_few_faults_do_not_break_it() {
    holds_with_few(&saga());
    holds_with_few(&locked());
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    for (mutant, signature) in [
        ("send_before_force(Started)", "conservation / leaked reservation"),
        ("send_before_force(Did)", "idempotency / effect lost"),
        ("lose_on_restart", "conservation / leaked reservation"),
        ("forget_timer(Call)", "progress / order never ends"),
    ] {
        finds(&saga(), mutant, signature);
    }
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    copies_do_no_harm(&saga());
    copies_do_no_harm(&locked());
}

/// The exhibit shows its errors, and small.
#[test]
fn undo_in_memory_is_found_and_made_small() {
    let errors = ["conservation / leaked reservation", "conservation / reserved twice"];
    breaks(&undo_in_memory(), 1_000, &errors, (4, 3));
}

/// A lease runs out in the middle of an order, and all is done again; or nobody ends it.
#[test]
fn a_lock_alone_is_found_and_made_small() {
    let errors = ["conservation / reserved twice", "conservation / leaked reservation"];
    breaks(&lock_only(), 1_000, &errors, (4, 3));
}

#[test]
fn planted_bugs_under_a_lock_are_found() {
    for (mutant, signature) in [
        ("send_before_force(Did)", "conservation / paid without reservation"),
        ("forget_timer(Left)", "progress / order never ends"),
    ] {
        finds(&locked(), mutant, signature);
    }
}
