//! Rules 5.20 to 5.22, one by one: each test quotes what it holds the protocol to.

use crate::net::{Net, call, key};
use node::{Answer, NodeId};
use protocols::commit::{Config, Locking, Op, Ret};
use protocols::naive::TwoPhaseLocking;
use protocols::two_phase_commit::TwoPhaseCommit;

type Tpc = Net<TwoPhaseCommit>;

/// Two coordinators, so that work of one can overtake the other's.
const C1: NodeId = NodeId(0);
const C2: NodeId = NodeId(1);
const P1: NodeId = NodeId(2);
const P2: NodeId = NodeId(3);

fn net() -> Tpc {
    Net::with(2, 2, &Config { locking: Locking::WoundWait, ..Config::default() })
}

/// Call 0, the older, at C1 and call 1 at C2, both over the same two accounts.
fn there() -> Op {
    Op::transfer((0, key(0)), (1, key(0)), 3)
}

fn back() -> Op {
    Op::transfer((1, key(0)), (0, key(0)), 3)
}

/// Asks for both, and lets each get its first lock: the older at P1, the younger at P2.
fn crossed<N: crate::net::Commit>(net: &mut Net<N>, kind: &str) {
    net.request_at(C1, 0, &there());
    assert!(net.pass(kind, P1));
    let late = net.wire.iter().position(|(_, to, _)| *to == P2).expect("the older's other half");
    let late = net.wire.remove(late);
    net.request_at(C2, 1, &back());
    assert!(net.pass(kind, P2));
    net.wire.push(late);
}

fn both_commit(net: &Tpc) {
    let committed = |number| (call(number), Answer::Ok(Ret::Committed { values: Vec::new() }));
    assert!(net.answers.contains(&committed(0)), "{:?}", net.answers);
    assert!(net.answers.contains(&committed(1)), "{:?}", net.answers);
    assert_eq!(net.answers.len(), 2);
    for id in [P1, P2] {
        assert_eq!(net.durable(id).balances[0], (key(0), 10));
        assert!(net.view(id).is_idle());
    }
}

/// 5.21: an older requester wounds a younger holder, whose coordinator aborts it; a younger
/// requester waits. Nothing but messages is needed: no timer runs out.
#[test]
fn the_older_wounds_the_younger_waits_and_both_commit() {
    let mut net = net();
    crossed(&mut net, "Work");
    net.settle();
    both_commit(&net);
    assert_eq!(net.count(&["Wound"]), 1);
    assert_eq!(net.count(&["Refused"]), 0);
    for mark in ["a younger transaction waited", "a wounded transaction began again"] {
        assert!(net.marks.contains(&mark), "{mark}: {:?}", net.marks);
    }
}

/// The same schedule where locks are waited for in any order.
#[test]
fn without_an_age_they_wait_for_each_other_for_ever() {
    let mut net: Net<TwoPhaseLocking> = Net::with(2, 2, &Config::default());
    crossed(&mut net, "Lock");
    assert!(!net.heal());
    assert_eq!(net.answers, []);
    assert_eq!((net.view(P1).locks.len(), net.view(P2).locks.len()), (1, 1));
}

/// 5.21: a younger requester waits: it wounds nobody, and is not refused.
#[test]
fn a_younger_requester_only_waits() {
    let mut net = net();
    net.request_at(C1, 0, &there());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    net.request_at(C2, 1, &back());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    assert_eq!(net.view(P1).working.len(), 2, "one works, and one waits");
    net.settle();
    both_commit(&net);
    assert_eq!(net.count(&["Wound", "Refused"]), 0);
}

/// 5.22: a prepared participant cannot be wounded; the older one waits.
#[test]
fn a_prepared_one_is_not_wounded() {
    let mut net = net();
    net.request_at(C2, 1, &back());
    for (kind, to) in [("Work", P1), ("Work", P2), ("Done", C2), ("Done", C2)] {
        assert!(net.pass(kind, to), "{kind}");
    }
    assert!(net.pass("Prepare", P1) && net.pass("Prepare", P2));
    net.request_at(C1, 0, &there());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    assert_eq!(net.count(&["Wound"]), 0);
    assert!(net.marks.contains(&"an older transaction waited for a prepared one"));
    net.settle();
    both_commit(&net);
}

/// 5.20: all locks are held until the outcome is durable.
#[test]
fn who_waits_gets_the_lock_after_the_commit_is_on_record() {
    let mut net = net();
    net.request_at(C1, 0, &there());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    net.request_at(C2, 1, &back());
    assert!(net.pass("Work", P1));
    for (kind, to) in [("Done", C1), ("Done", C1), ("Prepare", P1), ("Prepare", P2)] {
        assert!(net.pass(kind, to), "{kind}");
    }
    assert!(net.pass("Vote", C1) && net.pass("Vote", C1));
    let done = net.count(&["Done"]);
    let holder = net.view(P1).locks[0].1;
    assert_eq!(holder.coordinator, C1, "voted, decided, and not told");
    assert!(net.pass("Decision", P1));
    assert_eq!(net.durable(P1).committed, [holder]);
    assert_eq!(net.count(&["Done"]), done + 1);
    assert_eq!(net.view(P1).locks[0].1.coordinator, C2);
}

/// 5.21: a wound for a transaction that has been aborted is answered, for its news was lost.
#[test]
fn a_wound_finds_an_abort_whose_news_was_lost() {
    let mut net = net();
    net.request_at(C2, 1, &back());
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    assert!(net.expire(C2, "Vote"));
    net.wire.clear();
    net.request_at(C1, 0, &there());
    net.settle();
    assert_eq!(net.answers.len(), 2);
    assert!(matches!(net.answers[1], (request, Answer::Ok(_)) if request == call(0)));
}

/// 5.21: one that comes when its transaction has committed, and everybody has forgotten it who only
/// read, aborts nothing.
#[test]
fn a_wound_that_finds_nothing_is_not_answered() {
    let mut net = net();
    net.request_at(C2, 1, &Op::read_all([(0, key(0)), (1, key(0))]));
    assert!(net.pass("Work", P1) && net.pass("Work", P2));
    net.request_at(C1, 0, &there());
    assert!(net.pass("Work", P1));
    for (kind, to) in [("Done", C2), ("Done", C2), ("Prepare", P1), ("Prepare", P2)] {
        assert!(net.pass(kind, to), "{kind}");
    }
    assert!(net.pass("Vote", C2) && net.pass("Vote", C2));
    let decisions = net.count(&["Decision"]);
    assert!(net.pass("Wound", C2));
    assert_eq!(net.count(&["Decision"]), decisions);
    net.settle();
    assert!(net.answers.iter().all(|(_, answer)| matches!(answer, Answer::Ok(_))));
    assert_eq!((net.answers.len(), net.count(&["Wound"])), (2, 1));
}

/// A crash forgets who waits: nothing was promised to them.
#[test]
fn a_restarted_participant_has_no_queue() {
    let mut net = net();
    crossed(&mut net, "Work");
    net.restart(P1);
    net.restart(P2);
    assert!(net.heal());
    assert_eq!(net.durable(P1).balances[0].1 + net.durable(P2).balances[0].1, 20);
}
