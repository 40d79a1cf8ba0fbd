//! The search against every permutation, on small histories: right ones, and right ones in which
//! an answer was changed.

#[path = "common/brute.rs"]
mod brute;
mod common;

use brute::brute_force;
use checkers::models::{
    Counter, CounterOp, CounterRet, FencedMutex, FencedOp, FencedRet, Mutex, MutexOp, MutexRet,
    Register, RegisterOp, RegisterRet,
};
use checkers::{
    Explanation, Keyed, Method, Model, Online, Options, Verdict, check, linearizable, validate,
};
use common::{Call, history};
use history::{History, What};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::fmt::Debug;

/// What to generate: which of the operations, which of the answers that fit, how long before and
/// after it takes effect, and how it ends.
type Draw = (prop::sample::Index, prop::sample::Index, u64, u64, u8);

/// Calls that take effect one after the other, as a right object answers them. Some are lost on
/// the way, some fail.
fn right<M>(model: &M, draws: &[Draw], ops: &[M::Op], rets: &[M::Ret]) -> Vec<Call<M::Op, M::Ret>>
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let mut states: Vec<(M::Key, M::State)> = Vec::new();
    let mut calls = Vec::new();
    for (nth, (op, ret, before, after, ending)) in draws.iter().enumerate() {
        let op = op.get(ops);
        let key = model.key(op);
        let state = match states.iter_mut().find(|(other, _)| *other == key) {
            Some((_, state)) => state,
            None => {
                states.push((model.key(op), model.initial(&key)));
                &mut states.last_mut().expect("just pushed").1
            }
        };
        let fitting: Vec<_> = rets
            .iter()
            .filter_map(|ret| model.step(state, op, Some(ret)).map(|next| (ret, next)))
            .collect();
        let (end, next) = match ending {
            0 => (What::Fail("".into()), None),
            1 => (What::Info, None),
            2 => (What::Info, model.step(state, op, None)),
            _ if fitting.is_empty() => (What::Info, None),
            _ => {
                let (ret, next) = ret.get(&fitting).clone();
                (What::Ok(ret.clone()), Some(next))
            }
        };
        *state = next.unwrap_or_else(|| state.clone());
        let at = 100 + 10 * nth as u64;
        let (from, to) = (at - before, at + after);
        calls.push(Call { client: 1, call: nth as u32, from, to, op: op.clone(), end });
    }
    calls
}

/// Every method must say the same, with an order that can be replayed or an explanation that is
/// one. The call that the message names must be the first to complete without an order.
fn agree<M>(model: &M, calls: &[Call<M::Op, M::Ret>]) -> Result<bool, TestCaseError>
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let history = history(calls);
    let verdict = linearizable(model, &history);
    for method in [None, Some(Method::JustInTime), Some(Method::DepthFirst)] {
        let options = Options { method, orders: true, explain: true, ..Options::default() };
        let report = check(model, &history, &options);
        prop_assert_eq!(&report.verdict, &verdict, "{:?}", method);
        if verdict.holds() {
            let replayed = validate(model, &history, &report.orders);
            prop_assert_eq!(replayed, Ok(()), "{:?} {:?}", method, report.orders);
        } else if let Some(explanation) = report.explanation {
            explained(model, &history, &explanation)?;
        }
    }
    online(model, &history)?;
    let Verdict::Violated(anomaly) = verdict else {
        prop_assert_eq!(verdict, Verdict::Holds);
        prop_assert!(
            brute_force(model, &history, usize::MAX),
            "accepted, against every permutation"
        );
        return Ok(true);
    };
    let culprit = (1..=history.events.len()).find(|&end| !brute_force(model, &history, end));
    let Some(culprit) = culprit else {
        return Err(TestCaseError::fail(format!("refused, but there is an order: {anomaly}")));
    };
    let call = format!("by client 1 (call {}) returned", history.events[culprit - 1].call);
    // Of two objects the first one's anomaly is reported.
    let named = anomaly.message.contains(&call);
    prop_assert!(named || anomaly.message.starts_with('('), "expected {call}: {anomaly}");
    Ok(false)
}

/// Line by line: the first that no order explains, and at the end the same verdict.
fn online<M>(model: &M, history: &History<M::Op, M::Ret>) -> Result<(), TestCaseError>
where
    M: Model<Op: Clone, Ret: Clone> + Clone,
{
    let mut online = Online::new(model.clone());
    for (nth, event) in history.events.iter().enumerate() {
        let so_far = History { events: history.events[..=nth].to_vec() };
        let right = brute_force(model, &so_far, usize::MAX);
        let said = online.event(event);
        prop_assert_eq!(said.is_ok(), right, "line {}: {:?}", nth, said);
        if let Err(verdict) = said {
            prop_assert!(verdict.is_violated(), "{}", verdict);
            return Ok(());
        }
    }
    Ok(())
}

/// The core is wrong, and right once the outcome of any of its operations is unknown.
fn explained<M>(
    model: &M,
    history: &History<M::Op, M::Ret>,
    explanation: &Explanation,
) -> Result<(), TestCaseError>
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let holds_without = |forgotten: Option<u32>| {
        let known = |id| explanation.core.iter().any(|told| told.id == id) && Some(id) != forgotten;
        let mut history = history.clone();
        for event in &mut history.events {
            if matches!(event.what, What::Ok(_)) && !known(event.op) {
                event.what = What::Info;
            }
        }
        brute_force(model, &history, explanation.prefix + 1)
    };
    prop_assert!(!holds_without(None), "the core is right: {}", explanation);
    prop_assert!(explanation.minimal && explanation.core_from == 0, "{}", explanation);
    for told in &explanation.core {
        prop_assert!(holds_without(Some(told.id)), "{} is not needed: {}", told, explanation);
    }
    Ok(())
}

const CASES: u32 = 3500;

/// Calls that change nothing and come before all others, so that the history is too long for one
/// word of bits.
type Past<M> = Vec<Call<<M as Model>::Op, <M as Model>::Ret>>;

fn trial<M>(model: &M, ops: &[M::Op], rets: &[M::Ret], cases: u32, past: Past<M>)
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let index = any::<prop::sample::Index>;
    let draw = (index(), index(), 0_u64..40, 0_u64..40, 0_u8..12);
    let draws = prop::collection::vec(draw, 1..=7);
    let wrong = prop::option::of((index(), index()));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tally = Cell::new([0; 2]);
    let outcome = TestRunner::new(config).run(&(draws, wrong), |(draws, wrong)| {
        let mut calls = right(model, &draws, ops, rets);
        if let Some((which, ret)) = &wrong
            && let What::Ok(answer) = &mut calls[which.index(draws.len())].end
        {
            *answer = ret.get(rets).clone();
        }
        let holds = agree(model, &calls)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{}", show(&calls))))?;
        if wrong.is_none() && !holds {
            return Err(TestCaseError::fail(format!("a right history\n{}", show(&calls))));
        }
        if !past.is_empty() {
            calls.extend_from_slice(&past);
            prop_assert_eq!(linearizable(model, &history(&calls)).holds(), holds);
        }
        let mut counts = tally.get();
        counts[usize::from(holds)] += 1;
        tally.set(counts);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let [refused, accepted] = tally.get();
    assert!(refused * 10 > cases && accepted * 10 > cases, "{refused} refused of {cases}");
}

fn show<Op: Debug, Ret: Debug>(calls: &[Call<Op, Ret>]) -> String {
    calls
        .iter()
        .map(|call| format!("{:3}..{:3} {:?} {:?}\n", call.from, call.to, call.op, call.end))
        .collect()
}

fn register() -> (Vec<RegisterOp>, Vec<RegisterRet>) {
    use {RegisterOp::*, RegisterRet::*};
    (
        vec![Read, Read, Write(1), Write(2), CompareAndSet(0, 1), CompareAndSet(1, 2)],
        vec![Value(0), Value(1), Value(2), Done, Refused],
    )
}

#[test]
fn registers() {
    let (ops, rets) = register();
    trial(&Register::default(), &ops, &rets, CASES, vec![]);
}

#[test]
fn registers_with_keys() {
    let (ops, rets) = register();
    let ops: Vec<_> = ["x", "y"]
        .into_iter()
        .flat_map(|key| ops.iter().map(move |op| (key, op.clone())))
        .collect();
    trial(&Keyed::new(Register::default()), &ops, &rets, CASES, vec![]);
}

/// More operations than a word has bits, optional ones and others.
#[test]
fn registers_with_a_past() {
    let (ops, rets) = register();
    let past = (0..200).map(|nth| {
        let (op, end) = match nth % 3 {
            0 => (RegisterOp::CompareAndSet(8, 9), What::Info),
            _ => (RegisterOp::Read, What::Ok(RegisterRet::Value(0))),
        };
        let from = u64::from(nth / 4);
        Call { client: 0, call: nth, from, to: from + 1, op, end }
    });
    trial(&Register::default(), &ops, &rets, CASES, past.collect());
}

#[test]
fn mutexes() {
    let ops = [1, 2].map(|owner| [MutexOp::Acquire(owner), MutexOp::Release(owner)]).concat();
    trial(&Mutex, &ops, &[MutexRet::Done, MutexRet::Refused], CASES, vec![]);
}

#[test]
fn fenced_mutexes() {
    let mut ops = [1, 2].map(|owner| vec![FencedOp::Acquire { owner }; 3]).concat();
    for fence in 1..4 {
        ops.extend([1, 2].map(|owner| FencedOp::Release { owner, fence }));
    }
    let mut rets = vec![FencedRet::Refused, FencedRet::Released];
    rets.extend([1, 2, 3, 4].map(FencedRet::Granted));
    trial(&FencedMutex, &ops, &rets, CASES, vec![]);
}

#[test]
fn counters() {
    let ops = [CounterOp::Read, CounterOp::Add(1), CounterOp::Add(2), CounterOp::Add(-1)];
    let mut rets = vec![CounterRet::Done];
    rets.extend((-1..5).map(CounterRet::Total));
    trial(&Counter::default(), &ops, &rets, CASES, vec![]);
}

/// A queue, as a user would write it: the order of its past matters, so that a search which takes
/// operations of unknown outcome too late goes wrong on it.
#[derive(Clone)]
struct Queue;

#[derive(Clone, Debug)]
enum QueueOp {
    Enqueue(u8),
    Dequeue,
}

#[derive(Clone, Debug)]
enum QueueRet {
    Enqueued,
    Dequeued(u8),
    Empty,
}

impl Model for Queue {
    type Op = QueueOp;
    type Ret = QueueRet;
    type State = Vec<u8>;
    type Key = ();

    fn key(&self, _: &QueueOp) {}

    fn initial(&self, (): &()) -> Vec<u8> {
        Vec::new()
    }

    fn step(&self, queue: &Vec<u8>, op: &QueueOp, ret: Option<&QueueRet>) -> Option<Vec<u8>> {
        match (op, ret) {
            (QueueOp::Enqueue(item), None | Some(QueueRet::Enqueued)) => {
                Some([queue.as_slice(), &[*item]].concat())
            }
            (QueueOp::Dequeue, None) => Some(queue.get(1..).unwrap_or_default().to_vec()),
            (QueueOp::Dequeue, Some(QueueRet::Dequeued(item))) => {
                (queue.first() == Some(item)).then(|| queue[1..].to_vec())
            }
            (QueueOp::Dequeue, Some(QueueRet::Empty)) => queue.is_empty().then(Vec::new),
            (QueueOp::Enqueue(_), Some(_)) | (QueueOp::Dequeue, Some(QueueRet::Enqueued)) => None,
        }
    }
}

#[test]
fn queues() {
    use {QueueOp::*, QueueRet::*};
    let ops = [Enqueue(1), Enqueue(2), Enqueue(3), Dequeue, Dequeue, Dequeue];
    let rets = [Enqueued, Dequeued(1), Dequeued(2), Dequeued(3), Empty];
    trial(&Queue, &ops, &rets, CASES, vec![]);
}

#[test]
fn an_enqueue_without_an_answer_is_taken_early() {
    let call = |call, from, op, end| Call { client: 1, call, from, to: from + 1, op, end };
    let calls = [
        call(0, 0, QueueOp::Enqueue(1), What::Info),
        call(1, 2, QueueOp::Enqueue(2), What::Ok(QueueRet::Enqueued)),
        call(2, 4, QueueOp::Dequeue, What::Ok(QueueRet::Dequeued(1))),
        call(3, 6, QueueOp::Dequeue, What::Ok(QueueRet::Dequeued(2))),
    ];
    assert_eq!(linearizable(&Queue, &history(&calls)), Verdict::Holds);
}
