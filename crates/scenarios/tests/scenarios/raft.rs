//! Raft: what calm runs cost, small campaigns, what must be found, and what its judges must say.

use crate::{breaks, copies_do_no_harm, costs, finds, holds, ms, paid};
use explorer::judge_recorded;
use node::NodeId;
use protocols::replicated::{Config, Op, RegisterCommand};
use scenarios::raft::{raft_decisions, raft_lock, raft_register, single_server};
use std::time::Duration;
use world::case::{CASE_VERSION, Case, Clients};
use world::fault::Direction;
use world::{Call, Fault, Happening, Kind, Network, Origin, Place, Seed, TraceEvent};

const SERVERS: usize = 3;

/// Three servers and one client that asks the first of them, a second after the other.
fn calm(commands: &[RegisterCommand]) -> Case<Op<RegisterCommand>, Config> {
    let config = Config {
        members: (0..SERVERS as u16).map(NodeId).collect(),
        election: Duration::from_millis(100),
        heartbeat: Duration::from_millis(33),
        batch: 4,
        compact_after: 0,
    };
    let calls = (0..).zip(commands).map(|(id, command)| Call {
        id,
        at: Duration::from_secs(1 + u64::from(id)),
        client: 0,
        to: NodeId(0),
        op: Op::Command(*command),
    });
    Case {
        version: CASE_VERSION,
        scenario: "raft_register".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(6),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes: vec![config; SERVERS],
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// A command: 2(N − 1) messages, one force at each server. A query: the same messages, no force.
#[test]
fn what_a_calm_command_and_a_calm_query_cost() {
    let commands = [RegisterCommand::Write { key: 0, value: 5 }, RegisterCommand::Read { key: 0 }];
    let (outcome, record) = judge_recorded(&raft_register(), &calm(&commands));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert_eq!(outcome.operations, (2, 2));
    let of = |call| record.events.iter().filter(move |e| e.origin == Some(Origin::Call(call)));
    let others = SERVERS - 1;
    let messages = [("send Append", others), ("send Appended", others)];
    assert_eq!(paid(of(0)), costs(&[&messages[..], &[("force Entry", SERVERS)]].concat()));
    assert_eq!(paid(of(1)), costs(&messages));
}

/// An election: 4(N − 1) messages with the no-op's, two forces at each server.
#[test]
fn what_a_calm_election_costs() {
    let (outcome, record) = judge_recorded(&raft_register(), &calm(&[]));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let beats = |e: &&TraceEvent| e.what == Happening::Timer && e.text == "Heartbeat";
    let elected = record.events.iter().find(beats).expect("a leader").at;
    let others = SERVERS - 1;
    let expected = [
        ("send RequestVote", others),
        ("send Vote", others),
        ("send Append", others),
        ("send Appended", others),
        ("force Term", SERVERS),
        ("force Entry", SERVERS),
    ];
    assert_eq!(paid(record.events.iter().filter(|e| e.at < elected)), costs(&expected));
}

/// 4.7: a leader that is cut off together with a client serves it no read, while the others have
/// another leader and write.
#[test]
fn a_leader_of_a_minority_serves_no_read() {
    let read = RegisterCommand::Read { key: 0 };
    let mut case = calm(&[read, RegisterCommand::Write { key: 0, value: 5 }, read, read]);
    (case.clients.count, case.heal_at, case.end_at) = (2, ms(3_500), ms(9_000));
    let (_, record) = judge_recorded(&raft_register(), &case);
    let beats = |e: &&TraceEvent| e.what == Happening::Timer && e.text == "Heartbeat";
    let leader = record.events.iter().find(beats).expect("a leader").node;
    let other = NodeId((leader.0 + 1) % SERVERS as u16);
    let client = case.client_node(0);
    for (call, (client, to, at)) in case.calls.iter_mut().zip([
        (0, leader, ms(1_000)),
        (1, other, ms(2_000)),
        (0, leader, ms(2_500)),
        (1, other, ms(2_500)),
    ]) {
        (call.client, call.to, call.at) = (client, to, at);
    }
    let (direction, lasts) = (Direction::Both, ms(5_000));
    let kind = Kind::Cut { nodes: vec![leader, client], direction, lasts };
    case.faults = vec![Fault { id: 0, place: Place::At(ms(1_500)), kind }];
    let (outcome, record) = judge_recorded(&raft_register(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let ends = [Happening::Ok, Happening::Info];
    let answers = record.events.iter().filter(|e| ends.contains(&e.what));
    let told: Vec<(NodeId, &str)> = answers.map(|e| (e.node, e.text.as_str())).collect();
    let answer = |at: usize| told.get(at).map_or("", |(_, text)| *text);
    assert_eq!([0, 1, 2].map(answer), ["Answer(Value(0))", "Answer(Written)", "Answer(Value(5))"]);
    assert_eq!(told.last(), Some(&(client, "outcome unknown")));
    let left = ("deposed leader left a read unserved".into(), 1);
    assert!(outcome.marks.contains(&left), "{:?}", outcome.marks);
}

#[test]
fn small_campaigns_hold() {
    holds(&raft_register());
    holds(&raft_lock());
    holds(&raft_decisions());
}

#[test]
fn planted_bugs_are_found_by_the_property_that_they_break() {
    finds(&raft_register(), "drop_force(Term)", "raft / election safety");
    finds(&raft_register(), "lose_on_restart", "raft / term goes back");
    finds(
        &raft_register(),
        "persist_instead_of_force(Entry)",
        "raft / committed without a majority",
    );
    finds(&raft_register(), "forget_timer(Heartbeat)", "progress / not caught up");
}

#[test]
fn a_message_that_is_handled_twice_does_no_harm() {
    copies_do_no_harm(&raft_register());
}

#[test]
fn the_exhibit_is_found_and_made_small() {
    breaks(&single_server(), 1_000, &["linearizable / not linearizable"], (4, 3));
}
