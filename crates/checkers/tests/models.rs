//! The rules of the models, one call after the other; and small histories that each accepts and
//! refuses.

mod common;

use checkers::models::{
    Access, Counter, CounterOp, CounterRet, FencedMutex, FencedOp, FencedRet, FetchAndAdd,
    FetchAndAddOp, Fetched, KeyValue, KeyValueOp, KeyValueRet, ListedSet, ListedSetOp,
    ListedSetRet, Log, LogOp, LogRet, MultiRegister, Mutex, MutexOp, MutexRet, Queue, QueueOp,
    QueueRet, Register, RegisterOp, RegisterRet, Set, SetOp, SetRet, Stack, StackOp, StackRet,
};
use checkers::{Keyed, Model, Verdict, linearizable};
use common::{Call, history};
use history::What;
use std::collections::{BTreeMap, BTreeSet};

/// Which of the calls, made one after the other on one object, is the first that cannot have had
/// its answer.
fn first_wrong<M: Model>(model: &M, calls: &[(M::Op, M::Ret)]) -> Option<usize> {
    let mut state = model.initial(&model.key(&calls[0].0));
    calls.iter().position(|(op, ret)| match model.step(&state, op, Some(ret)) {
        Some(after) => {
            let observes = model.observes(op, Some(ret));
            assert!(!observes || after == state, "an observer changes {state:?}");
            state = after;
            false
        }
        None => true,
    })
}

#[test]
fn queues() {
    use {QueueOp::*, QueueRet::*};
    let calls = [
        (Dequeue, Empty),
        (Enqueue(1), Done),
        (Enqueue(2), Done),
        (Enqueue(1), Done),
        (Dequeue, Value(1)),
        (Dequeue, Value(2)),
        (Dequeue, Empty),
    ];
    assert_eq!(first_wrong(&Queue::new(), &calls), Some(6));
    assert_eq!(first_wrong(&Queue::new(), &[(Enqueue(1), Done), (Dequeue, Value(2))]), Some(1));
    assert_eq!(first_wrong(&Queue::new(), &[(Enqueue(1), Empty)]), Some(0));
}

#[test]
fn stacks() {
    use {StackOp::*, StackRet::*};
    let calls = [
        (Pop, Empty),
        (Push(1), Done),
        (Push(2), Done),
        (Pop, Value(2)),
        (Push(3), Done),
        (Pop, Value(3)),
        (Pop, Value(1)),
        (Pop, Value(1)),
    ];
    assert_eq!(first_wrong(&Stack::new(), &calls), Some(7));
    assert_eq!(first_wrong(&Stack::<u64>::new(), &[(Pop, Done)]), Some(0));
}

#[test]
fn sets() {
    use {SetOp::*, SetRet::*};
    let calls = [
        (Remove(1), No),
        (Remove(1), Done),
        (Add(1), Yes),
        (Add(1), No),
        (Add(1), Done),
        (Contains(1), Yes),
        (Remove(1), Yes),
        (Contains(1), No),
        (Contains(1), Done),
    ];
    assert_eq!(first_wrong(&Set::new(), &calls), Some(8));
    let members = |members: &[u64]| ListedSetRet::Members(members.iter().copied().collect());
    let add = |element| (ListedSetOp::One(Add(element)), ListedSetRet::One(Yes));
    let listed = [
        (ListedSetOp::List, members(&[])),
        add(2),
        add(1),
        (ListedSetOp::List, members(&[1, 2])),
        (ListedSetOp::One(Remove(2)), ListedSetRet::One(Yes)),
        (ListedSetOp::List, members(&[1, 2])),
    ];
    assert_eq!(first_wrong(&ListedSet::new(), &listed), Some(5));
    let (model, list) = (ListedSet::<u64>::new(), ListedSetOp::List);
    assert_eq!(model.step(&model.initial(&()), &list, None), Some(BTreeSet::new().into()));
}

#[test]
fn logs() {
    use {LogOp::*, LogRet::*};
    let calls = [
        (Read(0), End),
        (Append(7), Offset(0)),
        (Append(8), Offset(1)),
        (Read(0), Value(7)),
        (Read(1), Value(8)),
        (Read(2), End),
        (Append(9), Offset(1)),
    ];
    assert_eq!(first_wrong(&Log::new(), &calls), Some(6));
    assert_eq!(first_wrong(&Log::new(), &[(Append(7), Offset(0)), (Read(0), End)]), Some(1));
    assert_eq!(first_wrong(&Log::new(), &[(Read(0), Value(7))]), Some(0));
}

#[test]
fn key_values() {
    use {KeyValueOp::*, KeyValueRet::*};
    let get = |value: &str| (Get("k".to_owned()), Value(value.to_owned()));
    let append = |value: &str| (Append("k".to_owned(), value.to_owned()), Done);
    let put = (Put("k".to_owned(), "x".to_owned()), Done);
    let calls = [get(""), append("a"), append("b"), get("ab"), put, get("x"), get("ab")];
    assert_eq!(first_wrong(&KeyValue, &calls), Some(6));
}

#[test]
fn several_registers() {
    use Access::{Read, Write};
    let model = MultiRegister(BTreeMap::from([("x", 0), ("y", 0)]));
    let calls = [
        (vec![Read("x"), Read("y")], vec![Some(0), Some(0)]),
        (vec![Write("x", 1), Read("x"), Read("y")], vec![None, Some(1), None]),
        (vec![Read("x"), Write("y", 2)], vec![Some(1), None]),
        (vec![Read("y"), Read("x")], vec![Some(2), Some(0)]),
    ];
    assert_eq!(first_wrong(&model, &calls), Some(3));
    assert_eq!(first_wrong(&model, &[(vec![Read("z")], vec![Some(0)])]), Some(0));
    assert_eq!(first_wrong(&model, &[(vec![Read("x")], vec![])]), Some(0));
}

#[test]
fn fetch_and_add() {
    use FetchAndAddOp::{FetchAndAdd as Add, Read};
    let calls =
        [(Read, Fetched(5)), (Add(2), Fetched(5)), (Add(-1), Fetched(7)), (Read, Fetched(7))];
    assert_eq!(first_wrong(&FetchAndAdd(5), &calls), Some(3));
}

/// A call from one time to another; its outcome is unknown if there is no answer.
type Timed<M> = (u64, u64, <M as Model>::Op, Option<<M as Model>::Ret>);

fn verdict<M>(model: &M, calls: &[Timed<M>]) -> Verdict
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let calls: Vec<Call<M::Op, M::Ret>> = (0..)
        .zip(calls)
        .map(|(call, (from, to, op, ret))| {
            let end = ret.clone().map_or(What::Info, What::Ok);
            Call { client: call as u16, call, from: *from, to: *to, op: op.clone(), end }
        })
        .collect();
    linearizable(model, &history(&calls))
}

/// Values that repeat, so that no procedure applies and the search judges.
#[test]
fn values_may_repeat() {
    use {QueueOp::*, QueueRet::*};
    let twice = |last| {
        [
            (0, 1, Enqueue(1), Some(Done)),
            (2, 5, Enqueue(1), Some(Done)),
            (3, 6, Enqueue(2), Some(Done)),
            (7, 8, Dequeue, Some(Value(1))),
            (9, 10, Dequeue, Some(Value(2))),
            (11, 12, Dequeue, Some(last)),
        ]
    };
    assert_eq!(verdict(&Queue::new(), &twice(Value(1))), Verdict::Holds);
    assert!(verdict(&Queue::new(), &twice(Value(2))).is_violated());
    assert!(verdict(&Queue::new(), &twice(Empty)).is_violated());
}

#[test]
fn an_insertion_of_unknown_outcome_takes_effect_late_or_never() {
    let push = |end| {
        [
            (0, 1, StackOp::Push(1), None),
            (2, 3, StackOp::Push(2), Some(StackRet::Done)),
            (4, 5, StackOp::Pop, Some(StackRet::Value(2))),
            (6, 7, StackOp::Pop, Some(end)),
        ]
    };
    assert_eq!(verdict(&Stack::new(), &push(StackRet::Empty)), Verdict::Holds);
    assert_eq!(verdict(&Stack::new(), &push(StackRet::Value(1))), Verdict::Holds);
    assert!(verdict(&Stack::new(), &push(StackRet::Value(2))).is_violated());
}

#[test]
fn objects_are_told_apart_by_key() {
    let model = Keyed::new(Log::new());
    let calls = |offset| {
        [
            (0, 1, ("a", LogOp::Append(1)), Some(LogRet::Offset(0))),
            (2, 3, ("b", LogOp::Append(2)), Some(LogRet::Offset(0))),
            (4, 5, ("a", LogOp::Append(3)), Some(LogRet::Offset(offset))),
        ]
    };
    assert_eq!(verdict(&model, &calls(1)), Verdict::Holds);
    assert!(verdict(&model, &calls(2)).is_violated());
}

/// Holds what a model promises of its operations against its steps from every state that a few of
/// them lead to, all on one object; and says how often it promised: observers, overwriters, and
/// pairs that are alike.
fn promises<M: Model>(model: &M, ops: &[M::Op], rets: &[M::Ret]) -> [usize; 3] {
    let answers = || [None].into_iter().chain(rets.iter().map(Some));
    let mut states = vec![model.initial(&model.key(&ops[0]))];
    let mut at = 0;
    while at < states.len() && states.len() < 60 {
        for (op, ret) in ops.iter().flat_map(|op| answers().map(move |ret| (op, ret))) {
            let after = model.step(&states[at], op, ret);
            states.extend(after.filter(|after| !states.contains(after)));
        }
        at += 1;
    }
    let mut promised = [0; 3];
    for (op, ret) in ops.iter().flat_map(|op| answers().map(move |ret| (op, ret))) {
        let leaves: Vec<_> = states.iter().map(|state| model.step(state, op, ret)).collect();
        if model.observes(op, ret) {
            let same = |(before, after): (&_, &Option<M::State>)| {
                after.as_ref().is_none_or(|s| s == before)
            };
            assert!(states.iter().zip(&leaves).all(same), "{op:?} {ret:?} changes something");
            promised[0] += 1;
        }
        if model.overwrites(op, ret) {
            let one = leaves[0].is_some() && leaves.iter().all(|after| *after == leaves[0]);
            assert!(one, "{op:?} {ret:?} leaves {leaves:?}");
            promised[1] += 1;
        }
    }
    for (a, b) in ops.iter().flat_map(|a| ops.iter().map(move |b| (a, b))) {
        if model.alike(a, b) {
            let same = |state| model.step(state, a, None) == model.step(state, b, None);
            assert!(states.iter().all(same), "{a:?} and {b:?}");
            promised[2] += 1;
        }
    }
    promised
}

#[test]
fn models_keep_their_promises() {
    let numbers = [0_u64, 1, 2];
    let ops = numbers.map(|n| [RegisterOp::Write(n), RegisterOp::CompareAndSet(1, n)]).concat();
    let ops: Vec<_> = ops.into_iter().chain([RegisterOp::Read]).collect();
    let rets = [RegisterRet::Done, RegisterRet::Refused, RegisterRet::Value(1)];
    assert_eq!(promises(&Register::default(), &ops, &rets), [10, 6, 7]);
    let ops = [KeyValueOp::Put, KeyValueOp::Append]
        .map(|op| ["a", "b"].map(|v| op("k".to_owned(), v.to_owned())))
        .concat();
    let ops: Vec<_> = ops.into_iter().chain([KeyValueOp::Get("k".to_owned())]).collect();
    let rets = [KeyValueRet::Done, KeyValueRet::Value("a".to_owned())];
    assert_eq!(promises(&KeyValue, &ops, &rets), [3, 4, 5]);
    let rets = [SetRet::Done, SetRet::Yes, SetRet::No];
    let ops = [SetOp::Add(1), SetOp::Remove(1), SetOp::Contains(1)];
    assert_eq!(promises(&Set::new(), &ops, &rets), [6, 4, 3]);
    let ops = numbers.map(|n| [ListedSetOp::One(SetOp::Add(n)), ListedSetOp::List]).concat();
    let rets = rets.map(ListedSetRet::One);
    assert!(promises(&ListedSet::new(), &ops, &rets)[0] > 0);
    let ops = numbers.map(|n| vec![Access::Write(n, n), Access::Read(1)]);
    assert_eq!(promises(&MultiRegister::default(), &ops, &[vec![None, None]])[2], 3);
    let ops = [MutexOp::Acquire(1), MutexOp::Acquire(2), MutexOp::Release(1)];
    assert_eq!(promises(&Mutex, &ops, &[MutexRet::Done, MutexRet::Refused]), [3, 0, 3]);
    let ops = [FencedOp::Acquire { owner: 1 }, FencedOp::Release { owner: 1, fence: 1 }];
    let rets = [FencedRet::Granted(1), FencedRet::Released, FencedRet::Refused];
    assert_eq!(promises(&FencedMutex, &ops, &rets), [2, 0, 2]);
    let ops = [CounterOp::Read, CounterOp::Add(1), CounterOp::Add(-1)];
    assert_eq!(promises(&Counter::default(), &ops, &[CounterRet::Done]), [2, 0, 3]);
    let ops = [FetchAndAddOp::Read, FetchAndAddOp::FetchAndAdd(0), FetchAndAddOp::FetchAndAdd(2)];
    assert!(promises(&FetchAndAdd::default(), &ops, &[Fetched(2)])[0] > 0);
    let rets = [QueueRet::Empty, QueueRet::Value(1), QueueRet::Done];
    assert!(promises(&Queue::new(), &[QueueOp::Enqueue(1), QueueOp::Dequeue], &rets)[0] > 0);
    let rets = [StackRet::Empty, StackRet::Value(1), StackRet::Done];
    assert!(promises(&Stack::new(), &[StackOp::Push(1), StackOp::Pop], &rets)[0] > 0);
    let rets = [LogRet::Offset(0), LogRet::Value(1), LogRet::End];
    assert!(promises(&Log::new(), &[LogOp::Append(1), LogOp::Read(0)], &rets)[0] > 0);
}
