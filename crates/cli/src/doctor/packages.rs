//! What a package is built from under `--cfg madsim`, as cargo resolves it.

use super::Finding;
use crate::exit::Failure;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// A package, its features known to need a real tokio, and what to do. No feature: any.
type Known = (&'static str, &'static [&'static str], &'static str);

const REAL: [Known; 7] = [
    ("axum", &["tokio"], "default-features = false, features = [\"json\"]; no axum::serve"),
    ("tower", &["timeout"], "leave the feature out: its timers need a real runtime"),
    ("hyper-util", &["client-legacy", "server-auto"], "take hyper's own http1 for both sides"),
    ("tokio-util", &["time"], "leave the feature out: DelayQueue needs a real runtime"),
    ("tokio-stream", &["time"], "leave the feature out: its timers need a real runtime"),
    ("reqwest", &[], "take hyper's client::conn::http1 in the trial"),
    ("tonic", &["transport"], "its transport needs a real runtime: try what stands behind it"),
];

/// What asks the system for randomness behind madsim's back, if it is asked to.
const RANDOM: [(&str, &str); 3] = [
    ("rand@0.8", "its thread_rng is not simulated: seed it, or take rand 0.9 or later"),
    ("getrandom@0.2", "it is not simulated where it is asked: take getrandom 0.3 or later"),
    ("fastrand", "it may be another one in the next build: seed it, or take rand 0.9 or later"),
];

const RENAMED: &str = "under [target.'cfg(madsim)'.dependencies]: tokio = { package = \
    \"madsim-tokio\", version = \"0.2.30\", … }, and tokio itself under cfg(not(madsim))";
const RT: &str = "name \"rt\" among its features: \"rt-multi-thread\" does not imply it there";
const LINT: &str =
    "[lints.rust] unexpected_cfgs = { level = \"warn\", check-cfg = [\"cfg(madsim)\"] }";
const VERSION: &str = "take the doctor of the same version: `cargo run -p cli -- doctor` there";
const CLEAN: &str = "name madsim's packages under cfg(madsim) alone";

/// Looks at a package.
pub(super) fn look(manifest: &Path) -> Result<Vec<Finding>, Failure> {
    let knows_the_cfg = knows_the_cfg(manifest)?;
    let graph = |flag| Graph::of(manifest, flag);
    let (simulated, real) = (graph(true)?, graph(false)?);
    let mut findings = simulated.findings();
    for name in ["madsim", "madsim-tokio"] {
        if real.reached().iter().any(|id| real.is(id, name)) {
            let what = "built without the flag, too".to_owned();
            findings.push(Finding { breaks: false, place: name.into(), what, advice: CLEAN });
        }
    }
    if !knows_the_cfg {
        let place = manifest.display().to_string();
        let what = "the compiler does not know `cfg(madsim)`".to_owned();
        findings.push(Finding { breaks: false, place, what, advice: LINT });
    }
    Ok(findings)
}

/// The packages as cargo resolves them, with the flag or without.
struct Graph {
    root: String,
    packages: BTreeMap<String, Value>,
    nodes: BTreeMap<String, Value>,
}

impl Graph {
    fn of(manifest: &Path, flag: bool) -> Result<Self, Failure> {
        let text = metadata(manifest, flag)?;
        let told: Value = serde_json::from_slice(&text)
            .map_err(|error| Failure::ours(format!("cargo metadata: {error}")))?;
        let by_id = |list: &Value| -> BTreeMap<String, Value> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(|one| Some((one["id"].as_str()?.to_owned(), one.clone()))).collect()
        };
        let (packages, nodes) = (by_id(&told["packages"]), by_id(&told["resolve"]["nodes"]));
        let Some(root) = told["resolve"]["root"].as_str() else {
            let shown = manifest.display();
            return Err(Failure::bad_input(format!("{shown}: no package: expected [package]")));
        };
        Ok(Self { root: root.to_owned(), packages, nodes })
    }

    fn text<'a>(&'a self, id: &str, key: &str) -> &'a str {
        self.packages.get(id).and_then(|package| package[key].as_str()).unwrap_or_default()
    }

    fn is(&self, id: &str, name: &str) -> bool {
        match name.split_once('@') {
            None => self.text(id, "name") == name,
            Some((name, version)) => {
                let there = self.text(id, "version");
                self.text(id, "name") == name && there.starts_with(&format!("{version}."))
            }
        }
    }

    fn features(&self, id: &str) -> BTreeSet<&str> {
        let features = self.nodes.get(id).and_then(|node| node["features"].as_array());
        features.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// What a package depends on, but for building: the name that it gives, and the package.
    fn dependencies(&self, id: &str) -> Vec<(&str, &str)> {
        let list = self.nodes.get(id).and_then(|node| node["deps"].as_array());
        let runs = |dep: &&Value| {
            let kinds = dep["dep_kinds"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "build"))
        };
        let list = list.into_iter().flatten().filter(runs);
        list.filter_map(|dep| Some((dep["name"].as_str()?, dep["pkg"].as_str()?))).collect()
    }

    /// What the package is built from, but not what only Tribunal or madsim is.
    fn reached(&self) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![self.root.as_str()];
        while let Some(id) = waiting.pop() {
            let inside = ["tribunal", "madsim", "madsim-tokio"];
            if reached.insert(id) && !inside.iter().any(|name| self.is(id, name)) {
                waiting.extend(self.dependencies(id).into_iter().map(|(_, id)| id));
            }
        }
        reached
    }

    /// What goes wrong under the flag.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |breaks, id: &str, what: String, advice| {
            let place = format!("{} {}", self.text(id, "name"), self.text(id, "version"));
            findings.push(Finding { breaks, place, what, advice });
        };
        for (name, id) in self.dependencies(&self.root) {
            if name == "tokio" && self.is(id, "tokio") {
                add(true, id, "the real tokio under --cfg madsim".into(), RENAMED);
            }
            if self.is(id, "madsim-tokio") && !self.features(id).contains("rt") {
                add(true, id, "without its feature \"rt\"".into(), RT);
            }
            if self.is(id, "tribunal") && self.text(id, "version") != env!("CARGO_PKG_VERSION") {
                let ours = env!("CARGO_PKG_VERSION");
                add(false, id, format!("this doctor is of version {ours}"), VERSION);
            }
        }
        for id in self.reached() {
            for (name, features, advice) in REAL {
                let there = self.features(id);
                let on = features.iter().find(|feature| there.contains(*feature));
                if self.is(id, name) && (features.is_empty() || on.is_some()) {
                    let with = on.map_or(String::new(), |on| format!(", by its feature {on:?}"));
                    add(true, id, format!("needs a real tokio{with}"), advice);
                }
            }
            for (name, advice) in RANDOM {
                if self.is(id, name) {
                    add(false, id, "its randomness may be real".into(), advice);
                }
            }
        }
        findings
    }
}

/// What cargo says of a package on this machine.
fn metadata(manifest: &Path, flag: bool) -> Result<Vec<u8>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--filter-platform", &host()?]);
    command.arg("--manifest-path").arg(manifest);
    let flags = if flag { "--cfg\u{1f}madsim" } else { "" };
    command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    output(&mut command)
}

fn host() -> Result<String, Failure> {
    let said = output(Command::new("rustc").arg("-vV"))?;
    let said = String::from_utf8_lossy(&said);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::ours("`rustc -vV` names no host"))
}

fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| Failure::file(format!("cannot run {name}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let words: Vec<&str> = said.split_whitespace().collect();
        return Err(Failure::bad_input(words.join(" ")));
    }
    Ok(output.stdout)
}

/// Whether a manifest tells the compiler of `cfg(madsim)`. One that takes its lints from its
/// workspace is believed to.
fn knows_the_cfg(manifest: &Path) -> Result<bool, Failure> {
    let shown = manifest.display();
    let text = std::fs::read_to_string(manifest)
        .map_err(|error| Failure::file(format!("{shown}: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Failure::bad_input(format!("{shown}: {}", error.message().replace('\n', "; ")))
    })?;
    let lints = table.get("lints");
    let shared = lints.and_then(|lints| lints.get("workspace")).is_some();
    let cfgs = lints.and_then(|lints| lints.get("rust")?.get("unexpected_cfgs")?.get("check-cfg"));
    let cfgs = cfgs.and_then(toml::Value::as_array).into_iter().flatten();
    Ok(shared || cfgs.filter_map(toml::Value::as_str).any(|cfg| cfg.contains("madsim")))
}
