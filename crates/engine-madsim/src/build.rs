//! Builds the worker, under its own flag and in a target directory of its own.

use crate::host::StartError;
use std::path::{Path, PathBuf};
use std::process::Command;
use worker::flag;

/// Whether the worker is still to be built: the first build takes a minute or two.
pub fn is_unbuilt() -> bool {
    root().is_ok_and(|root| !folder(&root).is_dir())
}

/// Builds the worker where that is needed, and says where it is.
///
/// # Errors
/// When the sources are not there, cargo or rustc cannot be run, or the worker does not build.
pub fn build() -> Result<PathBuf, StartError> {
    Ok(flag::built(&mut cargo("build")?, false)?)
}

/// A cargo command on this package with the worker's flag: `build`, or what tests and lints the
/// simulated side, which nothing else sees.
///
/// # Errors
/// When the sources are not there, or rustc cannot be run.
pub fn cargo(verb: &str) -> Result<Command, StartError> {
    let root = root()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([verb, "--locked", "--quiet", "--package", env!("CARGO_PKG_NAME")]);
    flag::simulated(&mut cargo, &root, &folder(&root))?;
    Ok(cargo)
}

fn folder(root: &Path) -> PathBuf {
    root.join("target").join(flag::FOLDER)
}

/// The workspace from which this was compiled.
fn root() -> Result<PathBuf, StartError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = root.canonicalize().ok().filter(|root| root.join("Cargo.lock").is_file());
    found.ok_or(StartError::NoSources(root))
}
