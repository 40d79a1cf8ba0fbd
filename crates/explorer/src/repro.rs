//! Repros: a saved case with its expected verdict, one TOML file each. The only file that this
//! library writes.

use crate::judge::catch;
use crate::planted;
use crate::scenario::{CaseFor, Scenario};
use checkers::Anomaly;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use thiserror::Error;
use world::{Case, Digest};

/// The version of the repro format that this code writes, and the only one that it reads.
pub const REPRO_VERSION: u32 = 1;

/// The largest repro that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// Whether the bug is still there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It must still fail, with the same signature.
    Open,
    /// It must hold, and every placed fault must find its event.
    Fixed,
}

/// A saved case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repro<C> {
    /// [`REPRO_VERSION`].
    pub version: u32,
    /// Whether it must still fail.
    pub status: Status,
    /// `checker / class` of the anomaly, and its place where it has one.
    pub signature: String,
    /// What was wrong, for a person.
    pub message: String,
    /// The digest of the trace, in hexadecimal: equal for equal code.
    pub digest: String,
    /// The version of Tribunal that wrote it.
    pub tribunal: String,
    /// Where it runs, if not on the heap engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The case.
    pub case: C,
}

/// What is known of a repro before its scenario is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Header {
    /// [`REPRO_VERSION`].
    pub version: u32,
    /// Where it runs, if not on the heap engine.
    #[serde(default)]
    pub engine: Option<String>,
    /// The case's own header.
    pub case: CaseHeader,
}

/// What is known of a case before its scenario is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct CaseHeader {
    /// The version of the case format.
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
}

/// A file that cannot be read or written, or does not say what it must.
#[derive(Debug, Error)]
pub enum ReproError {
    /// The file or its folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its text.
    #[error("{}: {reason}", path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// Where, and what was expected.
        reason: String,
    },
}

const HEADER: &str = "\
# A case that Tribunal saved: commit it to git. `cargo test` runs it before anything else, and
# `tribunal replay` tells its story. An open one must still fail, a fixed one must hold.
";

/// A digest in words and files.
pub fn hex(digest: u64) -> String {
    format!("{digest:016x}")
}

impl<C: Serialize> Repro<C> {
    /// A new one, of a bug that is there.
    pub fn open(anomaly: &Anomaly, digest: u64, case: C) -> Self {
        Self {
            version: REPRO_VERSION,
            status: Status::Open,
            signature: anomaly.signature(),
            message: anomaly.to_string(),
            digest: hex(digest),
            tribunal: env!("CARGO_PKG_VERSION").to_owned(),
            engine: None,
            case,
        }
    }

    /// The same, for this engine.
    #[must_use]
    pub fn on(self, engine: Option<&str>) -> Self {
        Self { engine: engine.map(str::to_owned), ..self }
    }

    /// Its text.
    ///
    /// # Errors
    /// If the case cannot be written as TOML: says which type does not fit.
    pub fn to_text(&self) -> Result<String, String> {
        let body = toml::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{HEADER}{body}"))
    }
}

/// The name of a repro: a short hash of its text.
pub fn id(text: &str) -> String {
    use std::hash::Hasher as _;
    let mut digest = Digest::default();
    digest.write(text.as_bytes());
    format!("{:08x}", digest.value() >> 32)
}

/// Where the repros of a scenario, or of a planted bug in it, stand below `root`.
pub fn folder(root: &Path, scenario: &str, mutant: Option<&str>) -> PathBuf {
    let plain = |name: &str| -> String {
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
    };
    let parts = scenario.split("::").map(plain);
    match mutant {
        None => parts.fold(root.to_owned(), |path, part| path.join(part)),
        Some(mutant) => {
            let path = root.join("mutants");
            parts.fold(path, |path, part| path.join(part)).join(plain(mutant).trim_end_matches('-'))
        }
    }
}

/// Writes a repro into a folder, under its id.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn save(folder: &Path, text: &str) -> Result<PathBuf, ReproError> {
    write(&folder.join(format!("{}.toml", id(text))), text)
}

/// Writes a repro beside its place and then renames it, so that no half of one is ever seen.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn write(path: &Path, text: &str) -> Result<PathBuf, ReproError> {
    let mut beside = path.to_owned();
    beside.as_mut_os_string().push(".part");
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| {
        // Nothing half-written is left behind; the first error is the one to tell.
        let _gone = fs::remove_file(&beside);
        ReproError::File { path: path.to_owned(), source }
    })?;
    Ok(path.to_owned())
}

/// As [`save`], unless an open repro of this signature and this engine stands in the folder
/// already: then that one is kept, and nothing is written. A fixed one does not count: it holds.
///
/// # Errors
/// As [`save`].
pub fn keep(folder: &Path, text: &str) -> Result<PathBuf, ReproError> {
    #[derive(PartialEq, Eq, Deserialize)]
    struct Signed {
        status: Status,
        signature: String,
        engine: Option<String>,
    }
    let signed = |text: &str| toml::from_str::<Signed>(text).ok();
    let this = signed(text);
    let known =
        below(folder).into_iter().filter(|path| path.parent() == Some(folder)).find(|path| {
            let known = read(path).ok().and_then(|text| signed(&text));
            known.is_some() && known == this
        });
    known.map_or_else(|| save(folder, text), Ok)
}

/// Every repro file below a folder, in order of path. A folder that is not there has none.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
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

/// The text of a repro file.
///
/// # Errors
/// If it cannot be read, is too large or is not text.
pub fn read(path: &Path) -> Result<String, ReproError> {
    let file = |source| ReproError::File { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > MAX_BYTES {
        let reason = format!("{length} bytes: expected at most {MAX_BYTES}");
        return Err(ReproError::Text { path: path.to_owned(), reason });
    }
    fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::InvalidData => {
            ReproError::Text { path: path.to_owned(), reason: "not text: expected TOML".into() }
        }
        _ => file(source),
    })
}

/// What a repro's text says before its scenario is known.
///
/// # Errors
/// Names the place and what was expected.
pub fn header(path: &Path, text: &str) -> Result<Header, ReproError> {
    let refuse = |reason: String| ReproError::Text { path: path.to_owned(), reason };
    let header: Header = toml::from_str(text).map_err(|error| refuse(one_line(text, &error)))?;
    if header.version != REPRO_VERSION {
        return Err(refuse(format!("version {}: expected {REPRO_VERSION}", header.version)));
    }
    Ok(header)
}

/// A repro's text as a repro of a scenario.
///
/// # Errors
/// Names the place and what was expected.
pub fn parse<S: Scenario>(
    scenario: &S,
    path: &Path,
    text: &str,
) -> Result<Repro<CaseFor<S>>, ReproError> {
    header(path, text)?;
    let refuse = |reason: String| ReproError::Text { path: path.to_owned(), reason };
    let repro: Repro<CaseFor<S>> =
        toml::from_str(text).map_err(|error| refuse(one_line(text, &error)))?;
    let sound = repro.case.check().and_then(|()| planted::known(scenario, &repro.case));
    // A scenario may trip over a case that it never drew: that is a no.
    let spoken_of = || catch(|| scenario.valid(&repro.case)).unwrap_or(false);
    let never =
        "its nodes or calls are none that the scenario speaks of: expected a case as it draws";
    let sound = sound.and_then(|()| if spoken_of() { Ok(()) } else { Err(never.to_owned()) });
    sound.map_err(|reason| refuse(format!("case: {reason}")))?;
    Ok(repro)
}

/// A TOML error in one line: where, and what was expected.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', "; ");
    match error.span() {
        None => message,
        Some(span) => {
            let before = text.get(..span.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {message}")
        }
    }
}

/// Whether a case is the same after its way through a file.
///
/// # Errors
/// Names the field that is not.
pub fn survives<Op, Config>(case: &Case<Op, Config>) -> Result<(), String>
where
    Op: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    Config: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = toml::to_string(case).map_err(|error| format!("cannot be written: {error}"))?;
    let back: Case<Op, Config> = toml::from_str(&text)
        .map_err(|error| format!("cannot be read back: {}", error.message()))?;
    for (here, there) in case.calls.iter().zip(&back.calls) {
        if here != there {
            let (id, was, is) = (here.id, &here.op, &there.op);
            return Err(format!("calls: id {id}: op {was:?} comes back as {is:?}"));
        }
    }
    for (node, (here, there)) in case.nodes.iter().zip(&back.nodes).enumerate() {
        if here != there {
            return Err(format!("nodes: number {node}: {here:?} comes back as {there:?}"));
        }
    }
    for (here, there) in case.faults.iter().zip(&back.faults) {
        if here != there {
            return Err(format!("faults: id {}: {here:?} comes back as {there:?}", here.id));
        }
    }
    if *case == back { Ok(()) } else { Err("the case comes back different".into()) }
}
