//! Where cases run: the engines that `--engine` and repros name.

use crate::exit::Failure;
use engine_madsim::{Madsim, Profile};
use engine_real::Real;
use explorer::Engine;
use std::sync::Arc;
use world::Faults;

/// Every engine's name, what it runs, and the kinds of faults that it has.
pub(crate) fn engines() -> Vec<(&'static str, &'static str, Faults)> {
    let mut engines = vec![("heap", "the protocol alone, and fast", Faults::ALL)];
    engines.extend(Profile::ALL.map(|profile| (profile.name(), profile.about(), profile.kinds())));
    let real = "processes over TCP and files, on this machine";
    engines.push((engine_real::NAME, real, engine_real::KINDS));
    engines
}

/// The engine of that name; the heap engine, which needs no starting, is none and has none.
pub(crate) fn named(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, Failure> {
    let name = match name {
        None | Some("heap") => return Ok(None),
        Some(engine_real::NAME) => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::ours(format!("cannot find this program: {error}")))?;
            return Ok(Some(Arc::new(Real::new(program, std::env::temp_dir()))));
        }
        Some(name) => name,
    };
    let Some(profile) = Profile::ALL.into_iter().find(|profile| profile.name() == name) else {
        let names: Vec<String> = engines().iter().map(|(name, ..)| format!("{name:?}")).collect();
        return Err(Failure::usage(format!("no engine {name:?}: there are {}", names.join(", "))));
    };
    if !engine_madsim::is_built() {
        eprintln!("building the worker of the madsim engine, which takes a minute or two");
    }
    Madsim::start(profile).map(Some).map_err(|error| Failure::ours(error.to_string()))
}
