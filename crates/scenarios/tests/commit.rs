//! Two-phase commit and the bank: what calm runs cost, small campaigns, and what must be found.

use explorer::{
    Anomaly, Budget, CaseFor, Narrow, Progress, Report, Scenario, explore, judge, judge_recorded,
};
use node::{Cx, Mutation, Node, NodeId, Observe, RequestId};
use protocols::commit::{Action, Config, Durable, Item, Key, Op, Ret, Role, View};
use protocols::naive::{two_phase_commit_a::TwoPhaseCommitA, two_phase_commit_d::TwoPhaseCommitD};
use scenarios::bank::{Bank, bank};
use scenarios::two_phase_commit::{
    FreeVotes, two_phase_commit, version_a, version_b, version_c, version_d, version_e,
};
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::{Call, Happening, Network, Seed, TraceEvent};

const COORDINATOR: NodeId = NodeId(0);

/// One client, one call after another, and no trouble at all.
fn calm(participants: u16, ops: Vec<Op>) -> Case<Op, Config> {
    let ids = (1..=participants).map(NodeId).collect();
    let config = |role| Config {
        vote_timeout: Duration::from_millis(400),
        work_timeout: Duration::from_millis(400),
        compact_after: 1000,
        role,
        ..Config::default()
    };
    let mut nodes = vec![config(Role::Coordinator { participants: ids })];
    let balances = vec![(Key(0), 10), (Key(1), 10)];
    nodes.resize(usize::from(participants) + 1, config(Role::Participant { balances }));
    let calls = (0..).zip(ops).map(|(id, op)| Call {
        id,
        at: Duration::from_secs(3 * u64::from(id)),
        client: 0,
        to: COORDINATOR,
        op,
    });
    Case {
        version: CASE_VERSION,
        scenario: "two_phase_commit".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(60),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network::default(),
        nodes,
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// An action of every participant, on a key that no other one of them uses.
fn votes(actions: &[Action]) -> Op {
    let items = (0..).zip(actions).map(|(at, action)| Item { at, key: Key(0), action: *action });
    Op { items: items.collect() }
}

/// Messages from Prepare on, forces of the coordinator, and forces of each participant.
#[derive(PartialEq, Eq, Debug)]
struct Cost {
    messages: usize,
    coordinator: usize,
    participants: Vec<usize>,
}

fn cost(op: Op) -> Cost {
    let participants = op.participants().len();
    let case = calm(participants as u16, vec![op]);
    let (outcome, record) = judge_recorded(&two_phase_commit(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let counted = ["Prepare", "Vote", "Decision", "Ack", "Inquiry", "PeerAsk", "PeerTell"];
    let sent = |event: &&TraceEvent| {
        event.what == Happening::Send && counted.iter().any(|name| event.text.starts_with(name))
    };
    let forces = |node: usize| {
        let forced =
            |event: &&TraceEvent| event.what == Happening::Force && event.node.index() == node;
        record.events.iter().filter(forced).count()
    };
    Cost {
        messages: record.events.iter().filter(sent).count(),
        coordinator: forces(0),
        participants: (1..=participants).map(forces).collect(),
    }
}

#[test]
fn p14_a_commit_costs_4n_messages_and_1_plus_2n_forces() {
    for n in 1..=4 {
        let expected = Cost { messages: 4 * n, coordinator: 1, participants: vec![2; n] };
        assert_eq!(cost(votes(&vec![Action::Add(1); n])), expected);
    }
}

#[test]
fn p14_a_read_only_participant_costs_2_messages_and_no_force() {
    let op = votes(&[Action::Add(1), Action::Read, Action::Add(-1)]);
    let expected = Cost { messages: 4 * 2 + 2, coordinator: 1, participants: vec![2, 0, 2] };
    assert_eq!(cost(op), expected);
}

#[test]
fn p14_one_no_voter_costs_3n_minus_1_messages_and_a_force_for_each_yes() {
    for n in 1..=4 {
        let mut actions = vec![Action::Add(1); n];
        actions[n - 1] = Action::Veto;
        let mut participants = vec![1; n];
        participants[n - 1] = 0;
        let expected = Cost { messages: 3 * n - 1, coordinator: 0, participants };
        assert_eq!(cost(votes(&actions)), expected);
    }
}

fn campaign<S: Scenario>(scenario: &S, seeds: u64, mutant: Option<&str>) -> Report {
    let mutant = mutant.map(|text| text.parse::<Mutation>().expect("a mutant's name"));
    let narrow = Narrow { mutant, ..Narrow::default() };
    let budget = Budget { campaign: Some(1), narrow, ..Budget::seeds(seeds) };
    explore(scenario, &budget, &Progress::default())
}

#[test]
fn two_phase_commit_holds() {
    campaign(&two_phase_commit(), 2_000, None).assert_holds();
}

#[test]
fn the_bank_holds() {
    campaign(&bank(), 2_000, None).assert_holds();
}

fn classes(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| finding.anomaly.signature()).collect()
}

#[test]
#[ignore]
fn print() {
    for (name, report) in [
        ("a", campaign(&version_a(), 100, None)),
        ("b", campaign(&version_b(), 100, None)),
        ("c", campaign(&version_c(), 100, None)),
        ("d", campaign(&version_d(), 100, None)),
        ("e", campaign(&version_e(), 100, None)),
        ("bank a", campaign(&Bank::<TwoPhaseCommitA>::default(), 300, None)),
        ("bank d", campaign(&Bank::<TwoPhaseCommitD>::default(), 300, None)),
        ("A1", campaign(&two_phase_commit(), 20000, Some("send_before_force(Commit)"))),
        ("A2", campaign(&two_phase_commit(), 20000, Some("send_before_force(Prepared)"))),
        ("sbf", campaign(&two_phase_commit(), 2000, Some("send_before_force"))),
        ("lose", campaign(&two_phase_commit(), 2000, Some("lose_on_restart"))),
        ("drop", campaign(&bank(), 2000, Some("drop_force(Prepared)"))),
        ("bank lose", campaign(&bank(), 2000, Some("lose_on_restart"))),
    ] {
        println!("{name} {}", report.cases);
        for f in &report.findings {
            println!("   {} {} {} {}", f.count, f.index, f.seed, f.anomaly.signature());
        }
    }
}
