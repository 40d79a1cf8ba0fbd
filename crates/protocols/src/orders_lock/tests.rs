//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here};
use std::time::Duration;

type Effects = Vec<Effect<OrdersLock>>;

const SERVER: NodeId = NodeId(0);
const STOCK: NodeId = NodeId(1);
const PAYMENT: NodeId = NodeId(2);
const SHIPPING: NodeId = NodeId(3);
const WORKERS: [NodeId; 2] = [NodeId(4), NodeId(5)];
const TTL: Duration = Duration::from_millis(100);
const ORDER: Order = Order { number: 7, customer: 1, item: 0, quantity: 2 };
const NUMBER: u32 = ORDER.number;
const X: lease::Object = lease::Object(NUMBER as u8);

fn config(role: Role) -> Config {
    let locks = Locks { server: SERVER, workers: WORKERS.to_vec(), ttl: TTL, drift_ppm: 0 };
    Config {
        role,
        stock: STOCK,
        payment: PAYMENT,
        shipping: SHIPPING,
        opening: 3,
        resend: Duration::from_millis(10),
        patience: Duration::from_millis(50),
        locks: Some(locks),
    }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

/// A node and the log that it writes.
struct Machine {
    node: OrdersLock,
    role: Role,
    log: Vec<Record>,
    now: Duration,
}

impl Machine {
    fn new(role: Role) -> Self {
        let node = OrdersLock::new(WORKERS[0], &config(role));
        Self { node, role, log: Vec::new(), now: Duration::ZERO }
    }

    /// What is written, sent and replied.
    fn run(&mut self, f: impl FnOnce(&mut OrdersLock, &mut Context)) -> Effects {
        let now_nanos = self.now.as_nanos() as u64;
        let mut cx = Cx::new(Here { me: WORKERS[0], now_nanos, ..Here::default() });
        f(&mut self.node, &mut cx);
        let mut effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) | Effect::Persist(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.retain(|effect| {
            matches!(effect, Effect::Force(_) | Effect::Send(..) | Effect::Reply(..))
        });
        effects
    }

    fn restart(&mut self) -> Effects {
        self.node = OrdersLock::new(WORKERS[0], &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn ask(&mut self, call: u32, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(WORKERS[0], msg, cx))
    }

    /// A worker whose order's state is read under this fence.
    fn worker(fence: u64, state: Option<(Order, Stage)>) -> (Self, Effects) {
        let mut worker = Self::new(Role::Worker);
        worker.ask(0, Op::Place { order: ORDER });
        let effects = worker.hear(granted(1, fence));
        assert_eq!(effects, [Effect::Send(SHIPPING, Msg::Read { number: NUMBER, fence })]);
        let effects = worker.hear(Msg::State { number: NUMBER, fence, state });
        (worker, effects)
    }
}

/// What a lock server says to the worker's attempt of this number.
fn granted(nth: u32, fence: u64) -> Msg {
    let mut server = Machine::new(Role::LockServer);
    for earlier in 1..fence {
        let acquire = LeaseLock::acquire(lease::Object(200 + earlier as u8), (1, 0), TTL);
        server.run(|node, cx| node.on_message(NodeId(50 + earlier as u16), Msg::Lock(acquire), cx));
    }
    let effects = server.hear(Msg::Lock(LeaseLock::acquire(X, (1, nth), TTL)));
    match effects.last() {
        Some(Effect::Send(_, msg)) => msg.clone(),
        other => panic!("no grant: {other:?}"),
    }
}

fn told(msg: Msg) -> Effect<OrdersLock> {
    Effect::Send(WORKERS[0], msg)
}

fn write(stage: Stage, fence: u64) -> Effect<OrdersLock> {
    Effect::Send(SHIPPING, Msg::Write { order: ORDER, stage, fence })
}

fn call(step: Step, fence: u64) -> Effect<OrdersLock> {
    let at = step.at(&config(Role::Worker));
    Effect::Send(at, Msg::Do { step, order: ORDER, fence })
}

fn undo(step: Step, fence: u64) -> Effect<OrdersLock> {
    let at = step.at(&config(Role::Worker));
    Effect::Send(at, Msg::Undo { step, order: ORDER, fence })
}

fn did(step: Step, fence: u64, done: bool) -> Msg {
    Msg::Did { step, number: NUMBER, fence, done }
}

fn state(stage: Stage, fence: u64) -> Msg {
    Msg::State { number: NUMBER, fence, state: Some((ORDER, stage)) }
}

/// Each call is answered before the next one is made; at the end everybody is told.
#[test]
fn an_order_goes_through_its_steps() {
    let (mut worker, effects) = Machine::worker(1, None);
    assert_eq!(effects, [write(Stage::Started, 1)]);
    assert_eq!(worker.ask(1, Op::Place { order: ORDER }), [], "it is being worked on");
    assert_eq!(worker.hear(state(Stage::Started, 1)), [call(Step::Reserve, 1)]);
    assert_eq!(worker.hear(state(Stage::Started, 1)), [], "a copy");
    assert_eq!(worker.hear(did(Step::Reserve, 1, true)), [call(Step::Charge, 1)]);
    assert_eq!(worker.hear(did(Step::Reserve, 1, true)), [], "a copy");
    assert_eq!(worker.hear(did(Step::Charge, 1, true)), [write(Stage::Paid, 1)]);
    assert_eq!(worker.hear(state(Stage::Paid, 1)), [call(Step::Sell, 1)]);
    assert_eq!(worker.hear(did(Step::Sell, 1, true)), [write(Stage::Completed, 1)]);
    let reply = |call| Effect::Reply(request(call), Answer::Ok(Ret::Completed));
    let release = Effect::Send(SERVER, Msg::Lock(LeaseLock::release(X, 1)));
    assert_eq!(worker.hear(state(Stage::Completed, 1)), [reply(0), reply(1), release]);
}

/// A charge that may be on its way under a smaller fence is undone before the reservation.
#[test]
fn an_order_that_is_called_off_is_undone_from_the_charge_on() {
    let (mut worker, _) = Machine::worker(2, Some((ORDER, Stage::Started)));
    assert_eq!(worker.ask(1, Op::Cancel { number: NUMBER }), []);
    assert_eq!(worker.hear(did(Step::Reserve, 2, true)), [undo(Step::Charge, 2)]);
    let undone = |step| Msg::Undone { step, number: NUMBER, fence: 2 };
    assert_eq!(worker.hear(undone(Step::Charge)), [undo(Step::Reserve, 2)]);
    let stage = Stage::Compensated { cause: Cause::Cancelled };
    assert_eq!(worker.hear(undone(Step::Reserve)), [write(stage, 2)]);
}

/// What is paid is completed, whoever calls it off.
#[test]
fn a_paid_order_goes_on() {
    let (mut worker, effects) = Machine::worker(2, Some((ORDER, Stage::Paid)));
    assert_eq!(effects, [call(Step::Sell, 2)]);
    worker.ask(1, Op::Cancel { number: NUMBER });
    assert_eq!(worker.hear(did(Step::Sell, 2, true)), [write(Stage::Completed, 2)]);
}

/// 5.7: at the bound it stops, and asks anew; answers to the old attempt do not count.
#[test]
fn a_worker_stops_at_its_bound() {
    let (mut worker, _) = Machine::worker(1, Some((ORDER, Stage::Started)));
    let effects = worker.run(|node, cx| node.on_timer(Timer::Bound(1), cx));
    let release = Effect::Send(SERVER, Msg::Lock(LeaseLock::release(X, 1)));
    let acquire = Effect::Send(SERVER, Msg::Lock(LeaseLock::acquire(X, (1, 2), TTL)));
    assert_eq!(effects, [release, acquire.clone()]);
    assert_eq!(worker.hear(did(Step::Reserve, 1, true)), []);
    worker.now = 2 * TTL;
    let release = Effect::Send(SERVER, Msg::Lock(LeaseLock::release(X, 2)));
    let again = Effect::Send(SERVER, Msg::Lock(LeaseLock::acquire(X, (1, 3), TTL)));
    assert_eq!(worker.hear(granted(2, 2)), [release, again], "it comes too late");
}

/// The effect, its row and its fence are one record; a row that is there is answered again.
#[test]
fn a_step_is_done_once() {
    let (step, order) = (Step::Reserve, ORDER);
    let mut stock = Machine::new(Role::Stock);
    let forced = Effect::Force(Record::Did { step, order, fence: 1, done: true });
    let answer = |fence| told(did(step, fence, true));
    assert_eq!(stock.hear(Msg::Do { step, order, fence: 1 }), [forced, answer(1)]);
    assert_eq!(stock.hear(Msg::Do { step, order, fence: 1 }), [answer(1)]);
    stock.restart();
    let token = Effect::Force(Record::Token { number: NUMBER, fence: 2 });
    assert_eq!(stock.hear(Msg::Do { step, order, fence: 2 }), [token, answer(2)], "5.9");
    assert_eq!(stock.node.view().taken.into_values().collect::<Vec<_>>(), [2]);
}

/// 5.8, 5.9: an undo that finds nothing registers its fence, also for the next life.
#[test]
fn a_step_that_comes_late_is_refused() {
    let (step, order) = (Step::Charge, ORDER);
    let mut payment = Machine::new(Role::Payment);
    let token = Effect::Force(Record::Token { number: NUMBER, fence: 2 });
    let undone = told(Msg::Undone { step, number: NUMBER, fence: 2 });
    assert_eq!(payment.hear(Msg::Undo { step, order, fence: 2 }), [token, undone]);
    payment.restart();
    let stale = told(Msg::Stale { number: NUMBER, fence: 1 });
    assert_eq!(payment.hear(Msg::Do { step, order, fence: 1 }), [stale]);
    assert_eq!(OrdersLock::durable(&payment.log), Durable::default());
}

/// What is undone is not done by a copy.
#[test]
fn an_undone_step_stays_undone() {
    let (step, order) = (Step::Reserve, ORDER);
    let mut stock = Machine::new(Role::Stock);
    stock.hear(Msg::Do { step, order, fence: 1 });
    stock.hear(Msg::Undo { step, order, fence: 1 });
    assert_eq!(stock.hear(Msg::Do { step, order, fence: 1 }), [told(did(step, 1, false))]);
    let moves = [false, true].map(|back| Move { step, back, order });
    assert_eq!(OrdersLock::durable(&stock.log).moves, moves);
}

/// An order only goes on, and what is left alone is handed to one worker after the other.
#[test]
fn the_state_of_an_order_only_goes_on() {
    let mut shipping = Machine::new(Role::Shipping);
    let mut write = |stage, fence| shipping.hear(Msg::Write { order: ORDER, stage, fence });
    let wrote = |stage, fence| Effect::Force(Record::Wrote { order: ORDER, stage, fence });
    let told_of = |stage, fence| told(state(stage, fence));
    let (started, paid) = (Stage::Started, Stage::Paid);
    assert_eq!(write(started, 1), [wrote(started, 1), told_of(started, 1)]);
    assert_eq!(write(paid, 1), [wrote(paid, 1), told_of(paid, 1)]);
    assert_eq!(write(started, 1), [told_of(paid, 1)], "a copy");
    let left = |worker| Effect::Send(worker, Msg::Left { number: NUMBER });
    for worker in [WORKERS[0], WORKERS[1], WORKERS[0]] {
        let effects = shipping.run(|node, cx| node.on_timer(Timer::Left(NUMBER), cx));
        assert_eq!(effects, [left(worker)]);
    }
    let read = Msg::Read { number: NUMBER, fence: 2 };
    let token = Effect::Force(Record::Token { number: NUMBER, fence: 2 });
    assert_eq!(shipping.hear(read), [token, told(state(paid, 2))]);
    let late = Msg::Write { order: ORDER, stage: Stage::Completed, fence: 1 };
    assert_eq!(shipping.hear(late), [told(Msg::Stale { number: NUMBER, fence: 1 })]);
    assert_eq!(OrdersLock::durable(&shipping.log).ends, []);
}
