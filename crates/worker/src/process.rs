//! A worker process: it is asked one thing at a time, and has so long to answer.

use crate::protocol::{Answer, Hello, MAX_LINE};
use explorer::Outcome;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a worker may take to say who it is.
const GREETING: Duration = Duration::from_secs(30);

/// A running worker. It ends with this value.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What has been read and not used.
    read: Vec<u8>,
}

/// Why there is no answer. The worker is of no more use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Silence {
    /// It took longer than that.
    Deadline(Duration),
    /// It has ended: how.
    Ended(String),
    /// It said something else: what is wrong with it.
    Nonsense(String),
}

impl Worker {
    /// Starts a worker, which has still to say who it is.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        Ok(Self { child, input, output, read: Vec::new() })
    }

    /// Lets it say who it is. Of what stands around it, so many lines may come before that.
    ///
    /// # Errors
    /// Says why it is not this worker.
    pub fn greet(&mut self, worker: &str, before: usize) -> Result<(), String> {
        let mut greeting = self.line::<Hello>(GREETING);
        for _ in 0..before {
            if !matches!(greeting, Err(Silence::Nonsense(_))) {
                break;
            }
            greeting = self.line(GREETING);
        }
        let hello = greeting.map_err(|silence| match silence {
            Silence::Deadline(time) => format!("it has said nothing for {time:?}"),
            Silence::Ended(how) => format!("it ends before it says who it is ({how})"),
            Silence::Nonsense(what) => format!("it does not say who it is: {what}"),
        })?;
        hello.check(worker)
    }

    /// Asks it to run a case.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&mut self, request: &impl Serialize, within: Duration) -> Result<Answer, Silence> {
        let line = serde_json::to_vec(request).map(|mut line| {
            line.push(b'\n');
            line
        });
        let line = line.map_err(|error| Silence::Nonsense(error.to_string()))?;
        if self.input.write_all(&line).is_err() {
            return Err(self.ended());
        }
        self.line(within)
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// When it says nothing, or something else.
    #[expect(clippy::disallowed_methods, reason = "a deadline in real time")]
    pub fn line<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T, Silence> {
        let deadline = Instant::now() + within;
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(searched + end + 1);
                let line = std::mem::replace(&mut self.read, rest);
                return serde_json::from_slice(&line).map_err(|error| {
                    let start = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
                    Silence::Nonsense(format!("{:?}: {error}", start.trim_end()))
                });
            }
            searched = self.read.len();
            if searched > MAX_LINE {
                return Err(Silence::Nonsense(format!("a line of more than {MAX_LINE} bytes")));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::Deadline(within));
            }
            match self.wait(left).and_then(|ready| if ready { self.take() } else { Ok(1) }) {
                Ok(0) | Err(_) => return Err(self.ended()),
                Ok(_) => {}
            }
        }
    }

    /// Waits until there is something to read; false if there is nothing so soon.
    fn wait(&self, left: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 1 << 16];
        let count = self.output.read(&mut chunk)?;
        self.read.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    fn ended(&mut self) -> Silence {
        // Its output has ended; one that goes on without it is of no use.
        let _gone = self.child.kill();
        Silence::Ended(match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Silence {
    /// A case that its worker does not survive is a finding.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Deadline(time) => Outcome::violated(
                "progress",
                "livelock",
                format!("the run makes no end within {time:?} of real time"),
            ),
            Self::Ended(how) => {
                Outcome::violated("worker", "died", format!("the run ends its worker ({how})"))
            }
            Self::Nonsense(what) => {
                Outcome::violated("worker", "no answer", format!("the worker says {what}"))
            }
        }
    }
}
