//! Holders' steps as the history of a fenced mutex: who had which lock when, in global time.

use checkers::models::{FencedOp, FencedRet};
use explorer::Run;
use history::{Actor, Event, History, Outcome, What};
use node::{Node, NodeId};
use protocols::lease::{Config, Object, Op, Ret};
use std::time::Duration;

/// A hold in global time: `[begin, end)`.
pub(super) struct Hold {
    pub(super) object: Object,
    pub(super) owner: NodeId,
    pub(super) fence: u64,
    /// When its owner began to ask for it.
    pub(super) asked: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// The holds that the holders' steps tell. A hold begins when its grant was
/// handled, and ends when its `Release` was sent or at its own bound, whichever was first.
pub(super) fn holds<N: Node<Config = Config, Op = Op, Ret = Ret>>(run: &Run<N>) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    let history = run.history();
    for operation in history.operations() {
        let Actor::Role(owner) = operation.actor else { continue };
        let owner = NodeId(owner);
        match (operation.op, operation.outcome) {
            (Op::Acquire(object), Outcome::Ok(Ret::Granted { fence, from, until })) => {
                let global = |local: &Duration| {
                    let local = u64::try_from(local.as_nanos()).unwrap_or(u64::MAX);
                    run.clock(owner).map_or(local, |clock| clock.global(local))
                };
                let asked = history.events[operation.invoked].at;
                let begin = global(from).max(asked);
                let end = global(until).max(begin);
                holds.push(Hold { object: *object, owner, fence: *fence, asked, begin, end });
            }
            (Op::Release { object, fence }, _) => {
                let sent = history.events[operation.invoked].at;
                let theirs = |h: &&mut Hold| {
                    (h.object, h.owner, h.fence) == (*object, owner, *fence) && h.begin <= sent
                };
                if let Some(hold) = holds.iter_mut().rev().find(theirs) {
                    hold.end = hold.end.min(sent);
                }
            }
            _ => {}
        }
    }
    holds
}

/// The history of a fenced mutex: each hold as an `Acquire` and a `Release` that take no time.
pub(super) fn history_of(holds: &[Hold]) -> History<(Object, FencedOp), FencedRet> {
    let mut points = Vec::with_capacity(2 * holds.len());
    for hold in holds {
        let owner = u64::from(hold.owner.0);
        let acquire = (FencedOp::Acquire { owner }, FencedRet::Granted(hold.fence));
        let release = (FencedOp::Release { owner, fence: hold.fence }, FencedRet::Released);
        // At one moment, a hold that ends is over before the next one begins; one that ends as it
        // begins has begun first, and is over before the next grant.
        let empty = u8::from(hold.begin == hold.end);
        points.push((hold.begin, (1, hold.fence, 0), hold, acquire));
        points.push((hold.end, (empty, hold.fence, 1), hold, release));
    }
    points.sort_by_key(|(at, rank, ..)| (*at, *rank));
    let mut events = Vec::with_capacity(2 * points.len());
    for (op, (at, _, hold, (asked, answer))) in (0u32..).zip(points) {
        let actor = Actor::Role(hold.owner.0);
        let line = |what| Event { at, op, actor, process: op, call: op, what };
        events.push(line(What::Invoke((hold.object, asked))));
        events.push(line(What::Ok(answer)));
    }
    History { events }
}
