//! Orders under a lock: one worker at a time sees to an order, and whatever is done is done once.
//!
//! Clients ask any *worker*. It takes the order's lease at the *lock server*, the one of
//! [`LeaseLock`](crate::LeaseLock), and then does the steps: *stock*, *payment*, and *shipping*,
//! which keeps the state of orders too. The lock alone protects nothing: a lease runs out in the
//! middle of an order, and its holder does not know. So every store checks the fence, and keeps an
//! operation's name with its effect.
//!
//! # Worker
//!
//! One order at a time. Everybody who asks is told how the order ended, once it has.
//!
//! - Upon a request: `Acquire` the order's lease; upon the grant: `Read` the order's state.
//! - It has none: write `Started`, if somebody has placed it.
//! - `Started`: reserve, charge, write `Paid`. Then nothing but the end is left: sell, and write
//!   `Completed`, which ships it.
//! - Reserving is refused: write `Compensated`. Charging is: undo the reservation first.
//! - A client has called the order off, and it is not `Paid`: undo the charge, whether or not it
//!   is done, then the reservation; then write `Compensated`.
//! - Each call is sent again until it is answered, and nothing else is called before.
//! - **5.7** At the bound of its lease, or when a store knows a higher fence, it stops, and asks
//!   for a new lease at the end of its queue. What it has left half done the next holder finds.
//!
//! # Stores
//!
//! - **5.8** A call under a smaller fence than the order's highest is refused. The fence is in one
//!   record with the effect.
//! - **5.9** A call that changes nothing registers its fence too, forced before its answer: a read,
//!   a step that is done already, **an undo that finds nothing to undo**. That is what keeps a step
//!   that its late worker has sent before from being done after.
//! - A step's name, (order, step), is in one record with its effect: a row that is there is
//!   answered again; what was refused or undone is never done.
//! - The state of an order only goes on: `Started`, `Paid`, `Completed`; `Started`, `Compensated`.
//! - An order that has begun and is left alone is given to a worker: a lock is no transaction, and
//!   somebody must finish what a dead holder has begun.
//!
//! # Costs
//!
//! Of an order that is completed: 17 messages and 8 forces; acquire, read, three writes and three
//! steps with their answers and a force each, and a release.
//!
//! # Deviations
//!
//! - The lock server keeps one request of each owner in line, so a worker wants one at a time.
//! - What is placed again under an order's number is taken for a copy of it, whatever it is.
//! - Rows and fences are kept for ever; nobody knows when the last copy of a call has come.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss, and **whatever leases run
//! out**: an order is completed or compensated, and everybody is told the same; what is completed
//! is paid, sold and shipped, once; what is compensated leaves neither stock nor coins taken. When
//! faults have ended, every order ends, if a lease is long enough for all of its steps.
//!
//! **Cannot**: isolate, as a saga cannot; keep a paused worker from calling (the stores refuse it);
//! go on while the lock server or a store is down.

mod book;
mod service;
#[cfg(test)]
mod tests;
mod worker;

use super::order::{Cause, Config, Durable, End, Locks, Move, Op, Order, Ret, Role, Step, View};
use crate::{LeaseLock, lease};
use book::Book;
use node::{Cx, Effect, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use service::Service;
use worker::Worker;

type LockMsg = <LeaseLock as Node>::Msg;
type LockRecord = <LeaseLock as Node>::Record;
type LockTimer = <LeaseLock as Node>::Timer;

/// How far an order has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Steps before the payment, and that itself, may be done.
    Started,
    /// It will be completed.
    Paid,
    /// It is shipped.
    Completed,
    /// Nothing is left of it.
    Compensated { cause: Cause },
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// To the lock server, and from it.
    Lock(LockMsg),
    /// Worker to shipping: how far is the order?
    Read { number: u32, fence: u64 },
    /// Worker to shipping: it has come so far.
    Write { order: Order, stage: Stage, fence: u64 },
    /// Shipping to worker: how far it is now.
    State { number: u32, fence: u64, state: Option<(Order, Stage)> },
    /// Worker to service: do it.
    Do { step: Step, order: Order, fence: u64 },
    /// Service to worker: it is done; or it is not, for good.
    Did { step: Step, number: u32, fence: u64, done: bool },
    /// Worker to service: let it not be done.
    Undo { step: Step, order: Order, fence: u64 },
    /// Service to worker: it is not done, and no smaller fence will do it.
    Undone { step: Step, number: u32, fence: u64 },
    /// Store to worker: a higher fence is known.
    Stale { number: u32, fence: u64 },
    /// Shipping to worker: this order is left alone.
    Left { number: u32 },
}

/// What stands in the logs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Of the lock server.
    Lock(LockRecord),
    /// Stores: a call that changed nothing registered its fence.
    Token { number: u32, fence: u64 },
    /// Service: the effect, its row and its fence; or those of a refusal.
    Did { step: Step, order: Order, fence: u64, done: bool },
    /// Service: what was done is undone.
    Undid { step: Step, order: Order, fence: u64 },
    /// Shipping: an order has come so far.
    Wrote { order: Order, stage: Stage, fence: u64 },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Of the lock server.
    Lock(LockTimer),
    /// Worker: no answer yet, in its attempt of this number.
    Resend(u32),
    /// Worker: that attempt's lease is at its bound.
    Bound(u32),
    /// Shipping: nobody has seen to this order.
    Left(u32),
}

/// One node of an order service.
#[derive(Debug)]
pub enum OrdersLock {
    /// Grants leases.
    LockServer(LeaseLock),
    /// Takes orders.
    Worker(Worker),
    /// Stock, payment.
    Service(Service),
    /// Shipping, with the state of orders.
    Book(Book),
}

type Context = Cx<OrdersLock>;

/// The lock server as it is, in this cluster's words.
fn embedded(cx: &mut Context, run: impl FnOnce(&mut Cx<LeaseLock>)) {
    let mut inner = Cx::new(cx.context.clone());
    run(&mut inner);
    let wrap = |effect| match effect {
        Effect::Persist(one) => Some(Effect::Persist(Record::Lock(one))),
        Effect::Force(one) => Some(Effect::Force(Record::Lock(one))),
        Effect::Snapshot(all) => {
            Some(Effect::Snapshot(all.into_iter().map(Record::Lock).collect()))
        }
        Effect::Send(to, one) => Some(Effect::Send(to, Msg::Lock(one))),
        Effect::SetTimer { after, timer, background } => {
            Some(Effect::SetTimer { after, timer: Timer::Lock(timer), background })
        }
        Effect::CancelTimer(one) => Some(Effect::CancelTimer(Timer::Lock(one))),
        Effect::Mark(label) => Some(Effect::Mark(label)),
        // A lock server has no clients.
        Effect::Reply(..) | Effect::Invoke(..) | Effect::Complete(..) => None,
    };
    let effects = inner.buffer().drain(..);
    let effects = effects.filter_map(|(effect, place)| wrap(effect).map(|effect| (effect, place)));
    cx.buffer().extend(effects);
    cx.context = inner.context;
}

/// What the lock server is told of its installation, and holders of leases.
fn lease_config(locks: &Locks) -> lease::Config {
    lease::Config {
        role: lease::Role::LockServer,
        server: locks.server,
        ttl: locks.ttl,
        drift_ppm: locks.drift_ppm,
        ..lease::Config::default()
    }
}

impl Node for OrdersLock {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(me: NodeId, config: &Config) -> Self {
        match (config.role, &config.locks) {
            (Role::LockServer, Some(locks)) => {
                Self::LockServer(LeaseLock::new(me, &lease_config(locks)))
            }
            (Role::Worker, Some(locks)) => Self::Worker(Worker::new(config, locks)),
            (Role::Shipping, Some(locks)) => Self::Book(Book::new(config, locks)),
            (_, _) => Self::Service(Service::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::LockServer(server) => {
                let own = |record: &Record| match record {
                    Record::Lock(record) => Some(record.clone()),
                    _ => None,
                };
                let log: Vec<LockRecord> = log.iter().filter_map(own).collect();
                embedded(cx, |cx| server.on_start(&log, cx));
            }
            Self::Worker(_) => {} // all it knows is volatile
            Self::Service(service) => service.on_start(log),
            Self::Book(book) => book.on_start(log, cx),
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Worker(worker) => worker.on_request(request, op, cx),
            _ => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::LockServer(server), Msg::Lock(msg)) => {
                embedded(cx, |cx| server.on_message(from, msg, cx));
            }
            (Self::Service(service), msg) => service.on_message(from, msg, cx),
            (Self::Book(book), msg) => book.on_message(from, msg, cx),
            (Self::Worker(worker), msg) => worker.on_message(msg, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::LockServer(server), Timer::Lock(timer)) => {
                embedded(cx, |cx| server.on_timer(timer, cx));
            }
            (Self::Worker(worker), Timer::Resend(attempt)) => worker.on_resend(attempt, cx),
            (Self::Worker(worker), Timer::Bound(attempt)) => worker.on_bound(attempt, cx),
            (Self::Book(book), Timer::Left(number)) => book.on_left(number, cx),
            (_, _) => {} // each sets its own
        }
    }
}

impl Observe for OrdersLock {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match *record {
                Record::Did { step, order, done: true, .. } => {
                    durable.moves.push(Move { step, back: false, order });
                }
                Record::Undid { step, order, .. } => {
                    durable.moves.push(Move { step, back: true, order });
                }
                Record::Wrote { order, stage: Stage::Completed, .. } => {
                    durable.moves.push(Move { step: Step::Ship, back: false, order });
                    durable.ends.push((order.number, End::Completed));
                }
                Record::Wrote { order, stage: Stage::Compensated { .. }, .. } => {
                    durable.ends.push((order.number, End::Compensated));
                }
                _ => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::LockServer(_) => View::default(),
            Self::Worker(worker) => worker.view(),
            Self::Service(service) => service.view(),
            Self::Book(book) => book.view(),
        }
    }
}
