//! How long the search takes for histories as a campaign makes them, and for longer ones.

use checkers::linearizable;
use checkers::models::{Counter, CounterOp, CounterRet, Register, RegisterOp, RegisterRet};
use divan::Bencher;
use history::{Actor, Event, History, What};

fn main() {
    divan::main();
}

/// Nobody writes it.
const INITIAL: u64 = u64::MAX - 1;

type Lines = History<RegisterOp, RegisterRet>;

/// As many operations as it says, of so many clients: half of them writes of unique values, half
/// reads; in so many of a thousand the outcome stays unknown.
struct Shape {
    operations: u32,
    clients: usize,
    unknown: u64,
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

/// What a client's operation has come to.
#[derive(Clone, PartialEq)]
enum Phase {
    Idle,
    Invoked(u32, RegisterOp),
    Done(u32, RegisterRet),
}

/// A right history: clients take turns at random to invoke, to take effect, and to complete.
fn history(shape: &Shape) -> Lines {
    let mut numbers = Numbers(7);
    let mut clients = vec![Phase::Idle; shape.clients];
    let (mut value, mut begun, mut events) = (INITIAL, 0, Vec::new());
    loop {
        let who = numbers.below(shape.clients as u64) as usize;
        let phase = std::mem::replace(&mut clients[who], Phase::Idle);
        let mut line = |op, what| {
            let actor = Actor::Client(who as u16);
            let at = events.len() as u64;
            events.push(Event { at, op, actor, process: who as u32, call: op, what });
        };
        clients[who] = match phase {
            Phase::Idle if begun == shape.operations => {
                if clients.iter().all(|phase| *phase == Phase::Idle) {
                    return History { events };
                }
                Phase::Idle
            }
            Phase::Idle => {
                let write = numbers.below(2) == 0;
                let op = if write { RegisterOp::Write(begun.into()) } else { RegisterOp::Read };
                line(begun, What::Invoke(op.clone()));
                begun += 1;
                Phase::Invoked(begun - 1, op)
            }
            Phase::Invoked(number, op) => {
                let unknown = numbers.below(1000) < shape.unknown;
                if unknown && numbers.below(2) == 0 {
                    Phase::Idle
                } else {
                    let ret = match op {
                        RegisterOp::Write(new) => {
                            value = new;
                            RegisterRet::Done
                        }
                        _ => RegisterRet::Value(value),
                    };
                    if unknown { Phase::Idle } else { Phase::Done(number, ret) }
                }
            }
            Phase::Done(number, ret) => {
                line(number, What::Ok(ret));
                Phase::Idle
            }
        };
    }
}

/// The history with one read, after nine tenths of it, of a value that was never written.
fn wrong(shape: &Shape) -> Lines {
    let mut history = history(shape);
    let late = history.events.len() * 9 / 10;
    for event in &mut history.events[late..] {
        if let What::Ok(RegisterRet::Value(value)) = &mut event.what {
            *value = u64::MAX;
            break;
        }
    }
    history
}

fn shape(operations: u32, clients: usize, unknown: u64) -> Shape {
    Shape { operations, clients, unknown }
}

fn judge(bencher: Bencher<'_, '_>, history: &Lines, holds: bool) {
    assert_eq!(linearizable(&Register(INITIAL), history).holds(), holds);
    bencher.bench_local(|| linearizable(&Register(INITIAL), divan::black_box(history)));
}

#[divan::bench(args = [20, 60, 1000])]
fn calm(bencher: Bencher<'_, '_>, operations: u32) {
    judge(bencher, &history(&shape(operations, 4, 0)), true);
}

#[divan::bench(args = [20, 60, 1000])]
fn one_in_ten_unknown(bencher: Bencher<'_, '_>, operations: u32) {
    judge(bencher, &history(&shape(operations, 4, 100)), true);
}

#[divan::bench(args = [20, 60, 1000])]
fn eight_clients(bencher: Bencher<'_, '_>, operations: u32) {
    judge(bencher, &history(&shape(operations, 8, 0)), true);
}

#[divan::bench(args = [20, 60, 1000])]
fn wrong_read(bencher: Bencher<'_, '_>, operations: u32) {
    judge(bencher, &wrong(&shape(operations, 4, 0)), false);
}

#[divan::bench(args = [20, 60])]
fn wrong_read_and_one_in_ten_unknown(bencher: Bencher<'_, '_>, operations: u32) {
    judge(bencher, &wrong(&shape(operations, 4, 100)), false);
}

/// Additions that all overlap, and a total that no order of them gives: the search ends at its
/// bound. This is the longest that any history takes.
#[divan::bench(sample_count = 5)]
fn bound(bencher: Bencher<'_, '_>) {
    let line = |op, what| Event { at: 0, op, actor: Actor::Client(0), process: op, call: op, what };
    let ret = |op| if op == 0 { CounterRet::Total(-1) } else { CounterRet::Done };
    let history = History {
        events: (0..60)
            .map(|op| line(op, What::Invoke(CounterOp::Add(1 << op))))
            .chain((0..60).map(|op| line(op, What::Ok(ret(op)))))
            .collect(),
    };
    bencher.bench_local(|| linearizable(&Counter(0), divan::black_box(&history)));
}
