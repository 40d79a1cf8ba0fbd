//! Builds under `--cfg madsim`: a flag that no environment can take away.

use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of such builds, below a target directory.
pub const FOLDER: &str = "madsim";

/// The flag, as rustc's arguments with a unit separator between them: the one way of passing it
/// that no other setting overrides.
const FLAG: &str = "--cfg\u{1f}madsim";

/// What would send the build elsewhere, or wrap it in something that knows nothing of the flag.
const IN_THE_WAY: [&str; 3] =
    ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_BUILD_BUILD_DIR"];

/// Why there is no such program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A tool that the build needs.
    #[error("cannot run {name}: {source}")]
    Command {
        /// Which.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The compiler does not say for which machine it builds.
    #[error("`rustc -vV` names no host")]
    NoHost,
    /// It does not build.
    #[error("it does not build:\n{0}")]
    Build(String),
    /// Cargo has built it and does not say where it is.
    #[error("cargo names no program")]
    NoProgram,
}

/// Lets a cargo command that runs in `root` build under the flag, in a folder of its own.
///
/// # Errors
/// When rustc cannot be run.
pub fn simulated(cargo: &mut Command, root: &Path, folder: &Path) -> Result<(), BuildError> {
    cargo
        .current_dir(root)
        // With a target of its own, build scripts and macros are built without the flag.
        .args(["--target", &host(root)?])
        .arg("--target-dir")
        .arg(folder)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAG);
    for name in IN_THE_WAY {
        cargo.env_remove(name);
    }
    Ok(())
}

/// Builds, and says where the program is, or the test program.
///
/// # Errors
/// When it does not build, or is no such program.
pub fn built(cargo: &mut Command, test: bool) -> Result<PathBuf, BuildError> {
    let built = run(cargo.arg("--message-format=json-render-diagnostics"))?;
    program(&built.stdout, test).ok_or(BuildError::NoProgram)
}

/// The triple of this machine.
fn host(root: &Path) -> Result<String, BuildError> {
    let output = run(Command::new("rustc").current_dir(root).arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(BuildError::NoHost)
}

fn run(command: &mut Command) -> Result<Output, BuildError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(BuildError::Command { name, source }),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(BuildError::Build(said));
    }
    Ok(output)
}

fn program(messages: &[u8], test: bool) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        profile: Profile,
    }
    let messages = messages.split(|byte| *byte == b'\n').flat_map(serde_json::from_slice);
    let mut programs = messages.filter(|message: &Message| message.profile.test == test);
    programs.find_map(|message| message.executable)
}
