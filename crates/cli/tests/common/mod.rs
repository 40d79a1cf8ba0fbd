//! Runs a command line and looks at what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a process left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl Ran {
    /// Holds the exit code, and hands on.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nout:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// One line on standard error that says all of this, and nothing else there.
    #[track_caller]
    pub fn complains(self, words: &[&str]) -> Self {
        assert_eq!(self.err.lines().count(), 1, "not one line:\n{}", self.err);
        self.mentions(words)
    }

    /// Standard error says all of this.
    #[track_caller]
    pub fn mentions(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in:\n{}", self.err);
        }
        self
    }
}

/// A command whose surroundings say nothing: no CI, no wish for colours or logs.
pub fn command(program: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments);
    for name in ["CI", "RUST_LOG", "NO_COLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"] {
        command.env_remove(name);
    }
    command
}

pub fn run(command: &mut Command) -> Ran {
    command.output().expect("the program starts").into()
}

/// An empty folder for one test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    std::fs::create_dir_all(&folder).expect("a new folder of ours");
    folder
}
