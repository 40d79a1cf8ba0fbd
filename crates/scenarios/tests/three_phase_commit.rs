//! Three-phase commit: what calm runs cost, where it holds, and where two suspicions break it.

use explorer::{AnyScenario, Budget, Narrow, Progress, Report, Scenario, explore, judge_recorded};
use node::NodeId;
use protocols::commit::{Action, Config, Item, Key, Op, Role};
use scenarios::three_phase_commit::{asynchronous, is_synchronous, three_phase_commit};
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::{Call, Happening, Network, Seed, TraceEvent};

const COORDINATOR: NodeId = NodeId(0);

/// One client, one call, an action of every participant, and no trouble at all.
fn calm(actions: &[Action]) -> Case<Op, Config> {
    let participants = actions.len() as u16;
    let ids = (1..=participants).map(NodeId).collect();
    let config =
        |role| Config { vote_timeout: Duration::from_millis(100), role, ..Config::default() };
    let mut nodes = vec![config(Role::Coordinator { participants: ids })];
    let balances = vec![(Key(0), 10)];
    nodes.resize(actions.len() + 1, config(Role::Participant { balances }));
    let items = (0..).zip(actions).map(|(at, action)| Item { at, key: Key(0), action: *action });
    let op = Op { items: items.collect() };
    Case {
        version: CASE_VERSION,
        scenario: "three_phase_commit".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(20),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes,
        calls: vec![Call { id: 0, at: Duration::ZERO, client: 0, to: COORDINATOR, op }],
        faults: Vec::new(),
    }
}

/// Messages, forces of the coordinator, and forces of each participant.
fn cost(actions: &[Action]) -> (usize, usize, Vec<usize>) {
    let case = calm(actions);
    assert!(is_synchronous(&case));
    let (outcome, record) = judge_recorded(&three_phase_commit(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let (_, ok) = outcome.operations;
    assert_eq!(ok, u32::from(!actions.contains(&Action::Veto)));
    let count = |what, node: Option<usize>| {
        let counts = |event: &&TraceEvent| {
            event.what == what && node.is_none_or(|node| event.node.index() == node)
        };
        record.events.iter().filter(counts).count()
    };
    let forces = |node| count(Happening::Force, Some(node));
    (count(Happening::Send, None), forces(0), (1..=actions.len()).map(forces).collect())
}

#[test]
fn p14_a_commit_costs_5n_messages_and_2_plus_3n_forces() {
    for n in 1..=4 {
        assert_eq!(cost(&vec![Action::Add(1); n]), (5 * n, 2, vec![3; n]));
    }
}

#[test]
fn p14_one_no_voter_costs_3n_messages_two_forces_for_each_yes_and_one_for_the_no() {
    for n in 1..=4 {
        let mut actions = vec![Action::Add(1); n];
        actions[n - 1] = Action::Veto;
        let mut participants = vec![2; n];
        participants[n - 1] = 1;
        assert_eq!(cost(&actions), (3 * n, 0, participants));
    }
}

fn campaign<S: Scenario>(scenario: &S, seeds: u64, narrow: Narrow) -> Report {
    let budget = Budget { campaign: Some(1), narrow, ..Budget::seeds(seeds) };
    explore(scenario, &budget, &Progress::default())
}

#[test]
fn it_holds_in_synchrony() {
    campaign(&three_phase_commit(), 2_000, Narrow::default()).assert_holds();
}

#[test]
fn two_false_suspicions_split_it() {
    let report = campaign(&asynchronous(), 1_000, Narrow::default());
    let found: Vec<String> =
        report.findings.iter().map(|finding| finding.anomaly.signature()).collect();
    assert_eq!(found, ["commit / AC1 agreement"]);
    let small = asynchronous().exhibit(report.findings[0].seed, &Narrow::default(), true);
    let (calls, faults) = small.expect("it fails").after;
    assert!(calls <= 4 && faults <= 3, "{calls} calls and {faults} faults");
}
