//! The rules of P3, one by one: each test quotes what it holds the protocol to.

use crate::net::{COORDINATOR, Net, call, key};
use node::{Answer, NodeId};
use protocols::commit::{Action, Config, Item, Op, Outcome, Reading, Ret, TxId};
use protocols::paxos_commit::{Ballot, Msg, PaxosCommit, Vote};

type Agreed = Net<PaxosCommit>;

const P1: NodeId = NodeId(1);
const P2: NodeId = NodeId(2);
/// The acceptors of [`three`] behind two participants.
const A1: NodeId = NodeId(3);
const A2: NodeId = NodeId(4);
const A3: NodeId = NodeId(5);
const TX: TxId = TxId { coordinator: COORDINATOR, incarnation: 1, seq: 0 };

/// Adds 1 to k0 of every participant; the one named vetoes.
fn free_votes(participants: u16, no: Option<u16>) -> Op {
    let item = |at, key, action| Item { at, key, action };
    let mut items: Vec<_> = (0..participants).map(|at| item(at, key(0), Action::Add(1))).collect();
    items.extend(no.map(|at| item(at, key(1), Action::Veto)));
    Op { items }
}

fn cluster(participants: u16, acceptors: u16) -> Agreed {
    Agreed::agreed(1, participants, acceptors, &Config::default())
}

/// Two participants and three acceptors: F = 1.
fn three() -> Agreed {
    cluster(2, 3)
}

/// The same, asked for two votes, and both participants have voted: their 2a are on the wire.
fn voted() -> Agreed {
    let mut net = three();
    net.request(0, &free_votes(2, None));
    assert!(net.pass("Prepare", P1) && net.pass("Prepare", P2));
    net
}

/// The 2a of this participant reaches these acceptors, and no other.
fn accepted_by(net: &mut Agreed, from: NodeId, acceptors: &[NodeId]) {
    for acceptor in acceptors {
        let wanted = |(sender, to, msg): &(NodeId, NodeId, Msg)| {
            sender == &from && to == acceptor && matches!(msg, Msg::Phase2a { .. })
        };
        let place = net.wire.iter().position(wanted).expect("it has voted");
        net.deliver(place);
    }
    net.wire.retain(|(sender, _, _)| *sender != from);
}

/// Nothing is under way, and these are down for good.
fn lose(net: &mut Agreed, lost: &[NodeId]) {
    net.wire.clear();
    for id in lost {
        net.crash(*id, 0);
    }
}

/// Participants in doubt inquire, each of one after the other, until nobody is any more.
fn inquire(net: &mut Agreed) {
    for _ in 0..8 {
        for id in [P1, P2] {
            net.expire(id, "Inquire");
            net.settle();
        }
    }
}

fn outcomes(net: &Agreed) -> Vec<Option<Outcome>> {
    let outcome = |id: NodeId| net.view(id).decisions.first().map(|(_, outcome)| *outcome);
    [P1, P2].map(outcome).to_vec()
}

const COMMITTED: [Option<Outcome>; 2] = [Some(Outcome::Commit); 2];
const ABORTED: [Option<Outcome>; 2] = [Some(Outcome::Abort); 2];

#[test]
fn p14_n_prepare_a_2a_to_every_acceptor_one_2b_of_each_and_n_decisions() {
    for (n, f) in (1..=4).flat_map(|n| [0, 1, 2].map(|f| (n, f))) {
        let acceptors = 2 * f + 1;
        let mut net = cluster(n, acceptors);
        net.request(0, &free_votes(n, None));
        net.settle();
        let ok = Answer::Ok(Ret::Committed { values: Vec::new() });
        assert_eq!(net.answers, [(call(0), ok)]);
        let messages = n + n * acceptors + acceptors + n;
        assert_eq!(net.sent.len(), usize::from(messages));
        assert_eq!(net.forces()[0], 0, "3.7: nothing of a leader is durable");
        assert!(net.forces()[1..=n.into()].iter().all(|forces| *forces == 2));
        assert!(net.forces()[usize::from(n) + 1..].iter().all(|forces| *forces == 1), "3.3");
    }
}

#[test]
fn p14_an_abort_by_one_no_voter_costs_a_decision_less() {
    for (n, f) in (1..=4).flat_map(|n| [0, 1, 2].map(|f| (n, f))) {
        let acceptors = 2 * f + 1;
        let mut net = cluster(n, acceptors);
        net.request(0, &free_votes(n, Some(n - 1)));
        net.settle();
        assert!(matches!(net.answers[..], [(_, Answer::Fail(_))]));
        let messages = n + n * acceptors + acceptors + n - 1;
        assert_eq!(net.sent.len(), usize::from(messages));
        assert!(net.forces()[1..=n.into()].iter().all(|forces| *forces == 1), "3.2: either way");
    }
}

#[test]
fn what_was_read_comes_with_the_votes() {
    let mut net = three();
    let op = Op::read_all([(1, key(0)), (0, key(2))]);
    net.request(0, &op);
    net.settle();
    let reading = |at, key| Reading { at, key, balance: 10 };
    let values = vec![reading(1, key(0)), reading(0, key(2))];
    assert_eq!(net.answers, [(call(0), Answer::Ok(Ret::Committed { values }))]);
}

/// 3.3 "2b messages of one transaction are bundled", and forced before.
#[test]
fn an_acceptor_waits_for_the_last_vote() {
    let mut net = voted();
    accepted_by(&mut net, P1, &[A1]);
    assert_eq!((net.count(&["Phase2b"]), net.forces()[A1.index()]), (0, 0));
    accepted_by(&mut net, P2, &[A1]);
    assert_eq!((net.count(&["Phase2b"]), net.forces()[A1.index()]), (1, 1));
}

/// 3.2 "An acceptor takes one value per ballot", and copies are not answered again.
#[test]
fn a_copy_of_2a_is_not_answered() {
    let mut net = voted();
    let copies = net.wire.clone();
    net.settle();
    let (sent, answers) = (net.sent.len(), net.answers.len());
    net.wire = copies;
    net.settle();
    assert_eq!((net.sent.len(), net.answers.len()), (sent, answers));
}

/// 3.5 "Commit iff every instance has a majority of 2b Prepared".
#[test]
fn a_majority_of_acceptors_is_enough_and_a_minority_is_not() {
    let mut net = voted();
    lose_acceptors_and_vote(&mut net, &[A3]);
    assert_eq!(outcomes(&net), COMMITTED);
    let mut net = voted();
    lose_acceptors_and_vote(&mut net, &[A2, A3]);
    assert_eq!(outcomes(&net), [None; 2]);
    inquire(&mut net);
    assert_eq!(outcomes(&net), [None; 2], "it cannot make progress without F+1 acceptors");
}

fn lose_acceptors_and_vote(net: &mut Agreed, lost: &[NodeId]) {
    lost.iter().for_each(|id| net.crash(*id, 0));
    net.settle();
}

/// Non-blocking: the coordinator and F acceptors are lost for good.
#[test]
fn those_who_live_commit_what_a_majority_has_accepted() {
    for lost in [A1, A2, A3] {
        let mut net = voted();
        accepted_by(&mut net, P1, &[A1, A2, A3]);
        accepted_by(&mut net, P2, &[A1, A2, A3]);
        lose(&mut net, &[COORDINATOR, lost]);
        inquire(&mut net);
        assert_eq!(outcomes(&net), COMMITTED);
        assert!(net.marks.contains(&"a new leader commits"));
    }
}

/// 3.6 "Instance free → propose Aborted."
#[test]
fn a_vote_that_no_acceptor_of_the_quorum_knows_is_aborted() {
    let mut net = voted();
    accepted_by(&mut net, P1, &[A1, A2, A3]);
    lose(&mut net, &[COORDINATOR]);
    inquire(&mut net);
    assert_eq!(outcomes(&net), ABORTED);
}

/// 3.6 "Otherwise → re-propose the value of the highest accepted ballot."
#[test]
fn of_two_votes_that_of_the_higher_ballot_counts() {
    let mut net = voted();
    // P2's vote is known to A1 alone; A2 leads without A1, and aborts for A3 and itself.
    accepted_by(&mut net, P1, &[A1, A2, A3]);
    accepted_by(&mut net, P2, &[A1]);
    lose(&mut net, &[COORDINATOR, A1]);
    inquire(&mut net);
    assert_eq!(outcomes(&net), ABORTED);
    // Everybody but P1 forgets that; A1 comes back with its Prepared, and A3 is gone.
    net.restart(A2);
    net.start(A1);
    lose(&mut net, &[A3]);
    net.handle_inquiry(A1);
    assert_eq!(net.view(A1).decisions, [(TX, Outcome::Abort)]);
}

/// 3.4 "Acceptor promises are forced before 1b."
#[test]
fn a_promise_outlives_a_power_loss() {
    let mut net = voted();
    let ballot = Ballot { round: 3, incarnation: 1, leader: A2 };
    net.wire.push((A2, A1, Msg::Phase1a { tx: TX, ballot }));
    assert!(net.pass("Phase1a", A1) && net.count(&["Phase1b"]) == 1);
    net.restart(A1);
    let lower = Ballot { round: 2, incarnation: 9, leader: A3 };
    net.wire.push((A3, A1, Msg::Phase1a { tx: TX, ballot: lower }));
    assert!(net.pass("Phase1a", A1));
    assert_eq!((net.count(&["Phase1b"]), net.count(&["Outbid"])), (1, 1));
    accepted_by(&mut net, P1, &[A1]);
    accepted_by(&mut net, P2, &[A1]);
    assert_eq!(net.count(&["Phase2b"]), 0, "ballot 0 is below the promise");
}

/// 3.2 "Abort, crash and a duplicate Prepare would else put two values into ballot 0."
#[test]
fn a_participant_never_votes_twice() {
    for no in [None, Some(0)] {
        let mut net = three();
        net.request(0, &free_votes(2, no));
        let copies = net.wire.clone();
        // It forces its vote, and is gone before it has told anybody.
        net.crash_after = Some(1);
        assert!(net.pass("Prepare", P1));
        net.start(P1);
        net.wire = copies;
        let before = net.count(&["Phase2a"]);
        assert!(net.pass("Prepare", P1));
        assert_eq!(net.count(&["Phase2a"]), before);
        assert!(net.heal());
        assert_eq!(outcomes(&net), ABORTED);
    }
}

/// 3.7 "Leader state is volatile and can be rebuilt from the acceptors."
#[test]
fn a_coordinator_that_has_forgotten_everything_leads_what_it_is_asked_about() {
    let mut net = voted();
    accepted_by(&mut net, P1, &[A1, A2]);
    accepted_by(&mut net, P2, &[A1, A2]);
    lose(&mut net, &[]);
    net.restart(COORDINATOR);
    assert!(net.expire(P1, "Inquire"));
    net.settle();
    assert_eq!(outcomes(&net), COMMITTED);
    assert!(net.answers.is_empty(), "the client asks again");
    net.request(0, &free_votes(2, None));
    net.settle();
    assert_eq!(net.answers, [(call(0), Answer::Ok(Ret::Already))]);
    assert_eq!(net.durable(P1).applied, [(call(0), 1)], "1.20");
}

/// 3.6 A leader that is outbid goes above what it has heard of.
#[test]
fn an_outbid_leader_takes_a_higher_round() {
    let mut net = voted();
    lose(&mut net, &[]);
    let ballot = Ballot { round: 7, incarnation: 1, leader: A3 };
    for to in [A1, A2, A3] {
        net.wire.push((A3, to, Msg::Phase1a { tx: TX, ballot }));
    }
    net.settle();
    assert!(net.expire(COORDINATOR, "Lead"));
    net.settle();
    assert!(net.marks.contains(&"a leader was outbid"));
    assert!(net.expire(COORDINATOR, "Lead"));
    net.settle();
    assert_eq!(outcomes(&net), ABORTED);
}

/// 3.5 Votes of two ballots are not added up.
#[test]
fn two_b_of_another_ballot_do_not_count() {
    let mut net = voted();
    lose(&mut net, &[]);
    let all = |ballot| {
        let votes = [P1, P2].map(|id| (id, Vote::Prepared { values: Vec::new() })).to_vec();
        Msg::Phase2b { tx: TX, ballot, votes }
    };
    net.wire.push((A1, COORDINATOR, all(Ballot::ZERO)));
    net.wire.push((A1, COORDINATOR, all(Ballot::ZERO)));
    let other = Ballot { round: 1, incarnation: 1, leader: COORDINATOR };
    net.wire.push((A2, COORDINATOR, all(other)));
    net.settle();
    assert!(net.answers.is_empty(), "one acceptor twice, and one of another ballot");
    net.wire.push((A3, COORDINATOR, all(Ballot::ZERO)));
    net.settle();
    assert_eq!(net.answers.len(), 1);
}

impl Agreed {
    /// P2 asks this one, whatever it knows itself.
    fn handle_inquiry(&mut self, to: NodeId) {
        let (participants, acceptors) = (vec![P1, P2], vec![A1, A2, A3]);
        let group = protocols::paxos_commit::Group { participants, acceptors };
        self.wire.push((P2, to, Msg::Inquiry { tx: TX, group }));
        self.settle();
    }
}
