//! A fuzzer's bytes as a tiny history of some object, judged by every checker of linearizability
//! and by trying every permutation: none may say anything else. An order that a checker gives is
//! replayed, and the history is judged line by line too.
//!
//! ```console
//! $ cargo +nightly fuzz run checker_vs_brute_force -- -max_total_time=60
//! ```

#![no_main]

#[path = "../../crates/checkers/tests/common/brute.rs"]
mod brute;

use brute::brute_force;
use checkers::models::{
    Counter, CounterOp, CounterRet, FetchAndAdd, FetchAndAddOp, Fetched, Mutex, MutexOp, MutexRet,
    Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Set, SetOp, SetRet, Stack,
    StackOp, StackRet,
};
use checkers::{Model, Online, Options, check, validate};
use history::{Actor, Event, History, What};
use libfuzzer_sys::fuzz_target;

/// Every permutation of more takes too long.
const MOST_OPERATIONS: u32 = 7;

/// Each holds one operation at a time.
const CLIENTS: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let Some((object, rest)) = bytes.split_first() else { return };
    match object % 7 {
        0 => try_on(&Register(0), rest, register_op, register_ret),
        1 => try_on(&Queue::default(), rest, queue_op, queue_ret),
        2 => try_on(&Stack::default(), rest, stack_op, stack_ret),
        3 => try_on(&Set::default(), rest, set_op, set_ret),
        4 => try_on(&Mutex, rest, mutex_op, mutex_ret),
        5 => try_on(&Counter(0), rest, counter_op, counter_ret),
        _ => try_on(&FetchAndAdd(0), rest, fetch_and_add_op, fetch_and_add_ret),
    }
});

/// Two bytes a line: whose it is, and what it says. A client that is at work completes.
fn history<Op, Ret>(
    bytes: &[u8],
    op: fn(u64, u8) -> Op,
    ret: fn(&Op, u8) -> Ret,
) -> History<Op, Ret>
where
    Op: Clone,
{
    let mut events: Vec<Event<Op, Ret>> = Vec::new();
    let mut open: [Option<(u32, Op)>; CLIENTS] = std::array::from_fn(|_| None);
    let mut begun = 0;
    for (at, line) in (0u64..).zip(bytes.chunks_exact(2)) {
        let client = usize::from(line[0]) % CLIENTS;
        let (number, what) = match open[client].take() {
            Some((number, _)) if line[0] & 0xc0 == 0xc0 => (number, What::Info),
            Some((number, _)) if line[0] & 0xc0 == 0x80 => (number, What::Fail("refused".into())),
            Some((number, op)) => (number, What::Ok(ret(&op, line[1]))),
            None if begun < MOST_OPERATIONS => {
                let asked = op(client as u64, line[1]);
                open[client] = Some((begun, asked.clone()));
                begun += 1;
                (begun - 1, What::Invoke(asked))
            }
            None => continue,
        };
        let actor = Actor::Client(client as u16);
        events.push(Event { at, op: number, actor, process: number, call: number, what });
    }
    History { events }
}

fn try_on<M>(model: &M, bytes: &[u8], op: fn(u64, u8) -> M::Op, ret: fn(&M::Op, u8) -> M::Ret)
where
    M: Model<Op: Clone + Sync, Ret: Clone + Sync, Key: Sync> + Sync + Clone,
{
    let history = history(bytes, op, ret);
    let truth = brute_force(model, &history, history.events.len());
    let methods = [None, Some(checkers::Method::JustInTime), Some(checkers::Method::DepthFirst)];
    for method in methods {
        let options = Options { orders: true, method, ..Options::default() };
        let report = check(model, &history, &options);
        assert_eq!(report.verdict.holds(), truth, "{method:?}: {}\n{history:#?}", report.verdict);
        if truth {
            validate(model, &history, &report.orders).expect("orders that can be replayed");
        }
    }
    let mut online = Online::new(model.clone());
    let repaired = history.events.iter().all(|event| online.event(event).is_ok());
    assert_eq!(repaired, truth, "line by line: {}\n{history:#?}", online.verdict());
}

fn register_op(_: u64, byte: u8) -> RegisterOp {
    let (one, other) = (u64::from(byte >> 2 & 7), u64::from(byte >> 5));
    match byte % 4 {
        0 | 1 => RegisterOp::Read,
        2 => RegisterOp::Write(one),
        _ => RegisterOp::CompareAndSet(one, other),
    }
}

fn register_ret(op: &RegisterOp, byte: u8) -> RegisterRet {
    match op {
        RegisterOp::Read => RegisterRet::Value(u64::from(byte % 8)),
        RegisterOp::CompareAndSet(..) if byte % 2 == 0 => RegisterRet::Refused,
        RegisterOp::Write(_) | RegisterOp::CompareAndSet(..) => RegisterRet::Done,
    }
}

fn queue_op(_: u64, byte: u8) -> QueueOp {
    if byte % 2 == 0 { QueueOp::Enqueue(u64::from(byte >> 1 & 7)) } else { QueueOp::Dequeue }
}

fn queue_ret(op: &QueueOp, byte: u8) -> QueueRet {
    match op {
        QueueOp::Enqueue(_) => QueueRet::Done,
        QueueOp::Dequeue if byte % 8 == 7 => QueueRet::Empty,
        QueueOp::Dequeue => QueueRet::Value(u64::from(byte % 8)),
    }
}

fn stack_op(_: u64, byte: u8) -> StackOp {
    if byte % 2 == 0 { StackOp::Push(u64::from(byte >> 1 & 7)) } else { StackOp::Pop }
}

fn stack_ret(op: &StackOp, byte: u8) -> StackRet {
    match op {
        StackOp::Push(_) => StackRet::Done,
        StackOp::Pop if byte % 8 == 7 => StackRet::Empty,
        StackOp::Pop => StackRet::Value(u64::from(byte % 8)),
    }
}

fn set_op(_: u64, byte: u8) -> SetOp {
    let value = u64::from(byte >> 2 & 1);
    match byte % 3 {
        0 => SetOp::Add(value),
        1 => SetOp::Remove(value),
        _ => SetOp::Contains(value),
    }
}

fn set_ret(op: &SetOp, byte: u8) -> SetRet {
    match (op, byte % 3) {
        (SetOp::Add(_) | SetOp::Remove(_), 0) => SetRet::Done,
        (_, 1) => SetRet::Yes,
        _ => SetRet::No,
    }
}

fn mutex_op(client: u64, byte: u8) -> MutexOp {
    if byte % 2 == 0 { MutexOp::Acquire(client) } else { MutexOp::Release(client) }
}

fn mutex_ret(_: &MutexOp, byte: u8) -> MutexRet {
    if byte % 4 == 0 { MutexRet::Refused } else { MutexRet::Done }
}

fn counter_op(_: u64, byte: u8) -> CounterOp {
    if byte % 2 == 0 { CounterOp::Read } else { CounterOp::Add(i64::from(byte >> 1 & 3)) }
}

fn counter_ret(op: &CounterOp, byte: u8) -> CounterRet {
    match op {
        CounterOp::Add(_) if byte % 2 == 0 => CounterRet::Done,
        CounterOp::Add(_) | CounterOp::Read => CounterRet::Total(i64::from(byte >> 1 & 7)),
    }
}

fn fetch_and_add_op(_: u64, byte: u8) -> FetchAndAddOp {
    if byte % 4 == 0 {
        FetchAndAddOp::Read
    } else {
        FetchAndAddOp::FetchAndAdd(i64::from(byte >> 2 & 3))
    }
}

fn fetch_and_add_ret(_: &FetchAndAddOp, byte: u8) -> Fetched {
    Fetched(i64::from(byte & 7))
}
