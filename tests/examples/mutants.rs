//! Measures every planted bug, and writes what came of it to `docs/mutants.md`.
//!
//! `cargo run --release -p tests --example mutants` · with classes or ids behind it (`-- E A14`):
//! measures those, and leaves the rows of the others as they are.

use explorer::AnyScenario;
use mutants::{ALL, Bug, Class};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tests::oracle;
use tests::power::{Power, alone, class_of, home, is_of, measure, narrow};

/// A bug and what came of its campaigns.
struct Row {
    bug: Bug,
    /// `None` if nobody asked.
    measured: Option<Measured>,
}

struct Measured {
    power: Power,
    /// The checker that finds it, if it is the only one.
    alone: Option<String>,
    /// The shrunk case.
    small: Option<Small>,
}

struct Small {
    calls: usize,
    faults: usize,
    /// Those that an explorer would count.
    counted: usize,
}

const HEAD: &str = "\
# Planted bugs

Each is a patch of a protocol (`crates/mutants/patches`), a few lines that break one rule. A
campaign ends at its first violation, and counts as found if that is by who must find the bug. Some
judges look earlier in the run than that one and are the first to see it: those are named in the
patch too (`also`), and counted apart.

- **Class**: how rare the bug is, and so how many cases a campaign may take: E (at least 1 case in
  20) 100 · M (1 in 500) 2,000 · H (1 in 20,000) 60,000 · V (rarer) is shown by a saved case.
- **1 in**: cases of all campaigns by campaigns that found anything. Behind a colon stands the class
  that this would be, where it is not the one given.
- **found**: campaigns, with seeds of their own, whose first violation is by who must find it, and
  those where it is by another one who is named. Of 30, both are to be 29 for an E or M; of three,
  one for an H. A control looks like a bug, does no harm, and must not be found.
- **by**: what the first violation of each campaign was: plain, who must find it; *also*, another
  one who is named; in brackets, nobody who is named.
- **alone**: the checker, if it is the only one that finds the bug: a campaign that is deaf to it,
  of as many cases as the class has and 2,000 at least, stays green. A judge that stands behind it
  in the same check of a run's end is not asked after it has objected.
- **repro**: operations and faults of the shrunk case.
- **faults**: crashes, copies and timeouts of that case, by the fewest with which an explicit-state
  explorer of the protocol found the bug, where one has looked for it. Fewer than that are enough
  where a judge sees more than the explorer asks: a vote without PREPARE (A2), an acknowledgement
  without a record (N5); or where a loss does it, which explorers do not count (J7).

What an article gets wrong is an exhibit and no patch: B4 (without synchrony: with it, that is rule
2.6) `naive::three_phase_commit_asynchronous`, B5 `naive::three_phase_commit_b`, B6
`naive::three_phase_commit_c`, D14 `naive::lock_smallest_id`, I1
`naive::idempotency_check_then_act`, I2 `naive::idempotency_key_first`, J4
`naive::cache_delete_then_write` and `naive::cache_double_delete`. The bugs of placement, M1 to M4,
are planted in `crates/placement/tests/awake.rs`. D13, M5 and M6 have no place: no lock here watches
a predecessor, and the ring says who owns a key and serves none.

`cargo run --release -p tests --example mutants` writes this page; with classes or ids behind it
(`-- E A10`) it measures only those, and leaves the other rows as they are.
";

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let registry = planted::registry();
    let chosen = |bug: &Bug| {
        asked.is_empty() || asked.iter().any(|one| one == bug.id || one == bug.class.name())
    };
    let mut rows = Vec::new();
    for bug in ALL.iter().copied() {
        let measured = chosen(&bug).then(|| measured(&registry, &bug));
        let row = Row { bug, measured };
        if row.measured.is_some() {
            print!("{}", line(&row));
        }
        rows.push(row);
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutants.md");
    let before = std::fs::read_to_string(&page).unwrap_or_default();
    if let Err(error) = std::fs::write(&page, table(&rows, &rows_of(&before))) {
        eprintln!("{}: {error}", page.display());
        return ExitCode::from(74);
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
    let small = power.finding.as_ref().and_then(|found| {
        let exhibit = scenario.exhibit(found.seed, &narrow(bug), true)?;
        let replay = scenario.replay(Path::new(bug.id), &exhibit.repro).ok()?;
        let (calls, faults) = exhibit.after;
        let counted = oracle::faults(bug.protocol, &exhibit.repro, &replay.events);
        Some(Small { calls, faults, counted })
    });
    let found = !matches!(bug.class, Class::V | Class::Control) && power.hits > 0;
    let alone = found.then(|| alone(scenario, bug, &power)).flatten();
    Measured { power, small, alone }
}

/// The rows of a page, by the heads that say what they are about.
fn rows_of(page: &str) -> BTreeMap<&str, &str> {
    let head = |line: &str| line.match_indices(" | ").nth(3).map(|(at, _)| at);
    page.lines().filter_map(|line| Some((&line[..head(line)?], line))).collect()
}

fn table(rows: &[Row], before: &BTreeMap<&str, &str>) -> String {
    let mut page = HEAD.to_owned();
    let mut protocol = "";
    for row in rows {
        if row.bug.protocol != protocol {
            protocol = row.bug.protocol;
            let _ = write!(
                page,
                "\n## {protocol}\n\n\
                 | id | what is wrong | scenario | class | 1 in | found | by | alone | repro \
                 | faults |\n\
                 |---|---|---|---|---|---|---|---|---|---|\n"
            );
        }
        match before.get(&*head(&row.bug)).filter(|_| row.measured.is_none()) {
            Some(known) => page.extend([known, "\n"]),
            None => page += &line(row),
        }
    }
    page
}

/// What a row is about: it is known by that.
fn head(bug: &Bug) -> String {
    format!("| {} | {} | `{}` | {}", bug.id, bug.what, bug.scenario, bug.class.name())
}

fn line(row: &Row) -> String {
    let Row { bug, measured } = row;
    let head = head(bug);
    let Some(Measured { power, small, alone }) = measured else {
        return format!("{head} | – | not measured | – | – | – | – |\n");
    };
    let faults = match (small, oracle::fewest(bug)) {
        (Some(small), Some(fewest)) => format!("{} by {fewest}", small.counted),
        _ => "–".to_owned(),
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
    let small = small
        .as_ref()
        .map_or("–".to_owned(), |small| format!("{} + {}", small.calls, small.faults));
    let found = match bug.class {
        Class::Control if power.hits == 0 => "green".to_owned(),
        Class::V => "saved case".to_owned(),
        _ if power.also == 0 => format!("{} of {}", power.found, power.campaigns),
        _ => format!("{} + {} of {}", power.found, power.also, power.campaigns),
    };
    let unmet = if power.suffices(bug.class) { "" } else { " **unmet**" };
    let by = by.join(" · ");
    let alone = alone.as_deref().unwrap_or("–");
    format!("{head} | {one_in} | {found}{unmet} | {by} | {alone} | {small} | {faults} |\n")
}
