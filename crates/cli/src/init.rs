//! `tribunal init`: starts a user's first test, of a protocol or of a service.

use crate::exit::{self, Failure};
use crate::results::say;
use clap::Args;
use std::path::{Path, PathBuf};

/// Start a first test of your own protocol, or of your async service, in a new folder
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tribunal init my-protocol && cd my-protocol && cargo test\n  \
    tribunal init --service my-service && cd my-service && cargo test"
)]
pub(crate) struct Arguments {
    /// The folder; it must not exist, or be empty
    #[arg(default_value = "my-protocol")]
    folder: PathBuf,
    /// Not a state machine: a service on tokio's sockets, as it is
    #[arg(long)]
    service: bool,
}

/// The checkout that this binary was built from.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Where the examples find Tribunal; the checkout's place is written instead.
const PATH: &str = "\"../../crates/tribunal\"";

/// What is written: an example of the repository, under a name of its own.
struct Example {
    /// What it is called there; the folder's name takes its place.
    name: &'static str,
    /// What it holds, for the line that says so.
    about: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($example:literal: $($name:literal)*) => {
        &[
            (".gitignore", "/target\n"),
            $(($name, include_str!(concat!("../../../examples/", $example, "/", $name))),)*
        ]
    };
}

const PROTOCOL: Example = Example {
    name: "name = \"own-protocol\"",
    about: "a protocol, its scenario and its first test",
    files: files!("own-protocol":
        "Cargo.toml" "README.md" "src/lib.rs" "src/main.rs" "tests/trial.rs"),
};

const SERVICE: Example = Example {
    name: "name = \"own-service\"",
    about: "a service, and its first test",
    files: files!("own-service": "Cargo.toml" "README.md" "src/lib.rs" "tests/trial.rs"),
};

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let folder = &arguments.folder;
    let shown = folder.display();
    let used = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if used || folder.is_file() {
        return Err(Failure::usage(format!("{shown}: is there already: expected an empty folder")));
    }
    let Ok(checkout) = Path::new(CHECKOUT).canonicalize() else {
        return Err(Failure::file(format!(
            "{CHECKOUT}: the checkout that this was built from is gone"
        )));
    };
    let example = if arguments.service { SERVICE } else { PROTOCOL };
    let tribunal = toml::Value::from(format!("{}/crates/tribunal", checkout.display()));
    for (name, text) in example.files {
        let text = match *name {
            "Cargo.toml" => {
                text.replace(PATH, &tribunal.to_string()).replace(example.name, &package(folder))
            }
            _ => (*text).to_owned(),
        };
        write(&folder.join(name), &text)?;
    }
    say(format!("{shown}: {}", example.about))?;
    let quote = if shown.to_string().contains(' ') { "'" } else { "" };
    say(format!("  next     cd {quote}{shown}{quote} && cargo test"))?;
    Ok(exit::HOLDS)
}

/// The line with a package name made of the folder's.
fn package(folder: &Path) -> String {
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    format!("name = \"{}{name}\"", if letter { "" } else { "my-" })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = |error: std::io::Error| Failure::file(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file)?;
    }
    std::fs::write(path, text).map_err(file)
}
