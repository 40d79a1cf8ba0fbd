//! Measures every planted bug, and writes what came of it to `docs/mutants.md`.
//!
//! `cargo run --release -p tests --example mutants` · with ids behind it (`-- A1 R4`): prints those
//! and writes nothing.

use explorer::AnyScenario;
use mutants::{ALL, Bug, Class};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tests::power::{Power, class_of, home, measure, narrow};

/// A bug and what came of its campaigns.
struct Row {
    bug: Bug,
    power: Power,
    /// Calls and faults of the shrunk case.
    small: Option<(usize, usize)>,
}

const HEAD: &str = "\
# Planted bugs

Each is a patch of a protocol (`crates/mutants/patches`), a few lines that break one rule. A
campaign ends at its first violation; it counts as found only if that is by one of those who must
find it. Where the register's invariants or a commit's agreement are broken, they say so in the run,
before the history can show it.

- **Class**: how rare the bug is, and so how many cases a campaign may take: E (at least 1 case in
  20) 100 · M (1 in 500) 2,000 · H (1 in 20,000) 60,000 · V (rarer) is shown by a saved case.
- **1 in**: cases of all campaigns by campaigns that found anything.
- **found**: 30 campaigns with seeds of their own, 29 of which must find an E or M; three for an H,
  of which one must. A control looks like a bug, does no harm, and must not be found.
- **by**: what the first violation of each campaign was; in brackets, what is not expected of it.
- **repro**: operations and faults of the shrunk case.

`cargo run --release -p tests --example mutants` writes this page.
";

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let registry = planted::registry();
    let chosen = |bug: &&Bug| asked.is_empty() || asked.iter().any(|id| id == bug.id);
    let mut rows = Vec::new();
    for bug in ALL.iter().filter(chosen) {
        let row = row(&registry, bug);
        print!("{}", line(&row));
        rows.push(row);
    }
    if asked.is_empty() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutants.md");
        if let Err(error) = std::fs::write(&page, table(&rows)) {
            eprintln!("{}: {error}", page.display());
            return ExitCode::from(74);
        }
    }
    let missed: Vec<&str> =
        rows.iter().filter(|r| !r.power.suffices(r.bug.class)).map(|r| r.bug.id).collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("not as its class asks: {}", missed.join(", "));
    ExitCode::FAILURE
}

fn row(registry: &[Box<dyn AnyScenario>], bug: &Bug) -> Row {
    let scenario = home(registry, bug);
    let campaigns = match bug.class {
        Class::E | Class::M => 30,
        Class::H => 3,
        Class::V => 0,
        Class::Control => 1,
    };
    let power = measure(scenario, bug, campaigns);
    let exhibit =
        power.finding.as_ref().and_then(|found| scenario.exhibit(found.seed, &narrow(bug), true));
    Row { bug: *bug, power, small: exhibit.map(|exhibit| exhibit.after) }
}

fn table(rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    let mut protocol = "";
    for row in rows {
        if row.bug.protocol != protocol {
            protocol = row.bug.protocol;
            let _ = write!(
                page,
                "\n## {protocol}\n\n\
                 | id | what is wrong | scenario | class | 1 in | found | by | repro |\n\
                 |---|---|---|---|---|---|---|---|\n"
            );
        }
        page += &line(row);
    }
    page
}

fn line(row: &Row) -> String {
    let Row { bug, power, small } = row;
    let by: Vec<String> = power
        .by
        .iter()
        .map(|(signature, times)| match tests::power::is_expected(bug, signature) {
            true => format!("{signature} {times}"),
            false => format!("({signature} {times})"),
        })
        .collect();
    let one_in = power.one_in().map_or("–".to_owned(), |one_in| {
        let measured = class_of(one_in);
        let moved = power.hits >= 3 && measured != bug.class;
        if moved { format!("{one_in}: {}", measured.name()) } else { one_in.to_string() }
    });
    let small = small.map_or("–".to_owned(), |(calls, faults)| format!("{calls} + {faults}"));
    let found = match bug.class {
        Class::Control if power.hits == 0 => "green".to_owned(),
        Class::V => "saved case".to_owned(),
        _ => format!("{} of {}", power.found, power.campaigns),
    };
    let unmet = if power.suffices(bug.class) { "" } else { " **unmet**" };
    format!(
        "| {} | {} | `{}` | {} | {one_in} | {found}{unmet} | {} | {small} |\n",
        bug.id,
        bug.what,
        bug.scenario,
        bug.class.name(),
        by.join(" · ")
    )
}
