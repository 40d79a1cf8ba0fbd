//! `tribunal shrink`: makes a saved case smaller.

use crate::exit::{self, Failure};
use crate::results::say;
use crate::{Registry, engines, find, output, repros};
use clap::Args;
use explorer::{Replayed, repro};
use std::path::{Path, PathBuf};

/// Make a saved case smaller and save the result beside it
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal shrink 4f1c\n  tribunal shrink --refit 4f1c")]
pub(crate) struct Arguments {
    /// A path, or the first letters of an id
    repro: String,
    /// First place faults again that find no event
    #[arg(long)]
    refit: bool,
    /// Print a test that runs the result
    #[arg(long)]
    emit_test: bool,
    /// Where the result is saved [default: beside the case, in CI target/tribunal/repros]
    #[arg(long, value_name = "DIR")]
    repros: Option<PathBuf>,
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    let path = repros::resolve(&arguments.repro)?;
    let mut text = repro::read(&path)?;
    let header = repro::header(&path, &text)?;
    let scenario = find(registry, &header.case.scenario)
        .map_err(|gone| Failure::bad_input(format!("{}: {}", path.display(), gone.message)))?;
    let engine = engines::named(header.engine.as_deref())?;
    let beside = path.parent().unwrap_or(Path::new(""));
    if arguments.refit {
        let again = scenario.refit(engine.as_ref(), &path, &text)?;
        let replay = scenario.replay_on(engine.as_ref(), &path, &again)?;
        match &replay.replayed {
            Replayed::Reproduces => text = again,
            Replayed::Passes => return placed(&path, &again, arguments),
            Replayed::Drifted(why) => {
                say(format!("  refit    found no place that brings it back: {why}"))?;
                return Ok(exit::UNKNOWN);
            }
        }
    }
    let Some(exhibit) = scenario.shrink(engine.as_ref(), &path, &text)? else {
        say("  shrink   nothing to do: the case does not fail")?;
        return Ok(exit::HOLDS);
    };
    let folder = match &arguments.repros {
        Some(root) => repro::folder(root, &exhibit.scenario, exhibit.mutant.as_deref()),
        None if repros::in_ci() => {
            repro::folder(&repros::root(None), &exhibit.scenario, exhibit.mutant.as_deref())
        }
        None => beside.to_owned(),
    };
    let saved = repro::save(&folder, &exhibit.repro)?;
    say(output::failure(&exhibit, Some(&saved)))?;
    if arguments.emit_test {
        say(test_of(&saved))?;
    }
    Ok(exit::VIOLATED)
}

/// Keeps a case that passes, as a fixed one must, and whose faults all strike again. It takes the
/// place of the one that had drifted; a CI machine never writes there.
fn placed(path: &Path, text: &str, arguments: &Arguments) -> Result<u8, Failure> {
    let saved = match &arguments.repros {
        None if !repros::in_ci() => repro::write(path, text)?,
        root => repro::save(&repros::root(root.as_deref()), text)?,
    };
    say("  refit    every placed fault finds its event, and the case passes")?;
    say(format!("  saved    {}", saved.display()))?;
    say(format!("  replay   {}", output::replay_line(&saved)))?;
    Ok(exit::HOLDS)
}

/// A test that runs a repro: for a user's own suite.
fn test_of(saved: &Path) -> String {
    let id = saved.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    let path = saved.display();
    format!(
        "\n#[test]\nfn repro_{id}() {{\n    \
         tribunal::replay(&MyScenario, \"{path}\");\n}}\n"
    )
}
