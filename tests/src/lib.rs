//! What tests across the crates share: a saved case is found its scenario and held to its status,
//! and campaigns are measured against planted bugs.

pub mod power;

use explorer::{AnyScenario, repro};
use std::path::Path;

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
    let replay = scenario.replay(path, &text).map_err(|error| error.to_string())?;
    let stands = replay.stands(path);
    stands.map_err(|why| format!("{why}\n{}", replay.story.join("\n")))?;
    Ok(replay.note())
}
