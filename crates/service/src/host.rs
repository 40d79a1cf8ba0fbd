//! The trial's program: it knows what the test's body declares, makes cases of that, and runs each
//! in a process of its own, which is itself in another role.

use crate::rebuild::{BEFORE, CASE, open, role};
use crate::scenario::ServiceCase;
use crate::trial::{Judgement, Trial};
use crate::{KINDS, NAME, sim};
use checkers::Verdict;
use explorer::{Engine, Outcome, Record};
use serde::{Deserialize, Serialize};
use std::fs;
use std::future::Future;
use std::io::{self, BufRead as _, Read as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use worker::protocol::MAX_LINE;
use worker::{Answer, Worker};
use world::Faults;

pub use crate::scenario::Service;

/// How cases run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long one may take in real time. Most take some milliseconds.
    pub deadline: Duration,
    /// What nodes print is seen.
    pub loud: bool,
}

/// A case to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The case, as TOML.
    case: String,
    /// Where nodes have their folders.
    folder: PathBuf,
    /// Whether to keep every event.
    recording: bool,
}

/// Where the cases of a service run.
#[derive(Debug)]
struct Processes {
    program: PathBuf,
    /// The test.
    name: String,
    limits: Limits,
    /// Nodes' folders stand below it; it goes with this value.
    folder: PathBuf,
    cases: AtomicU64,
    /// The next processes, which start while others run their case.
    next: Mutex<Vec<Worker>>,
}

/// What a test's body declares, and the engine for its cases.
///
/// # Errors
/// If the body does not come as far as its clients, or the system gives no room.
pub fn campaign<F, Fut>(
    name: &str,
    body: &F,
    limits: Limits,
) -> Result<(Service, Arc<dyn Engine>), String>
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output: Judgement>,
{
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = std::env::temp_dir().join(format!("tribunal-{:07}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (name, cases, next) = (name.to_owned(), AtomicU64::new(0), Mutex::default());
    let processes = Processes { program, name, limits, folder, cases, next };
    let declared = alone(|| sim::declare(&processes.name, body, &processes.folder.join("body")));
    let service = declared.map_err(|why| format!("{}: {why}", processes.name))?;
    Ok((service, Arc::new(processes)))
}

/// Runs the one case that this process is asked for.
///
/// # Errors
/// When there is none.
pub fn answer<F, Fut>(body: &F) -> io::Result<()>
where
    F: Fn(Trial) -> Fut + Sync,
    Fut: Future<Output: Judgement>,
{
    let mut host = open(CASE)?;
    let mut line = String::new();
    if io::stdin().lock().take(MAX_LINE as u64).read_line(&mut line)? == 0 {
        // It was the next one, and there was no next case.
        return Ok(());
    }
    let Request { case, folder, recording } = serde_json::from_str(&line)?;
    let (outcome, record) = match toml::from_str::<ServiceCase>(&case) {
        Ok(case) => alone(|| sim::run(body, &case, &folder, recording)),
        Err(error) => {
            (Outcome::violated("engine", "no such case", error.message()), Record::default())
        }
    };
    host.say(&Answer { outcome, record })
}

/// Runs something on a thread of its own: the first hash table of a thread is seeded by what it
/// simulates, later ones are not.
fn alone<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

impl Processes {
    fn start(&self) -> io::Result<Worker> {
        let mut command = role(&self.program, &self.name, CASE);
        command.stderr(if self.limits.loud { Stdio::inherit() } else { Stdio::null() });
        Worker::start(&mut command)
    }

    fn next(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, request: &Request) -> Result<(Outcome, Record), String> {
        let ready = self.next().pop();
        let ready = ready.map_or_else(|| self.start(), Ok);
        let mut worker = ready.map_err(|error| error.to_string())?;
        if let Ok(next) = self.start() {
            self.next().push(next);
        }
        worker.greet(CASE, BEFORE)?;
        Ok(match worker.ask(request, self.limits.deadline) {
            Ok(Answer { outcome, record }) => (outcome, record),
            Err(silence) => (silence.outcome(), Record::default()),
        })
    }
}

impl Engine for Processes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> Faults {
        KINDS
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    /// A node has no effects that anybody could see.
    fn sees_effects(&self) -> bool {
        false
    }

    fn judge(&self, _: &str, case: &str, recording: bool) -> (Outcome, Record) {
        let number = self.cases.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{number:07}"));
        let request = Request { case: case.to_owned(), folder, recording };
        let ran = self.run(&request);
        remove(&request.folder);
        ran.unwrap_or_else(|why| {
            let verdict = Verdict::Unknown(format!("no process for a case: {why}"));
            (Outcome { verdict, ..Outcome::violated("", "", "") }, Record::default())
        })
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// A folder that was never made need not go.
fn remove(folder: &Path) {
    let _gone = fs::remove_dir_all(folder);
}
