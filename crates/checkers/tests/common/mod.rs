//! Histories put together from calls.

use history::{Actor, Event, History, What};

/// A client's call, from one time to another.
#[derive(Clone, Debug)]
pub struct Call<Op, Ret> {
    pub client: u16,
    pub call: u32,
    pub from: u64,
    pub to: u64,
    pub op: Op,
    /// How it ended.
    pub end: What<Op, Ret>,
}

/// What was seen. Of an end and a beginning at one time the beginning comes first: they overlap.
pub fn history<Op: Clone, Ret: Clone>(calls: &[Call<Op, Ret>]) -> History<Op, Ret> {
    let mut lines = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        lines.push((call.from, false, index, What::Invoke(call.op.clone())));
        lines.push((call.to, true, index, call.end.clone()));
    }
    lines.sort_by_key(|(at, ends, index, _)| (*at, *ends, *index));
    let mut numbers = vec![0; calls.len()];
    let mut next = 0;
    let events = lines
        .into_iter()
        .map(|(at, ends, index, what)| {
            if !ends {
                numbers[index] = next;
                next += 1;
            }
            let Call { client, call, .. } = calls[index];
            let op = numbers[index];
            Event { at, op, actor: Actor::Client(client), process: index as u32, call, what }
        })
        .collect();
    History { events }
}
