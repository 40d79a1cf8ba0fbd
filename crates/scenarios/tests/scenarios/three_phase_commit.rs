//! Three-phase commit: what calm runs cost, where it holds, and where two suspicions break it.

use crate::{breaks, campaign, holds, signatures};
use explorer::{AnyScenario, Narrow, Scenario, judge, judge_recorded};
use node::NodeId;
use protocols::commit::{Action, Config, Item, Key, Op, Role};
use scenarios::three_phase_commit::{
    asynchronous, is_synchronous, three_phase_commit, version_a, version_b, version_c,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::fault::EffectPattern;
use world::{Call, Edge, Fault, FaultKind, Happening, Kind, Network, Place, Seed, TraceEvent};

const COORDINATOR: NodeId = NodeId(0);

/// One client, one call, an action of every participant, and no trouble at all.
fn calm(actions: &[Action]) -> Case<Op, Config> {
    let participants = actions.len() as u16;
    let ids = (1..=participants).map(NodeId).collect();
    let config =
        |role| Config { vote_timeout: Duration::from_millis(100), role, ..Config::default() };
    let mut nodes = vec![config(Role::Coordinator { participants: ids, acceptors: Vec::new() })];
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

#[test]
fn it_holds_in_synchrony() {
    holds(&three_phase_commit());
}

/// What the oracle does for crashes: a commit of three, and two of the four nodes struck before
/// any of their effects, all pairs of them. What became of each, and every mark.
fn struck_wherever(kind: impl Fn(NodeId) -> Kind) -> (BTreeMap<String, u32>, BTreeSet<String>) {
    let all_yes = calm(&[Action::Add(1); 3]);
    let strike = |node: u16, nth| {
        let (node, effect) = (NodeId(node), EffectPattern::default());
        (Place::Effect { edge: Edge::Before, node, effect, origin: None, nth }, kind(node))
    };
    let (mut ends, mut marks) = (BTreeMap::new(), BTreeSet::new());
    // The coordinator has about 20 effects, and a participant that asks and decides a few more.
    let (nodes, most) = (0..4, 24);
    for one in nodes.clone() {
        for other in nodes.clone().filter(|other| *other > one) {
            for (first, second) in (1..=most).flat_map(|a| (1..=most).map(move |b| (a, b))) {
                let mut case = all_yes.clone();
                let faults = (0..).zip([strike(one, first), strike(other, second)]);
                case.faults = faults.map(|(id, (place, kind))| Fault { id, place, kind }).collect();
                let outcome = judge(&three_phase_commit(), &case);
                let end = outcome.verdict.anomaly().map_or("holds".into(), |a| a.signature());
                *ends.entry(end).or_insert(0) += 1;
                marks.extend(outcome.marks.into_iter().map(|(mark, _)| mark.into_owned()));
            }
        }
    }
    (ends, marks)
}

#[test]
fn it_holds_whichever_two_nodes_are_lost_wherever() {
    let (ends, marks) = struck_wherever(|node| Kind::Retire { node });
    assert_eq!(ends.into_keys().collect::<Vec<_>>(), ["holds"]);
    for rare in ["survivor brought others to pre-commit", "survivor learned of a commit"] {
        assert!(marks.contains(rare), "{rare}: {marks:?}");
    }
}

/// 2.5 Outside of the profile, and not for ever: two may start again, soon or when all is over.
#[test]
fn it_holds_whichever_two_nodes_start_again_wherever() {
    for down in [1, 150, 400, 1_000].map(Duration::from_millis) {
        let (ends, _) = struck_wherever(|node| Kind::Crash { node, down });
        assert_eq!(ends.into_keys().collect::<Vec<_>>(), ["holds"], "down for {down:?}");
    }
}

#[test]
fn the_profile_holds_a_case_to_its_bound() {
    let mut case = calm(&[Action::Add(1); 3]);
    case.sync = Duration::from_millis(16);
    assert!(is_synchronous(&case), "1 ms and 3 syncs within 50 ms");
    case.sync = Duration::from_millis(17);
    assert!(!is_synchronous(&case));
    case.sync = Duration::from_millis(16);
    let kind = Kind::Retry { after: Duration::from_millis(5) };
    case.faults.push(Fault { id: 0, place: Place::Call(0), kind });
    assert!(!is_synchronous(&case), "the copy may be one more transaction");
}

#[test]
fn two_false_suspicions_split_it_and_no_crash() {
    let faults = Scenario::shape(&asynchronous()).faults;
    let crashes = [FaultKind::Crash, FaultKind::Restart, FaultKind::CrashLoop, FaultKind::Retire];
    assert!(crashes.iter().all(|crash| !faults.has(*crash)));
    let report = campaign(&asynchronous(), 1_000, Narrow::default());
    assert_eq!(signatures(&report), ["commit / AC1 agreement"]);
    let small = asynchronous().exhibit(report.findings[0].seed, &Narrow::default(), true);
    let (calls, faults) = small.expect("it fails").after;
    assert!(calls <= 4 && faults <= 3, "{calls} calls and {faults} faults");
}

#[test]
fn every_article_shows_its_errors_within_300_seeds() {
    let its = ["commit / AC1 agreement", "commit / AC2 validity", "commit / AC3 stability"];
    breaks(&version_a(), 300, &its, (4, 3));
    breaks(&version_b(), 300, &["commit / AC3 stability", "progress / in doubt"], (4, 3));
    let (verdict, doubt) = ("commit / client verdict", "progress / in doubt");
    breaks(&version_c(), 300, &[verdict, "commit / AC2 validity", doubt], (4, 3));
}
