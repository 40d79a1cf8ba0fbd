//! A worker: one order at a time, under its lease.

use super::{Cause, Config, Context, LockMsg, Locks, Msg, Order, Stage, Step, Timer, View};
use super::{Op, Ret, lease_config};
use crate::LeaseLock;
use crate::lease::Object;
use node::{NodeId, RequestId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What it has been asked about an order.
#[derive(Debug, Default)]
struct Asked {
    /// What somebody has placed.
    order: Option<Order>,
    /// Somebody has called it off.
    cancelled: bool,
    /// Whom to tell how it ends.
    requests: BTreeSet<RequestId>,
}

/// What an attempt waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Acquiring,
    Reading,
    Writing(Stage),
    Doing(Step),
    Undoing(Step, Cause),
}

/// One run at an order, under one lease.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    number: u32,
    /// Which of this life's.
    nth: u32,
    /// The bound of 5.7, on the own monotonic clock.
    until: Duration,
    /// Of the grant; 0 before it.
    fence: u64,
    phase: Phase,
    /// What is known of the order once its state is read or written.
    order: Option<Order>,
}

/// Between clients and the stores.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    server: NodeId,
    ttl: Duration,
    validity: Duration,
    asked: BTreeMap<u32, Asked>,
    /// Orders in turn; the first is being worked on.
    queue: VecDeque<u32>,
    /// None exactly while the queue is empty.
    attempt: Option<Attempt>,
    /// Attempts of this life.
    attempts: u32,
}

fn object(number: u32) -> Object {
    Object(number as u8)
}

impl Worker {
    pub(super) fn new(config: &Config, locks: &Locks) -> Self {
        Self {
            config: config.clone(),
            server: locks.server,
            ttl: locks.ttl,
            validity: lease_config(locks).validity(),
            asked: BTreeMap::new(),
            queue: VecDeque::new(),
            attempt: None,
            attempts: 0,
        }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        let asked = self.asked.entry(op.number()).or_default();
        asked.requests.insert(request);
        match op {
            Op::Place { order } => asked.order = asked.order.or(Some(order)),
            Op::Cancel { .. } => asked.cancelled = true,
        }
        self.enqueue(op.number(), cx);
    }

    fn enqueue(&mut self, number: u32, cx: &mut Context) {
        self.asked.entry(number).or_default();
        if !self.queue.contains(&number) {
            self.queue.push_back(number);
        }
        if self.attempt.is_none() {
            self.acquire(cx);
        }
    }

    /// A new attempt at the first order, if there is one.
    fn acquire(&mut self, cx: &mut Context) {
        let Some(&number) = self.queue.front() else { return };
        self.attempts += 1;
        // 5.7: from before the request leaves for the first time.
        let until = cx.now() + self.validity;
        let (nth, fence, phase) = (self.attempts, 0, Phase::Acquiring);
        self.attempt = Some(Attempt { number, nth, until, fence, phase, order: None });
        cx.set_timer(self.validity, Timer::Bound(nth));
        self.call(cx);
    }

    /// What the attempt waits to be answered, now and again until it is.
    fn call(&self, cx: &mut Context) {
        let Some(Attempt { number, nth, fence, phase, order, .. }) = self.attempt else { return };
        let shipping = self.config.shipping;
        match (phase, order) {
            (Phase::Acquiring, _) => {
                let acquire = LeaseLock::acquire(object(number), (cx.incarnation(), nth), self.ttl);
                cx.send(self.server, Msg::Lock(acquire));
            }
            (Phase::Reading, _) => cx.send(shipping, Msg::Read { number, fence }),
            (Phase::Writing(stage), Some(order)) => {
                cx.send(shipping, Msg::Write { order, stage, fence });
            }
            (Phase::Doing(step), Some(order)) => {
                cx.send(step.at(&self.config), Msg::Do { step, order, fence });
            }
            (Phase::Undoing(step, _), Some(order)) => {
                cx.send(step.at(&self.config), Msg::Undo { step, order, fence });
            }
            (_, None) => {} // nothing is done for an order that is not known
        }
        cx.set_timer(self.config.resend, Timer::Resend(nth));
    }

    fn go(&mut self, phase: Phase, cx: &mut Context) {
        if let Some(attempt) = &mut self.attempt {
            attempt.phase = phase;
            self.call(cx);
        }
    }

    pub(super) fn on_message(&mut self, msg: Msg, cx: &mut Context) {
        match msg {
            Msg::Lock(msg) => self.on_granted(&msg, cx),
            Msg::State { number, fence, state } if self.is_under(number, fence) => {
                self.on_state(state, cx);
            }
            Msg::Did { step, number, fence, done } if self.is_under(number, fence) => {
                self.on_did(step, done, cx);
            }
            Msg::Undone { step, number, fence } if self.is_under(number, fence) => {
                self.on_undone(step, cx);
            }
            Msg::Stale { number, fence } if self.is_under(number, fence) => self.stop(cx),
            Msg::Left { number } => {
                cx.mark("an order that was left alone was handed on");
                self.enqueue(number, cx);
            }
            _ => {} // to another attempt, or for another role
        }
    }

    fn is_under(&self, number: u32, fence: u64) -> bool {
        self.attempt.is_some_and(|attempt| (attempt.number, attempt.fence) == (number, fence))
    }

    fn on_granted(&mut self, msg: &LockMsg, cx: &mut Context) {
        let Some((object, (life, nth), fence)) = LeaseLock::granted(msg) else { return };
        match &mut self.attempt {
            Some(attempt) if (life, nth) == (cx.incarnation(), attempt.nth) => {
                if attempt.phase != Phase::Acquiring {
                    return; // a copy
                }
                attempt.fence = fence;
                // 5.7: it may have waited in line, or on its way, for too long.
                if cx.now() >= attempt.until {
                    cx.mark("a grant came too late to be used");
                    return self.stop(cx);
                }
                self.go(Phase::Reading, cx);
            }
            // Given up: nobody needs it.
            _ if life == cx.incarnation() => {
                cx.send(self.server, Msg::Lock(LeaseLock::release(object, fence)));
            }
            _ => {}
        }
    }

    /// How far the order is, as it was read or has just been written.
    fn on_state(&mut self, state: Option<(Order, Stage)>, cx: &mut Context) {
        let Some(attempt) = &mut self.attempt else { return };
        let stage = state.map(|(_, stage)| stage);
        match attempt.phase {
            Phase::Reading => {
                if let Some(Stage::Started | Stage::Paid) = stage {
                    cx.mark("an order under way was taken over");
                }
            }
            Phase::Writing(written) if stage == Some(written) => {}
            _ => return, // a copy
        }
        let asked = self.asked.get(&attempt.number);
        attempt.order = state.map(|(order, _)| order).or(asked.and_then(|asked| asked.order));
        match stage {
            None if attempt.order.is_some() => self.go(Phase::Writing(Stage::Started), cx),
            None => self.finish(Ret::Unknown, cx),
            Some(Stage::Started) => self.forward(Step::Reserve, cx),
            Some(Stage::Paid) => self.go(Phase::Doing(Step::Sell), cx),
            Some(Stage::Completed) => self.finish(Ret::Completed, cx),
            Some(Stage::Compensated { cause }) => self.finish(Ret::Compensated { cause }, cx),
        }
    }

    /// A step before the pivot, if nobody has called the order off. Under this fence the charge has
    /// not been called yet: a smaller one is refused when its undo is done.
    fn forward(&mut self, step: Step, cx: &mut Context) {
        let Some(attempt) = &self.attempt else { return };
        match self.asked.get(&attempt.number).is_some_and(|asked| asked.cancelled) {
            true => {
                cx.mark("an order was called off");
                self.go(Phase::Undoing(Step::Charge, Cause::Cancelled), cx);
            }
            false => self.go(Phase::Doing(step), cx),
        }
    }

    fn on_did(&mut self, step: Step, done: bool, cx: &mut Context) {
        if self.attempt.is_none_or(|attempt| attempt.phase != Phase::Doing(step)) {
            return; // a copy
        }
        match step {
            Step::Reserve if done => self.forward(Step::Charge, cx),
            Step::Reserve => {
                cx.mark("an order was sold out");
                let cause = Cause::SoldOut;
                self.go(Phase::Writing(Stage::Compensated { cause }), cx);
            }
            Step::Charge if done => self.go(Phase::Writing(Stage::Paid), cx),
            Step::Charge => {
                cx.mark("the pivot was refused");
                self.go(Phase::Undoing(Step::Reserve, Cause::Declined), cx);
            }
            Step::Sell | Step::Ship => self.go(Phase::Writing(Stage::Completed), cx),
        }
    }

    fn on_undone(&mut self, step: Step, cx: &mut Context) {
        match self.attempt.map(|attempt| attempt.phase) {
            Some(Phase::Undoing(undoing, cause)) if undoing == step => match step {
                Step::Charge => self.go(Phase::Undoing(Step::Reserve, cause), cx),
                _ => self.go(Phase::Writing(Stage::Compensated { cause }), cx),
            },
            _ => {} // a copy
        }
    }

    pub(super) fn on_resend(&mut self, nth: u32, cx: &mut Context) {
        if self.attempt.is_some_and(|attempt| attempt.nth == nth) {
            self.call(cx);
        }
    }

    /// 5.7
    pub(super) fn on_bound(&mut self, nth: u32, cx: &mut Context) {
        if self.attempt.is_some_and(|attempt| attempt.nth == nth) {
            cx.mark("a worker stopped at its bound");
            self.stop(cx);
        }
    }

    /// The attempt has ended, and the order has not.
    fn stop(&mut self, cx: &mut Context) {
        self.queue.rotate_left(1);
        self.release(cx);
    }

    /// Everybody is told.
    fn finish(&mut self, ret: Ret, cx: &mut Context) {
        if let Some(number) = self.queue.pop_front() {
            let asked = self.asked.remove(&number).unwrap_or_default();
            asked.requests.into_iter().for_each(|request| cx.reply(request, ret));
        }
        self.release(cx);
    }

    fn release(&mut self, cx: &mut Context) {
        if let Some(Attempt { number, nth, fence, .. }) = self.attempt.take() {
            cx.cancel_timer(Timer::Resend(nth));
            cx.cancel_timer(Timer::Bound(nth));
            if fence != 0 {
                cx.send(self.server, Msg::Lock(LeaseLock::release(object(number), fence)));
            }
        }
        self.acquire(cx);
    }

    pub(super) fn view(&self) -> View {
        View { open: self.queue.iter().copied().collect(), ..View::default() }
    }
}
