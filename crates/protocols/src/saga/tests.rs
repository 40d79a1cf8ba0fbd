//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};
use std::time::Duration;

type Effects = Vec<Effect<Saga>>;

const ORCHESTRATOR: NodeId = NodeId(0);
const STOCK: NodeId = NodeId(1);
const PAYMENT: NodeId = NodeId(2);
const SHIPPING: NodeId = NodeId(3);
const ORDER: Order = Order { number: 7, customer: 1, item: 0, quantity: 2 };
const NUMBER: u32 = ORDER.number;

fn config(role: Role) -> Config {
    Config {
        role,
        stock: STOCK,
        payment: PAYMENT,
        shipping: SHIPPING,
        opening: 3,
        resend: Duration::from_millis(10),
        patience: Duration::from_millis(100),
        locks: None,
    }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

/// A node and the log that it writes.
struct Machine {
    node: Saga,
    role: Role,
    log: Vec<Record>,
    here: Here,
}

impl Machine {
    fn new(role: Role) -> Self {
        let me = match role {
            Role::Orchestrator => ORCHESTRATOR,
            Role::Stock => STOCK,
            Role::Payment => PAYMENT,
            _ => SHIPPING,
        };
        let here = Here { me, ..Here::default() };
        Self { node: Saga::new(me, &config(role)), role, log: Vec::new(), here }
    }

    fn run(&mut self, f: impl FnOnce(&mut Saga, &mut Context)) -> Effects {
        let mut cx = Cx::new(self.here.clone());
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) | Effect::Persist(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects
    }

    fn restart(&mut self) -> Effects {
        self.here.incarnation += 1;
        self.node = Saga::new(self.here.me, &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn ask(&mut self, call: u32, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    /// The order is placed, and the steps before this one are done.
    fn forward(to: Step) -> Self {
        let mut orchestrator = Self::new(Role::Orchestrator);
        orchestrator.ask(0, Op::Place { order: ORDER });
        for step in Step::ALL.into_iter().filter(|step| *step < to) {
            orchestrator.did(step, true);
        }
        orchestrator
    }

    fn did(&mut self, step: Step, done: bool) -> Effects {
        let from = step.at(&config(Role::Orchestrator));
        let msg = Msg::Did { step, number: ORDER.number, done };
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn compensated(&mut self, step: Step) -> Effects {
        let from = step.at(&config(Role::Orchestrator));
        let msg = Msg::Compensated { step, number: ORDER.number };
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn ring(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    /// At a service: what it answers to a call, and what it has forced before.
    fn called(&mut self, msg: Msg) -> (Vec<Record>, Vec<(NodeId, Msg)>) {
        let effects = self.run(|node, cx| node.on_message(ORCHESTRATOR, msg, cx));
        (forced(&effects), sent(&effects))
    }

    fn taken(&self) -> Vec<i64> {
        self.node.view().taken.into_values().collect()
    }
}

fn sent(effects: &Effects) -> Vec<(NodeId, Msg)> {
    let message = |effect: &Effect<Saga>| match effect {
        Effect::Send(to, msg) => Some((*to, msg.clone())),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

fn forced(effects: &Effects) -> Vec<Record> {
    let record = |effect: &Effect<Saga>| match effect {
        Effect::Force(record) => Some(record.clone()),
        _ => None,
    };
    effects.iter().filter_map(record).collect()
}

fn replies(effects: &Effects) -> Vec<(u32, Ret)> {
    let reply = |effect: &Effect<Saga>| match effect {
        Effect::Reply(request, Answer::Ok(ret)) => Some((request.call, *ret)),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

/// Without marks: what is written and sent, in order.
fn acts(effects: &Effects) -> Vec<Effect<Saga>> {
    let acts = |effect: &&Effect<Saga>| matches!(effect, Effect::Force(_) | Effect::Send(..));
    effects.iter().filter(acts).cloned().collect()
}

fn call(step: Step) -> (NodeId, Msg) {
    (step.at(&config(Role::Orchestrator)), Msg::Do { step, order: ORDER })
}

fn compensate(step: Step) -> (NodeId, Msg) {
    (step.at(&config(Role::Orchestrator)), Msg::Compensate { step, order: ORDER })
}

/// 11.1: forced before the call, and after it.
#[test]
fn the_log_is_ahead_of_every_call() {
    let mut orchestrator = Machine::new(Role::Orchestrator);
    let effects = orchestrator.ask(0, Op::Place { order: ORDER });
    let (to, msg) = call(Step::Reserve);
    let started = Effect::Force(Record::Started { order: ORDER });
    assert_eq!(acts(&effects), [started, Effect::Send(to, msg)]);
    for (step, next) in Step::ALL.into_iter().zip(&Step::ALL[1..]) {
        let done = Effect::Force(Record::Done { number: NUMBER, step });
        let (to, msg) = call(*next);
        assert_eq!(acts(&orchestrator.did(step, true)), [done, Effect::Send(to, msg)]);
    }
    let effects = orchestrator.did(Step::Ship, true);
    assert_eq!(forced(&effects), [Record::Done { number: NUMBER, step: Step::Ship }]);
    assert_eq!((sent(&effects), replies(&effects)), (vec![], vec![(0, Ret::Completed)]));
    assert_eq!(orchestrator.did(Step::Ship, true), [], "a copy");
}

/// An order is one order, however often it is placed; everybody is told how it ended.
#[test]
fn an_order_is_placed_once() {
    let mut orchestrator = Machine::forward(Step::Ship);
    assert_eq!(orchestrator.ask(0, Op::Place { order: ORDER }), [], "a copy");
    assert_eq!(orchestrator.ask(1, Op::Place { order: ORDER }), []);
    let effects = orchestrator.did(Step::Ship, true);
    assert_eq!(replies(&effects), [(0, Ret::Completed), (1, Ret::Completed)]);
    orchestrator.restart();
    let effects = orchestrator.ask(2, Op::Place { order: ORDER });
    assert_eq!((sent(&effects), replies(&effects)), (vec![], vec![(2, Ret::Completed)]));
    let effects = orchestrator.ask(3, Op::Cancel { number: 8 });
    assert_eq!(effects, [Effect::Reply(request(3), Answer::Ok(Ret::Unknown))]);
}

/// 11.2: the refused step is not done, those before it are; the last one first.
#[test]
fn a_refused_pivot_compensates_what_is_before_it() {
    let mut orchestrator = Machine::forward(Step::Charge);
    let effects = orchestrator.did(Step::Charge, false);
    let (cause, unwind) = (Cause::Declined, Some(Step::Reserve));
    let aborted = Effect::Force(Record::Aborted { number: NUMBER, cause, unwind });
    let (to, msg) = compensate(Step::Reserve);
    assert_eq!(acts(&effects), [aborted, Effect::Send(to, msg)]);
    let effects = orchestrator.compensated(Step::Reserve);
    assert_eq!(replies(&effects), [(0, Ret::Compensated { cause })]);
    assert!(effects.contains(&Effect::Persist(Record::Ended { number: NUMBER })));
}

/// Nothing has been done, and so nothing is compensated.
#[test]
fn a_first_step_that_is_refused_ends_the_order() {
    let mut orchestrator = Machine::forward(Step::Reserve);
    let effects = orchestrator.did(Step::Reserve, false);
    let cause = Cause::SoldOut;
    assert_eq!(forced(&effects), [Record::Aborted { number: NUMBER, cause, unwind: None }]);
    assert_eq!(sent(&effects), []);
    assert_eq!(replies(&effects), [(0, Ret::Compensated { cause })]);
    assert!(orchestrator.restart().is_empty(), "it has ended");
}

/// 11.2: the step that may be done is compensated too, and before the others.
#[test]
fn what_may_be_done_is_compensated() {
    for cause in [Cause::Late, Cause::Cancelled] {
        let mut orchestrator = Machine::forward(Step::Charge);
        let effects = match cause {
            Cause::Late => orchestrator.ring(Timer::Patience(NUMBER)),
            _ => orchestrator.ask(1, Op::Cancel { number: NUMBER }),
        };
        let unwind = Some(Step::Charge);
        assert_eq!(forced(&effects), [Record::Aborted { number: NUMBER, cause, unwind }]);
        assert_eq!(sent(&effects), [compensate(Step::Charge)]);
        assert_eq!(orchestrator.did(Step::Charge, true), [], "the answer comes too late");
        assert_eq!(sent(&orchestrator.compensated(Step::Charge)), [compensate(Step::Reserve)]);
        assert_eq!(orchestrator.compensated(Step::Charge), [], "a copy");
        assert_eq!(replies(&orchestrator.compensated(Step::Reserve))[0].0, 0);
    }
}

/// 11.4: when the pivot is done, nothing but the end is left.
#[test]
fn after_the_pivot_there_is_no_way_back() {
    let mut orchestrator = Machine::forward(Step::Sell);
    assert_eq!(acts(&orchestrator.ring(Timer::Patience(NUMBER))), []);
    assert_eq!(acts(&orchestrator.ask(1, Op::Cancel { number: NUMBER })), []);
    orchestrator.did(Step::Sell, true);
    let effects = orchestrator.did(Step::Ship, true);
    assert_eq!(replies(&effects), [(0, Ret::Completed), (1, Ret::Completed)]);
}

/// 11.3: a call is sent until it is answered, in either direction, and by the next life too.
#[test]
fn calls_are_sent_until_they_are_answered() {
    let mut orchestrator = Machine::forward(Step::Sell);
    assert_eq!(sent(&orchestrator.ring(Timer::Call(NUMBER))), [call(Step::Sell)]);
    assert_eq!(sent(&orchestrator.restart()), [call(Step::Sell)]);
    let mut orchestrator = Machine::forward(Step::Charge);
    orchestrator.ring(Timer::Patience(NUMBER));
    orchestrator.compensated(Step::Charge);
    assert_eq!(sent(&orchestrator.ring(Timer::Call(NUMBER))), [compensate(Step::Reserve)]);
    assert_eq!(sent(&orchestrator.restart()), [compensate(Step::Charge)], "from where it aborted");
}

/// 11.3: the effect and its row are one record, and what is there is answered again.
#[test]
fn a_step_is_done_once() {
    let mut stock = Machine::new(Role::Stock);
    let (step, order) = (Step::Reserve, ORDER);
    let answer = |done| vec![(ORCHESTRATOR, Msg::Did { step, number: NUMBER, done })];
    let did = Record::Did { step, order, done: true };
    assert_eq!(stock.called(Msg::Do { step, order }), (vec![did], answer(true)));
    assert_eq!(stock.called(Msg::Do { step, order }), (vec![], answer(true)));
    stock.restart();
    assert_eq!(stock.called(Msg::Do { step, order }), (vec![], answer(true)));
    assert_eq!(stock.taken(), [2]);
}

/// 11.3: what was refused stays refused, also when there is enough.
#[test]
fn a_refusal_is_for_good() {
    let mut stock = Machine::new(Role::Stock);
    let (step, order) = (Step::Reserve, ORDER);
    let first = Order { number: 6, ..ORDER };
    stock.called(Msg::Do { step, order: first });
    let did = Record::Did { step, order, done: false };
    let answer = vec![(ORCHESTRATOR, Msg::Did { step, number: NUMBER, done: false })];
    assert_eq!(stock.called(Msg::Do { step, order }), (vec![did], answer.clone()));
    stock.called(Msg::Compensate { step, order: first });
    assert_eq!(stock.taken(), [0]);
    assert_eq!(stock.called(Msg::Do { step, order }), (vec![], answer));
}

/// 11.3: undone once, with its row in the same record.
#[test]
fn a_compensation_is_done_once() {
    let mut payment = Machine::new(Role::Payment);
    let (step, order) = (Step::Charge, ORDER);
    let answer = vec![(ORCHESTRATOR, Msg::Compensated { step, number: NUMBER })];
    payment.called(Msg::Do { step, order });
    let undid = Record::Undid { step, order, undone: true };
    assert_eq!(payment.called(Msg::Compensate { step, order }), (vec![undid], answer.clone()));
    assert_eq!(payment.called(Msg::Compensate { step, order }), (vec![], answer.clone()));
    payment.restart();
    assert_eq!(payment.called(Msg::Compensate { step, order }), (vec![], answer));
    assert_eq!(payment.taken(), [0]);
}

/// 11.10: a tombstone stays for the step that comes late.
#[test]
fn a_compensation_before_its_step_leaves_a_tombstone() {
    let mut payment = Machine::new(Role::Payment);
    let (step, order) = (Step::Charge, ORDER);
    let undid = Record::Undid { step, order, undone: false };
    let answer = vec![(ORCHESTRATOR, Msg::Compensated { step, number: NUMBER })];
    assert_eq!(payment.called(Msg::Compensate { step, order }), (vec![undid], answer));
    payment.restart();
    let refused = vec![(ORCHESTRATOR, Msg::Did { step, number: NUMBER, done: false })];
    assert_eq!(payment.called(Msg::Do { step, order }), (vec![], refused));
    assert_eq!(Saga::durable(&payment.log), Durable::default());
}

/// What judges look at: what was done and undone, and how orders end.
#[test]
fn a_log_tells_what_was_done() {
    let mut stock = Machine::new(Role::Stock);
    let (step, order) = (Step::Reserve, ORDER);
    stock.called(Msg::Do { step, order });
    stock.called(Msg::Compensate { step, order });
    let moves = [false, true].map(|back| Move { step, back, order });
    assert_eq!(Saga::durable(&stock.log).moves, moves);
    let mut orchestrator = Machine::forward(Step::Ship);
    assert_eq!(orchestrator.node.view().open, [NUMBER]);
    assert_eq!(Saga::durable(&orchestrator.log).ends, []);
    orchestrator.did(Step::Ship, true);
    assert_eq!(Saga::durable(&orchestrator.log).ends, [(NUMBER, End::Completed)]);
    assert!(orchestrator.node.view().open.is_empty());
}
