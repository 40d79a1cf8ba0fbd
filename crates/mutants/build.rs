//! Applies every patch to the protocol that it is for, and writes `mutants.rs`: a module for each
//! copy, what is known of it, and for each protocol a module with one node for all of its copies.

use diffy::patch_set::{ParseOptions, PatchSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A protocol that patches are for.
struct Protocol {
    /// Its file or folder below `protocols/src`, and the folder of its patches.
    name: &'static str,
    /// Its node, as the crate `protocols` and as a copy's module name it.
    node: &'static str,
    /// The node's module in `protocols`, if that is not the crate itself.
    module: &'static str,
    /// What it shares with clients and judges, which no patch touches: `super::commit`.
    shared: &'static str,
}

const PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "two_phase_commit",
        node: "TwoPhaseCommit",
        module: "two_phase_commit::",
        shared: "commit",
    },
    Protocol {
        name: "three_phase_commit",
        node: "ThreePhaseCommit",
        module: "three_phase_commit::",
        shared: "commit",
    },
    Protocol {
        name: "paxos_commit",
        node: "PaxosCommit",
        module: "paxos_commit::",
        shared: "commit",
    },
    Protocol { name: "lease_lock", node: "LeaseLock", module: "", shared: "lease" },
    Protocol { name: "quorum_register", node: "QuorumRegister", module: "", shared: "register" },
    Protocol {
        name: "raft",
        node: "Raft<replicated::Registers>",
        module: "",
        shared: "replicated",
    },
    Protocol { name: "idempotency_key", node: "IdempotencyKey", module: "", shared: "payment" },
    Protocol { name: "queue", node: "DurableQueue", module: "", shared: "job" },
    Protocol { name: "saga", node: "Saga", module: "", shared: "order" },
    Protocol { name: "optimistic", node: "Optimistic", module: "", shared: "stock" },
    Protocol { name: "watch", node: "Watch", module: "", shared: "stock" },
    Protocol { name: "orders_lock", node: "OrdersLock", module: "", shared: "order" },
    Protocol { name: "row_lock", node: "RowLock", module: "", shared: "stock" },
    Protocol {
        name: "conditional_requests",
        node: "ConditionalRequests",
        module: "",
        shared: "record",
    },
    Protocol { name: "versioned_cache", node: "VersionedCache", module: "", shared: "page" },
    Protocol { name: "redlock", node: "Redlock", module: "", shared: "key" },
    Protocol { name: "anti_entropy", node: "AntiEntropy", module: "", shared: "sync" },
    Protocol { name: "session", node: "Sessions", module: "", shared: "login" },
];

/// What the head of a patch must say, after its first line: `<id>: <what it does>`.
/// `also` may be left out.
const KEYS: [&str; 6] = ["schedule", "expected", "also", "class", "scenario", "source"];
const CLASSES: [(&str, &str); 5] =
    [("E", "E"), ("M", "M"), ("H", "H"), ("V", "V"), ("control", "Control")];

fn main() -> ExitCode {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says it"));
    let sources = here.join("../protocols/src");
    println!("cargo::rerun-if-changed=patches");
    let mut generated = String::from("// Written by the build script.\n");
    let mut errors = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for protocol in PROTOCOLS {
        let files = files(&sources, protocol.name);
        for file in &files {
            println!("cargo::rerun-if-changed={}", sources.join(file).display());
        }
        let mut planted: Vec<String> = Vec::new();
        for path in patches(&here.join("patches").join(protocol.name)) {
            match plant(protocol, &files, &path, &sources, &out) {
                Ok((id, _)) if ids.contains(&id) => {
                    errors.push(format!("{}: {id} is there twice", shown(&path)));
                }
                Ok((id, code)) => {
                    generated += &code;
                    ids.push(id.clone());
                    planted.push(id);
                }
                Err(why) => errors.push(format!("{}: {why}", shown(&path))),
            }
        }
        generated += &one_node(protocol, &planted);
    }
    let all: Vec<String> = ids.iter().map(|id| id.to_uppercase()).collect();
    let _ = write!(
        generated,
        "/// Every planted bug.\npub static ALL: [Bug; {}] = [{}];\n",
        all.len(),
        all.join(", ")
    );
    fs::write(out.join("mutants.rs"), generated).expect("cargo's own folder");
    for error in &errors {
        println!("cargo::error={error}");
    }
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The patches of a folder, in the order in which people count: A2 before A10.
fn patches(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    found.sort_by_key(|path| {
        let stem = stem(path);
        let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
        let letters: String = stem.chars().take_while(|c| !c.is_ascii_digit()).collect();
        (letters.len() > 1, letters, digits.parse().unwrap_or(0u32), stem)
    });
    found
}

/// The sources of a protocol, without its tests and with its module's own file first.
fn files(sources: &Path, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![name.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = match fs::read_dir(sources.join(&folder)) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => continue,
        };
        entries.sort();
        for entry in entries {
            let below = format!("{folder}/{}", stem(&entry));
            match entry.is_dir() {
                true => folders.push(below),
                false if stem(&entry) == "tests" => {}
                false => found.push(format!("{below}.rs")),
            }
        }
    }
    let alone = format!("{name}.rs");
    if sources.join(&alone).is_file() {
        found.push(alone.clone());
    }
    found.sort_by_key(|file| (*file != alone && *file != format!("{name}/mod.rs"), file.clone()));
    found
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A path as a person would name it.
fn shown(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(3).map(|part| part.to_string_lossy()).collect();
    let parts: Vec<_> = parts.into_iter().rev().collect();
    format!("crates/mutants/{}", parts.join("/"))
}

/// The module with the node that is any copy of a protocol.
fn one_node(protocol: &Protocol, ids: &[String]) -> String {
    let Protocol { name, node, module, shared } = protocol;
    let right = format!("protocols::{module}{node}");
    let parameter = if node.contains(shared) {
        format!("use protocols::{shared};\n    ")
    } else {
        String::new()
    };
    let (mut variants, mut makers) = (format!("Right {right}"), String::new());
    for id in ids {
        let (variant, module, bug) = (camel(id), id.to_lowercase(), id.to_uppercase());
        let _ = write!(variants, ", {variant} super::{module}::Node");
        let _ = write!(
            makers,
            "(super::{bug}, |id, config| Node::{variant}(super::{module}::Node::new(id, config))), "
        );
    }
    let count = ids.len();
    format!(
        "/// The copies of `{name}` as one node.\npub mod {name} {{\n    \
         use super::{{Bug, copies::hand_over}};\n    \
         use node::{{Cx, Node as _, NodeId, Observe, RequestId}};\n    {parameter}\
         any_of!({right}: {variants});\n    \
         /// Makes a node, as `Node::new` does.\n    \
         pub type Make = fn(NodeId, &<{right} as node::Node>::Config) -> Node;\n    \
         /// Every copy, and what makes a node of it.\n    \
         pub const COPIES: [(Bug, Make); {count}] \
         = [{makers}];\n}}\n"
    )
}

/// The name of an id's variant: `latest_done` is `LatestDone`.
fn camel(id: &str) -> String {
    let parts = id.split('_').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    });
    parts.collect()
}

/// Writes the patched copy. Its id, and what mounts it.
fn plant(
    protocol: &Protocol,
    files: &[String],
    path: &Path,
    sources: &Path,
    out: &Path,
) -> Result<(String, String), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let at = text.find("\n--- ").ok_or("no diff: expected a line that begins with `--- a/`")?;
    let (head, diff) = text.split_at(at + 1);
    let id = stem(path);
    let module = id.to_lowercase();
    let (what, fields) = read_head(&id, head)?;

    let folder = out.join(&module);
    for file in files {
        let source = sources.join(file);
        let text = fs::read_to_string(&source).map_err(|error| format!("{file}: {error}"))?;
        // The protocol's unit tests are no copy's: it is meant to fail them.
        let copy = patched(&text, file, diff)?.replace("#[cfg(test)]", "#[cfg(any())]");
        // What is shared is the protocols' own.
        let copy = copy.replace("crate::", "protocols::");
        write(&folder.join(file), &copy)?;
    }
    for name in names(diff) {
        if !files.contains(&name) {
            let files = files.join(", ");
            return Err(format!("{name} is no file of {}: expected {files}", protocol.name));
        }
    }

    let [schedule, expected, also, class, scenario, source] = &fields;
    let (expected, also) = (signatures(expected), signatures(also));
    let class = CLASSES.iter().find(|(name, _)| name == class);
    let (_, class) = class.ok_or("class: expected E, M, H, V or control")?;
    let Protocol { name, node, shared, .. } = protocol;
    let entry = folder.join(&files[0]);
    let constant = id.to_uppercase();
    let code = format!(
        "/// {what}.\npub const {constant}: Bug = Bug {{ id: {id:?}, protocol: {name:?}, \
         scenario: {scenario:?}, what: {what:?}, schedule: {schedule:?}, expected: &{expected:?}, \
         also: &{also:?}, class: Class::{class}, source: {source:?} }};\n\
         /// The copy that [`{constant}`] is about.\npub mod {module} {{\n    \
         use protocols::{shared};\n    #[path = {entry:?}]\n    mod {name};\n    \
         /// Its node.\n    pub type Node = {name}::{node};\n}}\n",
    );
    Ok((id, code))
}

/// What stands between commas; a dash is nothing.
fn signatures(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|one| !one.is_empty() && *one != "-").collect()
}

/// The first line, and what stands behind each key. A line that is indented continues the one
/// before.
fn read_head(id: &str, head: &str) -> Result<(String, [String; 6]), String> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.lines().filter(|line| !line.trim().is_empty()) {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.trim_end().to_owned()),
        }
    }
    let value = |key: &str| {
        let found = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        found.map(|value| value.trim().to_owned())
    };
    let what = value(id).ok_or_else(|| format!("expected `{id}: what it does` at the top"))?;
    let mut fields: [String; 6] = Default::default();
    for (field, key) in fields.iter_mut().zip(KEYS) {
        *field = match value(key) {
            Some(value) => value,
            None if key == "also" => String::new(),
            None => return Err(format!("its head has no `{key}:`")),
        };
    }
    Ok((what, fields))
}

/// The files that a diff names.
fn names(diff: &str) -> Vec<String> {
    let names = diff.lines().filter_map(|line| line.strip_prefix("--- a/"));
    names.map(|name| name.trim().to_owned()).collect()
}

/// A file's text with its part of the diff applied, if the diff has one for it.
fn patched(text: &str, file: &str, diff: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for part in PatchSet::parse(diff, ParseOptions::unidiff()) {
        let part = part.map_err(|error| error.to_string())?;
        let Some(patch) = part.patch().as_text() else { continue };
        if patch.original().and_then(|name| name.strip_prefix("a/")) != Some(file) {
            continue;
        }
        text = diffy::apply(&text, patch).map_err(|error| {
            format!("no longer applies to crates/protocols/src/{file}: {error}")
        })?;
    }
    Ok(text)
}

/// Leaves a file that has not changed as it is.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
