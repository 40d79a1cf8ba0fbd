//! Each test quotes the rule that it is about.

use super::*;
use node::{Context as Here, Effect};
use std::collections::VecDeque;

type Effects = Vec<Effect<LeaseLock>>;

const X: Object = Object(0);
const SERVER: NodeId = NodeId(0);
const STORE: NodeId = NodeId(1);
const A: NodeId = NodeId(2);
const B: NodeId = NodeId(3);
const TTL: Duration = Duration::from_secs(1);

fn config(role: Role) -> Config {
    Config { role, ttl: TTL, drift_ppm: 100_000, compact: 8, ..Config::default() }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(me: NodeId, incarnation: Incarnation, now: Duration) -> Context {
    let now_nanos = now.as_nanos() as u64;
    Cx::new(Here { me, incarnation, now_nanos, ..Here::default() })
}

fn request(client: u16, call: u32) -> RequestId {
    RequestId { client: NodeId(client), call }
}

fn req(incarnation: Incarnation, seq: u32) -> ReqId {
    ReqId { incarnation, seq }
}

/// A node, started, and the log it writes.
struct Machine {
    me: NodeId,
    role: Role,
    node: LeaseLock,
    incarnation: Incarnation,
    log: Vec<Record>,
    now: Duration,
}

impl Machine {
    fn new(me: NodeId, role: Role) -> Self {
        let node = LeaseLock::new(me, &config(role));
        let mut machine =
            Self { me, role, node, incarnation: 0, log: Vec::new(), now: Duration::ZERO };
        machine.restart();
        machine
    }

    fn restart(&mut self) -> Effects {
        self.incarnation += 1;
        self.node = LeaseLock::new(self.me, &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn run(&mut self, handler: impl FnOnce(&mut LeaseLock, &mut Context)) -> Effects {
        let mut cx = at(self.me, self.incarnation, self.now);
        handler(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            match effect {
                Effect::Persist(record) | Effect::Force(record) => self.log.push(record.clone()),
                Effect::Snapshot(records) => self.log = records.clone(),
                _ => {}
            }
        }
        effects
    }

    fn tell(&mut self, from: NodeId, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn fire(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    fn ask(&mut self, id: RequestId) -> Effects {
        self.run(|node, cx| node.on_request(id, Op::Increment(X), cx))
    }

    fn durable(&self) -> Durable {
        LeaseLock::durable(&self.log)
    }
}

fn sent(effects: &Effects) -> Vec<(NodeId, Msg)> {
    let msg = |effect: &Effect<LeaseLock>| match effect {
        Effect::Send(to, msg) => Some((*to, msg.clone())),
        _ => None,
    };
    effects.iter().filter_map(msg).collect()
}

/// As [`sent`], of a handler that writes nothing.
fn unforced(effects: &Effects) -> Vec<(NodeId, Msg)> {
    let writes = |effect: &Effect<LeaseLock>| {
        matches!(effect, Effect::Force(_) | Effect::Persist(_) | Effect::Snapshot(_))
    };
    assert!(!effects.iter().any(writes), "{effects:?}");
    sent(effects)
}

fn acquire(seq: u32) -> Msg {
    Msg::Acquire { object: X, req: req(1, seq), ttl: TTL }
}

fn granted(seq: u32, fence: u64) -> Msg {
    Msg::Granted { object: X, req: req(1, seq), fence }
}

fn release(fence: u64) -> Msg {
    Msg::Release { object: X, fence }
}

fn expire(fence: u64) -> Timer {
    Timer::Expire { object: X, fence }
}

#[test]
fn rule_5_2_the_whole_grant_is_forced_before_granted_leaves() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    let grant = Grant { object: X, owner: A, req: req(1, 1), fence: 1, ttl: TTL };
    assert_eq!(
        server.tell(A, acquire(1)),
        [
            Effect::Force(Record::Grant(grant)),
            Effect::Send(A, granted(1, 1)),
            Effect::SetTimer { after: TTL, timer: expire(1), background: false },
        ]
    );
    assert_eq!(server.durable().leases, [Lease { object: X, owner: A, fence: 1 }]);
}

#[test]
fn rule_5_1_a_held_lock_is_waited_for_in_line() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    let c = NodeId(4);
    server.tell(A, acquire(1));
    assert!(server.tell(B, acquire(1)).is_empty());
    assert!(server.tell(c, acquire(1)).is_empty());
    assert!(server.tell(B, acquire(2)).is_empty(), "asks anew, and keeps its place");
    assert_eq!(sent(&server.tell(A, release(1))), [(B, granted(2, 2))]);
    assert_eq!(sent(&server.fire(expire(2))), [(c, granted(1, 3))]);
}

#[test]
fn a_request_in_line_is_dropped_when_nothing_is_heard_of_it_for_a_ttl() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    server.tell(A, acquire(1));
    server.tell(B, acquire(1));
    let c = NodeId(4);
    server.tell(c, acquire(1));
    server.now = ms(500);
    server.tell(c, acquire(1));
    server.now = TTL;
    assert_eq!(sent(&server.fire(expire(1))), [(c, granted(1, 2))]);
    server.tell(c, release(2));
    assert_eq!(sent(&server.tell(B, acquire(2))), [(B, granted(2, 3))]);
}

#[test]
fn rule_5_3_a_copy_gets_the_same_grant_and_no_new_one() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    server.tell(A, acquire(2));
    assert_eq!(unforced(&server.tell(A, acquire(2))), [(A, granted(2, 1))]);
    assert!(server.tell(A, acquire(1)).is_empty(), "an older one");
    server.restart();
    assert_eq!(unforced(&server.tell(A, acquire(2))), [(A, granted(2, 1))]);
    server.tell(A, release(1));
    assert!(server.tell(A, acquire(2)).is_empty(), "its grant has ended");
    server.restart();
    assert!(server.tell(A, acquire(2)).is_empty(), "also after a restart");
}

#[test]
fn rule_5_4_release_compares_owner_and_fence() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    server.tell(A, acquire(1));
    assert!(server.tell(B, release(1)).is_empty());
    assert!(server.tell(A, release(2)).is_empty());
    let ended = Record::Ended { object: X, fence: 1 };
    assert_eq!(
        server.tell(A, release(1)),
        [Effect::CancelTimer(expire(1)), Effect::Persist(ended)]
    );
    assert!(server.durable().leases.is_empty());
}

#[test]
fn rule_5_6_after_a_restart_every_lease_lasts_a_full_ttl_more() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    server.tell(A, acquire(1));
    server.now = ms(999);
    let timer = Effect::SetTimer { after: TTL, timer: expire(1), background: false };
    assert!(server.restart().contains(&timer));
    assert!(server.tell(B, acquire(1)).is_empty());
    assert_eq!(sent(&server.fire(expire(1))), [(B, granted(1, 2))], "the counter is durable");
}

#[test]
fn a_snapshot_keeps_leases_fences_and_request_ids() {
    let mut server = Machine::new(SERVER, Role::LockServer);
    server.tell(B, acquire(1));
    server.tell(B, release(1));
    for seq in 1..=20 {
        server.tell(A, acquire(seq));
        server.tell(A, release(u64::from(seq) + 1));
    }
    server.tell(A, acquire(21));
    assert!(server.log.len() <= 8 + 4, "{} records", server.log.len());
    server.restart();
    let lease = Lease { object: X, owner: A, fence: 22 };
    assert_eq!(server.durable(), Durable { leases: vec![lease], fence: 22, ..Durable::default() });
    assert_eq!(sent(&server.tell(A, acquire(21))), [(A, granted(21, 22))]);
    server.tell(A, release(22));
    assert!(sent(&server.tell(B, acquire(1))).is_empty(), "B's grant has ended long ago");
    assert_eq!(sent(&server.tell(B, acquire(2))), [(B, granted(2, 23))]);
}

/// ttl · (1 − 0.1)/(1 + 0.1)
const VALID: Duration = Duration::from_nanos(818_181_818);

#[test]
fn rule_5_7_the_bound_counts_from_before_the_request_left_first() {
    let mut holder = Machine::new(A, Role::Holder);
    holder.now = ms(100);
    let effects = holder.ask(request(9, 0));
    assert_eq!(sent(&effects), [(SERVER, acquire(1))]);
    assert!(matches!(effects[0], Effect::Invoke(_, Op::Acquire(X))), "{effects:?}");
    holder.now = ms(200);
    assert_eq!(sent(&holder.fire(Timer::Resend(req(1, 1)))), [(SERVER, acquire(1))]);
    holder.now = ms(300);
    let effects = holder.tell(SERVER, granted(1, 7));
    let until = ms(100) + VALID;
    let hold = Step::Ok(Ret::Granted { fence: 7, from: ms(300), until });
    assert!(
        matches!(&effects[0], Effect::Complete(_, step) if *step == hold),
        "the first effect begins the hold: {effects:?}"
    );
    let bound = Timer::Bound(req(1, 1));
    let armed = Effect::SetTimer { after: until - ms(300), timer: bound, background: false };
    assert!(effects.contains(&armed), "{effects:?}");
    assert!(holder.tell(SERVER, granted(1, 7)).is_empty(), "a copy");
}

#[test]
fn rule_5_7_a_grant_that_arrives_after_the_bound_is_not_used() {
    let mut holder = Machine::new(A, Role::Holder);
    holder.ask(request(9, 0));
    holder.now = VALID;
    let effects = holder.tell(SERVER, granted(1, 7));
    assert_eq!(sent(&effects), [(SERVER, release(7)), (SERVER, acquire(2))]);
    let fail = |effect: &Effect<LeaseLock>| matches!(effect, Effect::Complete(_, Step::Fail(_)));
    assert!(effects.iter().any(fail), "no hold begins: {effects:?}");
}

#[test]
fn rule_5_7_at_the_bound_the_holder_stops_working() {
    let mut holder = Machine::new(A, Role::Holder);
    holder.ask(request(9, 0));
    holder.tell(SERVER, granted(1, 7));
    holder.now = VALID;
    let effects = holder.tell(STORE, Msg::Value { token: 7, nth: 1, value: 5 });
    assert_eq!(sent(&effects), [(SERVER, release(7)), (SERVER, acquire(2))]);
    assert!(holder.fire(Timer::Bound(req(1, 1))).is_empty(), "of an attempt that is over");
}

#[test]
fn a_grant_that_nobody_wants_is_given_back_unless_an_earlier_life_may_hold_it() {
    let mut holder = Machine::new(A, Role::Holder);
    assert_eq!(sent(&holder.tell(SERVER, granted(1, 7))), [(SERVER, release(7))]);
    holder.restart();
    assert!(holder.tell(SERVER, granted(1, 7)).is_empty());
}

#[test]
fn request_ids_are_unique_over_restarts_of_the_holder() {
    let mut holder = Machine::new(A, Role::Holder);
    holder.ask(request(9, 0));
    holder.restart();
    let asked = Msg::Acquire { object: X, req: req(2, 1), ttl: TTL };
    assert_eq!(sent(&holder.ask(request(9, 0))), [(SERVER, asked)]);
}

fn read(token: u64, nth: u32, request: RequestId) -> Msg {
    Msg::Read { object: X, token, nth, request }
}

fn write(token: u64, nth: u32, request: RequestId, value: u64) -> Msg {
    Msg::Write { object: X, token, nth, request, value }
}

#[test]
fn rule_5_9_a_read_registers_its_token_forced_before_the_answer() {
    let mut store = Machine::new(STORE, Role::Store);
    let effects = store.tell(B, read(2, 1, request(9, 0)));
    assert_eq!(
        effects,
        [
            Effect::Force(Record::Token { object: X, token: 2 }),
            Effect::Send(B, Msg::Value { token: 2, nth: 1, value: 0 }),
        ]
    );
    let late = store.tell(A, write(1, 1, request(8, 0), 1));
    assert_eq!(sent(&late), [(A, Msg::Refused { token: 1, nth: 1 })]);
    store.restart();
    let late = store.tell(A, write(1, 1, request(8, 0), 1));
    assert_eq!(sent(&late), [(A, Msg::Refused { token: 1, nth: 1 })], "maxtoken is durable");
}

#[test]
fn rule_5_8_a_copy_of_an_older_write_is_not_applied_again() {
    let mut store = Machine::new(STORE, Role::Store);
    let done = |nth, value| vec![(A, Msg::Done { token: 1, nth, value })];
    assert_eq!(sent(&store.tell(A, write(1, 1, request(8, 0), 1))), done(1, 1));
    assert_eq!(sent(&store.tell(A, write(1, 2, request(9, 0), 2))), done(2, 2));
    store.restart();
    assert_eq!(sent(&store.tell(A, write(1, 1, request(8, 0), 1))), done(1, 1));
    let stored = &store.durable().objects[&X];
    assert_eq!((stored.value, stored.count, stored.writes.len()), (2, 2, 2));
}

#[test]
fn a_request_that_was_applied_is_answered_with_what_it_wrote() {
    let mut store = Machine::new(STORE, Role::Store);
    store.tell(A, write(1, 1, request(9, 3), 1));
    let later = store.tell(B, read(2, 1, request(9, 3)));
    assert_eq!(sent(&later), [(B, Msg::Done { token: 2, nth: 1, value: 1 })]);
    let older = store.tell(B, read(2, 2, request(9, 2)));
    assert_eq!(sent(&older), [(B, Msg::Stale { token: 2, nth: 2 })]);
    let copy = store.tell(A, write(1, 1, request(9, 3), 1));
    assert_eq!(sent(&copy), [(A, Msg::Done { token: 1, nth: 1, value: 1 })], "it was applied");
    let other = store.tell(A, write(0, 1, request(9, 3), 1));
    assert_eq!(sent(&other), [(A, Msg::Refused { token: 0, nth: 1 })], "not this one");
}

#[test]
fn a_snapshot_of_the_store_keeps_tokens_values_and_requests() {
    let mut store = Machine::new(STORE, Role::Store);
    for n in 1..=20 {
        store.tell(A, write(n, 1, request(9, n as u32), n));
        let writes = store.durable().objects[&X].writes.clone();
        assert!(writes.iter().map(|write| (write.token, write.to)).eq((1..=n).map(|n| (n, n))));
    }
    assert!(store.log.len() <= 8 + 2, "{} records", store.log.len());
    store.restart();
    let stored = &store.durable().objects[&X];
    assert_eq!((stored.value, stored.maxtoken, stored.count), (20, 20, 20));
    let copy = store.tell(A, write(20, 1, request(9, 20), 20));
    assert_eq!(sent(&copy), [(A, Msg::Done { token: 20, nth: 1, value: 20 })]);
}

/// A calm cluster of a lock server, a store and two holders: messages arrive at once and in order,
/// and time stands still but for the work.
struct Calm {
    machines: Vec<Machine>,
    messages: u32,
    forces: u32,
    replies: Vec<(RequestId, Ret)>,
}

impl Calm {
    fn new() -> Self {
        let roles = [Role::LockServer, Role::Store, Role::Holder, Role::Holder];
        let machines = (0..).zip(roles).map(|(n, role)| Machine::new(NodeId(n), role)).collect();
        Self { machines, messages: 0, forces: 0, replies: Vec::new() }
    }

    fn ask(&mut self, holder: NodeId, requests: &[RequestId]) {
        let mut inbox = VecDeque::new();
        for id in requests {
            let effects = self.machines[holder.index()].ask(*id);
            inbox.extend(effects.into_iter().map(|effect| (holder, effect)));
        }
        while let Some((me, effect)) = inbox.pop_front() {
            let (to, effects) = match effect {
                Effect::Send(to, msg) => {
                    self.messages += 1;
                    (to, self.machines[to.index()].tell(me, msg))
                }
                Effect::SetTimer { timer: timer @ Timer::Work(_), .. } => {
                    (me, self.machines[me.index()].fire(timer))
                }
                Effect::Force(_) => {
                    self.forces += 1;
                    continue;
                }
                Effect::Reply(id, node::Answer::Ok(ret)) => {
                    self.replies.push((id, ret));
                    continue;
                }
                _ => continue,
            };
            inbox.extend(effects.into_iter().map(|effect| (to, effect)));
        }
    }
}

#[test]
fn costs_of_a_calm_increment() {
    let mut calm = Calm::new();
    calm.ask(A, &[request(9, 0)]);
    assert_eq!(calm.replies, [(request(9, 0), Ret::Incremented(1))]);
    // Acquire 2 and 1, read 2 and 1, write 2 and 1, release 1 and 0.
    assert_eq!((calm.messages, calm.forces), (7, 3));
    assert!(calm.machines[0].durable().leases.is_empty());
}

#[test]
fn requests_in_hand_share_a_grant() {
    let mut calm = Calm::new();
    calm.ask(A, &[request(8, 0), request(9, 0)]);
    let values: Vec<&Ret> = calm.replies.iter().map(|(_, ret)| ret).collect();
    assert_eq!(values, [&Ret::Incremented(1), &Ret::Incremented(2)]);
    assert_eq!(calm.machines[0].durable().fence, 1);
    assert_eq!((calm.messages, calm.forces), (11, 4), "the token is registered once");
}

#[test]
fn a_retry_does_not_increment_twice_wherever_it_arrives() {
    let mut calm = Calm::new();
    calm.ask(A, &[request(9, 0)]);
    calm.machines[A.index()].restart();
    calm.ask(A, &[request(9, 0)]);
    calm.ask(B, &[request(9, 0)]);
    assert_eq!(calm.replies, vec![(request(9, 0), Ret::Incremented(1)); 3]);
    assert_eq!(calm.machines[1].durable().objects[&X].count, 1);
}

#[test]
fn other_roles_send_requests_on() {
    let mut store = Machine::new(STORE, Role::Store);
    let retry = Effect::Reply(request(9, 0), node::Answer::Retry(None));
    assert_eq!(store.ask(request(9, 0)), [retry]);
}
