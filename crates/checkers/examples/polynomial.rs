//! The models' own procedures, held against other judges on a million histories each, and timed on
//! long ones.
//!
//! ```console
//! $ cargo run --release -p checkers --example polynomial -- differ [SEED] [HISTORIES] [NAME]
//! $ cargo run --release -p checkers --example polynomial -- measure
//! ```
//!
//! `differ` judges small histories (up to seven operations, outcomes unknown, answers changed) by
//! every permutation, and larger ones by the search, from which the procedures are hidden. The
//! same seed gives the same histories.

#[path = "../tests/common/objects.rs"]
mod objects;
#[path = "../tests/common/truth.rs"]
mod truth;

use checkers::models::{
    FetchAndAdd, FetchAndAddOp, Fetched, Mutex, MutexOp, MutexRet, Queue, QueueOp, QueueRet,
    Register, RegisterOp, RegisterRet, Set, SetOp, SetRet, Stack, StackOp, StackRet,
};
use checkers::{Decision, Model, Verdict, linearizable};
use history::{Actor, Event, History, Operation, Outcome, What};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use truth::{Dice, Object, Operations, Shape, Tally, differ, judge, show, validate};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize, default| {
        arguments.get(nth).map_or(default, |text| text.parse().expect("a number"))
    };
    match arguments.first().map(String::as_str) {
        Some("differ") => differ_all(number(1, 1), number(2, 1_000_000)),
        Some("measure") => measure_all(),
        _ => panic!("either `differ [SEED] [HISTORIES] [NAME]` or `measure`"),
    }
}

fn differ_all(seed: u64, histories: u64) {
    println!("seed {seed}");
    println!("{:16} {:>10} {:>10} {:>10}   of larger ones", "", "orders", "conflicts", "neither");
    both("register", &objects::register(), seed, histories);
    both("r/w register", &objects::plain_register(), seed, histories);
    both("queue", &objects::queue(), seed, histories);
    both("stack", &objects::stack(), seed, histories);
    both("mutex", &objects::mutex(), seed, histories);
    both("fenced mutex", &objects::fenced_mutex(), seed, histories);
    both("set", &objects::set(), seed, histories);
    both("fetch-and-add", &objects::fetch_and_add(), seed, histories);
    both("counter", &objects::counter(), seed, histories);
    both("counter, told", &objects::told_counter(), seed, histories);
    both("counter, bounds", &objects::bounded_counter(), seed, histories);
}

fn both<M>(name: &str, object: &Object<M>, seed: u64, histories: u64)
where
    M: Model<Op: Clone, Ret: Clone>,
{
    if std::env::args().nth(4).is_some_and(|only| only != name) {
        return;
    }
    let Tally { orders, conflicts, neither } = differ(object, seed, histories);
    let larger = differ_larger(object, seed, histories / 20);
    println!(
        "{name:16} {orders:>10} {conflicts:>10} {neither:>10}   {} {} {}",
        larger.orders, larger.conflicts, larger.neither
    );
}

/// The model without its procedure.
struct Plain<'a, M>(&'a M);

impl<M: Model> Model for Plain<'_, M> {
    type Op = M::Op;
    type Ret = M::Ret;
    type State = M::State;
    type Key = M::Key;

    fn key(&self, op: &M::Op) -> M::Key {
        self.0.key(op)
    }

    fn initial(&self, key: &M::Key) -> M::State {
        self.0.initial(key)
    }

    fn step(&self, state: &M::State, op: &M::Op, ret: Option<&M::Ret>) -> Option<M::State> {
        self.0.step(state, op, ret)
    }

    fn observes(&self, op: &M::Op, ret: Option<&M::Ret>) -> bool {
        self.0.observes(op, ret)
    }
}

/// As [`differ`], with 10 to 24 operations and the search.
fn differ_larger<M>(object: &Object<M>, seed: u64, histories: u64) -> Tally
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let mut tally = Tally::default();
    for nth in 0..histories {
        let mut dice = Dice(seed.wrapping_add(nth).wrapping_mul(0x9E6C_63D0_676A_9A99));
        let shape = Shape {
            operations: 10 + dice.below(15),
            clients: 2 + dice.below(4),
            unknown: [0, 0, 5, 10][dice.below(4) as usize],
            wrong: dice.below(3),
        };
        let history = truth::history(object, shape, &mut dice);
        let by_search = |model: &M, operations: &Operations<'_, M>| match linearizable(
            &Plain(model),
            &again::<M>(operations),
        ) {
            Verdict::Holds => true,
            Verdict::Violated(_) => false,
            Verdict::Unknown(reason) => panic!("{reason}"),
        };
        match judge(&object.model, &history, by_search) {
            Ok(of_one) => tally += of_one,
            Err(error) => panic!("seed {seed}, larger history {nth}: {error}\n{}", show(&history)),
        }
    }
    tally
}

/// A history of these operations.
fn again<M>(operations: &Operations<'_, M>) -> History<M::Op, M::Ret>
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let mut lines = Vec::new();
    for (op, operation) in (0..).zip(operations) {
        let Operation { actor, call, invoked, completed, .. } = *operation;
        let line = |at: usize, what| Event { at: at as u64, op, actor, process: op, call, what };
        lines.push(line(invoked, What::Invoke(operation.op.clone())));
        if let Outcome::Ok(ret) = operation.outcome {
            lines.push(line(completed, What::Ok(ret.clone())));
        }
    }
    lines.sort_by_key(|line| line.at);
    History { events: lines }
}

/// A right history of so many operations of so many clients: at every step a client is picked at
/// random, and invokes, takes effect, or completes. `effect` may have to wait.
fn long<Op: Clone, Ret: Clone>(
    operations: u32,
    clients: usize,
    mut invoke: impl FnMut(&mut Dice, usize) -> Op,
    mut effect: impl FnMut(&Op) -> Option<Ret>,
) -> History<Op, Ret> {
    enum Phase<Op, Ret> {
        Idle,
        Called(u32, Op),
        Done(u32, Ret),
    }
    let mut dice = Dice(1);
    let mut phases: Vec<Phase<Op, Ret>> = (0..clients).map(|_| Phase::Idle).collect();
    let (mut events, mut begun, mut idle) = (Vec::new(), 0, 0);
    while idle < 50 * clients {
        idle += 1;
        let who = dice.below(clients as u64) as usize;
        let mut line = |op, what| {
            let (at, actor) = (events.len() as u64, Actor::Client(who as u16));
            events.push(Event { at, op, actor, process: op, call: op, what });
            idle = 0;
        };
        phases[who] = match std::mem::replace(&mut phases[who], Phase::Idle) {
            Phase::Idle if begun == operations => Phase::Idle,
            Phase::Idle => {
                let op = invoke(&mut dice, who);
                line(begun, What::Invoke(op.clone()));
                begun += 1;
                Phase::Called(begun - 1, op)
            }
            Phase::Called(nth, op) => match effect(&op) {
                Some(ret) => Phase::Done(nth, ret),
                None => Phase::Called(nth, op),
            },
            Phase::Done(nth, ret) => {
                line(nth, What::Ok(ret));
                Phase::Idle
            }
        };
    }
    History { events }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of a measurement")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// Times the procedure on the first object of a history; its answer is checked, not timed.
fn measure<M: Model>(name: &str, model: &M, history: &History<M::Op, M::Ret>) {
    let operations = history.operations();
    let Some(first) = operations.first() else { return };
    let key = model.key(first.op);
    let (decision, first_time) = timed(|| model.decide(&key, operations.iter().map(truth::copy)));
    let times: Vec<Duration> = (0..4)
        .map(|_| timed(|| model.decide(&key, operations.iter().map(truth::copy))).1)
        .collect();
    let best = times.into_iter().fold(first_time, Duration::min);
    let answer = match decision {
        None => "no answer".to_owned(),
        Some(Decision::Order(order)) => {
            validate(model, model.initial(&key), &operations, &order).expect("a right order");
            "order".to_owned()
        }
        Some(Decision::Conflict(conflict)) => {
            format!("conflict of {}: {}", conflict.operations.len(), conflict.reason)
        }
    };
    let micros = best.as_micros();
    println!("{name:38} {:>9} operations {micros:>9} us   {answer}", operations.len());
}

fn measure_all() {
    for (operations, clients) in [(10_000, 16), (100_000, 8), (1_000_000, 8)] {
        let history = registers(operations, clients, 50, 35);
        measure(&format!("cas register, {clients} clients"), &Register(0), &history);
    }
    for operations in [1_000, 10_000, 100_000, 1_000_000] {
        let history = registers(operations, 64, 50, 50);
        measure("r/w register, 64 clients", &Register(0), &history);
    }
    let mut stale = registers(10_000, 16, 50, 50);
    spoil(&mut stale, |ret| matches!(ret, RegisterRet::Value(_)), || RegisterRet::Value(1));
    measure("r/w register, 16 clients, stale read", &Register(0), &stale);
    for operations in [10_000, 100_000, 1_000_000] {
        measure("queue, 64 clients", &Queue::new(), &queues(operations, 64));
    }
    for operations in [10_000, 100_000, 1_000_000] {
        measure("stack, 64 clients", &Stack::new(), &stacks(operations, 64));
    }
    measure("mutex, 64 clients", &Mutex, &locks(100_000, 64, false));
    measure("mutex, 32 clients, double acquire", &Mutex, &locks(100, 32, true));
    measure("mutex, 64 clients, double acquire", &Mutex, &locks(100_000, 64, true));
    measure("fetch-and-add, 32 clients", &FetchAndAdd(0), &additions(10_000, 32));
    measure("fetch-and-add, 64 clients", &FetchAndAdd(0), &additions(1_000_000, 64));
    measure("one element of a set, 32 clients", &Set::new(), &element(1_000_000, 32));
}

/// Changes the first such answer after nine tenths of the history.
fn spoil<Op, Ret>(
    history: &mut History<Op, Ret>,
    which: impl Fn(&Ret) -> bool,
    instead: impl Fn() -> Ret,
) {
    let late = history.events.len() * 9 / 10;
    for event in &mut history.events[late..] {
        match &mut event.what {
            What::Ok(ret) if which(ret) => {
                *ret = instead();
                return;
            }
            _ => {}
        }
    }
}

fn registers(n: u32, clients: usize, reads: u64, writes: u64) -> History<RegisterOp, RegisterRet> {
    let value = std::cell::Cell::new(0);
    let mut new = 0;
    let invoke = |dice: &mut Dice, _| {
        let what = dice.below(100);
        new += u64::from(what >= reads);
        if what < reads {
            RegisterOp::Read
        } else if what < reads + writes {
            RegisterOp::Write(new)
        } else {
            RegisterOp::CompareAndSet(value.get(), new)
        }
    };
    let effect = |op: &RegisterOp| {
        Some(match op {
            RegisterOp::Read => RegisterRet::Value(value.get()),
            RegisterOp::CompareAndSet(old, _) if *old != value.get() => RegisterRet::Refused,
            RegisterOp::Write(new) | RegisterOp::CompareAndSet(_, new) => {
                value.set(*new);
                RegisterRet::Done
            }
        })
    };
    long(n, clients, invoke, effect)
}

fn queues(n: u32, clients: usize) -> History<QueueOp, QueueRet> {
    let (mut queue, mut new) = (VecDeque::new(), 0);
    let invoke = |dice: &mut Dice, _| {
        new += 1;
        if dice.below(2) == 0 { QueueOp::Enqueue(new) } else { QueueOp::Dequeue }
    };
    let effect = |op: &QueueOp| {
        Some(match op {
            QueueOp::Enqueue(value) => {
                queue.push_back(*value);
                QueueRet::Done
            }
            QueueOp::Dequeue => queue.pop_front().map_or(QueueRet::Empty, QueueRet::Value),
        })
    };
    long(n, clients, invoke, effect)
}

fn stacks(n: u32, clients: usize) -> History<StackOp, StackRet> {
    let (mut stack, mut new) = (Vec::new(), 0);
    let invoke = |dice: &mut Dice, _| {
        new += 1;
        if dice.below(2) == 0 { StackOp::Push(new) } else { StackOp::Pop }
    };
    let effect = |op: &StackOp| {
        Some(match op {
            StackOp::Push(value) => {
                stack.push(*value);
                StackRet::Done
            }
            StackOp::Pop => stack.pop().map_or(StackRet::Empty, StackRet::Value),
        })
    };
    long(n, clients, invoke, effect)
}

/// With `double`, one acquisition late in the history finds it held and gets it.
fn locks(n: u32, clients: usize, double: bool) -> History<MutexOp, MutexRet> {
    let (mut holding, mut holder) = (vec![false; clients], None);
    let (mut steps, mut doubled) = (0_u64, !double);
    let invoke = |_: &mut Dice, who: usize| {
        holding[who] = !holding[who];
        let owner = who as u64;
        if holding[who] { MutexOp::Acquire(owner) } else { MutexOp::Release(owner) }
    };
    let effect = |op: &MutexOp| {
        steps += 1;
        match op {
            MutexOp::Release(owner) => {
                holder = holder.filter(|holder| holder != owner);
                Some(MutexRet::Done)
            }
            MutexOp::Acquire(owner) if holder.is_none() => {
                holder = Some(*owner);
                Some(MutexRet::Done)
            }
            MutexOp::Acquire(_) if !doubled && steps > u64::from(n) * 9 => {
                doubled = true;
                Some(MutexRet::Done)
            }
            MutexOp::Acquire(_) => None,
        }
    };
    long(n, clients, invoke, effect)
}

fn additions(n: u32, clients: usize) -> History<FetchAndAddOp, Fetched> {
    let mut total = 0;
    let invoke = |dice: &mut Dice, _| match dice.below(100) {
        0..60 => FetchAndAddOp::FetchAndAdd(1 + dice.below(9) as i64),
        _ => FetchAndAddOp::Read,
    };
    let effect = |op: &FetchAndAddOp| {
        let seen = total;
        if let FetchAndAddOp::FetchAndAdd(amount) = op {
            total += amount;
        }
        Some(Fetched(seen))
    };
    long(n, clients, invoke, effect)
}

fn element(n: u32, clients: usize) -> History<SetOp, SetRet> {
    let mut there = false;
    let invoke = |dice: &mut Dice, _| match dice.below(100) {
        0..40 => SetOp::Add(0),
        40..60 => SetOp::Remove(0),
        _ => SetOp::Contains(0),
    };
    let effect = |op: &SetOp| {
        let yes = there != matches!(op, SetOp::Add(_));
        there = match op {
            SetOp::Add(_) => true,
            SetOp::Remove(_) => false,
            SetOp::Contains(_) => there,
        };
        Some(if yes { SetRet::Yes } else { SetRet::No })
    };
    long(n, clients, invoke, effect)
}
