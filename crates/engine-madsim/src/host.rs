//! The engine as campaigns see it: a pool of workers, one for each thread that asks.

use crate::Profile;
use crate::build::build;
use crate::request::Request;
use checkers::Verdict;
use explorer::{Engine, Outcome, Record};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use worker::{Answer, BuildError, Worker};
use world::Faults;

/// How long a case may take in real time. Most take a few milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why the engine cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The worker is built from sources.
    #[error(
        "the madsim engine builds its worker from Tribunal's sources, which are not at {}: run \
         it from a clone",
        .0.display()
    )]
    NoSources(PathBuf),
    /// The worker cannot be built.
    #[error("the worker of the madsim engine: {0}")]
    Build(#[from] BuildError),
    /// Something that is no worker for us.
    #[error("{} is no worker of the madsim engine: {reason}", .program.display())]
    Worker {
        /// Where it is.
        program: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The madsim engine.
#[derive(Debug)]
pub struct Madsim {
    profile: Profile,
    program: PathBuf,
    deadline: Duration,
    idle: Mutex<Vec<Worker>>,
}

impl Madsim {
    /// Builds the worker where that is needed, and starts one.
    ///
    /// # Errors
    /// When it cannot be built, or does not say that it simulates.
    pub fn start(profile: Profile) -> Result<Arc<dyn Engine>, StartError> {
        Ok(Arc::new(Self { profile, ..Self::with(build()?, DEADLINE)? }))
    }

    /// An engine with another program as its worker, which has so long for a case.
    ///
    /// # Errors
    /// When it does not say that it is a worker of this version that simulates.
    pub fn with(program: PathBuf, deadline: Duration) -> Result<Self, StartError> {
        match start(&program) {
            Ok(worker) => {
                let (profile, idle) = (Profile::Network, Mutex::new(vec![worker]));
                Ok(Self { profile, program, deadline, idle })
            }
            Err(reason) => Err(StartError::Worker { program, reason }),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Madsim {
    fn name(&self) -> &'static str {
        self.profile.name()
    }

    fn kinds(&self) -> Faults {
        self.profile.kinds()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn judge(&self, scenario: &str, case: &str, recording: bool) -> (Outcome, Record) {
        let idle = self.idle().pop();
        let mut worker = match idle.map_or_else(|| start(&self.program), Ok) {
            Ok(worker) => worker,
            Err(reason) => {
                let verdict = Verdict::Unknown(format!("no worker can be started: {reason}"));
                return (Outcome { verdict, ..Outcome::violated("", "", "") }, Record::default());
            }
        };
        let request = Request {
            scenario: scenario.to_owned(),
            case: case.to_owned(),
            streams: self.profile == Profile::Tcp,
            recording,
        };
        match worker.ask(&request, self.deadline) {
            Ok(Answer { outcome, record }) => {
                self.idle().push(worker);
                (outcome, record)
            }
            // This worker ends here, and the next case gets another one.
            Err(silence) => (silence.outcome(), Record::default()),
        }
    }
}

/// Starts a worker and lets it say who it is.
fn start(program: &Path) -> Result<Worker, String> {
    let mut worker =
        Worker::start(&mut Command::new(program)).map_err(|error| error.to_string())?;
    worker.greet(env!("CARGO_PKG_NAME"), 0).map(|()| worker)
}
