//! Where cases run: the engines that `--engine` and repros name.

use crate::exit::Failure;
use engine_madsim::Madsim;
use explorer::Engine;
use std::sync::Arc;
use world::Faults;

/// Every engine's name, what it runs, and the kinds of faults that it has.
pub(crate) const ENGINES: [(&str, &str, Faults); 2] = [
    ("heap", "the protocol alone, and fast", Faults::ALL),
    (engine_madsim::NAME, "the tokio shell around it, simulated", engine_madsim::KINDS),
];

/// The engine of that name; the heap engine, which needs no starting, is none and has none.
pub(crate) fn named(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, Failure> {
    match name {
        None | Some("heap") => Ok(None),
        Some(engine_madsim::NAME) => {
            if !engine_madsim::is_built() {
                eprintln!("building the worker of the madsim engine, which takes a minute or two");
            }
            Madsim::start().map(Some).map_err(|error| Failure::ours(error.to_string()))
        }
        Some(name) => {
            let names: Vec<String> = ENGINES.iter().map(|(name, ..)| format!("{name:?}")).collect();
            Err(Failure::usage(format!("no engine {name:?}: there are {}", names.join(" and "))))
        }
    }
}
