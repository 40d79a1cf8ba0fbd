//! Paxos Commit: what calm runs cost, that it holds, and that nobody waits for the lost.

use crate::{copies_do_no_harm, holds, planted};
use explorer::{Budget, Progress, explore, judge, judge_recorded};
use node::NodeId;
use protocols::commit::{Action, Config, Item, Key, Op, Role};
use scenarios::bank;
use scenarios::paxos_commit::paxos_commit;
use std::collections::BTreeSet;
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::fault::EffectPattern;
use world::{Call, Edge, Fault, Happening, Kind, Network, Place, Seed, TraceEvent};

const COORDINATOR: NodeId = NodeId(0);

/// One client, one call, an action of every participant, so many acceptors, and no trouble at all.
fn calm(actions: &[Action], acceptors: u16) -> Case<Op, Config> {
    let participants = actions.len() as u16;
    let ids = |first: u16, count: u16| (first..first + count).map(NodeId).collect();
    let coordinator = Role::Coordinator {
        participants: ids(1, participants),
        acceptors: ids(1 + participants, acceptors),
    };
    let participant = Role::Participant { balances: vec![(Key(0), 10)] };
    let mut roles = vec![coordinator];
    roles.extend(vec![participant; actions.len()]);
    roles.extend(vec![Role::Acceptor; usize::from(acceptors)]);
    let config = |role| Config { role, ..Config::default() };
    let items = (0..).zip(actions).map(|(at, action)| Item { at, key: Key(0), action: *action });
    let op = Op { items: items.collect() };
    Case {
        version: CASE_VERSION,
        scenario: "paxos_commit".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(20),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes: roles.into_iter().map(config).collect(),
        calls: vec![Call { id: 0, at: Duration::ZERO, client: 0, to: COORDINATOR, op }],
        faults: Vec::new(),
    }
}

/// Messages, and the forces of each node.
fn cost(actions: &[Action], acceptors: u16) -> (usize, Vec<usize>) {
    let case = calm(actions, acceptors);
    let (outcome, record) = judge_recorded(&paxos_commit(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let (_, ok) = outcome.operations;
    assert_eq!(ok, u32::from(!actions.contains(&Action::Veto)));
    let count = |what, node: Option<usize>| {
        let counts = |event: &&TraceEvent| {
            event.what == what && node.is_none_or(|node| event.node.index() == node)
        };
        record.events.iter().filter(counts).count()
    };
    let forces = (0..case.nodes.len()).map(|node| count(Happening::Force, Some(node)));
    (count(Happening::Send, None), forces.collect())
}

#[test]
fn p14_a_commit_costs_2fn_plus_2f_plus_1_messages_more_than_3n_and_1_force_before_each_answer() {
    for (n, f) in (1..=4).flat_map(|n| [0, 1, 2].map(|f| (n, f))) {
        let mut forces = vec![0];
        forces.extend(vec![2; n]);
        forces.extend(vec![1; 2 * f + 1]);
        let messages = 3 * n + 2 * f * n + 2 * f + 1;
        assert_eq!(cost(&vec![Action::Add(1); n], 2 * f as u16 + 1), (messages, forces));
    }
}

#[test]
fn p14_one_no_voter_costs_one_message_less_and_a_force_at_each_participant() {
    for (n, f) in (1..=4).flat_map(|n| [0, 1, 2].map(|f| (n, f))) {
        let mut actions = vec![Action::Add(1); n];
        actions[n - 1] = Action::Veto;
        let mut forces = vec![0];
        forces.extend(vec![1; n + 2 * f + 1]);
        let messages = 3 * n + 2 * f * n + 2 * f;
        assert_eq!(cost(&actions, 2 * f as u16 + 1), (messages, forces));
    }
}

#[test]
fn every_generic_mutant_is_found_but_the_one_that_does_no_harm() {
    let with = |mutant: &str, seeds| {
        let narrow = planted(mutant);
        let budget = Budget { campaign: Some(1), narrow, first: true, ..Budget::seeds(seeds) };
        explore(&paxos_commit(), &budget, &Progress::default())
    };
    for mutant in [
        "drop_force(Accepted)",
        "drop_force(Prepared)",
        "persist_instead_of_force(Accepted)",
        "persist_instead_of_force(Prepared)",
        "send_before_force(Accepted)",
        "send_before_force(Prepared)",
        "forget_timer(Inquire)",
        "forget_timer(Lead)",
        "lose_on_restart",
    ] {
        let report = with(mutant, 20_000);
        assert!(report.verdict().is_violated(), "{mutant}");
    }
    copies_do_no_harm(&paxos_commit());
}

#[test]
fn it_holds_also_when_nodes_are_lost_for_good() {
    holds(&paxos_commit());
}

#[test]
fn the_bank_holds_over_it() {
    holds(&bank::agreed());
}

/// What two-phase commit cannot: a commit of two over three acceptors, and the coordinator and any
/// other node lost for good, each before any of its first effects. Those who live end it.
#[test]
fn nobody_waits_for_the_coordinator_and_another_one_wherever_they_are_lost() {
    let all_yes = calm(&[Action::Add(1); 2], 3);
    let lost = |node: u16, nth| {
        let (node, effect) = (NodeId(node), EffectPattern::default());
        let place = Place::Effect { edge: Edge::Before, node, effect, origin: None, nth };
        (place, Kind::Retire { node })
    };
    let mut marks = BTreeSet::new();
    let most = 10;
    for other in 1..all_yes.nodes.len() as u16 {
        for (first, second) in (1..=most).flat_map(|a| (1..=most).map(move |b| (a, b))) {
            let mut case = all_yes.clone();
            let faults = (0..).zip([lost(0, first), lost(other, second)]);
            case.faults = faults.map(|(id, (place, kind))| Fault { id, place, kind }).collect();
            let outcome = judge(&paxos_commit(), &case);
            assert!(outcome.verdict.holds(), "{}: {:?}", outcome.verdict, case.faults);
            marks.extend(outcome.marks.into_iter().map(|(mark, _)| mark));
        }
    }
    for reached in ["a new leader aborts", "a new leader commits"] {
        assert!(marks.contains(reached), "{reached}: {marks:?}");
    }
}
