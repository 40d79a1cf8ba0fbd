//! Where repros are kept, and how a person names one.

use crate::exit::Failure;
use explorer::repro;
use std::path::{Path, PathBuf};

/// Repros in the source tree: committed, and run by every `cargo test`.
const KEPT: &str = "tests/repros";
/// Repros of a CI machine: it never writes to the source tree.
const TEMPORARY: &str = "target/tribunal/repros";

/// Whether this is a CI machine, which never writes to the source tree.
#[expect(clippy::disallowed_methods, reason = "the command line may read the environment")]
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Where new repros go.
pub(crate) fn root(chosen: Option<&Path>) -> PathBuf {
    chosen.map_or_else(|| PathBuf::from(if in_ci() { TEMPORARY } else { KEPT }), Path::to_owned)
}

/// Whether `replay` finds a repro by its id alone.
pub(crate) fn is_found(path: &Path) -> bool {
    path.starts_with(KEPT) || path.starts_with(TEMPORARY)
}

/// Whether repros can be written below a folder, which need not be there yet. Nothing stays behind.
pub(crate) fn writable(folder: &Path) -> Result<(), Failure> {
    let there = folder.ancestors().find(|folder| folder.exists());
    // The last ancestor of a relative path has no name: it is where the process runs.
    let there = there.unwrap_or(Path::new("."));
    let probe = there.join(format!(".tribunal-{}", std::process::id()));
    let tried = std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| {
        let shown = folder.display();
        Failure::file(format!("{shown}: {error}: expected a folder for repros, see --repros"))
    })
}

/// The file that a person means: a path, or the first letters of an id.
pub(crate) fn resolve(name: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(name);
    if path.exists() || name.contains('/') || name.ends_with(".toml") {
        return Ok(path);
    }
    let mut found = repro::below(Path::new(KEPT));
    found.extend(repro::below(Path::new(TEMPORARY)));
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
