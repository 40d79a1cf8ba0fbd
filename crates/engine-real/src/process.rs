//! The processes that an engine has started, and how they end: with it, whatever happens to it.

use node::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A node's process. It is killed when this value is dropped, and ends by itself when the process
/// that holds this value does: its standard input ends then.
#[derive(Debug)]
pub struct Process {
    child: Child,
    errors: PathBuf,
}

/// Why a process did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It could not be started at all.
    #[error("cannot start {}: {source}", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it could be called.
    #[error("{node} did not come up: {said}")]
    Ended {
        /// The node.
        node: NodeId,
        /// The last that it said on standard error.
        said: String,
    },
}

impl Process {
    /// Starts `program serve ARGUMENTS`, which says where it listens at the end of its first line.
    /// What it says on standard error goes to a file. It stands in a process group of its own, so
    /// that a terminal's Ctrl-C reaches only who has started it.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        errors: PathBuf,
    ) -> Result<Self, StartError> {
        use std::os::unix::process::CommandExt as _;
        let failed = |source| StartError::Spawn { program: program.to_owned(), source };
        let stderr = File::options().create(true).append(true).open(&errors).map_err(failed)?;
        let child = Command::new(program)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, errors })
    }

    /// Waits until it can be called, and says where.
    ///
    /// # Errors
    /// When it ends first.
    pub fn ready(&mut self, node: NodeId) -> Result<SocketAddr, StartError> {
        let mut line = String::new();
        if let Some(out) = self.child.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let address = line.split_whitespace().last().and_then(|word| word.parse().ok());
        address.ok_or_else(|| StartError::Ended { node, said: self.last_words() })
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its number with the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, and says how.
    pub fn wait(&mut self) -> String {
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// The last lines that it has said on standard error.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(4).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it in its tracks: SIGSTOP. Says whether that was done.
    pub fn stop(&mut self) -> bool {
        self.send(Signal::STOP)
    }

    /// Lets it go on: SIGCONT.
    pub fn go_on(&mut self) -> bool {
        self.send(Signal::CONT)
    }

    /// Asks it to end: SIGTERM.
    pub fn terminate(&mut self) -> bool {
        self.send(Signal::TERM)
    }

    /// Only to a child that has not been waited for: its number is still its own.
    fn send(&mut self, signal: Signal) -> bool {
        self.ended().is_none() && kill_process(Pid::from_child(&self.child), signal).is_ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
