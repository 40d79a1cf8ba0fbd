//! Measures every planted bug, and writes what came of it to `docs/mutants.md`.
//!
//! `cargo run --release -p tests --example mutants` · with classes behind it (`-- E M`): measures
//! those, and writes that the others are not · with ids (`-- A1 R4`): prints those and writes
//! nothing.

use explorer::AnyScenario;
use mutants::{ALL, Bug, Class};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tests::power::{Power, class_of, home, is_of, measure, narrow};

/// A bug and what came of its campaigns.
struct Row {
    bug: Bug,
    /// `None` if nobody asked.
    measured: Option<Measured>,
}

struct Measured {
    power: Power,
    /// Calls and faults of the shrunk case.
    small: Option<(usize, usize)>,
}

const HEAD: &str = "\
# Planted bugs

Each is a patch of a protocol (`crates/mutants/patches`), a few lines that break one rule. A
campaign ends at its first violation, and counts as found if that is by who must find the bug. Some
judges look earlier in the run than that one and are the first to see it: those are named in the
patch too (`also`), and counted apart.

- **Class**: how rare the bug is, and so how many cases a campaign may take: E (at least 1 case in
  20) 100 · M (1 in 500) 2,000 · H (1 in 20,000) 60,000 · V (rarer) is shown by a saved case.
- **1 in**: cases of all campaigns by campaigns that found anything.
- **found**: campaigns, with seeds of their own, whose first violation is by who must find it, and
  those where it is by another one who is named. Of 30, both are to be 29 for an E or M; of three,
  one for an H. A control looks like a bug, does no harm, and must not be found.
- **by**: what the first violation of each campaign was: plain, who must find it; *also*, another
  one who is named; in brackets, nobody who is named.
- **repro**: operations and faults of the shrunk case.

`cargo run --release -p tests --example mutants` writes this page; with classes behind it (`-- E M`)
it measures only those, and with ids (`-- A10`) it prints them and writes nothing.
";

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let registry = planted::registry();
    let is_class = |one: &String| ALL.iter().any(|bug| bug.class.name() == one);
    let ids = asked.iter().any(|one| !is_class(one));
    let chosen = |bug: &Bug| {
        asked.is_empty() || asked.iter().any(|one| one == bug.id || one == bug.class.name())
    };
    let mut rows = Vec::new();
    for bug in ALL {
        let measured = chosen(&bug).then(|| measured(&registry, &bug));
        let row = Row { bug, measured };
        if row.measured.is_some() {
            print!("{}", line(&row));
        }
        rows.push(row);
    }
    if !ids {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutants.md");
        if let Err(error) = std::fs::write(&page, table(&rows)) {
            eprintln!("{}: {error}", page.display());
            return ExitCode::from(74);
        }
    }
    let unmet =
        |row: &&Row| row.measured.as_ref().is_some_and(|m| !m.power.suffices(row.bug.class));
    for row in rows.iter().filter(unmet) {
        if let Some(reason) = row.measured.as_ref().and_then(|m| m.power.unknown.as_ref()) {
            eprintln!("{}: {reason}", row.bug.id);
        }
    }
    let missed: Vec<&str> = rows.iter().filter(unmet).map(|row| row.bug.id).collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("not as its class asks: {}", missed.join(", "));
    ExitCode::FAILURE
}

fn measured(registry: &[Box<dyn AnyScenario>], bug: &Bug) -> Measured {
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
    Measured { power, small: exhibit.map(|exhibit| exhibit.after) }
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
    let Row { bug, measured } = row;
    let head = format!("| {} | {} | `{}` | {}", bug.id, bug.what, bug.scenario, bug.class.name());
    let Some(Measured { power, small }) = measured else {
        return format!("{head} | – | not measured | – | – |\n");
    };
    let by: Vec<String> = power
        .by
        .iter()
        .map(|(signature, times)| match signature {
            _ if is_of(bug.expected, signature) => format!("{signature} {times}"),
            _ if is_of(bug.also, signature) => format!("*also* {signature} {times}"),
            _ => format!("({signature} {times})"),
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
        _ if power.also == 0 => format!("{} of {}", power.found, power.campaigns),
        _ => format!("{} + {} of {}", power.found, power.also, power.campaigns),
    };
    let unmet = if power.suffices(bug.class) { "" } else { " **unmet**" };
    format!("{head} | {one_in} | {found}{unmet} | {} | {small} |\n", by.join(" · "))
}
