//! What tests across the crates share: a saved case is found its scenario and held to its status,
//! and campaigns are measured against planted bugs.

pub mod oracle;
pub mod power;

use engine_madsim::{Madsim, Profile};
use explorer::{AnyScenario, Engine, repro};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The madsim engine, which is built and started once for all tests of a process.
///
/// # Errors
/// If its worker does not build or does not simulate.
pub fn madsim(profile: Profile) -> Result<Arc<dyn Engine>, String> {
    static ENGINES: [OnceLock<Result<Arc<dyn Engine>, String>>; 2] = [const { OnceLock::new() }; 2];
    let start = || Madsim::start(profile).map_err(|error| error.to_string());
    ENGINES[profile as usize].get_or_init(start).clone()
}

/// The engine that a repro names.
fn engine(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, String> {
    match name {
        None => Ok(None),
        Some(name) => match Profile::ALL.into_iter().find(|profile| profile.name() == name) {
            Some(profile) => madsim(profile).map(Some),
            None => Err(format!("there is no engine {name:?}")),
        },
    }
}

/// Runs a saved case again and holds it to its status. A note says what is otherwise and no fault.
///
/// # Errors
/// If the file is no repro, its scenario is gone, or it is not as its status says.
pub fn stands(registry: &[Box<dyn AnyScenario>], path: &Path) -> Result<Option<String>, String> {
    let text = repro::read(path).map_err(|error| error.to_string())?;
    let header = repro::header(path, &text).map_err(|error| error.to_string())?;
    let name = header.case.scenario;
    let scenario = registry
        .iter()
        .find(|scenario| scenario.name() == name)
        .ok_or_else(|| format!("{}: there is no scenario {name:?}", path.display()))?;
    let engine = engine(header.engine.as_deref())?;
    let replay = scenario.replay_on(engine.as_ref(), path, &text).map_err(|e| e.to_string())?;
    let stands = replay.stands(path);
    stands.map_err(|why| format!("{why}\n{}", replay.story.join("\n")))?;
    Ok(replay.note())
}
