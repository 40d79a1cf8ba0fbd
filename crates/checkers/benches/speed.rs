//! The speed table: how long checks take for the shapes of history that it names, as a ratio to a
//! fixed loop too, and how much memory beside the history. `cargo bench -p checkers --bench speed`
//! prints all rows, each from a process of its own; with words after `--` those that contain them.
//! `-- curve` prints instead how the main checkers fare as histories grow.

mod common;
#[path = "common/etcd.rs"]
mod etcd;
#[path = "common/transactions.rs"]
mod transactions;

use checkers::isolation::{Analysis, Level, list_append, rw_register};
use checkers::models::{Mutex, Queue, Register};
use checkers::{Keyed, Model, Options, Report, Verdict, check};
use common::{Numbers, Shape, lock, queue, register, registers};
use history::History;
use std::process::Command;
use std::time::{Duration, Instant};

struct Row {
    name: &'static str,
    /// What is to be reached.
    goal: &'static str,
    run: fn() -> Measured,
}

struct Measured {
    time: Duration,
    /// Bytes in use at most, beyond those before the check.
    memory: u64,
    told: String,
}

const fn row(name: &'static str, goal: &'static str, run: fn() -> Measured) -> Row {
    Row { name, goal, run }
}

const ROWS: [Row; 18] = [
    row("the 66 etcd logs, total", "2.4 ms", etcd::all),
    row("cas register, unique, 10k, c=16", "60 ms, 10 MiB", || one(&Shape::new(10_000, 16))),
    row("cas register, unique, 1M, c=8", "0.5 s, 16 MiB", || one(&Shape::new(1_000_000, 8))),
    row("cas register, unique, 1k, c=32", "", || one(&Shape::new(1_000, 32))),
    row("cas register, unique, 100, c=64", "open", || one(&Shape::new(100, 64))),
    row("cas register, 5 values, 10k, c=20", "", || {
        one(&Shape { values: 5, ..Shape::new(10_000, 20) })
    }),
    row("read/write register, 1M, c=64", "0.15 s", || {
        one(&Shape { mix: [50, 50, 0], ..Shape::new(1_000_000, 64) })
    }),
    row("unknown 6 %, unique, 10k, c=8", "15 ms", || {
        one(&Shape { lost: 30, ..Shape::new(10_000, 8) })
    }),
    row("unknown 6 %, 5 values, 10k, c=8", "1 s", || {
        one(&Shape { lost: 30, values: 5, ..Shape::new(10_000, 8) })
    }),
    row("unknown 2 %, 5 values, 10k, c=8", "open", || {
        one(&Shape { lost: 10, values: 5, ..Shape::new(10_000, 8) })
    }),
    row("stale read at 90 %, 10k, c=16", "50 ms", || {
        one(&Shape { wrong_at: Some(90), ..Shape::new(10_000, 16) })
    }),
    row("key-value, 10k keys, 1M, c=64", "0.2 s, 200 MiB", || {
        let history = registers(&Shape { keys: 10_000, ..Shape::new(1_000_000, 64) });
        measure(&Keyed::new(Register(0)), &history, 3)
    }),
    row("mutex, double acquire, 100, c=32", "0.2 ms", || {
        let history = lock(&Shape { wrong_at: Some(90), ..Shape::new(100, 32) });
        measure(&Mutex, &history, 20)
    }),
    row("mutex, 100k, c=64", "20 ms", || measure(&Mutex, &lock(&Shape::new(100_000, 64)), 3)),
    row("queue, 1M, c=64", "0.5 s", || {
        measure(&Queue::new(), &queue(&Shape::new(1_000_000, 64)), 3)
    }),
    row("list-append, 100k", "0.4 s, 300 MiB", || lists(100_000)),
    row("rw-register, recorded order, 10k", "50 ms", || recorded_order(10_000)),
    row("rw-register, 10k", "1 s", || {
        let history = transactions::registers(&transactions::run(10_000).0);
        judge(3, || strict(&rw_register(&history)))
    }),
];

/// A checker, and what it takes for so many operations.
type Curve = (&'static str, usize, fn(usize) -> Measured);

/// The main checkers, each up to so many operations.
const CURVES: [Curve; 8] = [
    ("cas register, unique, c=8", 1_000_000, |n| one(&Shape::new(n, 8))),
    ("read/write register, c=64", 1_000_000, |n| {
        one(&Shape { mix: [50, 50, 0], ..Shape::new(n, 64) })
    }),
    ("register, 5 values, c=8", 1_000_000, |n| one(&Shape { values: 5, ..Shape::new(n, 8) })),
    ("key-value, a key for 100, c=64", 1_000_000, |n| {
        let history = registers(&Shape { keys: n as u64 / 100, ..Shape::new(n, 64) });
        measure(&Keyed::new(Register(0)), &history, 3)
    }),
    ("queue, c=64", 1_000_000, |n| measure(&Queue::new(), &queue(&Shape::new(n, 64)), 3)),
    ("mutex, c=64", 1_000_000, |n| measure(&Mutex, &lock(&Shape::new(n, 64)), 3)),
    ("list-append, c=20", 100_000, lists),
    ("rw-register, recorded order", 100_000, recorded_order),
];

fn lists(transactions: usize) -> Measured {
    let history = transactions::lists(&transactions::run(transactions as u32).0);
    judge(3, || strict(&list_append(&history)))
}

fn recorded_order(transactions: usize) -> Measured {
    let (lines, store) = transactions::run(transactions as u32);
    let history = transactions::registers(&lines);
    judge(3, || {
        let orders = store.iter().map(|(key, values)| (key, values.as_slice()));
        strict(&rw_register(&history).with_recorded_orders(orders))
    })
}

fn strict(analysis: &Analysis<'_, u64, u64>) -> String {
    match analysis.check(Level::STRICT_SERIALIZABLE) {
        Verdict::Holds => "holds".to_owned(),
        other => other.to_string(),
    }
}

fn one(shape: &Shape) -> Measured {
    measure(&Register(0), &register(shape), if shape.operations > 20_000 { 3 } else { 7 })
}

fn measure<M>(model: &M, history: &History<M::Op, M::Ret>, times: u32) -> Measured
where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    judge(times, || tell(&check(model, history, &Options::default())))
}

/// The best time of a few, and the memory of the first.
fn judge(times: u32, work: impl Fn() -> String) -> Measured {
    // Forgets how much was in use before; without it the figure is too small at worst.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS");
    let told = work();
    let memory = status("VmHWM").saturating_sub(before);
    let (time, _) = best(times, work);
    Measured { time, memory, told }
}

fn best<T>(times: u32, mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        #[expect(clippy::disallowed_methods, reason = "a bench measures")]
        let start = Instant::now();
        let result = std::hint::black_box(work());
        (start.elapsed(), result)
    };
    let first = once();
    (1..times).fold(first, |best, _| {
        let next = once();
        if next.0 < best.0 { next } else { best }
    })
}

fn tell(report: &Report) -> String {
    let word = match &report.verdict {
        Verdict::Holds => "holds",
        Verdict::Violated(_) => "violated",
        Verdict::Unknown(_) => "UNKNOWN",
    };
    let steps: u64 = report.parts.iter().map(|part| part.steps).sum();
    let peak = report.parts.iter().map(|part| part.peak).max().unwrap_or_default();
    let methods = report.parts.iter().max_by_key(|part| part.steps).map(|part| &part.methods);
    format!("{word}, {methods:?}, {steps} steps, at most {peak} at once")
}

/// A figure about this process, in bytes; 0 where there is none.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).map(str::parse::<u64>);
    kib.and_then(Result::ok).unwrap_or_default() << 10
}

/// The fixed loop: ten million numbers.
fn reference() -> Duration {
    best(3, || {
        let mut numbers = Numbers(1);
        (0..10_000_000).fold(0, |sum: u64, _| sum.wrapping_add(numbers.next()))
    })
    .0
}

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if words == ["curve"] {
        return curves();
    }
    if let [marker, name] = words.as_slice()
        && marker == "row"
    {
        let row = ROWS.iter().find(|row| row.name == name).expect("a row");
        let reference = reference();
        let Measured { time, memory, told } = (row.run)();
        let ratio = time.as_secs_f64() / reference.as_secs_f64();
        let (millis, mib) = (time.as_secs_f64() * 1e3, memory as f64 / f64::from(1 << 20));
        println!("{:34} {millis:10.2} ms {ratio:8.3} {mib:8.1} MiB  goal {}", row.name, row.goal);
        println!("{:34} {told}", "");
        return;
    }
    println!("{:34} {:>13} {:>8} {:>12}", "", "time", "/ loop", "memory");
    for row in ROWS.iter().filter(|row| words.iter().all(|word| row.name.contains(word.as_str()))) {
        let this = std::env::current_exe().expect("the path of this program");
        let status = Command::new(this).args(["row", row.name]).status();
        assert!(status.is_ok_and(|status| status.success()), "{}", row.name);
    }
}

fn curves() {
    println!("{:32} {:>10} {:>12} {:>10} {:>12}", "", "operations", "time", "each", "memory");
    for (name, most, run) in CURVES {
        for operations in [1_000, 10_000, 100_000, 1_000_000] {
            if operations <= most {
                let Measured { time, memory, .. } = run(operations);
                let (millis, each) =
                    (time.as_secs_f64() * 1e3, time.as_nanos() / operations as u128);
                let mib = memory as f64 / f64::from(1 << 20);
                println!("{name:32} {operations:10} {millis:9.2} ms {each:7} ns {mib:8.1} MiB");
            }
        }
    }
}
