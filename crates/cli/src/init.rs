//! `tribunal init`: starts a user's first test.

use crate::exit::{self, Failure};
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

const FILES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../../../examples/own-protocol/Cargo.toml")),
    ("src/lib.rs", include_str!("../../../examples/own-protocol/src/lib.rs")),
    ("tests/trial.rs", include_str!("../../../examples/own-protocol/tests/trial.rs")),
];

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let folder = &arguments.folder;
    let used = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if used || folder.is_file() {
        let shown = folder.display();
        return Err(Failure::usage(format!("{shown}: is there already: expected an empty folder")));
    }
    let checkout = Path::new(CHECKOUT).canonicalize().unwrap_or_else(|_| CHECKOUT.into());
    for (name, text) in FILES {
        let text = text.replace("../../crates", &format!("{}/crates", checkout.display()));
        write(&folder.join(name), &text)?;
    }
    println!("{}: a protocol, its scenario and its first test", folder.display());
    println!("  next     cd {} && cargo test", folder.display());
    Ok(exit::HOLDS)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = |error: std::io::Error| Failure::file(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file)?;
    }
    std::fs::write(path, text).map_err(file)
}
