//! One test for each saved case under `tests/repros`.

use explorer::repro;
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repros");
    let trials = repro::below(&root).into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap_or(&path).with_extension("");
        let name = name.to_string_lossy().replace('\\', "/");
        let shown = format!("tests/repros/{name}.toml");
        Trial::test(name, move || {
            let note = tests::stands(&planted::registry(), &path).map_err(Failed::from)?;
            if let Some(note) = note {
                eprintln!("note: {shown}: {note}");
            }
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
