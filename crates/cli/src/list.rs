//! `tribunal list`: what can be named on the command line.

use crate::Registry;
use crate::exit::{self, Failure};
use clap::Args;
use explorer::Expected;
use node::MutationKind;
use world::FaultKind;

/// Show scenarios, mutants and kinds of faults
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal list\n  tribunal list --names")]
pub(crate) struct Arguments {
    /// Only the scenarios' names, one a line
    #[arg(long)]
    names: bool,
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.names {
        registry.iter().for_each(|scenario| println!("{}", scenario.name()));
        return Ok(exit::HOLDS);
    }
    println!("scenarios");
    for scenario in registry {
        let expected = match scenario.shape().expected {
            Expected::Holds => "holds",
            Expected::Violated => "exhibit",
        };
        println!("  {:<40} {expected:<8} {}", scenario.name(), scenario.about());
    }
    println!(
        "\nmutants (of any scenario; NAME(Variant) confines one to a record, message or timer)"
    );
    for kind in MutationKind::ALL {
        println!("  {:<40} {}", kind.name(), kind.describe());
    }
    println!("\nkinds of faults");
    for kind in FaultKind::ALL {
        println!("  {:<40} {}", kind.name(), kind.describe());
    }
    Ok(exit::HOLDS)
}
