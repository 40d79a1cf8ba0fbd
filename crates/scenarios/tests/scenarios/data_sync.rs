//! Data synchronisation: what calm writes and rounds cost, a small campaign, what must be found.

use crate::{breaks, campaign, costs, finds, ms, paid};
use explorer::{AnyScenario, Narrow, judge_recorded};
use node::NodeId;
use protocols::sync::{Config, Key, Op};
use scenarios::data_sync::{data_sync, lamport, wall_clock};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Call, Case, Clients, FaultKind, Network, Origin, Seed, TraceEvent};

const KEY: Key = Key(0);
const READ: Op = Op::Read { key: KEY };
const WRITE: Op = Op::Write { key: KEY, value: 7 };
const EDIT: Op = Op::Edit { key: KEY, value: 8 };

/// Two replicas that turn to each other every 100 ms, and end after as many rounds; a message takes
/// 1 ms, and the calls go to the first replica at these times.
fn calm(ops: &[(Duration, Op)], rounds: u32) -> Case<Op, Config> {
    let calls = (0..).zip(ops).map(|(id, (at, op))| Call {
        id,
        at: *at,
        client: 0,
        to: NodeId(0),
        op: *op,
    });
    let config = Config { replicas: 2, unit: ms(10_000), interval: ms(100), thought: ms(5) };
    let end_at = ms(100) * rounds + ms(50);
    Case {
        version: CASE_VERSION,
        scenario: "data_sync".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: end_at,
        end_at,
        sync: Duration::ZERO,
        clients: Clients { count: 1, give_up: ms(500), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: vec![config; 2],
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// What these calls and rounds cost, of what goes back to one of these.
#[track_caller]
fn pays(ops: &[(Duration, Op)], rounds: u32, origins: &[Origin], expected: &[(&str, usize)]) {
    let (outcome, record) = judge_recorded(&data_sync(), &calm(ops, rounds));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let of = |event: &&TraceEvent| event.origin.is_some_and(|origin| origins.contains(&origin));
    assert_eq!(paid(record.events.iter().filter(of)), costs(expected));
}

/// And the bound of stamps, once for 100 units of them: here for the first stamp.
#[test]
fn a_write_costs_1_force_and_a_read_nothing() {
    let ops = [(ms(10), WRITE), (ms(20), WRITE), (ms(30), EDIT), (ms(40), READ)];
    pays(&ops, 1, &[Origin::Call(0)], &[("force Reserved", 1), ("force Written", 1)]);
    pays(&ops, 1, &[Origin::Call(1)], &[("force Written", 1)]);
    pays(&ops, 1, &[Origin::Call(2)], &[("force Written", 1)]);
    pays(&ops, 1, &[Origin::Call(3)], &[]);
}

#[test]
fn a_round_that_finds_nothing_new_costs_1_message() {
    let round = |rounds| [("force Reserved", 1), ("send Digest", rounds)];
    pays(&[], 1, &[Origin::Boot(0)], &round(1));
    pays(&[], 9, &[Origin::Boot(0)], &round(9));
}

/// Both turn to each other at once: who asks has it first, and what comes again is not forced.
#[test]
fn a_write_is_synced_for_2_or_3_messages_and_1_force() {
    let two = [(ms(10), WRITE), (ms(20), WRITE)];
    for ops in [&two[..1], &two] {
        let asked =
            [("force Merged", 1), ("force Reserved", 1), ("send Delta", 1), ("send Digest", 1)];
        pays(ops, 1, &[Origin::Boot(1)], &asked);
        pays(ops, 1, &[Origin::Boot(0)], &[("send Delta", 1), ("send Digest", 2)]);
    }
}

#[test]
fn a_small_campaign_holds_and_is_measured() {
    let report = campaign(&data_sync(), 2_000, Narrow::default());
    report.assert_holds();
    let metrics: Vec<_> = report.metrics.keys().map(|name| name.to_string()).collect();
    assert_eq!(metrics, ["sync_latency", "sync_ops"]);
    for kind in [FaultKind::WallOffset, FaultKind::WallDrift, FaultKind::WallJump] {
        let tally = report.faults[kind.name()];
        assert!(tally.effective > 100, "{kind}: {tally:?}");
    }
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds(&data_sync(), "send_before_force(Written)", "convergence / acknowledged, not written");
    finds(&data_sync(), "persist_instead_of_force(Merged)", "convergence / replica went back");
    finds(&data_sync(), "drop_force(Reserved)", "clock / stamp went back");
    finds(&data_sync(), "lose_on_restart", "convergence / version twice");
    finds(&data_sync(), "forget_timer(Round)", "convergence / diverged");
    finds(&data_sync(), "forget_timer(Save)", "progress / operation never ends");
}

#[test]
fn the_exhibits_are_found_and_made_small() {
    let lost = ["convergence / older version wins", "convergence / acknowledged write lost"];
    breaks(&wall_clock(), 1_000, &lost, (4, 3));
    for exhibit in [&wall_clock() as &dyn AnyScenario, &lamport()] {
        breaks(exhibit, 1_000, &["convergence / version lost"], (4, 3));
    }
    breaks(&lamport(), 1_000, &["convergence / diverged"], (4, 3));
}
