//! The rules of P2, one by one: each test quotes what it holds the protocol to.

use crate::net::{COORDINATOR, Net, call, key};
use node::{Answer, NodeId};
use protocols::commit::{Action, Item, Op, Outcome, Reading, Ret, TxId};
use protocols::three_phase_commit::{Msg, State, ThreePhaseCommit};

type Tpc = Net<ThreePhaseCommit>;

const P1: NodeId = NodeId(1);
const P2: NodeId = NodeId(2);
const P3: NodeId = NodeId(3);
const TX: TxId = TxId { coordinator: COORDINATOR, incarnation: 1, seq: 0 };

/// Adds 1 to k0 of every participant; the one named vetoes.
fn free_votes(participants: u16, no: Option<u16>) -> Op {
    let item = |at, key, action| Item { at, key, action };
    let mut items: Vec<_> = (0..participants).map(|at| item(at, key(0), Action::Add(1))).collect();
    items.extend(no.map(|at| item(at, key(1), Action::Veto)));
    Op { items }
}

/// Three participants in `w`, and a coordinator that is gone before it heard of it.
fn waiting() -> Tpc {
    let mut net = Tpc::bank(3);
    net.request(0, &free_votes(3, None));
    for to in [P1, P2, P3] {
        assert!(net.pass("CanCommit", to));
    }
    net
}

/// The same, but all votes have arrived, and PreCommit at these alone.
fn pre_committed(at: &[NodeId]) -> Tpc {
    let mut net = waiting();
    for _ in 0..3 {
        assert!(net.pass("Vote", COORDINATOR));
    }
    for to in at {
        assert!(net.pass("PreCommit", *to));
    }
    net
}

/// The coordinator is down, and nothing is under way.
fn orphaned(mut net: Tpc) -> Tpc {
    net.crash(COORDINATOR, 0);
    net.wire.clear();
    net
}

fn outcomes(net: &Tpc) -> Vec<Option<Outcome>> {
    let outcome = |id: NodeId| match net.durable(id) {
        durable if durable.committed == [TX] => Some(Outcome::Commit),
        durable if durable.aborted == [TX] => Some(Outcome::Abort),
        _ => None,
    };
    [P1, P2, P3].map(outcome).to_vec()
}

const COMMITTED: [Option<Outcome>; 3] = [Some(Outcome::Commit); 3];
const ABORTED: [Option<Outcome>; 3] = [Some(Outcome::Abort); 3];

/// This survivor asks, hears all answers, and decides as far as it can at once.
fn terminates(net: &mut Tpc, id: NodeId) {
    net.fire(id, 0);
    net.settle();
    net.fire(id, 0);
}

#[test]
fn a_commit_costs_5n_messages_two_forces_and_three_for_each_participant() {
    for n in 1..=5 {
        let mut net = Tpc::bank(n);
        net.request(0, &free_votes(n, None));
        net.settle();
        let ok = Answer::Ok(Ret::Committed { values: Vec::new() });
        assert_eq!(net.answers, [(call(0), ok)]);
        assert_eq!(net.sent.len(), 5 * usize::from(n));
        assert_eq!(net.forces()[0], 2);
        assert!(net.forces()[1..].iter().all(|forces| *forces == 3));
        assert!(net.machines.iter().all(|machine| machine.timers.is_empty()));
    }
}

#[test]
fn an_abort_by_one_no_voter_costs_3n_messages_two_forces_for_each_yes_and_one_for_the_no() {
    for n in 1..=5 {
        let mut net = Tpc::bank(n);
        net.request(0, &free_votes(n, Some(n - 1)));
        net.settle();
        assert_eq!(net.answers, [(call(0), Answer::Fail("voted No".into()))]);
        assert_eq!(net.sent.len(), 3 * usize::from(n));
        let forces = net.forces();
        assert_eq!((forces[0], forces[usize::from(n)]), (0, 1));
        assert!(forces[1..usize::from(n)].iter().all(|forces| *forces == 2));
        assert!(net.heal());
    }
}

#[test]
fn a_vote_carries_what_was_read() {
    let mut net = Tpc::bank(2);
    let mut op = Op::transfer((0, key(0)), (1, key(0)), 3);
    op.items.insert(0, Item { at: 1, key: key(2), action: Action::Read });
    op.items.push(Item { at: 0, key: key(0), action: Action::Read });
    net.request(0, &op);
    net.settle();
    let at = |at, key, balance| Reading { at, key, balance };
    let values = vec![at(1, key(2), 10), at(0, key(0), 7)];
    assert_eq!(net.answers, [(call(0), Answer::Ok(Ret::Committed { values }))]);
}

#[test]
fn a_copy_of_a_request_joins_its_transaction_and_is_told_that_it_has_committed() {
    let mut net = pre_committed(&[P1]);
    net.request(0, &free_votes(3, None));
    net.settle();
    net.request(0, &free_votes(3, None));
    let ok = Answer::Ok(Ret::Committed { values: Vec::new() });
    assert_eq!(net.answers, [(call(0), ok), (call(0), Answer::Ok(Ret::Already))]);
    assert_eq!(net.durable(P1).applied, [(call(0), 1)]);
}

#[test]
fn rule_2_2_a_conflict_or_no_vote_in_time_aborts() {
    let mut net = waiting();
    net.request(1, &free_votes(3, None));
    for to in [P1, P2, P3] {
        assert!(net.pass("CanCommit", to));
    }
    assert_eq!(net.durable(P1).aborted, [TxId { seq: 1, ..TX }]);
    let mut late = waiting();
    late.wire.clear();
    late.fire(COORDINATOR, 0);
    late.settle();
    assert_eq!(late.answers, [(call(0), Answer::Fail("not all have voted in time".into()))]);
    assert_eq!(outcomes(&late), ABORTED);
}

#[test]
fn rule_2_3_w_pc_and_the_decision_are_forced_before_the_reply_that_reveals_them() {
    // Each handler's first effect is its force: a crash right after it leaves nothing unsaid that
    // the log does not hold, and a crash before it has revealed nothing.
    for (before, kind, at) in [
        (Tpc::bank(3), "CanCommit", P1),
        (pre_committed(&[]), "PreCommit", P1),
        (pre_committed(&[P1, P2, P3]), "PreAck", COORDINATOR),
    ] {
        let mut net = before;
        if kind == "CanCommit" {
            net.request(0, &free_votes(3, None));
        }
        if kind == "PreAck" {
            assert!(net.pass(kind, at) && net.pass(kind, at));
        }
        let (sent, forces) = (net.sent.len(), net.forces()[at.index()]);
        net.crash_after = Some(1);
        assert!(net.pass(kind, at));
        assert_eq!((net.sent.len(), net.forces()[at.index()]), (sent, forces + 1), "{kind}");
    }
}

#[test]
fn rule_2_4_any_committed_means_commit() {
    let mut net = pre_committed(&[P1, P2, P3]);
    for _ in 0..3 {
        assert!(net.pass("PreAck", COORDINATOR));
    }
    assert!(net.pass("DoCommit", P3));
    let mut net = orphaned(net);
    terminates(&mut net, P1);
    net.settle();
    assert_eq!(outcomes(&net), COMMITTED);
    assert!(net.marks.contains(&"survivor learned of a commit"));
}

#[test]
fn rule_2_4_any_aborted_means_abort() {
    let mut net = Tpc::bank(3);
    net.request(0, &free_votes(3, Some(2)));
    for to in [P1, P2, P3] {
        assert!(net.pass("CanCommit", to));
    }
    let mut net = orphaned(net);
    terminates(&mut net, P2);
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
    assert!(net.marks.contains(&"survivor learned of an abort"));
}

#[test]
fn rule_2_4_any_pc_means_precommit_to_the_rest_and_then_commit() {
    // Whether it is the one that asks or another one that has pre-committed.
    for pc in [P1, P2] {
        let mut net = orphaned(pre_committed(&[pc]));
        terminates(&mut net, P1);
        assert_eq!(outcomes(&net), [None; 3], "not before the rest knows");
        // It goes down right after: who is left can still tell.
        let mut alone = orphaned(pre_committed(&[pc]));
        terminates(&mut alone, P1);
        alone.settle();
        alone.crash(P1, 0);
        terminates(&mut alone, P3);
        alone.settle();
        alone.fire(P3, 0);
        alone.settle();
        assert_eq!(outcomes(&alone)[1..], COMMITTED[1..]);

        net.settle();
        net.fire(P1, 0);
        net.settle();
        assert_eq!(outcomes(&net), COMMITTED);
        assert!(net.marks.contains(&"survivor brought others to pre-commit"));
    }
}

#[test]
fn rule_2_4_all_w_means_abort() {
    let mut net = orphaned(pre_committed(&[]));
    terminates(&mut net, P2);
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
}

#[test]
fn rule_2_4_who_has_not_voted_forces_abort_before_it_says_so() {
    let mut net = Tpc::bank(3);
    net.request(0, &free_votes(3, None));
    assert!(net.pass("CanCommit", P1));
    let late = net.wire.iter().find(|(_, to, _)| *to == P3).cloned().expect("a message");
    let mut net = orphaned(net);
    net.fire(P1, 0);
    net.crash_after = Some(1);
    assert!(net.pass("AskState", P3));
    assert_eq!(net.durable(P3).aborted, [TX]);
    net.start(P3);
    net.wire.push(late);
    let sent = net.count(&["Vote"]);
    assert!(net.pass("CanCommit", P3));
    assert_eq!(net.count(&["Vote"]), sent, "what is over is not voted on");
}

#[test]
fn the_first_survivor_in_the_list_is_elected() {
    let mut net = orphaned(pre_committed(&[]));
    net.fire(P1, 0);
    net.fire(P2, 0);
    assert!(net.pass("AskState", P1));
    assert_eq!(net.count(&["TellState"]), 0, "it does not answer one behind it");
    assert!(net.pass("AskState", P2));
    assert_eq!(net.count(&["TellState"]), 1);
    assert_eq!(net.marks, ["survivor gave way to one before it"]);
    // What the one that gave way is told now is not for it: it follows.
    net.settle();
    net.fire(P1, 0);
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
}

#[test]
fn an_answer_to_an_earlier_question_counts_for_nothing() {
    let mut net = orphaned(pre_committed(&[]));
    net.fire(P1, 0);
    let stale = Msg::TellState { tx: TX, round: 0, state: State::PreCommitted };
    net.wire = vec![(P2, P1, stale)];
    net.settle();
    net.fire(P1, 0);
    assert_eq!(outcomes(&net)[0], Some(Outcome::Abort));
}

#[test]
fn rule_2_5_a_recovering_node_may_not_decide_alone() {
    let mut net = orphaned(pre_committed(&[P1]));
    net.restart(P1);
    net.wire.clear();
    for _ in 0..3 {
        net.fire(P1, 0);
        net.wire.clear();
    }
    assert_eq!(net.view(P1).in_doubt, [TX]);
    assert_eq!(net.view(P1).locks, [(key(0), TX)], "its locks are taken again");
    // The others do not see its `pc`, and abort; it asks them, and agrees.
    terminates(&mut net, P2);
    net.wire.retain(|(_, to, _)| *to != P1);
    net.settle();
    net.fire(P1, 0);
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
}

#[test]
fn rule_2_5_a_coordinator_that_recovers_asks_and_without_a_record_answers_abort() {
    let mut net = orphaned(pre_committed(&[P1, P2, P3]));
    net.start(COORDINATOR);
    net.settle();
    assert_eq!(net.view(COORDINATOR).undecided, [TX]);
    terminates(&mut net, P1);
    net.settle();
    net.fire(P1, 0);
    net.settle();
    net.fire(COORDINATOR, 0);
    net.settle();
    assert_eq!(net.view(COORDINATOR).decisions, [(TX, Outcome::Commit)]);
    assert_eq!(outcomes(&net), COMMITTED);

    let mut net = orphaned(waiting());
    net.start(COORDINATOR);
    for id in [P1, P2, P3] {
        net.restart(id);
    }
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
}

#[test]
fn rule_2_6_without_every_ack_in_time_the_coordinator_commits() {
    let mut net = pre_committed(&[P1, P2]);
    net.crash(P3, 0);
    net.settle();
    assert!(net.answers.is_empty());
    net.fire(COORDINATOR, 0);
    net.settle();
    assert_eq!(net.marks, ["coordinator committed without every ack"]);
    assert_eq!(outcomes(&net), [COMMITTED[0], COMMITTED[1], None]);
}

/// The oracle's "async, skeen": nobody crashes, two are suspected who live.
#[test]
fn it_cannot_be_safe_without_synchrony() {
    let mut net = pre_committed(&[P1]);
    // A partition: P1 here, P2 and P3 there, and the coordinator reaches nobody.
    let across = |from: NodeId, to: NodeId| (from == P1) != (to == P1) || to == COORDINATOR;
    net.wire.clear();
    for asks in [P1, P2] {
        net.fire(asks, 0);
        net.wire.retain(|(from, to, _)| !across(*from, *to));
        net.settle();
        net.fire(asks, 0);
        net.wire.retain(|(from, to, _)| !across(*from, *to));
        net.settle();
    }
    net.fire(P1, 0);
    assert_eq!(outcomes(&net), [COMMITTED[0], ABORTED[1], ABORTED[2]]);
}
