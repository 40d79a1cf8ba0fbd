//! Tribunal's command line over this package's own scenarios.

use protocol::Transfers;
use std::process::ExitCode;

fn main() -> ExitCode {
    let scenarios = [Transfers { careful: true }, Transfers { careful: false }];
    tribunal::main(scenarios.map(|scenario| Box::new(scenario) as _).into())
}
