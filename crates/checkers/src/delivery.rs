//! Delivery: what was sent and acknowledged arrives, once where that is promised, in order where
//! that is, and nothing else does; and a reply is the one to its request.
//!
//! - **lost**: acknowledged to its sender, and in the end neither delivered nor among the dead
//!   letters (acknowledged ⊆ delivered).
//! - **duplicate**: delivered twice where once is promised. What counts as a delivery is for the
//!   caller to say: with at-least-once transport and an inbox it is the *effect* that is durable.
//! - **reordered**: of two messages of one lane (a key, a partition, one sender's stream) the one
//!   sent later was delivered first. Only the first delivery of each counts.
//! - **phantom**: delivered, and never sent, or its sender was told that it is not.
//! - **wrong reply**: a caller took the reply to another request for its own; **phantom reply**:
//!   a reply to what nobody has handled.
//!
//! [`Delivery`] is fed facts as they become true. [`Set`] judges the same of a recorded history in
//! which elements are added to a set and the set is read: Jepsen's `set` and `set-full`.

mod set;
#[cfg(test)]
mod tests;

pub use set::{Set, SetOp, SetRet};

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Messages `M` in lanes `L`; their `Debug` is what messages to a person call them.
///
/// ```
/// use checkers::delivery::Delivery;
///
/// let mut queue = Delivery::exactly_once();
/// queue.sent("order 1", Some("ann"));
/// queue.sent("order 2", Some("ann"));
/// queue.acknowledged("order 1");
/// queue.delivered("order 2").unwrap();
/// assert_eq!(
///     queue.end().unwrap_err().message,
///     "\"order 1\" was acknowledged, and is not delivered",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Delivery<M, L> {
    /// Whether a second delivery is a duplicate.
    once: bool,
    messages: BTreeMap<M, Message<L>>,
    lanes: BTreeMap<L, Lane<M>>,
    deliveries: u64,
}

#[derive(Clone, Debug)]
struct Message<L> {
    /// Its lane and its place there.
    place: Option<(L, u64)>,
    sent: bool,
    failed: bool,
    acknowledged: bool,
    delivered: u32,
    buried: bool,
}

impl<L> Default for Message<L> {
    fn default() -> Self {
        Self {
            place: None,
            sent: false,
            failed: false,
            acknowledged: false,
            delivered: 0,
            buried: false,
        }
    }
}

#[derive(Clone, Debug)]
struct Lane<M> {
    sent: u64,
    /// Of those delivered the one sent last, with its place.
    last: Option<(u64, M)>,
}

impl<M: Ord + Clone + Debug, L: Ord + Clone + Debug> Delivery<M, L> {
    /// Every message may be delivered any number of times.
    pub fn at_least_once() -> Self {
        Self { once: false, messages: BTreeMap::new(), lanes: BTreeMap::new(), deliveries: 0 }
    }

    /// A message is delivered once: its effect, that is.
    pub fn exactly_once() -> Self {
        Self { once: true, ..Self::at_least_once() }
    }

    fn message(&mut self, message: &M) -> &mut Message<L> {
        self.messages.entry(message.clone()).or_default()
    }

    /// A message begins to be sent, behind all others of its lane if order is promised there. That
    /// it is sent again changes nothing.
    pub fn sent(&mut self, message: M, lane: Option<L>) {
        if self.messages.get(&message).is_some_and(|known| known.sent) {
            return;
        }
        let place = lane.map(|lane| {
            let state = self.lanes.entry(lane.clone()).or_insert(Lane { sent: 0, last: None });
            state.sent += 1;
            (lane, state.sent)
        });
        let known = self.message(&message);
        (known.sent, known.place) = (true, place);
    }

    /// Its sender is told that it will be delivered.
    pub fn acknowledged(&mut self, message: M) {
        self.message(&message).acknowledged = true;
    }

    /// Its sender is told that it never is.
    ///
    /// # Errors
    ///
    /// `phantom` if it has been.
    pub fn failed(&mut self, message: M) -> Judged {
        let known = self.message(&message);
        known.failed = true;
        match known.delivered {
            0 => Ok(()),
            _ => phantom(&message, "is delivered, and its sender was told that it never is"),
        }
    }

    /// It is delivered: its effect has become durable.
    ///
    /// # Errors
    ///
    /// `phantom`, `duplicate` or `reordered`.
    pub fn delivered(&mut self, message: M) -> Judged {
        self.deliveries += 1;
        let once = self.once;
        let known = self.message(&message);
        known.delivered += 1;
        if !known.sent {
            return phantom(&message, "is delivered, and nobody sent it");
        }
        if known.failed {
            return phantom(&message, "is delivered, and its sender was told that it never is");
        }
        if known.delivered > 1 {
            let message = format!("{message:?} is delivered twice");
            return if once { Err(anomaly("duplicate", message)) } else { Ok(()) };
        }
        let Some((lane, place)) = known.place.clone() else { return Ok(()) };
        let Some(state) = self.lanes.get_mut(&lane) else { return Ok(()) };
        if let Some((last, before)) = &state.last
            && *last > place
        {
            let message = format!(
                "{message:?} is delivered after {before:?}, which was sent behind it in {lane:?}"
            );
            return Err(anomaly("reordered", message));
        }
        state.last = Some((place, message));
        Ok(())
    }

    /// It is among the dead letters: given up, but not lost.
    pub fn buried(&mut self, message: M) {
        self.message(&message).buried = true;
    }

    /// The caller of `request` took a reply for its own that was made for `made_for`.
    ///
    /// # Errors
    ///
    /// `wrong reply` if these differ, `phantom reply` if the request has not been delivered.
    pub fn replied(&mut self, request: M, made_for: M) -> Judged {
        if request != made_for {
            let message = format!("the caller of {request:?} took the reply to {made_for:?}");
            return Err(anomaly("wrong reply", message));
        }
        if self.message(&request).delivered == 0 {
            let message = format!("{request:?} is replied to, and was not delivered");
            return Err(anomaly("phantom reply", message));
        }
        Ok(())
    }

    /// Everything is over: what will ever be delivered has been.
    ///
    /// # Errors
    ///
    /// `lost` if an acknowledged message is not.
    pub fn end(&self) -> Judged {
        let lost = |m: &Message<L>| m.acknowledged && m.delivered == 0 && !m.buried;
        match self.messages.iter().find(|(_, message)| lost(message)) {
            Some((message, _)) => {
                let message = format!("{message:?} was acknowledged, and is not delivered");
                Err(anomaly("lost", message))
            }
            None => Ok(()),
        }
    }

    /// [`end`](Self::end), and `Unknown` if nothing was ever delivered.
    pub fn verdict(&self) -> Verdict {
        Verdict::from(self.end()).and_then(|| match self.deliveries {
            0 => Verdict::Unknown("delivery: nothing was delivered".into()),
            _ => Verdict::Holds,
        })
    }
}

fn phantom(message: &impl Debug, how: &str) -> Judged {
    Err(anomaly("phantom", format!("{message:?} {how}")))
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("delivery", class, message))
}
