//! The speed table: how long checks take for the shapes of history that it names, as a ratio to a
//! fixed loop too, and how much memory beside the history. `cargo bench -p checkers --bench speed`
//! prints all rows, each from a process of its own; with a word after `--` those that contain it.

mod common;
#[path = "common/etcd.rs"]
mod etcd;

use checkers::models::{Mutex, Register};
use checkers::{Keyed, Model, Options, Report, Verdict, check};
use common::{Numbers, Shape, lock, register, registers};
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

const ROWS: [Row; 14] = [
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
];

fn one(shape: &Shape) -> Measured {
    measure(&Register(0), &register(shape), if shape.operations > 20_000 { 3 } else { 7 })
}

/// The best time of a few, and the memory of the first.
fn measure<M>(model: &M, history: &History<M::Op, M::Ret>, times: u32) -> Measured
where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    // Forgets how much was in use before; without it the figure is too small at worst.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS");
    let report = check(model, history, &Options::default());
    let memory = status("VmHWM").saturating_sub(before);
    let (time, _) = best(times, || check(model, history, &Options::default()));
    Measured { time, memory, told: tell(&report) }
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
