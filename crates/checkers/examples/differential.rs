//! Generated histories against every permutation, by every method: `cargo run --release -p checkers
//! --example differential -- [HISTORIES] [SEED] [NAME]`, a million of each model if nothing is
//! said. A disagreement ends it with the history.

#[path = "../tests/common/brute.rs"]
mod brute;
#[path = "../benches/common/numbers.rs"]
mod numbers;

use brute::brute_force;
use checkers::models::{
    Access, Counter, CounterOp, CounterRet, FencedMutex, FencedOp, FencedRet, FetchAndAdd,
    FetchAndAddOp, Fetched, KeyValue, KeyValueOp, KeyValueRet, ListedSet, ListedSetOp,
    ListedSetRet, Log, LogOp, LogRet, MultiRegister, Mutex, MutexOp, MutexRet, Queue, QueueOp,
    QueueRet, Register, RegisterOp, RegisterRet, Set, SetOp, SetRet, Stack, StackOp, StackRet,
};
use checkers::{Keyed, Method, Model, Online, Options, Verdict, check, validate};
use history::{Actor, Event, History, What};
use numbers::Numbers;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut number = |default| words.next().map_or(default, |word| word.parse().expect("a number"));
    let (histories, seed) = (number(1_000_000), number(1));
    println!("{histories} histories of each model, seed {seed}");
    let runs = Runs { histories, seed, only: words.next() };
    let (ops, rets) = register();
    runs.of("register", &Register::default(), &ops, &rets);
    let keyed: Vec<_> =
        [0_u8, 1].iter().flat_map(|k| ops.iter().map(|op| (*k, op.clone()))).collect();
    runs.of("two registers", &Keyed::new(Register::default()), &keyed, &rets);
    locks(&runs);
    containers(&runs);
    totals(&runs);
    texts(&runs);
}

fn locks(runs: &Runs) {
    let ops = [1, 2].map(|owner| [MutexOp::Acquire(owner), MutexOp::Release(owner)]).concat();
    runs.of("mutex", &Mutex, &ops, &[MutexRet::Done, MutexRet::Refused]);
    let mut ops = [1, 2].map(|owner| vec![FencedOp::Acquire { owner }; 3]).concat();
    (1..4).for_each(|fence| ops.extend([1, 2].map(|owner| FencedOp::Release { owner, fence })));
    let rets = [FencedRet::Refused, FencedRet::Released].into_iter();
    let rets: Vec<_> = rets.chain([1, 2, 3, 4].map(FencedRet::Granted)).collect();
    runs.of("fenced mutex", &FencedMutex, &ops, &rets);
}

fn containers(runs: &Runs) {
    use {QueueOp::*, StackOp::*};
    let ops = [Enqueue(1), Enqueue(2), Enqueue(3), Dequeue, Dequeue, Dequeue];
    let rets = [1, 2, 3].map(QueueRet::Value).into_iter().chain([QueueRet::Empty, QueueRet::Done]);
    runs.of("queue", &Queue::new(), &ops, &rets.collect::<Vec<_>>());
    let ops = [Push(1), Push(2), Push(3), Pop, Pop, Pop];
    let rets = [1, 2, 3].map(StackRet::Value).into_iter().chain([StackRet::Empty, StackRet::Done]);
    runs.of("stack", &Stack::new(), &ops, &rets.collect::<Vec<_>>());
    let of_one = |element| [SetOp::Add(element), SetOp::Remove(element), SetOp::Contains(element)];
    let (ops, rets) = ([1_u64, 2].map(of_one).concat(), [SetRet::Yes, SetRet::No, SetRet::Done]);
    runs.of("set", &Set::new(), &ops, &rets);
    let ops = ops.into_iter().map(ListedSetOp::One).chain([ListedSetOp::List, ListedSetOp::List]);
    let members: [&[u64]; 4] = [&[], &[1], &[2], &[1, 2]];
    let members = members.map(|members| ListedSetRet::Members(members.iter().copied().collect()));
    let rets: Vec<_> = rets.map(ListedSetRet::One).into_iter().chain(members).collect();
    runs.of("listed set", &ListedSet::new(), &ops.collect::<Vec<_>>(), &rets);
}

fn totals(runs: &Runs) {
    let ops = [CounterOp::Read, CounterOp::Add(1), CounterOp::Add(2), CounterOp::Add(-1)];
    let rets = [CounterRet::Done].into_iter().chain((-1..5).map(CounterRet::Total));
    runs.of("counter", &Counter::default(), &ops, &rets.collect::<Vec<_>>());
    let ops = [0, 1, 1, 2, -1].map(FetchAndAddOp::FetchAndAdd).into_iter();
    let ops: Vec<_> = ops.chain([FetchAndAddOp::Read]).collect();
    let rets: Vec<_> = (-2..8).map(Fetched).collect();
    runs.of("fetch-and-add", &FetchAndAdd::default(), &ops, &rets);
}

fn texts(runs: &Runs) {
    let key = || "k".to_owned();
    let put = |value: &str| KeyValueOp::Put(key(), value.to_owned());
    let append = |value: &str| KeyValueOp::Append(key(), value.to_owned());
    let get = || KeyValueOp::Get(key());
    let ops = [get(), get(), put("a"), put("b"), append("a"), append("b")];
    let seen = ["", "a", "b", "aa", "ab", "ba", "bb", "aba"];
    let seen = seen.map(|seen| KeyValueRet::Value(seen.to_owned()));
    let rets: Vec<_> = seen.into_iter().chain([KeyValueRet::Done]).collect();
    runs.of("key-value", &KeyValue, &ops, &rets);
    let ops = [LogOp::Append(1), LogOp::Append(2), LogOp::Read(0), LogOp::Read(1), LogOp::Read(2)];
    let rets = (0..4).map(LogRet::Offset).chain([1, 2].map(LogRet::Value)).chain([LogRet::End]);
    runs.of("log", &Log::new(), &ops, &rets.collect::<Vec<_>>());
    let write = |value| [0, 1].map(|key| vec![Access::Write(key, value), Access::Read(1 - key)]);
    let mut ops = [1, 2].map(write).concat();
    ops.extend([
        vec![Access::Read(0), Access::Read(1)],
        vec![Access::Write(0, 1), Access::Write(1, 2)],
    ]);
    let values = [None, Some(0), Some(1), Some(2)];
    let pairs = values.iter().flat_map(|a| values.iter().map(move |b| vec![*a, *b]));
    let model = MultiRegister([(0, 0), (1, 0)].into());
    runs.of("multi-register", &model, &ops, &pairs.collect::<Vec<_>>());
}

fn register() -> (Vec<RegisterOp>, Vec<RegisterRet>) {
    use {RegisterOp::*, RegisterRet::*};
    (
        vec![Read, Read, Write(1), Write(2), CompareAndSet(0, 1), CompareAndSet(1, 2)],
        vec![Value(0), Value(1), Value(2), Done, Refused],
    )
}

/// What is to be run.
struct Runs {
    histories: u64,
    seed: u64,
    only: Option<String>,
}

impl Runs {
    fn of<M>(&self, name: &str, model: &M, ops: &[M::Op], rets: &[M::Ret])
    where
        M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
    {
        if self.only.as_deref().is_none_or(|only| only == name) {
            run(name, model, ops, rets, (self.histories, self.seed));
        }
    }
}

fn run<M>(name: &str, model: &M, ops: &[M::Op], rets: &[M::Ret], (histories, seed): (u64, u64))
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let mut numbers = Numbers(seed);
    let mut held = 0;
    for nth in 0..histories {
        let history = generate(model, ops, rets, &mut numbers);
        let holds = brute_force(model, &history, usize::MAX);
        held += u64::from(holds);
        for method in [None, Some(Method::JustInTime), Some(Method::DepthFirst)] {
            let options = Options { method, orders: true, ..Options::default() };
            let report = check(model, &history, &options);
            let agree = match report.verdict {
                Verdict::Holds => holds && validate(model, &history, &report.orders) == Ok(()),
                Verdict::Violated(_) => !holds,
                Verdict::Unknown(_) => false,
            };
            assert!(agree, "{name} {nth}, {method:?}: {report:?}\n{:#?}", history.events);
        }
        let mut online = Online::new(model.clone());
        let said = history.events.iter().try_for_each(|event| online.event(event));
        assert_eq!(said.is_ok(), holds, "{name} {nth}, online: {said:?}\n{:#?}", history.events);
    }
    println!("{name}: {held} hold, {} do not, none in disagreement", histories - held);
}

/// An operation that is open: its number, itself, and once it took effect how it ends.
type Open<M> = (u32, <M as Model>::Op, Option<What<<M as Model>::Op, <M as Model>::Ret>>);

/// Up to seven operations, answered by an object that takes them one after the other while up to
/// four are open; then, in half of the histories, one answer is changed.
fn generate<M>(
    model: &M,
    ops: &[M::Op],
    rets: &[M::Ret],
    numbers: &mut Numbers,
) -> History<M::Op, M::Ret>
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let count = 1 + numbers.below(7) as u32;
    let mut states: Vec<(M::Key, M::State)> = Vec::new();
    let mut open: Vec<Open<M>> = Vec::new();
    let mut history = History::new();
    let mut begun = 0;
    let mut line = |op: u32, what| {
        let (at, actor) = (history.events.len() as u64, Actor::Client(op as u16));
        history.events.push(Event { at, op, actor, process: op, call: op, what });
    };
    while begun < count || !open.is_empty() {
        let which = numbers.below(4) as usize;
        if which >= open.len() {
            if begun < count {
                let op = ops[numbers.below(ops.len() as u64) as usize].clone();
                line(begun, What::Invoke(op.clone()));
                open.push((begun, op, None));
                begun += 1;
            }
            continue;
        }
        if let (number, _, Some(_)) = &open[which] {
            let number = *number;
            if let (_, _, Some(end)) = open.swap_remove(which) {
                line(number, end);
            }
            continue;
        }
        let op = open[which].1.clone();
        let key = model.key(&op);
        let place = states.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            states.push((model.key(&op), model.initial(&key)));
            states.len() - 1
        });
        let state = states[place].1.clone();
        let fits = |ret: &M::Ret| Some((ret.clone(), model.step(&state, &op, Some(ret))?));
        let fitting: Vec<_> = rets.iter().filter_map(fits).collect();
        let (end, next) = match numbers.below(12) {
            0 => (What::Fail("".into()), None),
            1 => (What::Info, None),
            2 => (What::Info, model.step(&state, &op, None)),
            _ if fitting.is_empty() => (What::Info, None),
            _ => {
                let (ret, next) = fitting[numbers.below(fitting.len() as u64) as usize].clone();
                (What::Ok(ret), Some(next))
            }
        };
        states[place].1 = next.unwrap_or(state);
        open[which].2 = Some(end);
    }
    if numbers.below(2) == 0 {
        let nth = numbers.below(history.events.len() as u64) as usize;
        if let What::Ok(ret) = &mut history.events[nth].what {
            *ret = rets[numbers.below(rets.len() as u64) as usize].clone();
        }
    }
    history
}
