//! Where cases run: the engines that `--engine` and repros name. Those beside the heap engine know
//! the built-in scenarios alone.

use crate::exit::Failure;
#[cfg(feature = "built-in")]
use engine_madsim::{Madsim, Profile};
#[cfg(feature = "built-in")]
use engine_real::Real;
use explorer::Engine;
use std::sync::Arc;
use world::Faults;

/// An engine's name, what it runs, and the kinds of faults that it has.
type Entry = (&'static str, &'static str, Faults);

/// Every engine.
pub(crate) fn engines() -> Vec<Entry> {
    [vec![("heap", "the protocol alone, and fast", Faults::ALL)], others()].concat()
}

/// Whether there is an engine of that name beside the heap engine.
pub(crate) fn is_another(name: &str) -> bool {
    others().iter().any(|(other, ..)| *other == name)
}

/// The engine of that name; the heap engine, which needs no starting, is none and has none.
pub(crate) fn named(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, Failure> {
    let name = match name {
        None | Some("heap") => return Ok(None),
        Some(name) => name,
    };
    start(name)?.map(Some).ok_or_else(|| {
        let names: Vec<String> = engines().iter().map(|(name, ..)| format!("{name:?}")).collect();
        Failure::usage(format!("no engine {name:?}: there is {}", names.join(", ")))
    })
}

#[cfg(feature = "built-in")]
fn others() -> Vec<Entry> {
    let real = "processes over TCP and files, on this machine";
    let profiles = Profile::ALL.map(|profile| (profile.name(), profile.about(), profile.kinds()));
    profiles.into_iter().chain([(engine_real::NAME, real, engine_real::KINDS)]).collect()
}

#[cfg(not(feature = "built-in"))]
fn others() -> Vec<Entry> {
    Vec::new()
}

#[cfg(feature = "built-in")]
fn start(name: &str) -> Result<Option<Arc<dyn Engine>>, Failure> {
    let program = || {
        let program = std::env::current_exe();
        program.map_err(|error| Failure::ours(format!("cannot find this program: {error}")))
    };
    if name == engine_real::NAME {
        return Ok(Some(Arc::new(Real::new(program()?, std::env::temp_dir()))));
    }
    let Some(profile) = Profile::ALL.into_iter().find(|profile| profile.name() == name) else {
        return Ok(None);
    };
    if engine_madsim::is_unbuilt() {
        eprintln!("building the worker of the madsim engine, which takes a minute or two");
    }
    let engine = Madsim::start_beside(profile, &program()?);
    engine.map(Some).map_err(|error| Failure::ours(error.to_string()))
}

#[cfg(not(feature = "built-in"))]
fn start(_: &str) -> Result<Option<Arc<dyn Engine>>, Failure> {
    Ok(None)
}
