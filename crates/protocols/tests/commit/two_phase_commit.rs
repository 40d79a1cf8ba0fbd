//! The rules of P1, one by one: each test quotes what it holds the protocol to.

use crate::net::{COORDINATOR, Net, call, key};
use node::{Answer, NodeId};
use protocols::commit::{Action, Config, Item, Key, Op, Outcome, Reading, Ret, TxId};
use protocols::two_phase_commit::{Msg, TwoPhaseCommit};
use std::time::Duration;

type Tpc = Net<TwoPhaseCommit>;

const P1: NodeId = NodeId(1);
const P2: NodeId = NodeId(2);
const COMMITMENT: [&str; 4] = ["Prepare", "Vote", "Decision", "Ack"];

fn tx(incarnation: u32, seq: u32) -> TxId {
    TxId { coordinator: COORDINATOR, incarnation, seq }
}

/// Moves 3 from k0 of the first participant to k0 of the second.
fn transfer() -> Op {
    Op::transfer((0, key(0)), (1, key(0)), 3)
}

/// Adds 1 to k0 of every participant; the one named vetoes.
fn free_votes(participants: u16, no: Option<u16>) -> Op {
    let item = |at, key, action| Item { at, key, action };
    let mut items: Vec<_> = (0..participants).map(|at| item(at, key(0), Action::Add(1))).collect();
    items.extend(no.map(|at| item(at, key(1), Action::Veto)));
    Op { items }
}

fn ok(number: u32) -> (node::RequestId, Answer<Ret>) {
    (call(number), Answer::Ok(Ret::Committed { values: Vec::new() }))
}

fn fail(number: u32, reason: &'static str) -> (node::RequestId, Answer<Ret>) {
    (call(number), Answer::Fail(reason.into()))
}

fn balance(net: &Tpc, id: NodeId, wanted: Key) -> i64 {
    let durable = net.durable(id);
    durable.balances.iter().find(|(key, _)| *key == wanted).map_or(0, |(_, balance)| *balance)
}

/// Up to the two Yes votes, which have not arrived.
fn voted(net: &mut Tpc, number: u32) {
    net.request(number, &transfer());
    for (kind, to) in [
        ("Work", P1),
        ("Work", P2),
        ("Done", COORDINATOR),
        ("Done", COORDINATOR),
        ("Prepare", P1),
        ("Prepare", P2),
    ] {
        assert!(net.pass(kind, to), "{kind}");
    }
}

/// Decided and told, but neither has heard.
fn decided(net: &mut Tpc, number: u32) {
    voted(net, number);
    assert!(net.pass("Vote", COORDINATOR) && net.pass("Vote", COORDINATOR));
}

#[test]
fn a_commit_costs_4n_messages_one_force_and_two_for_each_participant() {
    for n in 1..=5 {
        let mut net = Tpc::bank(n);
        net.request(0, &free_votes(n, None));
        net.settle();
        assert_eq!(net.answers, [ok(0)]);
        assert_eq!(net.count(&COMMITMENT), 4 * usize::from(n));
        assert_eq!(net.forces()[0], 1);
        assert!(net.forces()[1..].iter().all(|forces| *forces == 2));
    }
}

#[test]
fn a_read_only_participant_costs_2_messages_and_no_force() {
    let mut net = Tpc::bank(3);
    let mut op = transfer();
    op.items.push(Item { at: 2, key: key(0), action: Action::Read });
    net.request(0, &op);
    net.settle();
    let values = vec![Reading { at: 2, key: key(0), balance: 10 }];
    assert_eq!(net.answers, [(call(0), Answer::Ok(Ret::Committed { values }))]);
    assert_eq!(net.count(&COMMITMENT), 2 * 4 + 2);
    assert_eq!(net.forces(), [1, 2, 2, 0]);
}

#[test]
fn an_abort_by_one_no_voter_costs_3n_minus_1_messages_and_a_force_for_each_yes() {
    for n in 1..=5 {
        let mut net = Tpc::bank(n);
        net.request(0, &free_votes(n, Some(n - 1)));
        net.settle();
        assert_eq!(net.answers, [fail(0, "voted No")]);
        assert_eq!(net.count(&COMMITMENT), 3 * usize::from(n) - 1);
        assert_eq!(net.forces()[0], 0);
        assert_eq!(net.forces()[1..].iter().sum::<usize>(), usize::from(n) - 1);
        assert!(net.heal());
    }
}

#[test]
fn rule_1_2_decision_goes_out_again_and_again_until_each_one_has_acked() {
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    net.wire.clear();
    for _ in 0..3 {
        assert!(net.expire(COORDINATOR, "Resend"));
    }
    assert!(net.pass("Decision", P1) && net.pass("Ack", COORDINATOR));
    // G4: END only after all acks.
    assert_eq!(net.view(COORDINATOR).unacked, [tx(1, 0)]);
    net.settle();
    assert!(net.heal());
    assert_eq!((balance(&net, P1, key(0)), balance(&net, P2, key(0))), (7, 13));
}

#[test]
fn rule_1_3_t_vote_latches_aborted_and_g2_a_late_yes_is_ignored() {
    let mut net = Tpc::bank(2);
    voted(&mut net, 0);
    assert!(net.pass("Vote", COORDINATOR) && net.expire(COORDINATOR, "Vote"));
    assert_eq!(net.view(COORDINATOR).decisions, [(tx(1, 0), Outcome::Abort)]);
    net.settle();
    assert_eq!(net.answers, [fail(0, "not all have voted in time")]);
    assert_eq!(net.forces()[0], 0);
    assert!(net.view(P1).is_idle() && net.view(P2).is_idle());
}

#[test]
fn g1_votes_are_a_set_keyed_by_participant() {
    let mut net = Tpc::bank(2);
    voted(&mut net, 0);
    let copy = net.wire[0].clone();
    net.wire.insert(0, copy);
    net.deliver(0);
    net.deliver(0);
    assert!(net.answers.is_empty());
}

#[test]
fn rule_1_4_g3_an_inquiry_while_voting_means_pending() {
    let mut net = Tpc::bank(2);
    voted(&mut net, 0);
    assert!(net.expire(P1, "Inquire") && net.pass("Inquiry", COORDINATOR));
    assert_eq!(net.count(&["Decision"]), 0);
    assert!(net.pass("PeerAsk", P2), "1.7 asks the other writers as well");
    assert_eq!(net.count(&["PeerTell"]), 0, "1.10 prepared itself: no answer");
    net.settle();
    assert_eq!(net.answers, [ok(0)]);
}

#[test]
fn rule_1_4_no_record_means_abort() {
    let mut net = Tpc::bank(2);
    voted(&mut net, 0);
    net.wire.clear();
    net.restart(COORDINATOR);
    assert!(net.wire.is_empty(), "1.11 nothing else");
    assert!(net.expire(P1, "Inquire") && net.expire(P2, "Inquire"));
    net.settle();
    assert!(net.view(P1).is_idle() && net.view(P2).is_idle());
    assert_eq!(balance(&net, P1, key(0)), 10);
    // The client asks again, and this attempt commits.
    net.request(0, &transfer());
    net.settle();
    assert_eq!((net.answers.as_slice(), balance(&net, P1, key(0))), ([ok(0)].as_slice(), 7));
}

#[test]
fn rule_1_6_who_gave_up_its_work_votes_no() {
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    assert!(net.pass("Work", P1) && net.pass("Work", P2) && net.expire(P1, "Work"));
    assert!(net.view(P1).is_idle());
    net.settle();
    assert_eq!(net.answers, [fail(0, "voted No")]);
    assert!(net.view(P2).is_idle());
}

#[test]
fn rule_1_8_already_committed_acks_and_applies_nothing() {
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    let copy = net.wire[0].clone();
    net.settle();
    net.wire.push(copy);
    net.settle();
    assert_eq!(net.count(&["Ack"]), 3);
    assert_eq!(net.durable(P1).applied, [(call(0), 1)]);
    assert_eq!(net.forces()[1], 2);
}

#[test]
fn g5_an_abort_does_not_undo_a_commit() {
    // A10: the Inquiry is overtaken by Decision(C), Ack and END.
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    assert!(net.expire(P1, "Inquire"));
    net.wire.retain(|(_, _, msg)| !matches!(msg, Msg::Inquiry { .. }));
    net.settle();
    net.wire.push((P1, COORDINATOR, Msg::Inquiry { tx: tx(1, 0) }));
    net.settle();
    assert_eq!(net.sent.last().map(String::as_str), Some("Decision"));
    assert_eq!(net.view(P1).decisions, [(tx(1, 0), Outcome::Commit)]);
    assert_eq!(net.durable(P1).committed, [tx(1, 0)]);
    assert!(net.durable(P1).aborted.is_empty());
    assert_eq!(balance(&net, P1, key(0)), 7);
}

#[test]
fn rule_1_10_g6_who_has_not_voted_aborts_durably_before_it_tells() {
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    assert!(net.pass("Done", COORDINATOR) && net.pass("Done", COORDINATOR));
    assert!(net.pass("Prepare", P1) && net.expire(P1, "Inquire") && net.pass("PeerAsk", P2));
    assert_eq!(net.durable(P2).aborted, [tx(1, 0)]);
    net.settle();
    assert_eq!(net.answers, [fail(0, "voted No")]);
    assert_eq!(net.marks, ["in-doubt participant inquired", "peer ended a doubt"]);
}

#[test]
fn rule_1_10_a_committed_peer_ends_the_doubt_while_the_coordinator_is_down() {
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    assert!(net.pass("Decision", P2));
    net.crash(COORDINATOR, 0);
    net.wire.clear();
    assert!(net.expire(P1, "Inquire"));
    net.settle();
    assert_eq!(net.durable(P1).committed, [tx(1, 0)]);
    // 1.11 Its coordinator still tells them again, and learns by their acks that it can end.
    net.start(COORDINATOR);
    assert_eq!(net.view(COORDINATOR).unacked, [tx(1, 0)]);
    assert!(net.heal());
}

#[test]
fn rule_1_7_blocked_the_locks_stay() {
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    net.crash(COORDINATOR, 0);
    net.wire.clear();
    for _ in 0..10 {
        assert!(net.expire(P1, "Inquire") && net.expire(P2, "Inquire"));
        net.settle();
    }
    assert_eq!(net.view(P1).locks, [(key(0), tx(1, 0))]);
    assert!(net.heal());
    assert_eq!(balance(&net, P2, key(0)), 13);
}

#[test]
fn rule_1_12_in_doubt_after_a_restart_the_locks_are_taken_before_anything_is_served() {
    let mut net = Tpc::bank(2);
    decided(&mut net, 0);
    net.wire.clear();
    net.restart(P1);
    assert_eq!(net.view(P1).locks, [(key(0), tx(1, 0))]);
    assert_eq!(net.view(P1).in_doubt, [tx(1, 0)]);
    net.request(1, &transfer());
    assert!(net.pass("Work", P1) && net.pass("Refused", COORDINATOR));
    assert_eq!(net.answers[1..], [fail(1, "refused")]);
    net.settle();
    assert_eq!(balance(&net, P1, key(0)), 7);
}

#[test]
fn rule_1_18_a_prepare_that_names_another_incarnation_is_answered_no() {
    // R2: a late copy of Work takes the lock again after a restart.
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    let copy = net.wire[0].clone();
    assert!(net.pass("Work", P1) && net.pass("Done", COORDINATOR));
    net.restart(P1);
    net.wire.insert(0, copy);
    net.deliver(0);
    assert_eq!(net.view(P1).working, [tx(1, 0)]);
    net.settle();
    assert_eq!(net.answers, [fail(0, "voted No")]);
    assert!(net.heal());
}

#[test]
fn rule_1_18_work_that_was_given_up_is_refused_to_a_late_copy() {
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    let copy = net.wire[0].clone();
    assert!(net.pass("Work", P1) && net.expire(P1, "Work"));
    net.wire.push(copy);
    net.settle();
    assert!(net.view(P1).locks.is_empty());
    assert_eq!(net.count(&["Refused"]), 1);
}

#[test]
fn rule_1_18_nobody_waits_for_a_lock_and_no_balance_falls_below_0() {
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    net.request(1, &transfer());
    net.settle();
    assert_eq!(net.answers, [fail(1, "refused"), ok(0)]);
    net.request(2, &Op::transfer((0, key(0)), (1, key(0)), 8));
    net.settle();
    assert_eq!(net.answers[2..], [fail(2, "refused")]);
    assert!(net.heal());
}

#[test]
fn rule_1_19_reading_everything_is_such_a_transaction() {
    let mut net = Tpc::bank(2);
    net.request(0, &Op::read_all([(1, key(0)), (0, key(1)), (1, key(2))]));
    net.settle();
    let reading = |at, number| Reading { at, key: key(number), balance: 10 };
    let values = vec![reading(1, 0), reading(0, 1), reading(1, 2)];
    assert_eq!(net.answers, [(call(0), Answer::Ok(Ret::Committed { values }))]);
    assert_eq!(net.forces(), [0, 0, 0]);
    assert!(net.view(COORDINATOR).is_idle());
}

#[test]
fn rule_1_20_a_copy_joins_and_a_retry_after_end_does_not_run_again() {
    let mut net = Tpc::bank(2);
    net.request(0, &transfer());
    net.request(0, &transfer());
    net.settle();
    assert_eq!(net.answers, [ok(0)]);
    net.request(0, &transfer());
    net.settle();
    assert_eq!(net.answers[1..], [(call(0), Answer::Ok(Ret::Already))]);
    assert_eq!(net.durable(P1).applied, [(call(0), 1)]);
    assert!(net.heal());
}

#[test]
fn rule_1_20_the_operation_id_outlives_the_outcome() {
    let mut net =
        Net::<TwoPhaseCommit>::with(1, 2, &Config { compact_after: 1, ..Config::default() });
    for number in 0..3 {
        net.request(number, &transfer());
        net.settle();
    }
    for id in [P1, P2] {
        let durable = net.durable(id);
        assert_eq!((durable.committed.len(), durable.applied.len()), (1, 3));
        assert!(durable.forgot(tx(1, 1)) && !durable.forgot(tx(1, 2)));
        net.restart(id);
    }
    // G7: a Decision for a forgotten transaction is acked. G8, G9: the rest is met with silence.
    let outcome = Outcome::Commit;
    net.wire.push((COORDINATOR, P1, Msg::Decision { tx: tx(1, 0), outcome }));
    net.deliver(0);
    assert_eq!(net.wire.pop(), Some((P1, COORDINATOR, Msg::Ack { tx: tx(1, 0) })));
    let (before, forgotten) = (net.machines[1].log.clone(), tx(1, 0));
    let writers = vec![P1, P2];
    for msg in [
        Msg::Decision { tx: forgotten, outcome: Outcome::Abort },
        Msg::Prepare { tx: forgotten, writers, incarnation: 2 },
        Msg::Work { tx: forgotten, request: call(9), work: Vec::new(), low_water: forgotten },
        Msg::PeerAsk { tx: forgotten },
    ] {
        net.wire.push((COORDINATOR, P1, msg));
        net.settle();
    }
    assert_eq!(net.machines[1].log, before);
    net.request(0, &transfer());
    net.settle();
    assert_eq!(net.answers.last(), Some(&(call(0), Answer::Ok(Ret::Already))));
    assert_eq!(balance(&net, P1, key(0)), 1);
}

#[test]
fn a_participant_sends_clients_on_and_a_coordinator_refuses_what_it_cannot_place() {
    let mut net = Tpc::bank(1);
    net.request_at(P1, 0, &transfer());
    net.request(0, &Op { items: Vec::new() });
    net.request(1, &transfer());
    let retry = (call(0), Answer::Retry(None));
    let unknown = "names no participant, or an unknown one";
    assert_eq!(net.answers, [retry, fail(0, unknown), fail(1, unknown)]);
}

#[test]
fn operations_and_configurations_survive_a_case_file() {
    for op in [transfer(), free_votes(3, Some(1)), Op::read_all([(0, key(0))])] {
        let text = toml::to_string(&op).expect("an operation has a text");
        assert_eq!(toml::from_str::<Op>(&text), Ok(op), "{text}");
    }
    for machine in &Tpc::bank(2).machines {
        let config = Config { work_timeout: Duration::from_micros(1500), ..machine.config.clone() };
        let text = toml::to_string(&config).expect("a configuration has a text");
        assert_eq!(toml::from_str::<Config>(&text), Ok(config), "{text}");
    }
}
