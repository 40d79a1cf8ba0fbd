//! `tribunal list`: what can be named on the command line.

use crate::Registry;
use crate::engines::engines;
use crate::exit::{self, Failure};
use crate::results::say;
use clap::Args;
use explorer::Expected;
use node::MutationKind;
use world::{FaultKind, Faults};

/// Show scenarios, mutants, engines and kinds of faults
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal list\n  tribunal list --names")]
pub(crate) struct Arguments {
    /// Only the scenarios' names, one a line
    #[arg(long)]
    names: bool,
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.names {
        for scenario in registry {
            say(scenario.name())?;
        }
        return Ok(exit::HOLDS);
    }
    say("scenarios")?;
    for scenario in registry {
        let shape = scenario.shape();
        let expected = match shape.expected {
            // On the heap engine alone.
            Expected::Holds if shape.synchronous => "bounded",
            Expected::Holds => "holds",
            Expected::Violated => "exhibit",
        };
        say(format!("  {:<40} {expected:<8} {}", scenario.name(), scenario.about()))?;
    }
    say("\nmutants of one scenario (class, who must find it, what is wrong)")?;
    for scenario in registry {
        let mutants = scenario.mutants();
        if !mutants.is_empty() {
            say(format!("  of {}", scenario.name()))?;
        }
        for (id, about) in mutants {
            say(format!("    {id:<24} {about}"))?;
        }
    }
    say("\nmutants of any scenario; NAME(Variant) confines one to a record, message or timer")?;
    for kind in MutationKind::ALL {
        say(format!("  {:<40} {}", kind.name(), kind.describe()))?;
    }
    say("\nengines")?;
    for (name, about, kinds) in engines() {
        say(format!("  {name:<40} {about}; {}", has(kinds)))?;
    }
    say("\nkinds of faults")?;
    for kind in FaultKind::ALL {
        say(format!("  {:<40} {}", kind.name(), kind.describe()))?;
    }
    Ok(exit::HOLDS)
}

/// The kinds that an engine has, in words.
fn has(kinds: Faults) -> String {
    let missing: Vec<&str> = Faults::ALL.without(kinds).iter().map(FaultKind::name).collect();
    match missing.is_empty() {
        true => "every kind of fault".to_owned(),
        false => format!("every kind of fault but {}", missing.join(", ")),
    }
}
