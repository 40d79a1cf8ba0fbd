//! Where repros are kept: found by id or path, written once for each signature.

use crate::exit::Failure;
use explorer::{Exhibit, repro};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Repros in the source tree: committed, and run by every `cargo test`.
const KEPT: &str = "tests/repros";
/// Repros of a CI machine: it never writes to the source tree.
const TEMPORARY: &str = "target/tribunal/repros";

/// Whether this is a CI machine.
#[expect(clippy::disallowed_methods, reason = "the command line may read the environment")]
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Where new repros go.
pub(crate) fn root(chosen: Option<&Path>) -> PathBuf {
    chosen.map_or_else(|| PathBuf::from(if in_ci() { TEMPORARY } else { KEPT }), Path::to_owned)
}

/// Every repro file below a folder, in order of path. A folder that is not there has none.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The file that a person means: a path, or the first letters of an id.
pub(crate) fn resolve(name: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(name);
    if path.exists() || name.contains('/') || name.ends_with(".toml") {
        return Ok(path);
    }
    let mut found = below(Path::new(KEPT));
    found.extend(below(Path::new(TEMPORARY)));
    found.retain(|path| {
        path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.starts_with(name))
    });
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::file(format!(
            "no repro {name:?} below {KEPT} or {TEMPORARY}: expected a path or an id"
        ))),
        several => {
            let list: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Failure::usage(format!("{name:?} names several repros: {}", list.join(", "))))
        }
    }
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

/// Saves a failure, unless one with its signature is there already. Says where it stands.
pub(crate) fn keep(root: &Path, exhibit: &Exhibit) -> Result<PathBuf, Failure> {
    let folder = repro::folder(root, &exhibit.scenario, exhibit.mutant.as_deref());
    let signature = exhibit.anomaly.signature();
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut known: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| {
            let text = repro::read(path).unwrap_or_default();
            toml::from_str::<Signed>(&text).is_ok_and(|known| known.signature == signature)
        })
        .collect();
    known.sort();
    match known.into_iter().next() {
        Some(path) => Ok(path),
        None => Ok(repro::save(&folder, &exhibit.repro)?),
    }
}
