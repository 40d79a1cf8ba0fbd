//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};
use std::slice::from_ref;
use std::time::Duration;

type Effects = Vec<Effect<DurableQueue>>;

const BROKER: NodeId = NodeId(0);
const STORE: NodeId = NodeId(1);
const FRONT: NodeId = NodeId(2);
const A: NodeId = NodeId(3);
const B: NodeId = NodeId(4);
const LEASE: Duration = Duration::from_millis(100);
const RETENTION: Duration = Duration::from_secs(1);

fn config(role: Role) -> Config {
    Config {
        role,
        broker: BROKER,
        store: STORE,
        lease: LEASE,
        resend: Duration::from_millis(10),
        poll: Duration::from_millis(50),
        tries: 2,
        trouble: 0,
        retention: RETENTION,
        compact_after: 2,
    }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn credit(account: u16) -> Job {
    Job { account, amount: 5, poison: false }
}

fn stamp(epoch: Incarnation, seq: u32) -> Stamp {
    Stamp { producer: FRONT, epoch, seq }
}

/// The job of a call, whose client waits.
fn job(call: u32, account: u16) -> Letter {
    Letter::Job { id: request(call), job: credit(account), wait: true }
}

fn receipt(life: Incarnation, at: u32, nth: u32) -> Receipt {
    Receipt { life, at, nth }
}

/// A node and the log that it writes.
struct Machine {
    node: DurableQueue,
    role: Role,
    log: Vec<Record>,
    here: Here,
}

impl Machine {
    fn new(role: Role) -> Self {
        let me = match role {
            Role::Broker => BROKER,
            Role::Store => STORE,
            Role::Front => FRONT,
            Role::Worker => A,
        };
        let here = Here { me, ..Here::default() };
        Self { node: DurableQueue::new(me, &config(role)), role, log: Vec::new(), here }
    }

    fn run(&mut self, f: impl FnOnce(&mut DurableQueue, &mut Context)) -> Effects {
        let mut cx = Cx::new(self.here.clone());
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            match effect {
                Effect::Force(record) | Effect::Persist(record) => self.log.push(record.clone()),
                Effect::Snapshot(records) => self.log.clone_from(records),
                _ => {}
            }
        }
        effects
    }

    fn restart(&mut self) -> Effects {
        self.here.incarnation += 1;
        self.node = DurableQueue::new(self.here.me, &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn hear(&mut self, from: NodeId, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn ring(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    fn ask(&mut self, call: u32, wait: bool) -> Effects {
        let op = Op { job: credit(0), wait };
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn publish(&mut self, stamp: Stamp, letter: Letter) -> Vec<(NodeId, Msg)> {
        sent(&self.hear(FRONT, Msg::Publish { stamp, letter }))
    }

    fn take(&mut self, from: NodeId) -> Vec<(NodeId, Msg)> {
        sent(&self.hear(from, Msg::Take { queue: Queue::Jobs }))
    }

    fn commit(&mut self, call: u32, dead: bool) -> Effects {
        let (id, job) = (request(call), credit(0));
        let (receipt, reply_to) = (receipt(1, 0, 1), Some(stamp(1, call + 1)));
        self.hear(A, Msg::Commit { receipt, id, job, reply_to, dead })
    }

    fn open(&self) -> usize {
        self.node.view().open.len()
    }
}

fn sent(effects: &Effects) -> Vec<(NodeId, Msg)> {
    let message = |effect: &Effect<DurableQueue>| match effect {
        Effect::Send(to, msg) => Some((*to, msg.clone())),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

/// 7.1: the broker forces before it acknowledges; a stamp that it has changes nothing.
#[test]
fn a_message_is_durable_before_its_producer_knows() {
    let mut broker = Machine::new(Role::Broker);
    let (stamp, letter) = (stamp(1, 1), job(0, 0));
    let published = (FRONT, Msg::Published { stamp });
    let effects = broker.hear(FRONT, Msg::Publish { stamp, letter });
    assert_eq!(effects[0], Effect::Force(Record::Published { stamp, letter }));
    assert_eq!(sent(&effects), from_ref(&published));
    assert_eq!(broker.publish(stamp, letter), from_ref(&published), "a copy");
    broker.restart();
    assert_eq!(broker.publish(stamp, letter), [published], "also after a restart");
    assert_eq!(broker.open(), 1);
}

/// 7.1: what comes after a gap is not taken; an older life is not heard.
#[test]
fn a_gap_is_not_taken_and_an_older_life_not_heard() {
    let mut broker = Machine::new(Role::Broker);
    assert_eq!(broker.publish(stamp(1, 2), job(1, 0)), []);
    assert_eq!(broker.publish(stamp(1, 1), job(0, 0)).len(), 1);
    assert_eq!(broker.publish(stamp(1, 2), job(1, 0)).len(), 1);
    assert_eq!(broker.publish(stamp(2, 1), job(2, 0)).len(), 1, "a new life counts from 1");
    assert_eq!(broker.publish(stamp(1, 3), job(3, 0)), []);
    assert_eq!(broker.open(), 3);
}

/// 7.2: a lease ends, the next one has another receipt, and the old one changes nothing.
#[test]
fn an_old_receipt_changes_nothing() {
    let mut broker = Machine::new(Role::Broker);
    broker.publish(stamp(1, 1), job(0, 0));
    let (stamp, letter) = (stamp(1, 1), job(0, 0));
    let deliver = |to, receipt| [(to, Msg::Deliver { receipt, stamp, letter })];
    assert_eq!(broker.take(A), deliver(A, receipt(1, 0, 1)));
    assert_eq!(broker.take(B), [], "it is leased");
    assert_eq!(sent(&broker.ring(Timer::Lease(receipt(1, 0, 1)))), deliver(B, receipt(1, 0, 2)));
    assert_eq!(broker.ring(Timer::Lease(receipt(1, 0, 1))), [], "an old timer");
    broker.hear(A, Msg::Ack { receipt: receipt(1, 0, 1) });
    broker.hear(A, Msg::Nack { receipt: receipt(1, 0, 1) });
    assert_eq!((broker.open(), broker.take(A)), (1, vec![]), "still leased to B");
    let effects = broker.hear(B, Msg::Ack { receipt: receipt(1, 0, 2) });
    assert!(effects.contains(&Effect::Persist(Record::Acked { stamp })));
    assert_eq!(broker.open(), 0);
}

/// A receipt names the broker's life: places are counted anew in the next one.
#[test]
fn a_receipt_from_before_the_restart_fits_nothing() {
    let mut broker = Machine::new(Role::Broker);
    broker.publish(stamp(1, 1), job(0, 0));
    broker.take(A);
    broker.hear(A, Msg::Ack { receipt: receipt(1, 0, 1) });
    broker.publish(stamp(1, 2), job(1, 0));
    broker.restart();
    let (receipt_now, stamp, letter) = (receipt(2, 1, 1), stamp(1, 2), job(1, 0));
    assert_eq!(broker.take(B), [(B, Msg::Deliver { receipt: receipt_now, stamp, letter })]);
    broker.hear(A, Msg::Ack { receipt: receipt(1, 1, 1) });
    assert_eq!(broker.open(), 1);
}

/// 7.2: each try has twice the time of the one before. 7.3: a Nack ends it at once.
#[test]
fn a_message_that_is_given_back_goes_again_at_once() {
    let mut broker = Machine::new(Role::Broker);
    broker.publish(stamp(1, 1), job(0, 0));
    broker.take(A);
    broker.take(B);
    let effects = broker.hear(A, Msg::Nack { receipt: receipt(1, 0, 1) });
    let (receipt, stamp, letter) = (receipt(1, 0, 2), stamp(1, 1), job(0, 0));
    assert_eq!(sent(&effects), [(B, Msg::Deliver { receipt, stamp, letter })]);
    let timer = Timer::Lease(receipt);
    assert!(effects.contains(&Effect::SetTimer { after: LEASE * 2, timer, background: false }));
}

/// 7.2: of one account, the next job goes when the one before is seen to; others do not wait.
#[test]
fn jobs_of_one_account_go_one_after_the_other() {
    let mut broker = Machine::new(Role::Broker);
    for (seq, account) in [(1, 0), (2, 0), (3, 1)] {
        broker.publish(stamp(1, seq), job(seq, account));
    }
    let deliver = |to, at, letter| {
        let (receipt, stamp) = (receipt(1, at, 1), stamp(1, at + 1));
        [(to, Msg::Deliver { receipt, stamp, letter })]
    };
    assert_eq!(broker.take(A), deliver(A, 0, job(1, 0)));
    assert_eq!(broker.take(B), deliver(B, 2, job(3, 1)));
    broker.take(B);
    let effects = broker.hear(A, Msg::Ack { receipt: receipt(1, 0, 1) });
    assert_eq!(sent(&effects), deliver(B, 1, job(2, 0)));
}

/// A compacted log says the same: what is there, and the last stamp of each producer.
#[test]
fn compaction_forgets_no_producer() {
    let mut broker = Machine::new(Role::Broker);
    for seq in 1..=3 {
        broker.publish(stamp(1, seq), job(seq, seq as u16));
    }
    for at in 0..2 {
        broker.take(A);
        broker.hear(A, Msg::Ack { receipt: receipt(1, at, 1) });
    }
    let (last, left) = (stamp(1, 3), job(3, 3));
    let expected = [Record::Last { stamp: last }, Record::Published { stamp: last, letter: left }];
    assert_eq!(broker.log, expected);
    broker.restart();
    assert_eq!(broker.publish(stamp(1, 2), job(2, 2)).len(), 1, "known, though it is gone");
    assert_eq!(broker.open(), 1);
}

/// 7.2: effect, inbox row and outbox row are one record. A copy changes nothing; what is published
/// again is replied to again.
#[test]
fn a_transaction_is_one_record() {
    let mut store = Machine::new(Role::Store);
    let (id, job) = (request(0), credit(0));
    let (reply_to, ret) = (stamp(1, 1), Ret::Done { account: 0, line: 1 });
    let publish = |seq, reply_to| {
        let stamp = Stamp { producer: STORE, epoch: 2, seq };
        (BROKER, Msg::Publish { stamp, letter: Letter::Reply { id, reply_to, ret } })
    };
    let committed = (A, Msg::Committed { receipt: receipt(1, 0, 1) });
    store.restart();
    let effects = store.commit(0, false);
    let record = Record::Committed { id, job, reply_to: Some(reply_to), ret };
    assert_eq!(effects[0], Effect::Force(record));
    assert_eq!(sent(&effects), [publish(1, reply_to), committed.clone()]);
    assert_eq!(sent(&store.commit(0, false)), from_ref(&committed), "a copy");
    let (receipt, reply_to) = (receipt(1, 0, 1), stamp(2, 1));
    let again = Msg::Commit { receipt, id, job, reply_to: Some(reply_to), dead: false };
    let effects = store.hear(A, again);
    assert!(effects.contains(&Effect::Force(Record::Again { id, reply_to, ret })));
    assert_eq!(sent(&effects), [publish(2, reply_to), committed], "a front that has forgotten");
    assert_eq!(DurableQueue::durable(&store.log).done[&0], [(id, 5)]);
}

/// 7.5: the relay publishes, then marks; what is not marked is published again by the next life.
#[test]
fn the_relay_marks_what_is_published() {
    let mut store = Machine::new(Role::Store);
    store.commit(0, false);
    let reply = |epoch| Stamp { producer: STORE, epoch, seq: 1 };
    let again = sent(&store.restart());
    assert!(matches!(again[..], [(BROKER, Msg::Publish { stamp: s, .. })] if s == reply(2)));
    assert_eq!(store.hear(BROKER, Msg::Published { stamp: reply(1) }), [], "of an older life");
    let effects = store.hear(BROKER, Msg::Published { stamp: reply(2) });
    assert_eq!(effects[1], Effect::Persist(Record::Marked { reply_to: stamp(1, 1) }));
    assert_eq!((sent(&store.restart()), store.open()), (vec![], 0));
}

/// 7.3: a job is done or dead, whichever comes first, and stays so.
#[test]
fn what_is_dead_is_never_done() {
    let mut store = Machine::new(Role::Store);
    store.commit(0, true);
    store.commit(0, false);
    store.commit(1, false);
    store.commit(1, true);
    let durable = DurableQueue::durable(&store.log);
    assert_eq!(durable.dead, [request(0)]);
    assert_eq!(durable.done[&0], [(request(1), 5)], "a dead job takes no line");
}

/// Inbox rows are thrown away after the retention time; statements, dead letters and replies stay.
#[test]
fn the_inbox_forgets_and_the_statement_does_not() {
    let mut store = Machine::new(Role::Store);
    store.commit(0, true);
    store.commit(1, false);
    let before = DurableQueue::durable(&store.log);
    assert!(!store.ring(Timer::Sweep).iter().any(|e| matches!(e, Effect::Snapshot(_))));
    store.here.now_nanos = RETENTION.as_nanos() as u64;
    assert!(store.ring(Timer::Sweep).iter().any(|e| matches!(e, Effect::Snapshot(_))));
    assert_eq!(DurableQueue::durable(&store.log), before);
    assert_eq!(store.restart().iter().filter(|e| matches!(e, Effect::Send(..))).count(), 2);
    let ret = Ret::Done { account: 0, line: 2 };
    assert!(sent(&store.commit(2, false)).iter().any(|(_, msg)| matches!(
        msg,
        Msg::Publish { letter: Letter::Reply { ret: r, .. }, .. } if *r == ret
    )));
}

/// 7.2: the effect is durable before the message may go; the transaction is asked for until it is.
#[test]
fn a_worker_acknowledges_what_is_committed() {
    let mut worker = Machine::new(Role::Worker);
    let (receipt, stamp, letter) = (receipt(1, 0, 1), stamp(1, 1), job(0, 0));
    let (id, job, reply_to) = (request(0), credit(0), Some(stamp));
    let commit = (STORE, Msg::Commit { receipt, id, job, reply_to, dead: false });
    let effects = worker.hear(BROKER, Msg::Deliver { receipt, stamp, letter });
    assert_eq!(sent(&effects), from_ref(&commit));
    assert_eq!(sent(&worker.ring(Timer::Commit(receipt))), [commit]);
    assert_eq!(sent(&worker.ring(Timer::Poll)), [], "one job at a time");
    let effects = worker.hear(STORE, Msg::Committed { receipt });
    let take = (BROKER, Msg::Take { queue: Queue::Jobs });
    assert_eq!(sent(&effects), [(BROKER, Msg::Ack { receipt }), take.clone()]);
    assert_eq!(worker.hear(STORE, Msg::Committed { receipt }), [], "a copy");
    assert_eq!(sent(&worker.ring(Timer::Poll)), [take]);
}

/// 7.3: what cannot be done is given back, and given up when it has been tried often enough.
#[test]
fn poison_becomes_a_dead_letter() {
    let mut worker = Machine::new(Role::Worker);
    let poison = Job { poison: true, ..credit(0) };
    let (stamp, id) = (stamp(1, 1), request(0));
    let letter = Letter::Job { id, job: poison, wait: false };
    for nth in 1..=2 {
        let receipt = receipt(1, 0, nth);
        let effects = worker.hear(BROKER, Msg::Deliver { receipt, stamp, letter });
        assert_eq!(sent(&effects)[0], (BROKER, Msg::Nack { receipt }));
    }
    let receipt = receipt(1, 0, 3);
    let effects = worker.hear(BROKER, Msg::Deliver { receipt, stamp, letter });
    let commit = Msg::Commit { receipt, id, job: poison, reply_to: None, dead: true };
    assert_eq!(sent(&effects), [(STORE, commit)]);
}

/// 7.1: a front publishes until it is answered; who does not wait is told when it is.
#[test]
fn a_front_publishes_until_it_is_answered() {
    let mut front = Machine::new(Role::Front);
    let publish = sent(&front.ask(0, false));
    assert!(matches!(&publish[..], [(BROKER, Msg::Publish { stamp: s, .. })] if *s == stamp(1, 1)));
    assert_eq!(sent(&front.ring(Timer::Publish(stamp(1, 1)))), publish);
    assert_eq!(front.ask(0, false), [], "a copy of the request");
    let effects = front.hear(BROKER, Msg::Published { stamp: stamp(1, 1) });
    assert!(effects.contains(&Effect::Reply(request(0), Answer::Ok(Ret::Accepted))));
    assert_eq!(front.ring(Timer::Publish(stamp(1, 1))), []);
}

/// 7.4: a reply goes to the request that it names; one for nobody is acknowledged all the same.
#[test]
fn a_reply_finds_its_request() {
    let mut front = Machine::new(Role::Front);
    front.ask(0, true);
    front.ask(1, true);
    let (receipt, reply_to) = (receipt(1, 0, 1), stamp(1, 1));
    let ret = Ret::Done { account: 0, line: 1 };
    for (call, expected) in [(1, 1), (7, 0)] {
        let letter = Letter::Reply { id: request(call), reply_to, ret };
        let effects = front.hear(BROKER, Msg::Deliver { receipt, stamp: reply_to, letter });
        let reply = Effect::Reply(request(call), Answer::Ok(ret));
        assert_eq!(effects.iter().filter(|effect| **effect == reply).count(), expected);
        assert!(effects.contains(&Effect::Send(BROKER, Msg::Ack { receipt })));
    }
    assert!(front.node.view().open.contains(&request(0)), "still waits");
}
