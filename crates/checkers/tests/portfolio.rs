//! Methods against each other on histories too long for every permutation, threads, sequential
//! consistency, and how a violation is told.

#[path = "../benches/common/mod.rs"]
mod shapes;

use checkers::models::{Mutex, Queue, Register, RegisterOp, RegisterRet};
use checkers::{
    Budget, Consistency, Keyed, Method, Model, Online, Options, Verdict, check, linearizable,
    linearizable_within, validate,
};
use history::{Actor, Event, History, What};
use shapes::{Numbers, Shape, lock, queue, register, registers};

/// What the depth-first search says, which everything else must say too.
fn agree<M>(model: &M, history: &History<M::Op, M::Ret>) -> bool
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let by =
        |method, orders| check(model, history, &Options { method, orders, ..Options::default() });
    let searched = by(Some(Method::DepthFirst), true);
    let holds = searched.verdict.holds();
    assert!(holds || searched.verdict.is_violated(), "{}", searched.verdict);
    for report in [by(Some(Method::JustInTime), true), by(None, true), searched] {
        assert_eq!(report.verdict.holds(), holds, "{report:?}");
        if holds {
            assert_eq!(validate(model, history, &report.orders), Ok(()), "{report:?}");
        } else {
            assert!(report.verdict.is_violated(), "{report:?}");
        }
    }
    let mut online = Online::new(model.clone());
    let said = history.events.iter().try_for_each(|event| online.event(event));
    assert_eq!(said.is_ok(), holds, "{said:?}");
    holds
}

/// Another value is read somewhere.
fn spoil(history: &mut History<RegisterOp, RegisterRet>, numbers: &mut Numbers) {
    let read = |event: &Event<_, _>| matches!(event.what, What::Ok(RegisterRet::Value(_)));
    let reads: Vec<usize> =
        (0..history.events.len()).filter(|&nth| read(&history.events[nth])).collect();
    if let [first, ..] = reads[..] {
        let from = reads[numbers.below(reads.len() as u64) as usize];
        let to = reads[numbers.below(reads.len() as u64) as usize].max(first);
        history.events[to].what = history.events[from].what.clone();
    }
}

#[test]
fn methods_agree_on_registers_of_forty_to_eighty_operations() {
    let mut numbers = Numbers(5);
    let mut tally = [0; 2];
    for seed in 0..1500 {
        let (operations, clients) = (40 + numbers.below(41), 2 + numbers.below(6));
        let shape = Shape {
            values: numbers.below(4) * 2,
            lost: numbers.below(3) * 30,
            seed,
            ..Shape::new(operations as usize, clients as usize)
        };
        let mut history = register(&shape);
        if seed % 2 == 0 {
            spoil(&mut history, &mut numbers);
        }
        let holds = agree(&Register(0), &history);
        assert!(holds || seed % 2 == 0, "a right history: {shape:?}");
        tally[usize::from(holds)] += 1;
    }
    assert!(tally[0] > 300 && tally[1] > 300, "{tally:?}");
}

#[test]
fn methods_agree_on_locks() {
    for seed in 0..100 {
        let shape = Shape { seed, ..Shape::new(60, 5) };
        assert!(agree(&Mutex, &lock(&shape)));
        assert!(!agree(&Mutex, &lock(&Shape { wrong_at: Some(50), ..shape })));
    }
}

/// The method that judged it, and an order that can be replayed.
fn judged_by<M>(model: &M, history: &History<M::Op, M::Ret>) -> Option<Method>
where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    let report = check(model, history, &Options { orders: true, ..Options::default() });
    assert_eq!(validate(model, history, &report.orders), Ok(()), "{:?}", report.verdict);
    report.parts[0].methods.last().copied()
}

#[test]
fn long_histories_come_with_an_order() {
    let shape = Shape::new(12_000, 16);
    assert_eq!(judged_by(&Queue::new(), &queue(&shape)), Some(Method::Decision));
    let plain = register(&Shape { mix: [50, 50, 0], ..shape.clone() });
    assert_eq!(judged_by(&Register(0), &plain), Some(Method::Decision));
    let lock = lock(&Shape { clients: 64, ..shape });
    assert_eq!(judged_by(&Mutex, &lock), Some(Method::Decision));
    let narrow = register(&Shape::new(200_000, 2));
    assert_eq!(judged_by(&Register(0), &narrow), Some(Method::JustInTime));
}

#[test]
fn threads_change_nothing() {
    let model = Keyed::new(Register(0));
    let shape = Shape { keys: 300, ..Shape::new(6_000, 20) };
    for history in [registers(&shape), registers(&Shape { wrong_at: Some(60), ..shape })] {
        // Also where the steps do not last.
        for steps in [None, Some(20_000), Some(3_000)] {
            let budget = Budget { steps, ..Budget::default() };
            let on = |threads| {
                let orders = true;
                check(&model, &history, &Options { threads, budget, orders, ..Options::default() })
            };
            assert_eq!(on(1), on(4));
        }
    }
}

#[test]
fn a_budget_of_memory_ends_in_unknown() {
    let history = register(&Shape { values: 3, lost: 40, ..Shape::new(3_000, 10) });
    let budget = Budget { steps: Some(u64::MAX / 2), memory: 30_000 };
    let report = check(&Register(0), &history, &Options { budget, ..Options::default() });
    let Verdict::Unknown(reason) = report.verdict else { panic!("{}", report.verdict) };
    assert!(reason.ends_with("and the search ended at its bound of memory"), "{reason}");
    let verdict = linearizable_within(300, &Register(0), &history);
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict}");
}

/// An order by hand, and what is wrong with others.
#[test]
fn wrong_orders_are_refused() {
    let mut history = register(&Shape { mix: [100, 0, 0], ..Shape::new(30, 1) });
    let right: Vec<u32> = (0..30).collect();
    let replay = |history: &_, order: &[u32]| validate(&Register(0), history, &[order.to_vec()]);
    assert_eq!(replay(&history, &right), Ok(()));
    assert!(replay(&history, &right[..29]).is_err_and(|why| why.contains("29 has no place")));
    let mut wrong = right.clone();
    wrong.swap(3, 4);
    assert!(replay(&history, &wrong).is_err_and(|why| why.contains("completed before")));
    wrong[3] = 3;
    assert!(replay(&history, &wrong).is_err_and(|why| why.contains("twice")));
    let read = history.events.iter_mut().find_map(|event| match &mut event.what {
        What::Ok(RegisterRet::Value(value)) => Some(value),
        _ => None,
    });
    *read.expect("a read") = 77;
    assert!(replay(&history, &right).is_err_and(|why| why.contains("is not possible in")));
}

/// A process's operations, with their answers.
type Process = Vec<((u64, RegisterOp), Option<RegisterRet>)>;

/// Every order that keeps each process's own.
fn interleaves(
    model: &Keyed<u64, Register>,
    calls: &[Process],
    at: &mut [usize],
    values: &mut [u64; 2],
) -> bool {
    let left = |nth: usize| calls[nth][at[nth]..].iter().any(|(_, ret)| ret.is_some());
    if !(0..calls.len()).any(left) {
        return true;
    }
    for process in 0..calls.len() {
        let Some((op, ret)) = calls[process].get(at[process]) else { continue };
        let object = op.0 as usize;
        let before = values[object];
        if let Some(after) = model.step(&before, op, ret.as_ref()) {
            (values[object], at[process]) = (after, at[process] + 1);
            let fits = interleaves(model, calls, at, values);
            (values[object], at[process]) = (before, at[process] - 1);
            if fits {
                return true;
            }
        }
    }
    false
}

#[test]
fn sequential_consistency_is_an_order_of_every_process() {
    let model = Keyed::new(Register(0));
    let mut numbers = Numbers(9);
    let mut tally = [0; 3];
    for seed in 0..4000 {
        let shape = Shape { keys: 2, values: 2, lost: 60, seed, ..Shape::new(8, 3) };
        let mut history = registers(&shape);
        for event in &mut history.events {
            if let What::Ok(RegisterRet::Value(value)) = &mut event.what
                && numbers.below(4) == 0
            {
                *value = numbers.below(3);
            }
        }
        let mut calls: Vec<Process> = vec![Vec::new(); 32];
        for operation in history.operations() {
            let ret = match operation.outcome {
                history::Outcome::Ok(ret) => Some(ret.clone()),
                _ => None,
            };
            let process = history.events[operation.invoked].process;
            calls[process as usize].push((operation.op.clone(), ret));
        }
        let expected = interleaves(&model, &calls, &mut [0; 32], &mut [0; 2]);
        let consistency = Consistency::Sequential;
        let report = check(&model, &history, &Options { consistency, ..Options::default() });
        assert_eq!(report.verdict.holds(), expected, "{report:?}\n{history:#?}");
        assert!(expected || report.verdict.is_violated());
        let stronger = linearizable(&model, &history).holds();
        assert!(expected || !stronger, "linearizable and not sequentially consistent");
        tally[usize::from(expected) + usize::from(stronger)] += 1;
    }
    assert!(tally.iter().all(|count| *count > 200), "{tally:?}");
}

/// A history of one client a line: op, answer, from, to.
fn told(calls: &[(RegisterOp, RegisterRet, u64, u64)]) -> History<RegisterOp, RegisterRet> {
    let mut lines: Vec<(u64, usize, bool)> = Vec::new();
    for (nth, (_, _, from, to)) in calls.iter().enumerate() {
        lines.extend([(*from, nth, true), (*to, nth, false)]);
    }
    lines.sort_unstable();
    let mut history = History::new();
    let (mut numbers, mut begun) = (vec![0; calls.len()], 0);
    for (at, nth, begins) in lines {
        let (op, ret, ..) = &calls[nth];
        if begins {
            numbers[nth] = begun;
            begun += 1;
        }
        let what = if begins { What::Invoke(op.clone()) } else { What::Ok(ret.clone()) };
        let (actor, process) = (Actor::Client(nth as u16), nth as u32);
        history.events.push(Event { at, op: numbers[nth], actor, process, call: 0, what });
    }
    history
}

#[test]
fn a_stale_read_is_told_with_what_overwrote_it() {
    use {RegisterOp::*, RegisterRet::*};
    let history = told(&[
        (Write(9), Done, 0, 1),
        (Write(4), Done, 2, 5),
        (Read, Value(4), 6, 8),
        (Write(7), Done, 10, 13),
        (Write(3), Done, 14, 30),
        (Read, Value(7), 15, 17),
        (Read, Value(4), 20, 23),
        (Read, Value(3), 31, 32),
    ]);
    let report = check(&Register(0), &history, &Options { explain: true, ..Options::default() });
    let explanation = report.explanation.expect("an explanation");
    let expected = "\
Read by client 6 (call 0) -> Value(4) [11..12] has no place.
  While it ran the state could only be 7 or 3.
  It was possible until this completed: Write(7) by client 3 (call 0) -> Done [6..7]
  Up to line 12 the history is right.
  Each of these is needed, whatever the others did:
    Write(4) by client 1 (call 0) -> Done [2..3]
    Write(7) by client 3 (call 0) -> Done [6..7]
    Read by client 6 (call 0) -> Value(4) [11..12]
";
    assert_eq!(explanation.to_string(), expected);
    let json = serde_json::to_string(&explanation).expect("JSON");
    assert_eq!(
        serde_json::from_str::<checkers::Explanation>(&json).expect("the same"),
        explanation
    );
}
