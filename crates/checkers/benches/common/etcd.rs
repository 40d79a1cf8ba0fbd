//! The etcd logs that Jepsen recorded, where they are at hand: compare-and-set registers that
//! begin absent, and whose refusals are observations.

use super::{Duration, Measured, best};
use checkers::models::{Register, RegisterOp, RegisterRet};
use checkers::{Options, Verdict, check};
use history::{Actor, Event, History, What};
use std::path::PathBuf;

type Log = History<RegisterOp<Option<u64>>, RegisterRet<Option<u64>>>;

/// All logs in the folder that `HISTORIES` names, or beside this project.
pub fn all() -> Measured {
    #[expect(clippy::disallowed_methods, reason = "a bench is told where its files are")]
    let root = std::env::var("HISTORIES").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/histories")),
        PathBuf::from,
    );
    let folder = root.join("porcupine/jepsen");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let told = format!("skipped: there is no {}", folder.display());
        return Measured { time: Duration::ZERO, memory: 0, told };
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let logs: Vec<Log> = paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| parse(&text))
        .collect();
    let judge = |log: &Log| check(&Register(None), log, &Options::default()).verdict;
    let worst = logs.iter().map(|log| best(20, || judge(log)).0).max().unwrap_or_default();
    let (time, held) = best(20, || logs.iter().filter(|log| judge(log) == Verdict::Holds).count());
    let told = format!("{} logs, {held} hold; the slowest took {worst:?}", logs.len());
    Measured { time, memory: 0, told }
}

fn parse(text: &str) -> Log {
    let mut log = History::new();
    let (mut begun, mut open) = (0, std::collections::BTreeMap::new());
    for line in text.lines() {
        let Some((_, line)) = line.split_once("jepsen.util - ") else { continue };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [process, kind, f, values @ ..] = words.as_slice() else { continue };
        let Ok(process) = process.parse::<u32>() else { continue };
        let value = |word: &str| word.trim_matches(['[', ']']).parse::<u64>().ok();
        let pair = || match values {
            [old, new] => (value(old), value(new)),
            _ => (None, None),
        };
        let what = match (*kind, *f) {
            (":invoke", ":read") => What::Invoke(RegisterOp::Read),
            (":invoke", ":write") => What::Invoke(RegisterOp::Write(value(values[0]))),
            (":invoke", _) => What::Invoke(RegisterOp::CompareAndSet(pair().0, pair().1)),
            (":ok", ":read") => What::Ok(RegisterRet::Value(value(values[0]))),
            (":ok", _) => What::Ok(RegisterRet::Done),
            (":fail", ":cas") => What::Ok(RegisterRet::Refused),
            (":fail", _) => What::Fail("".into()),
            _ => What::Info,
        };
        let op = match what {
            What::Invoke(_) => {
                begun += 1;
                open.insert(process, begun - 1);
                begun - 1
            }
            _ => open[&process],
        };
        let (at, actor) = (log.events.len() as u64, Actor::Client(process as u16));
        log.events.push(Event { at, op, actor, process, call: op, what });
    }
    log
}
