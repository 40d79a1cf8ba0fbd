//! Each test quotes the rule that it is about.

use super::*;
use crate::payment::Body;
use node::{Context as Here, Effect};
use std::slice::from_ref;
use std::time::Duration;

type Effects = Vec<Effect<IdempotencyKey>>;

const STORE: NodeId = NodeId(0);
const PROVIDER: NodeId = NodeId(1);
const A: NodeId = NodeId(2);
const B: NodeId = NodeId(3);
const LEASE: Duration = Duration::from_millis(100);
const TTL: Duration = Duration::from_secs(1);

fn config(role: Role) -> Config {
    Config {
        role,
        store: STORE,
        provider: PROVIDER,
        workers: vec![A, B],
        lease: LEASE,
        ttl: TTL,
        resend: Duration::from_millis(10),
        limit: 50,
        trouble: 0,
    }
}

fn pay(number: u32, amount: u32, by_card: bool) -> Op {
    Op { key: Key { tenant: 1, number }, body: Body { amount, by_card } }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

/// A node and the log that it writes.
struct Machine {
    node: IdempotencyKey,
    role: Role,
    log: Vec<Record>,
    now: Duration,
}

impl Machine {
    fn new(role: Role) -> Self {
        let node = IdempotencyKey::new(NodeId(0), &config(role));
        Self { node, role, log: Vec::new(), now: Duration::ZERO }
    }

    fn run(&mut self, f: impl FnOnce(&mut IdempotencyKey, &mut Context)) -> Effects {
        let now_nanos = self.now.as_nanos() as u64;
        let mut cx = Cx::new(Here { now_nanos, ..Here::default() });
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            match effect {
                Effect::Force(record) => self.log.push(record.clone()),
                Effect::Snapshot(records) => self.log.clone_from(records),
                _ => {}
            }
        }
        effects
    }

    fn restart(&mut self) -> Effects {
        self.node = IdempotencyKey::new(NodeId(0), &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn hear(&mut self, from: NodeId, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn ring(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    fn begin(&mut self, call: u32, op: Op) -> Vec<Msg> {
        sent(&self.hear(A, Msg::Begin { request: request(call), op }))
    }
}

fn sent(effects: &Effects) -> Vec<Msg> {
    let message = |effect: &Effect<IdempotencyKey>| match effect {
        Effect::Send(_, msg) => Some(msg.clone()),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

fn answer(call: u32, ret: Ret) -> Vec<Msg> {
    vec![Msg::Answer { request: request(call), ret }]
}

/// 8.4: the effect, the key and the reply go into one record, forced before the answer.
#[test]
fn a_local_payment_is_one_record() {
    let mut store = Machine::new(Role::Store);
    let op = pay(1, 5, false);
    let effects = store.hear(A, Msg::Begin { request: request(0), op });
    let ret = Ret::Paid { receipt: 1 };
    assert_eq!(
        effects,
        [
            Effect::Force(Record::Done { op, ret }),
            Effect::Send(A, Msg::Answer { request: request(0), ret }),
        ]
    );
    assert_eq!(store.begin(1, op), answer(1, ret), "8.3: the stored reply, verbatim");
    assert_eq!(store.begin(2, pay(1, 6, false)), answer(2, Ret::Mismatch), "8.3");
    store.restart();
    assert_eq!(store.begin(3, op), answer(3, ret), "also after a restart");
    assert_eq!(IdempotencyKey::durable(&store.log).credits[&op.key], [5]);
}

/// 8.3, 8.5: a row that runs; its recovery points; a copy of its own `Begin`.
#[test]
fn a_payment_by_card_starts_before_it_is_done() {
    let mut store = Machine::new(Role::Store);
    let op = pay(1, 5, true);
    let started = Msg::Started { op, fence: 1 };
    let effects = store.hear(A, Msg::Begin { request: request(0), op });
    assert_eq!(effects[0], Effect::Force(Record::Started { op, fence: 1 }), "before it acts");
    assert_eq!(sent(&effects), from_ref(&started));
    assert_eq!(store.begin(0, op), [started], "a copy of the message that began it");
    assert_eq!(store.begin(1, op), answer(1, Ret::InProgress), "another call");
    let finish = Msg::Finish { key: op.key, fence: 1, outcome: Outcome::Charged };
    let ret = Ret::Paid { receipt: 1 };
    let effects = store.hear(A, finish.clone());
    assert_eq!(effects[0], Effect::Force(Record::Done { op, ret }));
    assert_eq!(sent(&effects), [Msg::Finished { op, ret }]);
    let again = store.hear(A, finish);
    assert_eq!(again, [Effect::Send(A, Msg::Finished { op, ret })], "and nothing is done");
}

/// 8.5: another worker takes over under a greater fence; the older one changes nothing.
#[test]
fn a_late_worker_is_fenced_off() {
    let mut store = Machine::new(Role::Store);
    let op = pay(1, 5, true);
    store.begin(0, op);
    let effects = store.ring(Timer::Lease(op.key));
    assert!(effects.contains(&Effect::Force(Record::Started { op, fence: 2 })));
    assert!(effects.contains(&Effect::Send(A, Msg::Started { op, fence: 2 })));
    let finish = |fence| Msg::Finish { key: op.key, fence, outcome: Outcome::Declined };
    assert_eq!(sent(&store.hear(A, finish(1))), [Msg::Superseded { key: op.key, fence: 1 }]);
    let after = store.restart();
    assert!(after.iter().any(|effect| matches!(
        effect,
        Effect::SetTimer { timer: Timer::Lease(key), .. } if *key == op.key
    )));
    let ret = Ret::Declined;
    assert_eq!(
        sent(&store.hear(A, finish(2))),
        [Msg::Finished { op, ret }],
        "the fence is durable"
    );
}

/// 8.7: what is done is forgotten after its TTL, and never done again; what runs stays.
#[test]
fn an_expired_key_does_nothing() {
    let mut store = Machine::new(Role::Store);
    store.begin(0, pay(2, 5, false));
    store.begin(1, pay(1, 7, true));
    store.now = TTL;
    let effects = store.ring(Timer::Sweep);
    let through = Key { tenant: 1, number: 2 };
    assert!(matches!(&effects[0], Effect::Snapshot(records) if records.len() == 3), "{effects:?}");
    assert_eq!(store.log[0], Record::Expired { through });
    for number in 1..=2 {
        assert_eq!(store.begin(2, pay(2, 5, false)), answer(2, Ret::Expired));
        assert_eq!(store.begin(3, pay(1, 7, true)), answer(3, Ret::Expired), "lower numbers too");
        let other = Op { key: Key { tenant: 2, number }, ..pay(1, 1, true) };
        assert!(matches!(store.begin(4, other)[..], [Msg::Started { .. }]), "another tenant's");
        store.restart();
    }
    let finish = Msg::Finish { key: pay(1, 7, true).key, fence: 1, outcome: Outcome::Charged };
    let ret = Ret::Paid { receipt: 2 };
    assert_eq!(sent(&store.hear(A, finish)), [Msg::Finished { op: pay(1, 7, true), ret }]);
    assert_eq!(IdempotencyKey::durable(&store.log).credits.len(), 2, "statements stay");
}

/// 8.6: only what is final is told to the store.
#[test]
fn a_worker_asks_again_until_the_outcome_is_final() {
    let mut worker = Machine::new(Role::Worker);
    let op = pay(1, 5, true);
    let begin = Msg::Begin { request: request(0), op };
    let effects = worker.run(|node, cx| node.on_request(request(0), op, cx));
    assert_eq!(sent(&effects), from_ref(&begin));
    assert_eq!(sent(&worker.ring(Timer::Begin(request(0)))), [begin]);
    let charge = Msg::Charge { derived: op.key, amount: 5 };
    assert_eq!(sent(&worker.hear(STORE, Msg::Started { op, fence: 1 })), from_ref(&charge));
    assert_eq!(worker.hear(PROVIDER, Msg::Unavailable), []);
    assert_eq!(sent(&worker.ring(Timer::Task(op.key))), [charge]);
    let finish = Msg::Finish { key: op.key, fence: 1, outcome: Outcome::Charged };
    let settled = Msg::Settled { derived: op.key, outcome: Outcome::Charged };
    assert_eq!(sent(&worker.hear(PROVIDER, settled.clone())), from_ref(&finish));
    assert_eq!(worker.hear(PROVIDER, settled), [], "a copy");
    assert_eq!(sent(&worker.ring(Timer::Task(op.key))), [finish]);
    let ret = Ret::Paid { receipt: 1 };
    let effects = worker.hear(STORE, Msg::Finished { op, ret });
    assert!(effects.contains(&Effect::Reply(request(0), node::Answer::Ok(ret))));
    assert!(worker.node.view().running.is_empty());
}

/// A charge with a known key is the same charge.
#[test]
fn the_provider_charges_once_for_each_key() {
    let mut provider = Machine::new(Role::Provider);
    let charge = Msg::Charge { derived: pay(1, 5, true).key, amount: 5 };
    let settled = |outcome| [Msg::Settled { derived: pay(1, 5, true).key, outcome }];
    let record = Record::Charged { derived: pay(1, 5, true).key, amount: 5 };
    let effects = provider.hear(A, charge.clone());
    assert_eq!(effects[0], Effect::Force(record));
    assert_eq!(sent(&effects), settled(Outcome::Charged));
    provider.restart();
    assert_eq!(sent(&provider.hear(B, charge)), settled(Outcome::Charged));
    assert_eq!(provider.log.len(), 1, "charged once");
    let dear = Msg::Charge { derived: pay(2, 51, true).key, amount: 51 };
    let declined = Msg::Settled { derived: pay(2, 51, true).key, outcome: Outcome::Declined };
    assert_eq!(provider.hear(A, dear), [Effect::Send(A, declined)]);
}
