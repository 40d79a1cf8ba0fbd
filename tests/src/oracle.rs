//! Faults counted as explicit-state explorers count them, to compare a shrunk case with the fewest
//! that an explorer needed.
//!
//! A crash counts, a copy, and a timeout that changed something. What is late, lost or out of order
//! counts nothing: an explorer delivers messages in any order and lets them lie.

use mutants::Bug;
use std::collections::{BTreeMap, BTreeSet};
use world::{Happening, TraceEvent};

/// Timers that are no timeouts: work that takes its time, and asking now and again.
const NO_TIMEOUTS: [(&str, &str); 4] =
    [("lease_lock", "Work"), ("queue", "Commit"), ("queue", "Poll"), ("queue", "Publish")];

/// The kinds of placed faults that count: all that ends a process.
const CRASHES: [&str; 9] = [
    "bit_rot",
    "crash",
    "crash_loop",
    "failed_sync",
    "full_disk",
    "power_loss",
    "restart",
    "retire",
    "torn_write",
];

/// The fewest faults with which an explorer found the bug, if one looked for it.
pub fn fewest(bug: &Bug) -> Option<usize> {
    let (_, measured) = bug.source.split_once("measured (")?;
    let (number, what) = measured.split_once(' ')?;
    what.starts_with("fault").then(|| number.parse().ok())?
}

/// The faults of a shrunk case of this protocol: its text, in which every fault is placed, and the
/// events of its run.
pub fn faults(protocol: &str, repro: &str, events: &[TraceEvent]) -> usize {
    crashes(repro) + copies(events) + timeouts(protocol, events)
}

fn crashes(repro: &str) -> usize {
    let repro: toml::Table = repro.parse().unwrap_or_default();
    let faults = repro.get("case").and_then(|case| case.get("faults"));
    let faults = faults.and_then(toml::Value::as_array).into_iter().flatten();
    let kind = |fault: &toml::Value| match fault.get("kind")? {
        toml::Value::String(kind) => Some(kind.clone()),
        toml::Value::Table(kind) => kind.keys().next().cloned(),
        _ => None,
    };
    faults.filter_map(kind).filter(|kind| CRASHES.contains(&&**kind)).count()
}

/// Messages and requests that reached a node more than once, whoever sent them again.
fn copies(events: &[TraceEvent]) -> usize {
    let mut seen = BTreeMap::new();
    let arrives =
        |event: &&TraceEvent| matches!(event.what, Happening::Receive | Happening::Request);
    for event in events.iter().filter(arrives) {
        let message = (event.node, event.peer, &*event.text);
        *seen.entry(message).or_insert(0u32) += 1;
    }
    seen.values().filter(|times| **times > 1).count()
}

/// Timers that ran out and changed something: each as often as it was set for another thing.
fn timeouts(protocol: &str, events: &[TraceEvent]) -> usize {
    let is_timeout = |timer: &str| {
        !NO_TIMEOUTS.iter().any(|(of, name)| *of == protocol && timer.starts_with(name))
    };
    let mut sent = BTreeSet::new();
    let mut rang = BTreeSet::new();
    for (index, event) in events.iter().enumerate() {
        if event.what == Happening::Timer && is_timeout(&event.text) {
            // What a handler does follows it on the same node, up to what happens to it next.
            let did = events[index + 1..].iter().filter(|later| later.node == event.node);
            let did = did.take_while(|later| is_effect(later.what));
            let changes = |effect: &TraceEvent| match effect.what {
                Happening::SetTimer | Happening::Mark => false,
                // To send what has been sent before changes nothing.
                Happening::Send => !sent.contains(&(effect.node, effect.peer, &*effect.text)),
                _ => true,
            };
            if did.into_iter().any(changes) {
                rang.insert((event.node, event.incarnation, &*event.text));
            }
        }
        if event.what == Happening::Send {
            sent.insert((event.node, event.peer, &*event.text));
        }
    }
    rang.len()
}

fn is_effect(what: Happening) -> bool {
    use Happening as H;
    matches!(
        what,
        H::Persist
            | H::Force
            | H::Snapshot
            | H::Send
            | H::SetTimer
            | H::CancelTimer
            | H::Reply
            | H::Mark
            | H::Invoke
            | H::Ok
            | H::Fail
            | H::Info
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::NodeId;

    fn event(what: Happening, text: &str) -> TraceEvent {
        TraceEvent {
            at: 0,
            node: NodeId(1),
            incarnation: 1,
            origin: None,
            what,
            peer: None,
            nth: 0,
            text: text.to_owned(),
            digest: 0,
            source: None,
        }
    }

    #[test]
    fn crashes_count_and_what_is_late_or_lost_does_not() {
        let fault = |kind: &str| format!("[[case.faults]]\nid = 1\nkind = {kind}\n");
        let case = [fault("'loss'"), fault("'crash'"), fault("{ bit_rot = { node = 1 } }")];
        assert_eq!(crashes(&case.concat()), 2);
        assert_eq!(crashes(&case[0]), 0);
        assert_eq!(crashes("[case]"), 0);
    }

    #[test]
    fn a_copy_counts_once_if_it_arrives() {
        let sent = |what| event(what, "Decision");
        let lost = [sent(Happening::Send), sent(Happening::Send), sent(Happening::Receive)];
        assert_eq!(copies(&lost), 0);
        assert_eq!(copies(&[sent(Happening::Receive), sent(Happening::Receive)]), 1);
    }

    #[test]
    fn timeouts_count_that_change_something() {
        use Happening::{Receive, Send, SetTimer, Timer};
        let asked = [
            event(Send, "Inquiry"),
            event(Timer, "Inquire"),
            event(Send, "Inquiry"),
            event(SetTimer, "Inquire"),
        ];
        assert_eq!(timeouts("p", &asked), 0, "the same again");
        let told = [
            event(Timer, "Inquire"),
            event(Send, "Inquiry"),
            event(Timer, "Inquire"),
            event(Send, "PeerAsk"),
            event(Timer, "Idle"),
            event(Receive, "Nothing"),
            event(Send, "Answer"),
        ];
        assert_eq!(timeouts("p", &told), 1, "one timer, which asked");
        let worked = [event(Timer, "Work(1)"), event(Send, "Write")];
        assert_eq!((timeouts("p", &worked), timeouts("lease_lock", &worked)), (1, 0));
    }

    #[test]
    fn the_fewest_stand_in_the_patch() {
        let fewest_of = |id| mutants::ALL.iter().find(|bug| bug.id == id).map(fewest);
        assert_eq!(fewest_of("A2"), Some(Some(2)));
        assert_eq!(fewest_of("R4"), Some(Some(0)));
        assert_eq!(fewest_of("A14"), Some(None), "nobody looked");
        assert_eq!(fewest_of("C4"), Some(None), "how rare it is was measured");
    }
}
