//! An async service of your own on trial.
//!
//! What is a state machine is a [`Node`](crate::node::Node). A service that listens on tokio's
//! sockets and spawns tokio's tasks is put on trial as it is:
//!
//! ```no_run
//! use std::collections::BTreeSet;
//! use tribunal::prelude::{Just, Outcome, Verdict};
//! use tribunal::{Client, Failure, Trial};
//! # use std::{io, net::SocketAddr, path::PathBuf};
//! # async fn serve(_: SocketAddr, _: PathBuf) -> io::Result<()> { Ok(()) }
//! # async fn ask(_: SocketAddr) -> io::Result<u32> { Ok(0) }
//!
//! #[tribunal::test(seeds = 200, faults = "crash,cut,pause")]
//! async fn no_ticket_is_given_twice(trial: Trial) -> Verdict {
//!     let machine = trial.node("tickets"); // crashes, and starts again
//!     let folder = machine.folder(); // what survives that
//!     machine.serve(move |address| serve(address, folder.clone()));
//!
//!     // Three clients. An error is an unknown outcome: `?` says so.
//!     let next = async |client: Client, _| Ok::<_, Failure>(ask(client.server).await?);
//!     let history = trial.clients(3, || Just("next".to_owned()), next).await;
//!     trial.heal().await;
//!
//!     let mut given = BTreeSet::new();
//!     for operation in history.operations() {
//!         if let Outcome::Ok(number) = operation.outcome
//!             && !given.insert(*number)
//!         {
//!             return Verdict::violated("tickets", "given twice", format!("number {number}"));
//!         }
//!     }
//!     Verdict::Holds
//! }
//! ```
//!
//! An assertion that fails is a finding as well, and so are a node that panics or ends by itself, a
//! body that does not end by the clock of the run, and a run that does not end by ours.
//!
//! It is an ordinary test. Run by cargo, it builds itself once more under `--cfg madsim`, in which
//! `tokio` is a simulator, and runs its cases there; nothing need be configured, and if the flag
//! were lost the test would fail. Your `Cargo.toml` names both:
//!
//! ```toml
//! [target.'cfg(not(madsim))'.dependencies]
//! tokio = { version = "1", features = ["net", "rt", "time", "io-util", "macros"] }
//! [target.'cfg(madsim)'.dependencies.tokio]
//! package = "madsim-tokio"
//! version = "0.2.30"
//! features = ["net", "rt", "time", "io-util", "macros"]
//! ```
//!
//! Each case runs in a process of its own. A failing one is made small (faults, operations, nodes),
//! saved below `tests/repros`, and run before all others from then on. `TRIBUNAL_SEED=0x…` runs one
//! case, with what its nodes print.
//!
//! What is not exercised stands below every verdict: madsim has no disk that loses anything, one
//! clock, and a network on which connections break cleanly.

pub use service::rebuild::Target;
pub use service::{Client, Ending, Failure, Judgement, KINDS, Machine, NOT_EXERCISED, Trial};

use service::rebuild::ROLE;
use std::future::Future;

/// A test, as `#[tribunal::test]` writes it down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Test {
    /// Its path, the crate's name first.
    pub name: &'static str,
    /// The package.
    pub package: &'static str,
    /// The package's folder.
    pub manifest: &'static str,
    /// Which of its test programs.
    pub target: Target,
    /// How many cases are tried.
    pub seeds: u64,
    /// The most calls of a case.
    pub calls: u16,
    /// How long a case may take in real time, in seconds.
    pub deadline_s: u64,
    /// The kinds of faults, with commas; empty: all that there are.
    pub faults: &'static str,
    /// The package's features that it needs, with commas.
    pub features: &'static str,
    /// Where its failing cases are kept, from the package's folder.
    pub repros: &'static str,
    /// It passes if a violation is found.
    pub violated: bool,
    /// A failing case is made small.
    pub shrink: bool,
}

/// The test program that is being compiled, from what cargo tells a compiler.
pub const fn target(
    crate_name: &'static str,
    binary: Option<&'static str>,
    scratch: Option<&'static str>,
) -> Target {
    match (scratch, binary) {
        // Only the files in `tests` are given a folder for what they write.
        (Some(_), _) => Target::Test(crate_name),
        (None, Some(binary)) => Target::Binary(binary),
        (None, None) => Target::Library,
    }
}

/// Runs a test: builds it under the flag and passes on what its trial comes to; or, where it was
/// built so, is that trial.
///
/// # Panics
/// If the trial does not come to what is expected, or there is none.
#[track_caller]
pub fn test<F, Fut>(test: &Test, body: F)
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output: Judgement>,
{
    match tell(test, body) {
        Ok(text) => println!("{text}"),
        Err(text) => panic!("{text}"),
    }
}

/// As [`test()`], and answers with what a person should read.
///
/// # Errors
/// With that, if the trial does not come to what is expected, or there is none.
pub fn tell<F, Fut>(test: &Test, body: F) -> Result<String, String>
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output: Judgement>,
{
    service::kinds(test.faults).map_err(|why| format!("{}: {why}", test.name))?;
    let told = run(test, &body);
    if told.passes { Ok(told.text) } else { Err(told.text) }
}

#[expect(clippy::disallowed_methods, reason = "a test entry point may read the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(not(madsim))]
fn run<F>(test: &Test, _: &F) -> service::rebuild::Told {
    use service::rebuild::{Built, Told};
    let failed = |text: String| Told { passes: false, text };
    // Built again and again without the flag, it would do so for ever.
    if variable(ROLE).is_some() {
        return failed(format!("{}: built without `--cfg madsim`", test.name));
    }
    let Test { name, package, manifest, target, features, .. } = *test;
    let cargo = variable("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Built { name, package, manifest, target, features };
    built.run(&cargo).unwrap_or_else(|why| failed(format!("{name}: {why}")))
}

#[cfg(madsim)]
use simulated::run;

#[cfg(madsim)]
mod simulated {
    //! What the program does that was built under the flag.

    use super::{Judgement, ROLE, Test, Trial, variable};
    use crate::explored::{Again, Explored, Show, root, trial};
    use explorer::{Broken, Budget, Expected, Narrow};
    use service::Limits;
    use service::rebuild::{CASE, TRIAL, Told, open, within};
    use std::future::Future;
    use std::io::Error;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::process::exit;
    use std::time::Duration;
    use world::Seed;

    pub(super) fn run<F, Fut>(test: &Test, body: &F) -> Told
    where
        F: Fn(Trial) -> Fut + Sync,
        Fut: Future<Output: Judgement>,
    {
        match variable(ROLE).as_deref() {
            Some(CASE) => exit(ended(service::answer(body))),
            Some(TRIAL) => exit(ended(open(TRIAL).and_then(|mut host| {
                let told = catch_unwind(AssertUnwindSafe(|| told(test, body)));
                host.say(&told.map_err(|_| Error::other("a panic, see above"))?)
            }))),
            _ => told(test, body),
        }
    }

    /// The other side has gone, or sees how this program ends.
    fn ended(result: std::io::Result<()>) -> i32 {
        i32::from(result.is_err())
    }

    fn told<F, Fut>(test: &Test, body: &F) -> Told
    where
        F: Fn(Trial) -> Fut + Sync,
        Fut: Future<Output: Judgement>,
    {
        match explored(test, body) {
            Err(text) => Told { passes: false, text },
            Ok(explored) => judged(test, &explored),
        }
    }

    fn explored<F, Fut>(test: &Test, body: &F) -> Result<Explored, String>
    where
        F: Fn(Trial) -> Fut + Sync,
        Fut: Future<Output: Judgement>,
    {
        let only = variable("TRIBUNAL_SEED").map(|seed| seed.parse::<Seed>()).transpose()?;
        let deadline = Duration::from_secs(test.deadline_s);
        let limits = Limits { deadline, loud: only.is_some() };
        let (mut service, engine) = service::campaign(test.name, body, limits)?;
        service.faults = service::kinds(test.faults)?;
        service.calls = test.calls;
        if test.violated {
            service.expected = Expected::Violated;
        }
        let narrow = Narrow { engine: Some(engine), ..Narrow::default() };
        let budget = Budget { narrow, only, first: true, ..Budget::seeds(test.seeds) };
        let again = Again::Test(within(test.name).to_owned());
        let kept = Path::new(test.manifest).join(test.repros);
        let repros = if cli::in_ci() { root() } else { kept.clone() };
        let show = Show { shrinking: test.shrink, again };
        Ok(trial(&service, &budget, &kept, repros, show))
    }

    /// What a person reads, and whether it is as expected.
    fn judged(test: &Test, explored: &Explored) -> Told {
        let report = &explored.report;
        let mut lines = Vec::new();
        let passes = if let Some(first) = explored.contradicted.first() {
            lines.push(first.clone());
            false
        } else if let Some(broken) = &report.broken {
            lines.push(format!("{}   {}", test.name, why_broken(broken)));
            false
        } else if let (false, Some(exhibit)) = (test.violated, &explored.exhibit) {
            lines.push(explored.tell(exhibit));
            false
        } else {
            match &explored.exhibit {
                Some(exhibit) => lines.extend(Explored::show(exhibit)),
                None => lines.push(format!("{}   {}", test.name, explored.verdict())),
            }
            report.is_expected()
        };
        lines.push(tried(explored));
        lines.extend(super::NOT_EXERCISED.map(|what| format!("  not exercised   {what}")));
        let text = lines.join("\n");
        Told { passes, text }
    }

    fn why_broken(broken: &Broken) -> String {
        match broken {
            Broken::Nondeterminism { seed, event } => format!(
                "NONDETERMINISM   two runs of seed {seed} differ at {event}: \
                 `tribunal doctor` looks for the cause"
            ),
            Broken::File { seed, reason } => {
                format!("an operation of seed {seed} does not survive its file: {reason}")
            }
        }
    }

    /// How much was tried, and which faults met a call.
    fn tried(explored: &Explored) -> String {
        let report = &explored.report;
        let faults = report
            .faults
            .iter()
            .map(|(kind, tally)| format!("{kind} {}/{}", tally.effective, tally.drawn));
        let faults: Vec<String> = faults.collect();
        let (begun, ok) = report.operations;
        format!(
            "  tried    {} cases, {ok} of {begun} operations ok · met a call, of cases with it: {}",
            report.cases,
            if faults.is_empty() { "no fault".to_owned() } else { faults.join(", ") },
        )
    }
}
