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

use crate::Request;
use explorer::{CaseFor, Outcome, Record, Scenario};
use scenarios::Visitor;
use std::io::{self, BufRead as _, Read as _};
use worker::Answer;
use worker::protocol::{Line, MAX_LINE};

/// Answers cases until the input ends.
///
/// # Errors
/// When the input or the output fails, or a line is no request.
pub fn main() -> io::Result<()> {
    let mut host = Line::open(env!("CARGO_PKG_NAME"))?;
    let mut input = io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE as u64).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Request { scenario, case, streams, recording } = serde_json::from_str(&line)?;
        let (outcome, record) = judge(&scenario, &case, streams, recording);
        host.say(&Answer { outcome, record })?;
    }
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
