//! `tribunal init`: starts a user's first test.

use crate::exit::{self, Failure};
use crate::results::say;
use clap::Args;
use std::path::{Path, PathBuf};

/// Start a first test of your own protocol in a new folder
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal init my-protocol\n  cd my-protocol && cargo test")]
pub(crate) struct Arguments {
    /// The folder; it must not exist, or be empty
    #[arg(default_value = "my-protocol")]
    folder: PathBuf,
}

/// The checkout that this binary was built from.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The example's name for itself; the folder's name takes its place.
const NAME: &str = "name = \"own-protocol\"";
/// Where the example finds Tribunal; the checkout's place is written instead.
const PATH: &str = "\"../../crates/tribunal\"";

const FILES: [(&str, &str); 6] = [
    (".gitignore", "/target\n"),
    ("Cargo.toml", include_str!("../../../examples/own-protocol/Cargo.toml")),
    ("README.md", include_str!("../../../examples/own-protocol/README.md")),
    ("src/lib.rs", include_str!("../../../examples/own-protocol/src/lib.rs")),
    ("src/main.rs", include_str!("../../../examples/own-protocol/src/main.rs")),
    ("tests/trial.rs", include_str!("../../../examples/own-protocol/tests/trial.rs")),
];

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
    let tribunal = toml::Value::from(format!("{}/crates/tribunal", checkout.display()));
    for (name, text) in FILES {
        let text = match name {
            "Cargo.toml" => {
                text.replace(PATH, &tribunal.to_string()).replace(NAME, &package(folder))
            }
            _ => text.to_owned(),
        };
        write(&folder.join(name), &text)?;
    }
    say(format!("{shown}: a protocol, its scenario and its first test"))?;
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
