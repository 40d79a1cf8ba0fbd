//! Processes, TCP and files: proof that the simulator tells the truth.
//!
//! [`serve()`] runs one node of a scenario as a process: the shell, as a user would deploy it. The
//! engine [`Real`] runs a case with such processes on this machine. It puts a proxy on every way
//! from one machine to another (`links`, `proxy`), kills with SIGKILL and stops with SIGSTOP
//! (`cluster`), and lets clients in this process ask what the case says (`clients`).
//!
//! Judges see as much as on the heap engine. Each process writes down what its node is told and
//! which of its effects have happened (`journal`), and a node is a function of that: so the engine
//! lives every node's life again (`replay`), in the order of the clock that all processes share,
//! and asks the scenario's invariants, checks and progress, state and log and all. On the way it
//! holds each process to its journal, and each log to what was written: a record that was synced
//! and is gone, after SIGKILL or in the end, is a finding.
//!
//! # Which faults there are
//!
//! | kind | is |
//! |---|---|
//! | `crash`, `restart`, `crash_loop`, `retire` | SIGKILL |
//! | `pause` | SIGSTOP and SIGCONT |
//! | `cut` | frames vanish, and no connection comes about; one way or both |
//! | `slow_link`, `delay` | frames, and all behind them, wait |
//! | `loss` | a connection breaks, and a frame with all behind it is gone |
//! | `duplicate`, `corrupt` | frames come twice; bits flip, which the codec must refuse |
//! | `retry`, `duplicate_request`, `client_crash` | the client's |
//!
//! Links are connections whatever the case's profile says, so there is no `reorder`. A power loss
//! without root needs a file system of our own under the log (FUSE, or a disk image to mount), and
//! the madsim engine puts the same log on a disk that loses writes: there is no `power_loss`, nor
//! any other fault of disks. All processes share the machine's clocks, so those are right.
//!
//! Faults that are placed at an effect or on a message do not travel here: cases that are made for
//! this engine have none, and in others they are missed and said to be.
//!
//! No run is like another: there is no digest, nothing is run twice to compare, and nothing is
//! shrunk. A run ends when nothing has moved for a while and no node waits for a timer; what a
//! scenario expects within a time is judged with patience for a busy machine.

mod clients;
mod clock;
mod cluster;
mod deployment;
mod journal;
mod links;
mod process;
mod proxy;
mod replay;
mod run;
mod serve;

pub use deployment::{Deployment, DeploymentOf, FileError};
pub use process::{Process, StartError};
pub use run::Tally;
pub use serve::{Error, Terms, serve};

use explorer::{CaseFor, Engine, Outcome, Record, Scenario, Shape};
use scenarios::Visitor;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::{FaultKind, Faults};

/// The engine's name.
pub const NAME: &str = "real";

/// The kinds of faults that it has.
pub const KINDS: Faults = Faults::of(&[
    FaultKind::Delay,
    FaultKind::Loss,
    FaultKind::Duplicate,
    FaultKind::Corrupt,
    FaultKind::Cut,
    FaultKind::SlowLink,
    FaultKind::Crash,
    FaultKind::Restart,
    FaultKind::CrashLoop,
    FaultKind::Pause,
    FaultKind::Retire,
    FaultKind::Retry,
    FaultKind::DuplicateRequest,
    FaultKind::ClientCrash,
]);

/// Cases that run side by side: they mostly wait.
const SIDE_BY_SIDE: NonZero<usize> = NonZero::new(8).unwrap();

/// Runs of all engines in this process, so that each has a folder of its own.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Runs cases with processes of a program that knows `serve`.
#[derive(Debug)]
pub struct Real {
    program: PathBuf,
    folder: PathBuf,
    kills: AtomicU64,
    cuts: AtomicU64,
    stops: AtomicU64,
}

impl Real {
    /// An engine that starts this program, and keeps a folder below the given one for as long as
    /// a case runs.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: folder.into(),
            kills: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            stops: AtomicU64::new(0),
        }
    }

    /// What faults have done so far, in all cases.
    pub fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally { kills: read(&self.kills), cuts: read(&self.cuts), stops: read(&self.stops) }
    }

    fn run<S: Scenario>(
        &self,
        scenario: &S,
        case: &CaseFor<S>,
        recording: bool,
    ) -> (Outcome, Record) {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tribunal-real-{}-{run}", std::process::id());
        let folder = Folder(self.folder.join(name));
        if let Err(error) = fs::create_dir_all(&folder.0) {
            let mut outcome = Outcome::violated("process", "broken", "");
            let why = format!("cannot make {}: {error}", folder.0.display());
            outcome.verdict = checkers::Verdict::Unknown(why);
            return (outcome, Record::default());
        }
        let place = (self.program.as_path(), folder.0.as_path());
        let (outcome, record, tally) = run::run(scenario, case, place, recording);
        self.kills.fetch_add(tally.kills, Ordering::Relaxed);
        self.cuts.fetch_add(tally.cuts, Ordering::Relaxed);
        self.stops.fetch_add(tally.stops, Ordering::Relaxed);
        (outcome, record)
    }
}

/// A folder that goes with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Engine for Real {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> Faults {
        KINDS
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn sees_effects(&self) -> bool {
        false
    }

    /// A fault at a time meets an idle node more often than one at an effect: there are more of
    /// them, more for them to meet, and time to start again in between.
    fn shape(&self, shape: Shape) -> Shape {
        Shape {
            plan: shape.plan * 4,
            calls: shape.calls * 3,
            trouble: shape.trouble + Duration::from_secs(2),
            ..shape
        }
    }

    fn jobs(&self) -> Option<NonZero<usize>> {
        Some(SIDE_BY_SIDE)
    }

    fn totals(&self) -> Vec<(&'static str, u64)> {
        let Tally { kills, cuts, stops } = self.tally();
        vec![("kills", kills), ("cuts", cuts), ("stops", stops)]
    }

    fn judge(&self, scenario: &str, case: &str, recording: bool) -> (Outcome, Record) {
        let mut judging = Judging { engine: self, name: scenario, case, recording, judged: None };
        scenarios::each(&mut judging);
        judging.judged.unwrap_or_else(|| {
            let message = format!("this engine knows no scenario {scenario:?}");
            (Outcome::violated("engine", "no such scenario", message), Record::default())
        })
    }
}

/// Looks for a scenario and runs its case.
struct Judging<'a> {
    engine: &'a Real,
    name: &'a str,
    case: &'a str,
    recording: bool,
    judged: Option<(Outcome, Record)>,
}

impl Visitor for Judging<'_> {
    fn visit<S: Scenario>(&mut self, scenario: S) {
        if scenario.name() != self.name || self.judged.is_some() {
            return;
        }
        let parsed = toml::from_str::<CaseFor<S>>(self.case).map_err(|error| error.to_string());
        self.judged = Some(match parsed.and_then(|case| case.check().map(|()| case)) {
            Ok(case) => self.engine.run(&scenario, &case, self.recording),
            Err(reason) => (Outcome::violated("engine", "no such case", reason), Record::default()),
        });
    }
}

/// A deployment's file, for the scenario of the type that it is of.
///
/// # Errors
/// When it cannot be read, or is of another scenario.
pub fn deployment<S: Scenario>(scenario: &S, path: &Path) -> Result<DeploymentOf<S::Node>, Error> {
    let deployment = DeploymentOf::<S::Node>::read(path)?;
    if deployment.scenario != scenario.name() {
        let (found, expected) = (deployment.scenario, scenario.name());
        return Err(Error::Scenario { found, expected });
    }
    Ok(deployment)
}
