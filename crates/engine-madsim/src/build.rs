//! Builds the worker, under its own flag and in a target directory of its own.

use crate::host::StartError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the worker's builds, below the workspace.
const TARGET: &str = "target/madsim";

/// The flag, as rustc's arguments with a unit separator between them: the one way of passing it
/// that no other setting overrides.
const FLAG: &str = "--cfg\u{1f}madsim";

/// What would send the build elsewhere, or wrap it in something that knows nothing of the flag.
const IN_THE_WAY: [&str; 3] =
    ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_BUILD_BUILD_DIR"];

/// Whether the worker is still to be built: the first build takes a minute or two.
pub fn is_unbuilt() -> bool {
    root().is_ok_and(|root| !root.join(TARGET).is_dir())
}

/// Builds the worker where that is needed, and says where it is.
///
/// # Errors
/// When the sources are not there, cargo or rustc cannot be run, or the worker does not build.
pub fn build() -> Result<PathBuf, StartError> {
    let built = run(cargo("build")?.arg("--message-format=json-render-diagnostics"))?;
    program(&built.stdout).ok_or(StartError::NoProgram)
}

/// A cargo command on this package with the worker's flag: `build`, or what tests and lints the
/// simulated side, which nothing else sees.
///
/// # Errors
/// When the sources are not there, or rustc cannot be run.
pub fn cargo(verb: &str) -> Result<Command, StartError> {
    let root = root()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(&root)
        .args([verb, "--locked", "--quiet", "--package", env!("CARGO_PKG_NAME")])
        // With a target of its own, build scripts and macros are built without the flag.
        .args(["--target", &host(&root)?])
        .arg("--target-dir")
        .arg(root.join(TARGET))
        .env("CARGO_ENCODED_RUSTFLAGS", FLAG);
    for name in IN_THE_WAY {
        cargo.env_remove(name);
    }
    Ok(cargo)
}

/// The workspace from which this was compiled.
fn root() -> Result<PathBuf, StartError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = root.canonicalize().ok().filter(|root| root.join("Cargo.lock").is_file());
    found.ok_or(StartError::NoSources(root))
}

/// The triple of this machine.
fn host(root: &Path) -> Result<String, StartError> {
    let output = run(Command::new("rustc").current_dir(root).arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(StartError::NoHost)
}

fn run(command: &mut Command) -> Result<Output, StartError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(StartError::Command { name, source }),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(StartError::Build(said));
    }
    Ok(output)
}

/// The program that cargo's messages name.
fn program(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let mut lines = messages.split(|byte| *byte == b'\n');
    lines.find_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable)
}
