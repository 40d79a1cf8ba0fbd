//! The worker's side: one case after the other, each on a madsim runtime of its own.
//!
//! - `run`: one case, from the first event to the verdict
//! - `stage`: all that a run has in common, and what nodes do to it
//! - what is faked: `port` (frames and alarms of a machine), `post` (the way between two), `medium`
//!   (a disk), and a machine's clocks
//! - `streams`: madsim's own TCP, in place of ours
//! - who stands on it: `life` (a node, by the shell's server) and `clients`
//! - what goes wrong: `adversary`
//! - `scene`: what judges see

mod adversary;
mod clients;
mod life;
mod medium;
mod observer;
mod port;
mod post;
mod run;
mod scene;
mod stage;
mod streams;
#[cfg(test)]
mod tests;

pub use port::Wire;
pub use run::{carry, serve};

use crate::protocol::{Answer, Hello, MAX_LINE, Request};
use explorer::{CaseFor, Outcome, Record, Scenario};
use rustix::stdio::dup2_stdout;
use scenarios::Visitor;
use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};

/// Answers cases until the input ends.
///
/// Results go over a duplicate of the standard output, which itself becomes the standard error: a
/// line that anybody prints must not stand among them.
///
/// # Errors
/// When the input or the output fails, or a line is no request.
pub fn main() -> io::Result<()> {
    let mut output = File::from(rustix::io::dup(io::stdout())?);
    dup2_stdout(io::stderr())?;
    say(&mut output, &Hello::ours())?;
    let mut input = io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE as u64).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Request { scenario, case, streams, recording } = serde_json::from_str(&line)?;
        let (outcome, record) = judge(&scenario, &case, streams, recording);
        say(&mut output, &Answer { outcome, record })?;
    }
}

fn say(output: &mut File, message: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)
}

/// Runs and judges a case, which is TOML, of the scenario of that name.
pub fn judge(scenario: &str, case: &str, streams: bool, recording: bool) -> (Outcome, Record) {
    struct Find<'a> {
        name: &'a str,
        case: &'a str,
        streams: bool,
        recording: bool,
        judged: Option<(Outcome, Record)>,
    }
    impl Visitor for Find<'_> {
        fn visit<S: Scenario>(&mut self, scenario: S) {
            if self.judged.is_none() && scenario.name() == self.name {
                let Self { case, streams, recording, .. } = *self;
                self.judged = Some(judge_text(&scenario, case, streams, recording));
            }
        }
    }
    let mut find = Find { name: scenario, case, streams, recording, judged: None };
    scenarios::each(&mut find);
    find.judged.unwrap_or_else(|| no_case(format!("no scenario {scenario:?}")))
}

fn judge_text<S: Scenario>(
    scenario: &S,
    case: &str,
    streams: bool,
    recording: bool,
) -> (Outcome, Record) {
    let case: CaseFor<S> = match toml::from_str(case) {
        Ok(case) => case,
        Err(error) => return no_case(error.to_string()),
    };
    match case.check() {
        Ok(()) => run::run(scenario, &case, streams, recording),
        Err(reason) => no_case(reason),
    }
}

fn no_case(reason: String) -> (Outcome, Record) {
    (Outcome::violated("engine", "no such case", reason), Record::default())
}
