//! The test, built again under `--cfg madsim`, in a target directory of its own. What was built so
//! must say that it simulates before anything that it says counts.

use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use worker::protocol::Line;
use worker::{Silence, Worker, flag};

/// Names what a test program is there for; without it, the test as cargo runs it.
pub const ROLE: &str = "TRIBUNAL_ROLE";
/// It was built under the flag, and runs the trial.
pub const TRIAL: &str = "trial";
/// It was built under the flag, and runs one case.
pub const CASE: &str = "case";

/// Lines of libtest's that may come before a test program says who it is.
pub const BEFORE: usize = 8;

/// A trial may take as long as its seeds need.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a trial came to, from the program that ran it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Whether the test passes.
    pub passes: bool,
    /// What a person should read.
    pub text: String,
}

/// A test, as its package knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Built<'a> {
    /// Its path, the crate's name first.
    pub name: &'a str,
    /// The package.
    pub package: &'a str,
    /// The package's folder.
    pub manifest: &'a str,
    /// Which of its test programs.
    pub target: Target,
    /// The package's features that the test needs, with commas.
    pub features: &'a str,
}

/// A test program of a package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The library's own tests.
    Library,
    /// A program's own tests.
    Binary(&'static str),
    /// A file in `tests`, by its crate's name.
    Test(&'static str),
}

impl Target {
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Library => vec!["--lib".into()],
            Self::Binary(name) => vec!["--bin".into(), name.into()],
            // The target may have a dash where its crate has an underscore.
            Self::Test(name) => vec!["--test".into(), name.replace('_', "?")],
        }
    }
}

/// The name of a test in its own program, which leaves out the crate's.
pub fn within(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// The way of a test program to whoever has started it, which begins with the role that it plays.
///
/// # Errors
/// When the output fails.
pub fn open(role: &str) -> io::Result<Line> {
    // libtest may have left a line open, with the test's name.
    io::stdout().write_all(b"\n")?;
    Line::open(role)
}

/// The program of this process, to run one test of it in that role.
pub fn role(program: &Path, name: &str, role: &str) -> Command {
    let mut command = Command::new(program);
    command.args([within(name), "--exact", "--nocapture"]).env(ROLE, role);
    command
}

impl Built<'_> {
    /// Builds the test under the flag and lets it run its trial.
    ///
    /// # Errors
    /// Says why there is no trial: it does not build, or what was built does not simulate.
    pub fn run(&self, cargo: &str) -> Result<Told, String> {
        let program = self.build(cargo).map_err(|error| format!("the test's program: {error}"))?;
        let wrong = |why: String| format!("{} is no trial: {why}", program.display());
        let mut command = role(&program, self.name, TRIAL);
        command.current_dir(self.manifest).stderr(Stdio::inherit());
        let mut trial = Worker::start(&mut command).map_err(|error| wrong(error.to_string()))?;
        trial.greet(TRIAL, BEFORE).map_err(wrong)?;
        trial.line(PATIENCE).map_err(|silence| match silence {
            Silence::Ended(how) => wrong(format!("it ends before it tells its outcome ({how})")),
            Silence::Nonsense(what) => wrong(format!("it says {what}")),
            Silence::Deadline(time) => wrong(format!("it has said nothing for {time:?}")),
        })
    }

    fn build(&self, cargo: &str) -> Result<PathBuf, worker::BuildError> {
        let mut cargo = Command::new(cargo);
        cargo.args(["test", "--no-run", "--package", self.package]);
        cargo.args(self.target.arguments());
        if !self.features.is_empty() {
            cargo.args(["--features", self.features]);
        }
        let folder = folder(Path::new(self.manifest));
        if !folder.is_dir() {
            // Past libtest, which would keep it to the end.
            let note = "tribunal: builds this test once more, to simulate: a minute or two\n";
            let _told = io::stderr().write_all(note.as_bytes());
        }
        flag::simulated(&mut cargo, Path::new(self.manifest), &folder)?;
        flag::built(&mut cargo, true)
    }
}

/// Where it is built: beside what cargo builds, wherever that is. A test program stands in
/// `deps`, in a profile's folder of the target directory.
fn folder(package: &Path) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let target = target.or_else(|| {
        let deps = test.parent().filter(|folder| folder.ends_with("deps"));
        deps.and_then(Path::parent).and_then(Path::parent)
    });
    target.map_or_else(|| package.join("target"), Path::to_owned).join(flag::FOLDER)
}
