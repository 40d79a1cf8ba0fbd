//! Jepsen's set: elements are added, none is ever removed, and reads see them all.

use super::anomaly;
use crate::{Judged, Verdict};
use history::{Actor, History, Operation, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// What is asked of a set that only grows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SetOp<V> {
    /// Let this be an element.
    Add(V),
    /// What are the elements?
    Read,
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SetRet<V> {
    /// To an addition: done.
    Done,
    /// To a read: all elements, in any order.
    Elements(Vec<V>),
}

/// What is promised: by default that an element which is known is in the last read (Jepsen's `set`,
/// and `set-full` without its option `linearizable?`).
///
/// An element is *known* from when its addition, or a read that saw it, has completed.
///
/// - **lost**: known before the read that began last, and not in it.
/// - **stale**: known before some other read began, and not in that one; judged if asked for.
/// - **phantom**: read, though by then nobody had begun to add it, or its additions failed.
/// - **duplicate**: twice in one read.
///
/// ```
/// use checkers::delivery::{Set, SetOp, SetRet};
/// use history::{Actor, Event, History, What};
///
/// let line = |op, what| Event { at: 0, op, actor: Actor::Client(1), process: 0, call: op, what };
/// let history = History { events: vec![
///     line(0, What::Invoke(SetOp::Add(4))),
///     line(0, What::Ok(SetRet::Done)),
///     line(1, What::Invoke(SetOp::Read)),
///     line(1, What::Ok(SetRet::Elements(vec![]))),
/// ] };
/// assert_eq!(
///     Set::default().check(&history).anomaly().unwrap().message,
///     "4 was added by client 1 (call 0), and is not in the last read, by client 1 (call 1)",
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Set {
    /// Whether every read, and not only the last, must see what is known.
    pub no_stale_reads: bool,
}

/// Who made something known.
#[derive(Clone, Copy)]
struct Known {
    /// Index of the completion among the events.
    at: usize,
    actor: Actor,
    call: u32,
    read: bool,
}

/// What became of one element's additions.
#[derive(Clone, Copy)]
struct Added {
    /// Index of the first invocation that did not fail; `usize::MAX` if all did.
    begun: usize,
    known: Option<Known>,
}

/// A read that completed.
struct Read<'a, V> {
    invoked: usize,
    completed: usize,
    actor: Actor,
    call: u32,
    elements: &'a [V],
}

impl Set {
    /// Judges a history in O(n log n) of what was added and read. `Unknown` if no read completed,
    /// or nothing was ever added.
    pub fn check<V: Ord + Debug>(&self, history: &History<SetOp<V>, SetRet<V>>) -> Verdict {
        let operations = history.operations();
        let mut reads: Vec<Read<'_, V>> = operations.iter().filter_map(read).collect();
        let mut added: BTreeMap<&V, Added> = BTreeMap::new();
        for operation in &operations {
            let SetOp::Add(element) = operation.op else { continue };
            let entry = added.entry(element).or_insert(Added { begun: usize::MAX, known: None });
            if !matches!(operation.outcome, Outcome::Fail) {
                entry.begun = entry.begun.min(operation.invoked);
            }
            if let Outcome::Ok(_) = operation.outcome {
                let Operation { completed, actor, call, .. } = *operation;
                learn(entry, Known { at: completed, actor, call, read: false });
            }
        }
        for read in &reads {
            if let Err(anomaly) = sound(read, &mut added) {
                return Verdict::Violated(*anomaly);
            }
        }
        // By invocation already; the last is the one that began last.
        let Some(last) = reads.pop() else {
            return Verdict::Unknown("delivery: no read of the set completed".into());
        };
        if added.is_empty() {
            return Verdict::Unknown("delivery: nothing was added to the set".into());
        }
        let stale = || {
            let mut reads = reads.iter().filter(|_| self.no_stale_reads);
            reads.try_for_each(|read| complete(read, "stale", &added))
        };
        Verdict::from(complete(&last, "lost", &added).and_then(|()| stale()))
    }
}

fn read<'a, V>(operation: &Operation<'a, SetOp<V>, SetRet<V>>) -> Option<Read<'a, V>> {
    let Operation { invoked, completed, actor, call, .. } = *operation;
    match operation.outcome {
        Outcome::Ok(SetRet::Elements(elements)) if matches!(operation.op, SetOp::Read) => {
            Some(Read { invoked, completed, actor, call, elements })
        }
        _ => None,
    }
}

fn learn(added: &mut Added, known: Known) {
    if added.known.is_none_or(|before| known.at < before.at) {
        added.known = Some(known);
    }
}

/// Whether a read saw only what was added, and nothing twice; what it saw is known from then on.
fn sound<V: Ord + Debug>(read: &Read<'_, V>, added: &mut BTreeMap<&V, Added>) -> Judged {
    let Read { completed, actor, call, .. } = *read;
    let mut seen = BTreeSet::new();
    for element in read.elements {
        if !seen.insert(element) {
            let message = format!("{element:?} is twice in the read by {actor} (call {call})");
            return Err(anomaly("duplicate", message));
        }
        let how = match added.get_mut(element) {
            Some(added) if added.begun < completed => {
                learn(added, Known { at: completed, actor, call, read: true });
                continue;
            }
            Some(added) if added.begun == usize::MAX => "and every addition of it failed",
            Some(_) => "before anybody began to add it",
            None => "and nobody added it",
        };
        let message = format!("{element:?} is in the read by {actor} (call {call}), {how}");
        return Err(anomaly("phantom", message));
    }
    Ok(())
}

/// Whether a read saw everything that was known before it began.
fn complete<V: Ord + Debug>(
    read: &Read<'_, V>,
    class: &'static str,
    added: &BTreeMap<&V, Added>,
) -> Judged {
    let before = |known: &Known| known.at < read.invoked;
    let seen: BTreeSet<&V> = read.elements.iter().collect();
    let known = added.iter().filter_map(|(element, added)| Some((element, added.known?)));
    let mut missing = known.filter(|(element, known)| before(known) && !seen.contains(*element));
    let Some((element, known)) = missing.next() else { return Ok(()) };
    let how = if known.read { "read" } else { "added" };
    let (by, call) = (known.actor, known.call);
    let which = if class == "lost" { "the last read" } else { "a later read" };
    let (reader, reading) = (read.actor, read.call);
    let message = format!(
        "{element:?} was {how} by {by} (call {call}), and is not in {which}, by {reader} \
         (call {reading})"
    );
    Err(anomaly(class, message))
}
