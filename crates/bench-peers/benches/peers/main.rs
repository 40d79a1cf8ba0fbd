//! Tribunal's engine beside its peers: `cargo bench -p bench-peers [-- --rounds N]`.
//!
//! Every contestant runs the workload of [`bench_peers`], in one run of this program and in
//! interleaved rounds, so that a noisy minute falls on all of them. The table has minimum, median
//! and maximum over the rounds, and ratios of the medians. Then the shell serves a bank on the
//! loopback interface, beside an echo of the same frames: `cargo bench -p shell` alone.
//!
//! | contestant | what it is |
//! |---|---|
//! | bare loop | the least loop that runs the same nodes: a floor, not a simulator |
//! | heap engine | Tribunal's own, with all that a campaign needs of it |
//! | madsim | an async executor under `--cfg madsim`: datagrams, calls and streams |
//! | our network | what the madsim engine puts in its place, on the same executor |
//! | the shell | the madsim engine: the shell's servers on our network, without judges |
//! | turmoil | a tokio runtime per host, moved in ticks: datagrams and streams |
//!
//! Ours hand typed messages over, the peers carry 33 bytes: that is what their interfaces take.
//! Ours run with the overflow checks and debug assertions of this workspace's release profile,
//! the peers with cargo's usual one.

mod bare;
mod heap;
mod worker;

use anyhow::Context;
use bench_peers::{Sample, Size, measure};
use std::time::Duration;
use worker::Worker;

/// How long one measurement lasts at least.
const LEAST: Duration = Duration::from_millis(250);

/// The contestant to which the table relates all others.
const ENGINE: &str = "heap engine";

/// What the madsim engine puts in the place of madsim's network, and what it is measured by.
const OURS: &str = "our network";
const THEIRS: &str = "madsim RPC";

struct Contestant {
    name: &'static str,
    measure: Box<dyn Fn(Size) -> anyhow::Result<Sample>>,
}

impl Contestant {
    fn ours<R: FnMut() -> u64 + 'static>(name: &'static str, runner: fn(Size) -> R) -> Self {
        Self { name, measure: Box::new(move |size| Ok(measure(size, LEAST, runner(size)))) }
    }

    fn peer(name: &'static str, worker: &'static Worker, contestant: &'static str) -> Self {
        Self { name, measure: Box::new(move |size| worker.measure(contestant, size, LEAST)) }
    }
}

fn main() -> anyhow::Result<()> {
    let rounds = rounds()?;
    // The workers live as long as the program.
    let madsim: &Worker = Box::leak(Box::new(Worker::build("madsim", &["--cfg", "madsim"])?));
    let turmoil: &Worker = Box::leak(Box::new(Worker::build("turmoil", &[])?));
    let contestants = [
        Contestant::ours("bare loop", bare::runner),
        Contestant::ours(ENGINE, heap::runner),
        Contestant::peer("madsim Endpoint", madsim, "endpoint"),
        Contestant::peer(THEIRS, madsim, "rpc"),
        Contestant::peer("madsim TCP", madsim, "tcp"),
        Contestant::peer(OURS, madsim, "network"),
        Contestant::peer("the shell", madsim, "shell"),
        Contestant::peer("turmoil UDP", turmoil, "udp"),
        Contestant::peer("turmoil TCP", turmoil, "tcp"),
    ];
    let mut rates = vec![Size::ALL.map(|_| Vec::new()); contestants.len()];
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (contestant, rates) in contestants.iter().zip(&mut rates) {
            for (size, rates) in Size::ALL.into_iter().zip(rates) {
                let sample = (contestant.measure)(size).context(contestant.name)?;
                rates.push(sample.rate(size));
            }
        }
    }
    for (index, size) in Size::ALL.into_iter().enumerate() {
        let rows = contestants.iter().zip(&rates).map(|(one, rates)| (one.name, &rates[index]));
        table(size, rounds, rows.collect());
    }
    worker::loopback()
}

/// Prints the figures of one size; the last column says how many times as fast the engine is.
fn table(size: Size, rounds: usize, rows: Vec<(&str, &Vec<f64>)>) {
    let unit = match size {
        Size::Long => "deliveries/s",
        Size::Short => "runs/s",
    };
    println!("\n{} messages a run, {rounds} rounds, {unit} of processor time", size.messages());
    println!("{:<16} {:>11} {:>11} {:>11} {:>8}", "", "min", "median", "max", "engine ×");
    let rows: Vec<_> = rows.into_iter().map(|(name, rates)| (name, spread(rates))).collect();
    let median = |of| rows.iter().find(|(name, _)| *name == of).map_or(0.0, |(_, [_, m, _])| *m);
    for (name, [min, median_of_it, max]) in &rows {
        let times = median(ENGINE) / median_of_it;
        println!("{name:<16} {min:>11.0} {median_of_it:>11.0} {max:>11.0} {times:>8.2}");
    }
    println!("{OURS} / {THEIRS} = {:.2}", median(OURS) / median(THEIRS));
}

/// Minimum, median and maximum.
fn spread(rates: &[f64]) -> [f64; 3] {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]]
}

/// How many rounds the command line asks for; seven if it does not. Cargo adds `--bench`.
fn rounds() -> anyhow::Result<usize> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.as_slice() {
        [] => Ok(7),
        [flag, count] if flag == "--rounds" => {
            let count = count.parse().context("--rounds takes a number")?;
            anyhow::ensure!(count > 0, "no rounds, no figures");
            Ok(count)
        }
        _ => anyhow::bail!("expected nothing or --rounds N, got {args:?}"),
    }
}
