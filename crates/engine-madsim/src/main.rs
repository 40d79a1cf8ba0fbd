//! The worker: takes cases over its standard input and answers over its standard output.

/// Without the flag there is nothing to simulate on.
#[cfg(not(madsim))]
fn main() -> std::process::ExitCode {
    use std::io::Write as _;
    let advice = "engine-madsim was built without `--cfg madsim`, so it cannot simulate anything. \
                  `tribunal explore --engine madsim` builds it as it must be.";
    let _told = writeln!(std::io::stderr(), "{advice}");
    std::process::ExitCode::from(70)
}

#[cfg(madsim)]
fn main() -> std::io::Result<()> {
    engine_madsim::worker::main()
}
