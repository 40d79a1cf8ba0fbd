//! `tribunal shrink`: makes a saved case smaller.

use crate::exit::{self, Failure};
use crate::{Registry, find, output, repros};
use clap::Args;
use explorer::repro;
use std::path::PathBuf;

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
    /// Where the result is saved [default: tests/repros, in CI target/tribunal/repros]
    #[arg(long, value_name = "DIR")]
    repros: Option<PathBuf>,
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    let path = repros::resolve(&arguments.repro)?;
    let text = repro::read(&path)?;
    let header = repro::header(&path, &text)?;
    let scenario = find(registry, &header.case.scenario)
        .map_err(|gone| Failure::bad_input(format!("{}: {}", path.display(), gone.message)))?;
    let Some(exhibit) = scenario.shrink(&path, &text, arguments.refit)? else {
        println!("  shrink   nothing to do: the case does not fail");
        return Ok(exit::HOLDS);
    };
    let root = repros::root(arguments.repros.as_deref());
    let folder = repro::folder(&root, &exhibit.scenario, exhibit.mutant.as_deref());
    let saved = repro::save(&folder, &exhibit.repro)?;
    print!("{}", output::failure(&exhibit, &saved));
    if arguments.emit_test {
        print!("{}", test_of(&saved));
    }
    Ok(exit::VIOLATED)
}

/// A test that runs a repro: for a user's own suite.
fn test_of(saved: &std::path::Path) -> String {
    let id = saved.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    let path = saved.display();
    format!(
        "\n#[test]\nfn repro_{id}() {{\n    \
         tribunal::replay(&MyScenario, \"{path}\").assert_holds();\n}}\n"
    )
}
