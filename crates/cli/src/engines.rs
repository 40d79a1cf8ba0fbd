//! Where cases run: the engines that `--engine` and repros name.

use crate::exit::Failure;
use engine_real::Real;
use explorer::Engine;
use std::sync::Arc;
use world::Faults;

/// Every engine's name, what it runs, and the kinds of faults that it has.
pub(crate) const ENGINES: [(&str, &str, Faults); 2] = [
    ("heap", "the protocol alone, and fast", Faults::ALL),
    (engine_real::NAME, "processes over TCP and files, on this machine", engine_real::KINDS),
];

/// The engine of that name; the heap engine, which needs no starting, is none and has none.
pub(crate) fn named(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, Failure> {
    match name {
        None | Some("heap") => Ok(None),
        Some(engine_real::NAME) => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::ours(format!("cannot find this program: {error}")))?;
            Ok(Some(Arc::new(Real::new(program, std::env::temp_dir()))))
        }
        Some(name) => {
            let names: Vec<String> = ENGINES.iter().map(|(name, ..)| format!("{name:?}")).collect();
            Err(Failure::usage(format!("no engine {name:?}: there are {}", names.join(" and "))))
        }
    }
}
