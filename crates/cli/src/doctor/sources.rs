//! What stands in a package's own sources: names that are known to go wrong under madsim.

use super::Finding;
use crate::exit::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// A name, whether a trial fails of it, and what to do.
type Name = (&'static str, bool, &'static str);

const NAMES: [Name; 17] = [
    ("tokio::fs", true, "its files need a real runtime and panic: take std::fs"),
    ("tokio::process", true, "a process is outside of the simulation: leave it out of the trial"),
    ("axum::serve", true, "it needs a real reactor: serve each accepted stream by hyper's http1"),
    ("TokioExecutor", true, "it spawns on a real runtime: take hyper's http1, which needs none"),
    ("TokioTimer", true, "its timers need a real runtime: leave it out"),
    ("std::net::Tcp", true, "a real socket is outside of the simulation: take tokio::net"),
    ("std::net::Udp", true, "a real socket is outside of the simulation: take tokio::net"),
    ("thread::spawn", true, "no threads in a simulation: take tokio::spawn"),
    (
        "thread::sleep",
        true,
        "it stops the simulation and its clock stands still: tokio::time::sleep",
    ),
    ("JoinSet", true, "madsim-tokio has none: keep the JoinHandles of tokio::spawn in a Vec"),
    ("LocalSet", true, "madsim-tokio has none: take tokio::spawn"),
    ("timeout_at", true, "madsim-tokio has none: take timeout"),
    ("into_split", true, "madsim-tokio has none: take tokio::io::split"),
    ("time::pause", true, "madsim-tokio has none, and a trial's clock is simulated already"),
    ("thread_rng", true, "rand 0.8 asks the system: take rand 0.9 or later, which is simulated"),
    (
        "HashMap",
        false,
        "its order may be another one in the next build: where it is iterated, BTreeMap",
    ),
    (
        "HashSet",
        false,
        "its order may be another one in the next build: where it is iterated, BTreeSet",
    ),
];

const SELECT: &str = "without `biased;` its order may be another one in the next build";
const FLUSH: &str = "under madsim nothing is sent before flush: call flush().await after writes";

/// Looks through the sources of a package, its tests included.
pub(super) fn look(folder: &Path) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for part in ["src", "tests"] {
        let mut folders = vec![folder.join(part)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path)
                        .map_err(|error| Failure::file(format!("{}: {error}", path.display())))?;
                    findings.extend(read(&path.display().to_string(), &text));
                }
            }
        }
    }
    Ok(findings)
}

/// What stands in one file: the first place of each name.
fn read(path: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().map(code).collect();
    let first = |found: &dyn Fn(&str) -> bool| lines.iter().position(|line| found(line));
    let mut findings = Vec::new();
    let mut add = |at: usize, breaks: bool, what: &str, advice: &'static str| {
        let place = format!("{path}:{}", at + 1);
        findings.push(Finding { breaks, place, what: what.to_owned(), advice });
    };
    for (name, breaks, advice) in NAMES {
        if let Some(at) = first(&|line| has(line, name)) {
            add(at, breaks, name, advice);
        }
    }
    for (at, line) in lines.iter().enumerate() {
        let near = lines[at..].iter().take(2).any(|line| line.contains("biased;"));
        if has(line, "select!") && !near {
            add(at, false, "select!", SELECT);
        }
    }
    let writes = first(&|line| line.contains(".write_all(") && line.contains(".await"));
    if let (Some(at), None) = (writes, first(&|line| line.contains("flush()"))) {
        add(at, true, "write_all without flush", FLUSH);
    }
    findings
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Whether a name stands in a line, and not as a part of a longer one.
fn has(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(bool, String)> {
        read("a.rs", text)
            .into_iter()
            .map(|f| (f.breaks, format!("{} {}", f.place, f.what)))
            .collect()
    }

    #[test]
    fn names_are_found_where_they_stand() {
        let text = "use std::collections::BTreeMap;\n// tokio::fs is no good\nuse tokio::fs;\n";
        assert_eq!(found(text), [(true, "a.rs:3 tokio::fs".to_owned())]);
        assert_eq!(found("let x = my_thread::spawn();"), []);
        assert_eq!(found("let m: HashMap<u8, u8>;"), [(false, "a.rs:1 HashMap".to_owned())]);
    }

    #[test]
    fn a_biased_select_is_none() {
        assert_eq!(found("tokio::select! {\n    biased;\n"), []);
        assert_eq!(
            found("tokio::select! {\n    x = y => {}"),
            [(false, "a.rs:1 select!".to_owned())]
        );
    }

    #[test]
    fn what_is_written_is_flushed() {
        let write = "stream.write_all(b\"x\").await?;\n";
        assert_eq!(found(write), [(true, "a.rs:1 write_all without flush".to_owned())]);
        assert_eq!(found(&format!("{write}stream.flush().await?;")), []);
    }
}
