//! The command line: one file a verb. [`run`] serves any list of scenarios, so a user's own binary
//! has the same verbs over the user's own protocols.

mod check;
mod doctor;
mod engines;
mod exit;
mod explore;
mod init;
mod list;
mod output;
mod replay;
mod repros;
mod results;
#[cfg(feature = "built-in")]
mod serve;
mod shrink;

use clap::{Parser, Subcommand};
use exit::Failure;
use explorer::AnyScenario;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

pub use repros::in_ci;

/// Every scenario that commands can name.
pub type Registry = Vec<Box<dyn AnyScenario>>;

#[derive(Parser)]
#[command(
    name = "tribunal",
    version,
    about = "Puts distributed protocols on trial: seeded faults, checkers, repros that replay",
    after_help = "Exit codes: 0 holds · 1 violated · 2 unknown or vacuous · 64 usage · \
                  65 bad input file · 70 our own fault · 74 file or network error · \
                  75 nondeterminism"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    Explore(explore::Arguments),
    Replay(replay::Arguments),
    Shrink(shrink::Arguments),
    Check(check::Arguments),
    List(list::Arguments),
    Init(init::Arguments),
    Doctor(doctor::Arguments),
    #[cfg(feature = "built-in")]
    Serve(serve::Arguments),
}

/// Runs the command line of this process over these scenarios, and says how it ended. No verb means
/// `explore`.
pub fn run(registry: Registry) -> ExitCode {
    ExitCode::from(run_from(&registry, std::env::args_os()))
}

/// As [`run`], with arguments of which the first is the program's name. Answers with the exit code.
pub fn run_from(registry: &Registry, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; everything else is usage.
            let _shown = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::HOLDS };
        }
    };
    let verb = arguments.verb.unwrap_or_else(|| Verb::Explore(explore::Arguments::default()));
    // A panic in a node is a finding. One that comes this far is not the protocol's.
    let done = catch_unwind(AssertUnwindSafe(|| carry_out(registry, &verb)));
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(Failure { code, message })) => {
            if !message.is_empty() {
                eprintln!("tribunal: {message}");
            }
            code
        }
        Err(_) => {
            eprintln!(
                "tribunal: a bug of Tribunal's own or of the scenario's: it panicked, see above"
            );
            exit::OUR_FAULT
        }
    }
}

fn carry_out(registry: &Registry, verb: &Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Explore(arguments) => explore::run(registry, arguments),
        Verb::Replay(arguments) => replay::run(registry, arguments),
        Verb::Shrink(arguments) => shrink::run(registry, arguments),
        Verb::Check(arguments) => check::run(arguments),
        Verb::List(arguments) => list::run(registry, arguments),
        Verb::Init(arguments) => init::run(arguments),
        Verb::Doctor(arguments) => doctor::run(arguments),
        #[cfg(feature = "built-in")]
        Verb::Serve(arguments) => serve::run(arguments),
    }
}

/// The scenario of that name.
fn find<'a>(registry: &'a Registry, name: &str) -> Result<&'a dyn AnyScenario, Failure> {
    let found = registry.iter().find(|scenario| scenario.name() == name);
    found.map(|scenario| &**scenario).ok_or_else(|| {
        let nearest = nearest(registry.iter().map(|scenario| scenario.name()), name);
        Failure::usage(format!(
            "no scenario {name:?}: the nearest is {nearest:?}; `tribunal list` shows all"
        ))
    })
}

/// The one of these names that is most like another.
fn nearest<T: AsRef<str> + Default>(names: impl IntoIterator<Item = T>, name: &str) -> T {
    let likeness = |other: &T| strsim::jaro_winkler(other.as_ref(), name);
    let best = names.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.unwrap_or_default()
}
