//! Each test quotes the rule that it is about.

use super::*;
use node::{Context as Here, Effect, Incarnation};

const X: Object = Object(0);
const A: NodeId = NodeId(4);
const TTL: Duration = Duration::from_secs(1);
/// 1 s − 14 %.
const VALIDITY: Duration = Duration::from_millis(860);

fn config(role: Role) -> Config {
    let drift_ppm = 140_000;
    Config { role, ttl: TTL, drift_ppm, work: ms(500), ..Config::default() }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn token(seq: u32) -> Token {
    Token { holder: A, incarnation: 1, seq }
}

/// A node, started, and its clocks.
struct Machine {
    node: Redlock,
    incarnation: Incarnation,
    now: Duration,
    wall: Duration,
}

impl Machine {
    fn new(role: Role) -> Self {
        let node = Redlock::new(A, &config(role));
        let mut machine = Self { node, incarnation: 0, now: ms(0), wall: ms(1_000_000) };
        machine.restart(role);
        machine
    }

    fn restart(&mut self, role: Role) {
        self.node = Redlock::new(A, &config(role));
        self.incarnation += 1;
        self.run(|node, cx| node.on_start(&[], cx));
    }

    fn run(&mut self, handler: impl FnOnce(&mut Redlock, &mut Context)) -> Vec<Effect<Redlock>> {
        let nanos = |time: Duration| time.as_nanos() as u64;
        let mut cx = Cx::new(Here {
            me: A,
            incarnation: self.incarnation,
            now_nanos: nanos(self.now),
            wall_nanos: nanos(self.wall),
            ..Here::default()
        });
        handler(&mut self.node, &mut cx);
        cx.take()
    }

    fn tell(&mut self, from: u16, msg: Msg) -> Vec<Effect<Redlock>> {
        self.run(|node, cx| node.on_message(NodeId(from), msg, cx))
    }

    fn fire(&mut self, timer: Timer) -> Vec<Effect<Redlock>> {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    /// What a lock server answers, if anything.
    fn answer(&mut self, msg: Msg) -> Option<bool> {
        match sent(&self.tell(9, msg)).as_slice() {
            [] => None,
            [(NodeId(9), Msg::Answer { done, .. })] => Some(*done),
            other => panic!("{other:?}"),
        }
    }

    /// A holder whose first request came at 0, and who has asked for its lock.
    fn holder() -> Self {
        let mut holder = Self::new(Role::Holder);
        let request = RequestId { client: NodeId(9), call: 0 };
        let asked = holder.run(|node, cx| node.on_request(request, Op::Increment(X), cx));
        assert_eq!(sent(&asked), to_all(&Msg::Set { object: X, token: token(1) }));
        holder
    }

    fn hear(&mut self, from: u16, round: u32, done: bool) -> Vec<Effect<Redlock>> {
        self.tell(from, Msg::Answer { token: token(1), round, done })
    }
}

fn sent(effects: &[Effect<Redlock>]) -> Vec<(NodeId, Msg)> {
    let msg = |effect: &Effect<Redlock>| match effect {
        Effect::Send(to, msg) => Some((*to, msg.clone())),
        _ => None,
    };
    effects.iter().filter_map(msg).collect()
}

fn to_all(msg: &Msg) -> Vec<(NodeId, Msg)> {
    (0..3).map(|server| (NodeId(server), msg.clone())).collect()
}

/// The bound of the hold that begins or goes on here.
fn bound(effects: &[Effect<Redlock>]) -> Option<Duration> {
    effects.iter().find_map(|effect| match effect {
        Effect::Complete(_, Step::Ok(Ret::Held { until, .. })) => Some(*until),
        _ => None,
    })
}

fn set(seq: u32) -> Msg {
    Msg::Set { object: X, token: token(seq) }
}

fn release(seq: u32) -> Msg {
    Msg::Release { object: X, token: token(seq) }
}

#[test]
fn r1_a_key_is_refused_until_it_runs_out_on_the_wall_clock() {
    let mut server = Machine::new(Role::LockServer);
    assert_eq!(server.answer(set(1)), Some(true));
    assert_eq!(server.answer(set(1)), Some(false), "a copy: NX");
    server.now += TTL * 2;
    assert_eq!(server.answer(set(2)), Some(false), "the monotonic clock says nothing");
    server.wall += TTL;
    assert_eq!(server.answer(set(2)), Some(true));
}

#[test]
fn r2_a_release_is_compared() {
    let mut server = Machine::new(Role::LockServer);
    server.answer(set(1));
    server.tell(9, release(2));
    assert_eq!(server.answer(set(3)), Some(false));
    server.tell(9, release(1));
    assert_eq!(server.answer(set(3)), Some(true));
}

#[test]
fn r3_an_extension_is_compared_and_comes_in_time() {
    let mut server = Machine::new(Role::LockServer);
    let extend = |seq| Msg::Extend { object: X, token: token(seq), round: 1 };
    server.answer(set(1));
    server.wall += TTL / 2;
    assert_eq!(server.answer(extend(2)), Some(false));
    assert_eq!(server.answer(extend(1)), Some(true));
    server.wall += TTL * 3 / 4;
    assert_eq!(server.answer(set(2)), Some(false), "a TTL from the extension");
    server.wall += TTL;
    assert_eq!(server.answer(extend(1)), Some(false), "it has run out");
}

#[test]
fn r4_a_restarted_server_is_silent_for_a_ttl() {
    let mut server = Machine::new(Role::LockServer);
    server.answer(set(1));
    server.restart(Role::LockServer);
    server.wall += TTL * 2;
    server.now += TTL - ms(1);
    assert_eq!(server.answer(set(2)), None, "on its monotonic clock");
    server.now += ms(1);
    assert_eq!(server.answer(set(2)), Some(true));
}

#[test]
fn r5_a_majority_of_servers_holds_from_the_question() {
    let mut holder = Machine::holder();
    holder.now = ms(40);
    assert!(sent(&holder.hear(1, 0, true)).is_empty());
    assert!(sent(&holder.hear(1, 0, true)).is_empty(), "a copy is no second server");
    assert!(
        sent(&holder.tell(2, Msg::Answer { token: token(7), round: 0, done: true })).is_empty()
    );
    assert_eq!(bound(&holder.hear(2, 0, true)), Some(VALIDITY));
    let mut late = Machine::holder();
    late.hear(1, 0, true);
    late.now = VALIDITY;
    let effects = late.hear(2, 0, true);
    assert_eq!((bound(&effects), sent(&effects)), (None, to_all(&release(1))));
}

#[test]
fn r6_without_a_majority_it_releases_everywhere() {
    let mut refused = Machine::holder();
    refused.hear(0, 0, true);
    assert!(sent(&refused.hear(1, 0, false)).is_empty(), "one of three may refuse");
    assert_eq!(sent(&refused.hear(2, 0, false)), to_all(&release(1)));
    let mut silent = Machine::holder();
    silent.hear(0, 0, true);
    assert_eq!(sent(&silent.fire(Timer::Round(token(1), 0))), to_all(&release(1)));
    assert_eq!(sent(&silent.fire(Timer::Again)), to_all(&set(2)), "by a new token");
}

#[test]
fn r6_waits_longer_after_each_that_came_to_nothing() {
    let mut holder = Machine::holder();
    let waits: Vec<Duration> = (1..=40)
        .map(|nth| {
            let effects = holder.fire(Timer::Round(token(nth), 0));
            holder.fire(Timer::Again);
            let waits = |effect: &Effect<Redlock>| match effect {
                Effect::SetTimer { after, timer: Timer::Again, .. } => Some(*after),
                _ => None,
            };
            effects.iter().find_map(waits).expect("it tries again")
        })
        .collect();
    let Config { back_off, patience, .. } = config(Role::Holder);
    assert!(waits[0] < back_off && back_off < patience * 4, "{waits:?}");
    // The same dice, and so the same share of the longest.
    assert!(waits[0] < waits[1], "{waits:?}");
    assert!(waits.iter().all(|wait| *wait < patience * 4) && waits[38] == waits[39], "{waits:?}");
}

/// A holder whose hold began at 0, and who asks for more at 430 ms.
fn extending() -> Machine {
    let mut holder = Machine::holder();
    holder.hear(0, 0, true);
    holder.hear(1, 0, true);
    holder.now = ms(430);
    let asked = sent(&holder.fire(Timer::Extend(token(1))));
    assert_eq!(asked, to_all(&Msg::Extend { object: X, token: token(1), round: 1 }));
    holder
}

#[test]
fn r7_an_extension_in_time_moves_the_bound() {
    let mut holder = extending();
    holder.now = ms(450);
    holder.hear(0, 1, true);
    assert_eq!(bound(&holder.hear(2, 1, true)), Some(ms(430) + VALIDITY));
}

#[test]
fn r7_one_that_fails_changes_nothing() {
    let mut holder = extending();
    assert!(sent(&holder.fire(Timer::Round(token(1), 1))).is_empty(), "the keys are needed");
    assert!(bound(&holder.hear(0, 1, true)).is_none());
    assert!(bound(&holder.hear(1, 1, true)).is_none(), "the round is over");
    let mut late = extending();
    late.hear(0, 1, true);
    late.now = VALIDITY;
    let effects = late.hear(1, 1, true);
    assert_eq!((bound(&effects), sent(&effects)), (None, to_all(&release(1))), "R8");
}

#[test]
fn r9_an_answer_ends_with_a_release_and_a_reply() {
    let mut holder = extending();
    let effects = holder.tell(3, Msg::Done { token: token(1), value: 5 });
    assert_eq!(sent(&effects), to_all(&release(1)));
    assert!(effects.contains(&Effect::CancelTimer(Timer::Extend(token(1)))));
    assert!(matches!(effects.last(), Some(Effect::Reply(..))));
    assert!(sent(&holder.fire(Timer::Extend(token(1)))).is_empty());
}
