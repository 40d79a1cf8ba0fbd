//! `tribunal replay`: runs a saved case again and tells its story.

use crate::exit::{self, Failure};
use crate::results::say;
use crate::{Registry, engines, find, output, repros};
use clap::Args;
use explorer::{Replay, Replayed, repro, story};
use std::io::IsTerminal as _;
use std::path::Path;
use world::{Happening, TraceEvent};

/// Run a saved case again: 1 it reproduces, 0 it passes, 2 it has drifted
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal replay 4f1c\n  \
    RUST_LOG=tribunal=debug tribunal replay tests/repros/bank/4f1c2a90.toml --until 120")]
pub(crate) struct Arguments {
    /// A path, or the first letters of an id
    repro: String,
    /// Print every event, not only the story
    #[arg(long)]
    trace: bool,
    /// Stop printing after this event
    #[arg(long, value_name = "EVENT")]
    until: Option<usize>,
    /// Name the first event that differs from another repro's
    #[arg(long, value_name = "OTHER")]
    diff: Option<String>,
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    let path = repros::resolve(&arguments.repro)?;
    let replay = load(registry, &path)?;
    log(&replay, arguments.until);
    if let Some(other) = &arguments.diff {
        let other = load(registry, &repros::resolve(other)?)?;
        say(difference(&replay, &other))?;
        return Ok(exit::HOLDS);
    }
    if arguments.trace {
        let most = arguments.until.map_or(usize::MAX, |event| event.saturating_add(1));
        for (index, event) in replay.events.iter().enumerate().take(most) {
            say(format!("{index:>5} {}", describe(event, &replay.names)))?;
        }
    } else {
        say(replay.story.join("\n"))?;
    }
    say(format!("  verdict  {}", replay.outcome.verdict))?;
    let same = || format!("digest {}, as saved", replay.expected_digest);
    let digest = replay.note().unwrap_or_else(same);
    say(format!("  digest   {}", digest.trim_start_matches("digest ")))?;
    let code = match &replay.replayed {
        Replayed::Reproduces => {
            say("  replay   reproduces")?;
            exit::VIOLATED
        }
        Replayed::Passes => {
            say("  replay   passes")?;
            exit::HOLDS
        }
        Replayed::Drifted(why) => {
            say(format!("  replay   drifted: {why}"))?;
            say(format!("  refit    {}", output::refit_line(&path)))?;
            exit::UNKNOWN
        }
    };
    Ok(code)
}

/// Runs the repro of a file.
pub(crate) fn load(registry: &Registry, path: &Path) -> Result<Replay, Failure> {
    let text = repro::read(path)?;
    let header = repro::header(path, &text)?;
    let scenario = find(registry, &header.case.scenario)
        .map_err(|gone| Failure::bad_input(format!("{}: {}", path.display(), gone.message)))?;
    let engine = engines::named(header.engine.as_deref())?;
    Ok(scenario.replay_on(engine.as_ref(), path, &text)?)
}

fn describe(event: &TraceEvent, names: &[String]) -> String {
    let name = |node: node::NodeId| names.get(node.index()).map_or("", String::as_str);
    let peer = match (event.peer, event.what) {
        (None, _) => String::new(),
        (Some(peer), Happening::Send | Happening::Reply) => format!(" to {}", name(peer)),
        (Some(peer), _) => format!(" from {}", name(peer)),
    };
    format!(
        "{:>10} {:<14} {:<10} {}{peer}",
        story::time(event.at),
        name(event.node),
        event.what,
        event.text
    )
}

fn difference(one: &Replay, other: &Replay) -> String {
    let pairs = one.events.iter().zip(&other.events).enumerate();
    for (index, (a, b)) in pairs {
        if (a.at, a.node, a.what, &a.text) != (b.at, b.node, b.what, &b.text) {
            let (a, b) = (describe(a, &one.names), describe(b, &other.names));
            return format!("first different event: {index}\n  - {a}\n  + {b}\n");
        }
    }
    match one.events.len().abs_diff(other.events.len()) {
        0 => "no event differs\n".to_owned(),
        more => format!("alike as far as both go; one has {more} events more\n"),
    }
}

/// The events as `tracing` events: virtual time, node and life on every line. Silent unless
/// `RUST_LOG` asks.
fn log(replay: &Replay, until: Option<usize>) {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(coloured())
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let most = until.map_or(usize::MAX, |event| event.saturating_add(1));
        for event in replay.events.iter().take(most) {
            let at = story::time(event.at);
            let node = replay.names.get(event.node.index()).map_or("", String::as_str);
            let (incarnation, what) = (event.incarnation, event.what);
            let text = &event.text;
            match what {
                Happening::Fault | Happening::Heal | Happening::Boot => {
                    tracing::warn!(target: "tribunal", %at, node, incarnation, "{what} {text}");
                }
                Happening::Invoke | Happening::Ok | Happening::Fail | Happening::Info => {
                    tracing::info!(target: "tribunal", %at, node, incarnation, "{what} {text}");
                }
                _ => tracing::debug!(target: "tribunal", %at, node, incarnation, "{what} {text}"),
            }
        }
    });
}

/// Whether logs carry colours: on a terminal, unless `NO_COLOR` is set, and wherever
/// `CLICOLOR_FORCE` is.
#[expect(clippy::disallowed_methods, reason = "the command line may read the environment")]
fn coloured() -> bool {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "0");
    let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
    !refused && (set("CLICOLOR_FORCE") || std::io::stderr().is_terminal())
}
