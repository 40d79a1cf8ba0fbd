//! Async services on trial: what a trial finds, what it refuses, and that it simulates.
//!
//! The example is put on trial here too, so that its text is held to in the workspace. Everything
//! is one test program, which builds itself once more under the flag.

extern crate self as own_service;

#[path = "../../../examples/own-service/src/lib.rs"]
mod server;
pub use server::*;

#[path = "../../../examples/own-service/tests/trial.rs"]
mod trial;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tribunal::explorer::repro;
use tribunal::prelude::{Deserialize, Outcome, Serialize, Strategy, Verdict};
use tribunal::service::{KINDS, Test, target};
use tribunal::{Client, Failure, Trial};

/// A test of this file, that no attribute made.
fn named(name: &'static str) -> Test {
    Test {
        name,
        package: env!("CARGO_PKG_NAME"),
        manifest: env!("CARGO_MANIFEST_DIR"),
        target: target(
            env!("CARGO_CRATE_NAME"),
            option_env!("CARGO_BIN_NAME"),
            option_env!("CARGO_TARGET_TMPDIR"),
        ),
        seeds: 40,
        calls: 10,
        deadline_s: 20,
        faults: "crash,pause",
        features: "",
        repros: REPROS,
        violated: false,
        shrink: false,
    }
}

/// Where failures are saved that nobody has to look at.
const REPROS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/repros");

/// A test finds what it must anew each time. What its trial has to find is still to come then.
fn forget(test: &Test) {
    if cfg!(not(madsim)) {
        let folder = repro::folder(Path::new(REPROS), test.name, None);
        let _gone = std::fs::remove_dir_all(folder);
    }
}

/// What a test says that must fail. Its trial tells that to the test that cargo runs, and ends.
fn failure<F, Fut>(test: &Test, body: F) -> String
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output = Verdict>,
{
    forget(test);
    tribunal::service::tell(test, body).expect_err("the test fails")
}

/// Answers every byte with one that says how many bytes this life has answered.
async fn count(address: SocketAddr) -> std::io::Result<()> {
    let answered = Arc::new(AtomicU32::new(0));
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let answered = answered.clone();
        tokio::spawn(async move {
            while let Ok(_asked) = stream.read_u8().await {
                stream.write_u32(1 + answered.fetch_add(1, Ordering::Relaxed)).await?;
                stream.flush().await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
}

async fn counted(client: Client, _: Ask) -> Result<u32, Failure> {
    let mut stream = TcpStream::connect(client.server).await?;
    stream.write_u8(0).await?;
    stream.flush().await?;
    Ok(stream.read_u32().await?)
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
struct Ask(u8);

fn asks() -> impl Strategy<Value = Ask> {
    (0..9u8).prop_map(Ask)
}

/// No number is given twice by one server. It is, after a crash: what it counts is in memory.
async fn no_number_twice(trial: Trial) -> Verdict {
    for machine in trial.nodes("counter", 1..=3) {
        machine.serve(count);
    }
    let ask = async |client: Client, op: Ask| Ok((client.server, counted(client, op).await?));
    let history = trial.clients(2, asks, ask).await;
    let mut seen = BTreeSet::new();
    for operation in history.operations() {
        if let Outcome::Ok(given) = operation.outcome
            && !seen.insert(*given)
        {
            return Verdict::violated("counter", "given twice", given.1.to_string());
        }
    }
    Verdict::Holds
}

/// Faults, operations and nodes are left out until none is too many.
#[test]
fn a_violation_is_made_small() {
    let test = named("service::a_violation_is_made_small");
    let test = Test { violated: true, shrink: true, ..test };
    let text = told(&test, no_number_twice);
    assert!(text.contains("shrunk to 1 nodes, 2 ops, 1 faults"), "{text}");
    assert!(text.contains("VIOLATED   given twice: 1"), "{text}");
    assert!(text.contains("not exercised   disk"), "{text}");
}

/// What a test says that passes.
fn told<F, Fut>(test: &Test, body: F) -> String
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output = Verdict>,
{
    tribunal::service::tell(test, body).unwrap_or_else(|why| panic!("{why}"))
}

/// Every kind meets calls, in a service that holds whatever happens.
#[test]
fn every_kind_of_fault_meets_calls() {
    let faults = "";
    let test = Test { seeds: 60, faults, ..named("service::every_kind_of_fault_meets_calls") };
    let text = told(&test, async |trial: Trial| {
        for machine in trial.nodes("counter", 2..=3) {
            machine.serve(count);
        }
        let history = trial.clients(3, asks, counted).await;
        trial.heal().await;
        assert!(history.operations().len() <= 10, "as many calls as were asked for");
        Verdict::Holds
    });
    assert!(text.contains("HOLDS"), "{text}");
    for kind in KINDS.iter() {
        let (_, tally) = text.split_once(&format!("{kind} ")).expect(&text);
        assert!(!tally.starts_with("0/"), "{kind} never met a call: {text}");
    }
}

/// One body that goes wrong in some way, and what is found.
fn wrong(name: &'static str, life: fn() -> Wrong, expected: &str) {
    let text = failure(&named(name), move |trial: Trial| async move {
        trial.node("wrong").serve(move |_| life());
        trial.clients(1, asks, counted).await;
        Verdict::Holds
    });
    assert!(text.contains(expected), "expected {expected:?}, got {text}");
}

type Wrong = Pin<Box<dyn Future<Output = Result<(), String>>>>;

#[test]
fn a_node_that_panics_is_a_finding() {
    fn life() -> Wrong {
        Box::pin(async { panic!("no reason") })
    }
    wrong("service::a_node_that_panics_is_a_finding", life, "panics at service.rs:");
}

#[test]
fn a_node_that_ends_is_a_finding() {
    fn life() -> Wrong {
        Box::pin(async { Err("enough".to_owned()) })
    }
    let found = "VIOLATED   ended: wrong ends by itself: \"enough\"";
    wrong("service::a_node_that_ends_is_a_finding", life, found);
}

/// A run that never waits is ended from outside, with its process, and not made small.
#[test]
fn a_run_without_an_end_is_a_finding() {
    let name = "service::a_run_without_an_end_is_a_finding";
    let text = failure(&Test { seeds: 2, deadline_s: 1, ..named(name) }, async |trial: Trial| {
        trial.node("spins").serve(count);
        let spin = async |_: Client, _: Ask| -> Result<u32, Failure> {
            loop {
                tokio::task::yield_now().await;
            }
        };
        trial.clients(1, asks, spin).await;
        Verdict::Holds
    });
    assert!(text.contains("VIOLATED   livelock: the run makes no end within 1s"), "{text}");
}

/// A body that waits for what never comes is ended by the clock of the run.
#[test]
fn a_body_without_an_end_is_a_finding() {
    let test = named("service::a_body_without_an_end_is_a_finding");
    let text = failure(&test, async |trial: Trial| {
        trial.node("counter").serve(count);
        trial.clients(1, asks, counted).await;
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        Verdict::Holds
    });
    assert!(text.contains("VIOLATED   no end"), "{text}");
}

/// What comes from outside of the run is noticed, for two runs of a case differ.
#[test]
fn nondeterminism_is_named() {
    let test = named("service::nondeterminism_is_named");
    let text = failure(&test, async |trial: Trial| {
        trial.node("counter").serve(count);
        let ask = async |_: Client, _: Ask| Ok::<_, Failure>(std::process::id());
        trial.clients(1, asks, ask).await;
        Verdict::Holds
    });
    assert!(text.contains("NONDETERMINISM   two runs of seed 0x"), "{text}");
    assert!(text.contains("ok "), "the event is named: {text}");
}

#[test]
fn kinds_that_cannot_be_had_are_refused_by_name() {
    let test = named("service::kinds_that_cannot_be_had_are_refused_by_name");
    let text = failure(&Test { faults: "crash,power_loss", ..test }, no_number_twice);
    assert!(text.contains("fault kind \"power_loss\" cannot be had"), "{text}");
    assert!(text.contains("it can have delay, cut, crash, restart"), "{text}");
}

#[test]
fn a_body_without_clients_is_refused() {
    let test = named("service::a_body_without_clients_is_refused");
    let text = failure(&test, async |trial: Trial| {
        trial.node("counter").serve(count);
        Verdict::Holds
    });
    assert!(text.contains("expected `trial.clients(…)`"), "{text}");
}

/// This test program, with one test to run.
#[cfg(not(madsim))]
fn again(test: &str) -> std::process::Command {
    let mut again =
        std::process::Command::new(std::env::current_exe().expect("there is a program"));
    again.args([test, "--exact", "--nocapture"]);
    again
}

/// Flags and folders that somebody has set for other builds do not reach the trial's, which says
/// that it has simulated.
#[cfg(not(madsim))]
#[test]
fn a_trial_simulates_under_foreign_flags() {
    let test = "trial::what_is_acknowledged_is_there";
    for (name, value) in [
        ("RUSTFLAGS", "-D warnings"),
        ("RUSTFLAGS", ""),
        ("CARGO_ENCODED_RUSTFLAGS", ""),
        ("CARGO_TARGET_DIR", "elsewhere"),
        ("CARGO_BUILD_TARGET", "no-such-target"),
    ] {
        let output = again(test).env(name, value).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}={value:?}: {said}{errors}");
        assert!(said.contains("tried    200 cases"), "{name}={value:?}: {said}");
    }
}

/// A program that has lost the flag says so, and does not build itself again for ever.
#[cfg(not(madsim))]
#[test]
fn a_lost_flag_is_noticed() {
    let mut again = again("trial::what_is_acknowledged_is_there");
    let output = again.env("TRIBUNAL_ROLE", "trial").output().expect("it starts");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("built without `--cfg madsim`"), "{errors}");
}
