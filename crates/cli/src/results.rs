//! Where what a command says goes: standard output, and a file of JSON lines.

use crate::exit::Failure;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Prints a text, and ends its line.
pub(crate) fn say(text: impl AsRef<str>) -> Result<(), Failure> {
    let text = text.as_ref();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes()));
    written.and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // Who reads has gone away, as `head` does: there is nobody to tell.
        io::ErrorKind::BrokenPipe => Failure::file(""),
        _ => Failure::file(format!("standard output: {error}")),
    })
}

/// JSON lines, on standard output or in a file or both.
pub(crate) struct Results {
    printing: bool,
    file: Option<Out>,
}

/// A file that is written beside its place, so that no half of one is ever taken for a whole.
struct Out {
    path: PathBuf,
    /// Where it is written; the same where the place is no plain file, such as `/dev/stderr`.
    part: PathBuf,
    file: File,
}

impl Results {
    pub(crate) fn open(printing: bool, path: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { printing, file: path.map(Out::create).transpose()? })
    }

    pub(crate) fn line(&mut self, line: &Value) -> Result<(), Failure> {
        if let Some(out) = &mut self.file {
            writeln!(out.file, "{line}").map_err(|error| failure(&out.path, &error))?;
        }
        if self.printing { say(line.to_string()) } else { Ok(()) }
    }

    /// Puts the file in its place.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Some(Out { path, part, file }) = self.file else { return Ok(()) };
        if part == path {
            return Ok(());
        }
        file.sync_all()
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|error| failure(&path, &error))
    }
}

impl Out {
    fn create(path: &Path) -> Result<Self, Failure> {
        let plain = fs::metadata(path).map_or(true, |there| there.is_file());
        let mut part = path.to_owned();
        if plain {
            part.as_mut_os_string().push(".part");
        }
        let file = File::create(&part).map_err(|error| failure(path, &error))?;
        Ok(Self { path: path.to_owned(), part, file })
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::file(format!("{}: {error}", path.display()))
}
