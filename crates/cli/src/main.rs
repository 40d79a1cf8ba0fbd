//! The binary: the command line over Tribunal's own scenarios.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(planted::registry())
}
