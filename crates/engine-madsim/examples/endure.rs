//! One worker, many runs: `cargo run -p engine-madsim --example endure [RUNS [PROFILE]]`.
//!
//! Prints cases per second and the worker's memory as it goes, and whether the first case still
//! has its digest at the end. It finds its worker among its own children, so it wants Linux.

use engine_madsim::{Madsim, Profile};
use explorer::{Engine, Narrow, seed_of};
use std::fs;
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runs: u64 = std::env::args().nth(1).map_or(Ok(10_000), |runs| runs.parse())?;
    let name = std::env::args().nth(2).unwrap_or_else(|| Profile::Network.name().to_owned());
    let profile = Profile::ALL.into_iter().find(|profile| profile.name() == name);
    let engine = Madsim::start(profile.ok_or("no such profile")?)?;
    let scenarios = scenarios::registry();
    let case = |index: u64| {
        let scenario = &scenarios[index as usize % scenarios.len()];
        (scenario.name(), scenario.case_text(seed_of(1, index), &Narrow::default()))
    };
    let digest = |engine: &dyn Engine, (name, text): &(String, String)| {
        engine.judge(name, text, false).0.digest
    };
    let first = case(0);
    let before = digest(&*engine, &first);
    let mut spent = 0.0;
    for block in 0..10 {
        let cases: Vec<_> = (block * runs / 10..(block + 1) * runs / 10).map(case).collect();
        let start = Instant::now();
        for case in &cases {
            digest(&*engine, case);
        }
        spent += start.elapsed().as_secs_f64();
        let done = (block + 1) * runs / 10;
        println!("{done:>8} runs  {:>6.0} cases/s  worker {}", done as f64 / spent, memory()?);
    }
    let same = digest(&*engine, &first) == before;
    println!("the first case has {} digest", if same { "the same" } else { "ANOTHER" });
    Ok(())
}

/// The resident memory of this process's child.
fn memory() -> Result<String, Box<dyn std::error::Error>> {
    let me = std::process::id();
    let children = fs::read_to_string(format!("/proc/{me}/task/{me}/children"))?;
    let child = children.split_whitespace().next().ok_or("no worker")?;
    let status = fs::read_to_string(format!("/proc/{child}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
}
