//! `tribunal doctor`: looks for what breaks the trial of an async service, and says what to do.
//!
//! Two runs of a case must be one run. What a service does under `--cfg madsim` depends on its
//! sources (`sources`), on the packages that it is built from (`packages`), and on nothing that
//! the environment says, which is told for information.

mod packages;
mod sources;

use crate::exit::{self, Failure};
use crate::results::say;
use clap::Args;
use std::path::{Path, PathBuf};

/// Look for what breaks the trial of an async service: 0 nothing, 1 something
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal doctor\n  tribunal doctor my-service")]
pub(crate) struct Arguments {
    /// The folder of the package
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Something that was found.
struct Finding {
    /// A trial fails of it; anything else is good to know.
    breaks: bool,
    /// Where: a file and its line, or a package.
    place: String,
    /// What is there.
    what: String,
    /// What to do.
    advice: &'static str,
}

/// What sets flags for builds.
const FLAGS: [&str; 4] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"];

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let folder = &arguments.folder;
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        let shown = folder.display();
        return Err(Failure::usage(format!("{shown}: no Cargo.toml: expected a package's folder")));
    }
    let mut findings = packages::look(&manifest)?;
    findings.extend(sources::look(folder)?);
    let broken = findings.iter().filter(|finding| finding.breaks).count();
    findings.sort_by_key(|finding| !finding.breaks);
    for Finding { breaks, place, what, advice } in &findings {
        let sign = if *breaks { "BREAKS" } else { "note  " };
        say(format!("{sign}  {place}: {what}\n          {advice}"))?;
    }
    for name in FLAGS {
        if let Some(value) = std::env::var_os(name) {
            say(format!(
                "note    {name}={value:?} in the environment: a trial sets its own flags"
            ))?;
        }
    }
    say(match broken {
        0 => format!("{}: nothing that breaks a trial", shown(folder)),
        some => format!("{}: {some} that break a trial", shown(folder)),
    })?;
    Ok(if broken == 0 { exit::HOLDS } else { exit::VIOLATED })
}

fn shown(folder: &Path) -> String {
    match folder.canonicalize() {
        Ok(folder) => folder.display().to_string(),
        Err(_) => folder.display().to_string(),
    }
}
