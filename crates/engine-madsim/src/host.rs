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
    /// The worker is built from sources, and none was installed either.
    #[error(
        "the madsim engine builds its worker from Tribunal's sources, which are not at {} any \
         more, and there is none at {}. In a clone of version {}, this installs it there: {}",
        .sources.display(), .installed.display(), env!("CARGO_PKG_VERSION"), install(.installed)
    )]
    NoWorker {
        /// Where the sources were.
        sources: PathBuf,
        /// Where an installed worker would be.
        installed: PathBuf,
    },
    /// What only sources can do.
    #[error("Tribunal's sources are not at {} any more", .0.display())]
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

/// The command that installs a worker: into the folder `bin` of its root.
fn install(worker: &Path) -> String {
    let folder = worker.parent().unwrap_or(worker);
    let mut command = "RUSTFLAGS='--cfg madsim' cargo install --locked".to_owned();
    command.push_str(" --path crates/engine-madsim");
    match (folder.file_name(), folder.parent()) {
        (Some(bin), Some(root)) if bin == "bin" => command + " --root " + &root.to_string_lossy(),
        _ => format!("{command}, and copy it to {}", worker.display()),
    }
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

    /// As [`Madsim::start`], for a program that may have been installed: where the sources that it
    /// was compiled from are gone, its worker is the one that was installed beside it.
    ///
    /// # Errors
    /// When there is none, or it does not say that it is of this version and simulates.
    pub fn start_beside(profile: Profile, program: &Path) -> Result<Arc<dyn Engine>, StartError> {
        match Self::start(profile) {
            Err(StartError::NoSources(sources)) => Self::installed(profile, program, sources),
            started => started,
        }
    }

    /// The engine of a program whose sources, which were there, are gone.
    ///
    /// # Errors
    /// When there is no worker beside it, or it does not say that it is of this version and
    /// simulates.
    pub fn installed(
        profile: Profile,
        program: &Path,
        sources: PathBuf,
    ) -> Result<Arc<dyn Engine>, StartError> {
        let installed = program.with_file_name(env!("CARGO_PKG_NAME"));
        if !installed.is_file() {
            return Err(StartError::NoWorker { sources, installed });
        }
        Ok(Arc::new(Self { profile, ..Self::with(installed, DEADLINE)? }))
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
