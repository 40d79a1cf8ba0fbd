//! The house rules that a machine can hold: layering, module docs, columns, leftovers, file
//! lengths, printing, lints. Each rule takes text and answers with complaints, so that each is
//! shown a bad sample too. CONTRIBUTING.md says why they are there.

use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The crates from the bottom up: a crate uses only rows above its own.
const ROWS: [&[&str]; 8] = [
    &["clocks", "codec", "history", "macros", "node", "placement"],
    &["checkers", "protocols", "world"],
    &["explorer", "mutants", "shell"],
    &["scenarios", "worker"],
    &["planted"],
    &["engine-madsim", "engine-real", "service"],
    &["bench-peers", "cli"],
    &["tribunal"],
];

/// Crates that may use even less: judges never see the world, protocols know nothing of
/// simulation and their mutants no more, and a search knows no protocol.
const ONLY: [(&str, &[&str]); 5] = [
    ("checkers", &["history"]),
    ("explorer", &["checkers", "codec", "history", "node", "world"]),
    ("mutants", &["clocks", "node", "protocols"]),
    ("protocols", &["clocks", "node"]),
    ("shell", &["codec", "node", "protocols"]), // protocols for its bench alone
];

/// Other people's simulators, and who names them: the benchmark, the shell, which compiles for one
/// in tokio's place, the engines that run it and users' services there, the tests of the latter,
/// and the services that stand for a user's.
const PEERS: [&str; 2] = ["madsim", "turmoil"];
const PEERS_NAMED_BY: [&str; 7] = [
    "bench-peers",
    "engine-madsim",
    "own-service",
    "own-service-axum",
    "service",
    "shell",
    "tribunal",
];

/// The crates that print: the command line, the benchmark whose product is a table, and a user's
/// test, which tells what its trial has shown.
const PRINTERS: [&str; 3] = ["cli", "bench-peers", "tribunal"];

const COLUMNS: usize = 100;
const LINES: usize = 600;

/// Files that are longer than [`LINES`], and how long each may be at most: the numbers only fall.
const LONG: [(&str, usize); 1] = [("crates/protocols/src/quorum_register.rs", 732)];

/// What must not stay behind, in pieces so that this file holds none of it.
const LEFTOVERS: [(&str, &str); 8] = [
    (concat!("dbg", "!("), "print with the debugger or not at all"),
    (concat!("todo", "!("), "finish it"),
    (concat!("unimplemented", "!("), "finish it"),
    (concat!("TO", "DO"), "finish it, or say what is missing and why"),
    (concat!("FIX", "ME"), "mend it"),
    (concat!("XX", "X"), "mend it"),
    (concat!("#[ig", "nore"), "mend the test or delete it"),
    (concat!("[al", "low("), "take #[expect(…, reason = \"…\")]: it goes when its cause does"),
];

struct File {
    /// From the root, with slashes.
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

fn module_doc(file: &File) -> Vec<String> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}: its first line is no `//!` that says what it is", file.path)]
}

/// A row of a table cannot be broken, and what a test expects should stand there as it is.
fn columns(file: &File) -> Vec<String> {
    let test = file.path.contains("/tests/");
    let long = (1..).zip(file.text.lines()).filter(|(_, line)| {
        let words = line.trim_start();
        let row = words.starts_with("//") && words.contains(" | ") && words.ends_with('|');
        line.chars().count() > COLUMNS && !row && !(test && line.contains('"'))
    });
    long.map(|(n, _)| format!("{}:{n}: more than {COLUMNS} columns", file.path)).collect()
}

fn leftovers(file: &File) -> Vec<String> {
    // What test files share is not all used by each of them, and no `expect` fits them all.
    let shared = |line: &str| file.path.contains("/tests/common/") && line.contains("dead_code");
    let lines = (1..).zip(file.text.lines()).filter(|(_, line)| !shared(line));
    let pairs = lines.flat_map(|line| LEFTOVERS.map(|leftover| (line, leftover)));
    let found = pairs.filter(|((_, line), (word, _))| line.contains(word));
    found.map(|((n, _), (word, instead))| format!("{}:{n}: {word}: {instead}", file.path)).collect()
}

fn printing(file: &File) -> Vec<String> {
    let place: Vec<&str> = file.path.splitn(4, '/').collect();
    if !matches!(place[..], ["crates", name, "src", _] if !PRINTERS.contains(&name)) {
        return Vec::new();
    }
    let lines = (1..).zip(file.text.lines().map(str::trim_start));
    // `print!(` is part of `eprint!(`, and `println!(` of `eprintln!(`.
    let prints = lines.filter(|(_, line)| {
        !line.starts_with("//") && (line.contains("print!(") || line.contains("println!("))
    });
    prints.map(|(n, _)| format!("{}:{n}: only the command line prints", file.path)).collect()
}

/// Takes all files, since an entry of [`LONG`] may have lost its file.
fn lengths(files: &[File], long: &[(&str, usize)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let most = long.iter().find(|(path, _)| *path == file.path).map_or(LINES, |(_, n)| *n);
        if lines > most {
            complaints.push(format!("{}: {lines} lines, at most {most}: split it", file.path));
        }
    }
    for (path, _) in long {
        let found = files.iter().find(|file| file.path == *path);
        if found.is_none_or(|file| file.text.lines().count() <= LINES) {
            complaints.push(format!("{path}: no longer over {LINES} lines: take it off LONG"));
        }
    }
    complaints
}

fn lints(file: &File) -> Vec<String> {
    let manifest: Table = file.text.parse().expect("cargo has read it");
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    vec![format!("{}: no `[lints] workspace = true`", file.path)]
}

/// The packages that a manifest depends on in any way: for tests, for building, on one target.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            for (name, value) in table {
                let renamed = value.get("package").and_then(Value::as_str);
                found.push(renamed.unwrap_or(name).to_owned());
            }
        } else if key == "workspace" || key == "target" {
            found.extend(dependencies(table));
            found.extend(table.values().filter_map(Value::as_table).flat_map(dependencies));
        }
    }
    found
}

fn layering(file: &File) -> Vec<String> {
    let manifest: Table = file.text.parse().expect("cargo has read it");
    let package = manifest.get("package").and_then(|package| package.get("name"));
    let name = package.and_then(Value::as_str).unwrap_or_default();
    let row_of = |name: &str| ROWS.iter().position(|row| row.contains(&name));
    let row = row_of(name);
    let mut complaints = Vec::new();
    if file.path.starts_with("crates/") && row.is_none() {
        complaints.push(format!("{name}: give it a row in tests/tests/tidy.rs"));
    }
    for used in dependencies(&manifest) {
        if PEERS.iter().any(|peer| used.starts_with(peer)) && !PEERS_NAMED_BY.contains(&name) {
            let who = PEERS_NAMED_BY.join(" and ");
            complaints.push(format!("{name} → {used}: only {who} may name other simulators"));
        }
        let (Some(row), Some(row_used)) = (row, row_of(&used)) else { continue };
        let only = ONLY.iter().find(|(one, _)| *one == name);
        if row_used >= row || only.is_some_and(|(_, may)| !may.contains(&used.as_str())) {
            complaints.push(format!("{name} → {used}: against the layering (ARCHITECTURE.md)"));
        }
    }
    complaints
}

/// The files of the tree with this ending, but for what is built.
fn files(ending: &str) -> Vec<File> {
    fn walk(root: &Path, dir: &Path, ending: &str, found: &mut Vec<File>) {
        let entries = fs::read_dir(dir).expect("the tree can be read");
        for entry in entries.map(|entry| entry.expect("the tree can be read")) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !name.starts_with('.') && name != "target" && name != "artifacts" {
                    walk(root, &path, ending, found);
                }
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).expect("a text file of ours");
                let path = path.strip_prefix(root).expect("below the root").to_string_lossy();
                found.push(File::new(&path.replace('\\', "/"), &text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = Vec::new();
    walk(root, root, ending, &mut found);
    assert!(!found.is_empty(), "no {ending} anywhere: the walk is broken");
    found
}

fn hold(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn sources_are_tidy() {
    let sources = files(".rs");
    let rules = [module_doc, columns, leftovers, printing];
    let each = sources.iter().flat_map(|file| rules.iter().flat_map(move |rule| rule(file)));
    hold(each.chain(lengths(&sources, &LONG)));
}

#[test]
fn crates_keep_to_their_layer_and_lints() {
    let manifests = files("Cargo.toml");
    hold(manifests.iter().flat_map(layering));
    let ours = |file: &&File| file.path.starts_with("crates/") || file.path == "tests/Cargo.toml";
    hold(manifests.iter().filter(ours).flat_map(lints));
}

/// Every rule of sources finds what is wrong with its sample, once, and nothing with a good one.
#[test]
fn bad_sources_are_caught() {
    let bad = |rule: fn(&File) -> Vec<String>, path: &str, text: &str| {
        assert_eq!(rule(&File::new(path, text)).len(), 1, "{path}: {text}");
    };
    bad(module_doc, "crates/node/src/a.rs", "use std::fs;\n//! Too late.\n");
    bad(columns, "crates/node/src/a.rs", &format!("//! {}\n", "é".repeat(COLUMNS)));
    bad(printing, "crates/world/src/a.rs", "//! A.\nfn f() { eprintln!(\"!\"); }\n");
    bad(printing, "crates/world/src/a.rs", "//! A.\nfn f() { print!(\"!\"); }\n");
    for (word, _) in LEFTOVERS {
        bad(leftovers, "crates/node/src/a.rs", &format!("//! A.\n{word}\n"));
    }
    let text = format!("//! {}\n/// println!(\"in a comment\")\n", "é".repeat(COLUMNS - 4));
    let good = File::new("crates/node/src/a.rs", &text);
    let wide = format!("//! | a | {} |\nlet expected = \"{}\";\n", "é".repeat(99), "é".repeat(99));
    hold(columns(&File::new("crates/node/tests/a.rs", &wide)));
    assert_eq!(columns(&File::new("crates/node/src/a.rs", &wide)).len(), 1);
    let printer = File::new("crates/cli/src/a.rs", "//! A.\nfn f() { println!(\"!\"); }\n");
    for rule in [module_doc, columns, leftovers, printing] {
        hold(rule(&good).into_iter().chain(rule(&printer)));
    }
}

#[test]
fn long_files_are_caught_and_the_list_only_shrinks() {
    let long = || [File::new("a.rs", &"//\n".repeat(LINES + 1))];
    assert_eq!(lengths(&long(), &[]).len(), 1);
    hold(lengths(&long(), &[("a.rs", LINES + 1)]));
    assert_eq!(lengths(&[File::new("a.rs", "//\n")], &[("a.rs", 700), ("gone.rs", 700)]).len(), 2);
}

#[test]
fn bad_manifests_are_caught() {
    let complaints = |name: &str, rest: &str| {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        layering(&File::new(&format!("crates/{name}/Cargo.toml"), &text)).len()
    };
    assert_eq!(complaints("world", "[dependencies]\nnode.workspace = true"), 0);
    assert_eq!(complaints("world", "[dependencies]\nexplorer.workspace = true"), 1);
    assert_eq!(complaints("world", "[dependencies]\nprotocols.workspace = true"), 1, "one row");
    assert_eq!(complaints("world", "[dev-dependencies]\nscenarios.workspace = true"), 1);
    assert_eq!(complaints("world", "[dependencies]\nw = { package = \"cli\", path = \"\" }"), 1);
    assert_eq!(complaints("checkers", "[dependencies]\nnode.workspace = true"), 1);
    assert_eq!(complaints("protocols", "[dependencies]\nhistory.workspace = true"), 1);
    assert_eq!(complaints("explorer", "[dependencies]\nprotocols.workspace = true"), 1);
    assert_eq!(complaints("newcomer", ""), 1);
    assert_eq!(complaints("world", "[target.'cfg(madsim)'.dependencies]\nmadsim = \"0.2\""), 1);
    assert_eq!(complaints("bench-peers", "[dependencies]\nturmoil = \"0.7\""), 0);
    let root = File::new("Cargo.toml", "[workspace.dependencies]\nmadsim-tokio = \"0.2\"\n");
    assert_eq!(layering(&root).len(), 1);
    let bare = |text: &str| lints(&File::new("crates/a/Cargo.toml", text)).len();
    assert_eq!((bare(""), bare("[lints]\nworkspace = true")), (1, 0));
}
