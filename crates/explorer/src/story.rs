//! The story of a run: a column for each machine, a line for each event that matters, and few
//! enough lines to be read.

use crate::judge::Record;
use world::{Happening, Kind, Place, TraceEvent};

/// Lines of a story at most; with what is printed around it, a failure stays below 40.
pub const MOST_LINES: usize = 30;

const TIME_WIDTH: usize = 11;
const LINE_WIDTH: usize = 116;

/// A line of the story, before it is set into its column.
struct Line {
    at: u64,
    node: usize,
    text: String,
    /// 0 is told first; what is not told is counted.
    rank: u8,
}

/// Tells what happened, in the columns of the machines named in `names`.
pub fn tell(record: &Record, faults: &[world::Fault], names: &[String]) -> Vec<String> {
    let lines = select(digest(record, faults, names));
    let shown: Vec<usize> = {
        let mut nodes: Vec<usize> = lines.iter().flatten().map(|line| line.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        // Clients first: their machines have the numbers behind the servers'.
        let (clients, servers): (Vec<usize>, Vec<usize>) =
            nodes.into_iter().partition(|n| names.get(*n).is_some_and(|n| n.starts_with("client")));
        clients.into_iter().chain(servers).collect()
    };
    let width = ((LINE_WIDTH - TIME_WIDTH) / shown.len().max(1)).clamp(8, 18);
    let mut header = " ".repeat(TIME_WIDTH);
    for node in &shown {
        header.push_str(&format!("{:<width$}", names.get(*node).map_or("", String::as_str)));
    }
    let mut told = vec![header.trim_end().to_owned()];
    let mut skipped = 0;
    for line in lines {
        let Some(line) = line else {
            skipped += 1;
            continue;
        };
        if skipped > 0 {
            told.push(format!("{:>TIME_WIDTH$}", format!("⋯ {skipped} more ")));
            skipped = 0;
        }
        let column = shown.iter().position(|node| *node == line.node).unwrap_or(0);
        // What does not fit behind its column's start begins before it.
        let room = (LINE_WIDTH - TIME_WIDTH).saturating_sub(line.text.chars().count());
        let indent = " ".repeat((column * width).min(room));
        let text = format!("{:>8}   {indent}{}", time(line.at), line.text);
        told.push(clip(&text));
    }
    told
}

/// Virtual time for people.
pub fn time(nanos: u64) -> String {
    match nanos / 1000 {
        micros if micros >= 10_000_000 => format!("{} s", micros / 1_000_000),
        micros if micros % 1000 == 0 => format!("{} ms", micros / 1000),
        micros => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
    }
}

/// A `Debug` text without what says little: the names of fields and the braces around them.
/// `Vote { tx: t1, yes: true }` is `Vote t1 true`.
fn terse(text: &str) -> String {
    let is_name = |word: &str| {
        word.strip_suffix(':').is_some_and(|name| {
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
    };
    let mut terse = String::with_capacity(text.len());
    for word in text.split_whitespace().filter(|word| !is_name(word)) {
        let word: String = word.chars().filter(|c| !matches!(c, '{' | '}' | ',')).collect();
        // What closes a bracket stays with what stands in it.
        if !terse.is_empty() && !word.starts_with([')', ']']) {
            terse.push(' ');
        }
        terse.push_str(&word);
    }
    terse.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn clip(text: &str) -> String {
    if text.chars().count() <= LINE_WIDTH {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LINE_WIDTH - 1).collect();
    short.push('…');
    short
}

/// Every event that could be told, sends of one kind put together.
fn digest(record: &Record, faults: &[world::Fault], names: &[String]) -> Vec<Line> {
    let name = |node: usize| names.get(node).map_or("", String::as_str);
    let fated = |event: &TraceEvent| {
        faults.iter().find_map(|fault| match (&fault.place, event.peer, event.origin) {
            (Place::Message(address), Some(peer), Some(origin))
                if address.from == peer
                    && address.to == event.node
                    && address.origin == origin
                    && address.nth == event.nth =>
            {
                Some(&fault.kind)
            }
            _ => None,
        })
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut last_send: Option<(usize, u64, String)> = None;
    for event in &record.events {
        let about = terse(&event.text);
        let node = event.node.index();
        let mut push = |text: String, rank: u8| lines.push(Line { at: event.at, node, text, rank });
        let peer = event.peer.map_or("", |peer| name(peer.index()));
        let sending = match event.what {
            Happening::Send => Some((node, event.at, event.text.clone())),
            _ => None,
        };
        match event.what {
            Happening::Send if sending == last_send => {
                if let Some(line) = lines.last_mut() {
                    line.text.push_str(", ");
                    line.text.push_str(peer);
                }
            }
            Happening::Send => push(format!("{} ─▶ {peer}", about), 1),
            Happening::Reply => push(format!("{} ─▶ {peer}", about), 1),
            Happening::Receive | Happening::Request => match fated(event) {
                Some(Kind::Duplicate { .. }) => push(format!("again: {}", about), 1),
                Some(Kind::Delay { .. } | Kind::Reorder { .. }) => {
                    push(format!("late: {}", about), 1);
                }
                _ => {}
            },
            Happening::Drop => push(format!("✗ {} (from {peer})", about), 2),
            Happening::Persist => push(format!("write {}", about), 2),
            Happening::Force => push(format!("force {}", about), 1),
            Happening::Snapshot => push("snapshot".to_owned(), 3),
            Happening::Timer => push(format!("timer {}", about), 2),
            Happening::Invoke => push(format!("invoke {}", about), 0),
            Happening::Ok => push(format!("ok {}", about), 0),
            Happening::Fail => push(format!("fail: {}", about), 0),
            Happening::Info => push(format!("info: {}", about), 0),
            Happening::Fault => push(format!("FAULT {}", about), 0),
            Happening::Lifted => push(format!("over: {}", about), 1),
            Happening::Heal => push("HEAL all faults end".to_owned(), 0),
            Happening::Boot if event.incarnation > 1 => push(format!("start, {}", about), 0),
            Happening::Boot
            | Happening::Synced
            | Happening::SetTimer
            | Happening::CancelTimer
            | Happening::Mark => {}
        }
        last_send = sending;
    }
    lines
}

/// Keeps what matters most, and of that what came last: `None` stands for a line left out.
fn select(lines: Vec<Line>) -> Vec<Option<Line>> {
    let mut ranked: Vec<usize> = (0..lines.len()).collect();
    ranked.sort_by_key(|index| (lines[*index].rank, usize::MAX - index));
    let mut most = MOST_LINES - 1;
    loop {
        let mut keep = vec![false; lines.len()];
        ranked.iter().take(most).for_each(|index| keep[*index] = true);
        let gaps = keep.windows(2).filter(|pair| pair[0] && !pair[1]).count()
            + usize::from(keep.first() == Some(&false));
        let kept = keep.iter().filter(|kept| **kept).count();
        if kept + gaps < MOST_LINES || most == 0 {
            let keep = keep.into_iter();
            return lines.into_iter().zip(keep).map(|(line, keep)| keep.then_some(line)).collect();
        }
        most -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terse_texts_keep_values_and_drop_names() {
        for (debug, terse_text) in [
            ("Vote { tx: t0.1.0, yes: true }", "Vote t0.1.0 true"),
            ("Ok(Committed { values: [] })", "Ok(Committed [])"),
            ("Prepared(Redo { tx: t1, keys: [k0, k1] })", "Prepared(Redo t1 [k0 k1])"),
            ("Written", "Written"),
        ] {
            assert_eq!(terse(debug), terse_text);
        }
    }
}
