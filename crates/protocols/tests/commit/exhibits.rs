//! What is wrong with each exhibit: seed errors 2, 4, 8, 10, 13 and 21.

use crate::net::{COORDINATOR, Commit, Net, call, key};
use node::{Answer, NodeId};
use protocols::commit::{Action, Item, Op, Outcome};
use protocols::naive::{
    three_phase_commit_a::ThreePhaseCommitA, three_phase_commit_b::ThreePhaseCommitB,
    three_phase_commit_c::ThreePhaseCommitC, two_phase_commit_a::TwoPhaseCommitA,
    two_phase_commit_b::TwoPhaseCommitB, two_phase_commit_c::TwoPhaseCommitC,
    two_phase_commit_d::TwoPhaseCommitD, two_phase_commit_e::TwoPhaseCommitE,
};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

fn transfer() -> Op {
    Op::transfer((0, key(0)), (1, key(0)), 3)
}

/// A calm run of a transfer that B will not have.
fn one_no<N: Commit>() -> Net<N> {
    let mut net = Net::bank(2);
    let mut op = transfer();
    op.items.push(Item { at: 1, key: key(1), action: Action::Veto });
    net.request(0, &op);
    net.settle();
    net
}

/// A calm run of a transfer that everybody wants.
fn all_yes<N: Commit>() -> Net<N> {
    let mut net = Net::bank(2);
    net.request(0, &transfer());
    net.settle();
    assert!(matches!(net.answers[..], [(_, Answer::Ok(_))]));
    net
}

fn split<N: Commit>(net: &Net<N>) -> bool {
    net.durable(A).committed == net.durable(B).aborted && !net.durable(A).committed.is_empty()
}

#[test]
fn version_a_lets_each_participant_decide_for_itself() {
    let net = one_no::<TwoPhaseCommitA>();
    assert!(split(&net));
    assert!(matches!(net.answers[..], [(_, Answer::Fail(_))]));
    assert_eq!(all_yes::<TwoPhaseCommitA>().durable(A).applied, [(call(0), 1)]);
}

#[test]
fn version_b_decides_after_everybody_has_executed() {
    let net = one_no::<TwoPhaseCommitB>();
    assert!(split(&net));
    // The same transaction at the same node, with two outcomes.
    assert_eq!(net.durable(A).committed, net.durable(A).aborted);
    assert_eq!(all_yes::<TwoPhaseCommitB>().durable(A).applied, [(call(0), 1)]);
}

#[test]
fn version_c_commits_although_another_participant_never_prepared() {
    let net = one_no::<TwoPhaseCommitC>();
    assert!(split(&net));
    assert!(matches!(net.answers[..], [(_, Answer::Ok(_))]));
    assert_eq!(all_yes::<TwoPhaseCommitC>().durable(A).applied, [(call(0), 1)]);
}

#[test]
fn version_d_orphans_who_has_prepared() {
    let mut net = one_no::<TwoPhaseCommitD>();
    assert!(matches!(net.answers[..], [(_, Answer::Fail(_))]));
    assert!(!net.heal());
    assert_eq!(
        net.view(A).in_doubt,
        net.durable(A).prepared.iter().map(|p| p.tx).collect::<Vec<_>>()
    );
    assert_eq!(net.view(A).locks.len(), 1);
}

#[test]
fn version_d_commits_a_duplicate_call_twice() {
    let mut net = all_yes::<TwoPhaseCommitD>();
    assert!(net.heal());
    net.request(0, &transfer());
    net.settle();
    assert_eq!(net.durable(A).applied, [(call(0), 2)]);
}

#[test]
fn version_d_forgets_its_commit_loop_in_a_crash() {
    let mut net: Net<TwoPhaseCommitD> = Net::bank(2);
    net.request(0, &transfer());
    assert!(net.pass("Prepare", A) && net.pass("Prepare", B) && net.pass("Ready", COORDINATOR));
    net.crash_after = Some(1);
    assert!(net.pass("Ready", COORDINATOR));
    assert!(!net.heal());
    assert_eq!((net.durable(A).committed.len(), net.durable(B).committed.len()), (1, 0));
}

#[test]
fn version_e_never_tells_its_participants() {
    let mut net = all_yes::<TwoPhaseCommitE>();
    assert!(!net.heal());
    assert!(net.durable(A).committed.is_empty());
    assert_eq!(net.view(A).in_doubt.len(), 1);
}

#[test]
fn version_e_lets_the_first_one_decide() {
    let net = one_no::<TwoPhaseCommitE>();
    let decided = net.durable(COORDINATOR).decided[0].tx;
    assert_eq!(net.durable(B).aborted, [decided]);
    assert_eq!(net.view(COORDINATOR).decisions, [(decided, Outcome::Commit)]);
}

#[test]
fn three_phases_a_confirm_what_each_one_has_decided_for_itself() {
    let net = one_no::<ThreePhaseCommitA>();
    assert!(split(&net));
    assert!(matches!(net.answers[..], [(_, Answer::Fail(_))]));
    assert_eq!(all_yes::<ThreePhaseCommitA>().durable(A).applied, [(call(0), 1)]);
}

#[test]
fn three_phases_b_roll_back_what_all_were_ready_for() {
    let net = all_yes::<ThreePhaseCommitB>();
    for participant in [A, B] {
        let durable = net.durable(participant);
        assert_eq!((durable.committed.len(), durable.committed), (1, durable.aborted));
    }
    assert_eq!(one_no::<ThreePhaseCommitB>().view(A).in_doubt.len(), 1);
}

#[test]
fn three_phases_c_commit_and_call_it_a_failure() {
    let mut net = Net::<ThreePhaseCommitC>::bank(2);
    net.request(0, &transfer());
    while !net.pass("Confirm", COORDINATOR) {
        net.deliver(0);
    }
    net.wire.clear();
    net.fire(COORDINATOR, 0);
    assert!(matches!(net.answers[..], [(_, Answer::Fail(_))]));
    assert_eq!(net.durable(A).applied, [(call(0), 1)]);
    // A later `commit()` after a No commits everybody.
    let mut net = one_no::<ThreePhaseCommitC>();
    assert_eq!(net.view(A).in_doubt.len(), 1);
    net.request(0, &transfer());
    net.settle();
    assert_eq!((net.durable(A).committed.len(), net.durable(B).committed.len()), (1, 1));
}
