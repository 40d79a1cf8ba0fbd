//! What happened: a running digest always, and every event when asked.

use crate::fault::Origin;
use node::{Incarnation, NodeId, mix};
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;

/// A fixed 64-bit hash of everything that happened, in order. Equal for equal code and case: in any
/// build, process and number of threads. Integers go in as little-endian words, `usize` widened.
#[derive(Clone, Default)]
pub struct Digest(FxHasher);

impl Digest {
    /// The value so far.
    pub fn value(&self) -> u64 {
        mix(0, self.0.finish())
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.value()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn write_u8(&mut self, n: u8) {
        self.0.write_u64(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.0.write_u64(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.0.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0.write_u64(n);
    }

    fn write_u128(&mut self, n: u128) {
        self.0.write_u64(n as u64);
        self.0.write_u64((n >> 64) as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.0.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.0.write_u64(n as u64);
    }
}

/// What kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Happening {
    /// A node starts.
    Boot,
    /// A request reaches a node.
    Request,
    /// A message reaches a node.
    Receive,
    /// A timer runs out.
    Timer,
    /// A message does not arrive.
    Drop,
    /// [`node::Effect::Persist`]
    Persist,
    /// [`node::Effect::Force`], written.
    Force,
    /// [`node::Effect::Snapshot`], written beside the log.
    Snapshot,
    /// A force or snapshot is synced.
    Synced,
    /// [`node::Effect::Send`]
    Send,
    /// [`node::Effect::SetTimer`]
    SetTimer,
    /// [`node::Effect::CancelTimer`]
    CancelTimer,
    /// [`node::Effect::Reply`]
    Reply,
    /// [`node::Effect::Mark`]
    Mark,
    /// An operation, or a role's step, begins.
    Invoke,
    /// It ends ok.
    Ok,
    /// It ends failed.
    Fail,
    /// Its outcome is unknown.
    Info,
    /// A fault strikes.
    Fault,
    /// A fault that lasts ends.
    Lifted,
    /// The end of all faults.
    Heal,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}").to_lowercase();
        f.pad(&name)
    }
}

/// One event of a recorded trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Virtual nanoseconds.
    pub at: u64,
    /// The machine it happened on.
    pub node: NodeId,
    /// Which life of it; 0 on clients' machines.
    pub incarnation: Incarnation,
    /// What it goes back to.
    pub origin: Option<Origin>,
    /// What happened.
    pub what: Happening,
    /// The other machine, of a message.
    pub peer: Option<NodeId>,
    /// The number of its message on its link and origin, from 1; 0 of anything else.
    pub nth: u32,
    /// What it was about, as the protocol's `Debug` text.
    pub text: String,
    /// The digest after it; of a reply and of what is written to disk, before it.
    pub digest: u64,
    /// The place in the source that asked for the effect; not told between processes.
    #[serde(skip)]
    pub source: Option<&'static Location<'static>>,
}

/// The digest of a run, and its events when they are recorded.
#[derive(Default)]
pub struct Trace {
    /// Of everything so far.
    pub digest: Digest,
    /// Everything so far, if it is kept.
    pub events: Option<Vec<TraceEvent>>,
}

impl Trace {
    /// Adds an event to the digest.
    #[inline]
    pub fn hash(&mut self, at: u64, what: Happening, node: NodeId, about: &impl Hash) {
        let head = u64::from(node.0) << 8 | what as u64;
        self.digest.write_u64(at);
        self.digest.write_u64(head);
        about.hash(&mut self.digest);
    }

    /// Adds an event to the trace.
    pub fn append(
        &mut self,
        at: u64,
        what: Happening,
        (node, incarnation): (NodeId, Incarnation),
        origin: Origin,
        describe: impl FnOnce(&mut TraceEvent),
    ) {
        let mut event = TraceEvent {
            at,
            node,
            incarnation,
            origin: Some(origin),
            what,
            peer: None,
            nth: 0,
            text: String::new(),
            digest: self.digest.value(),
            source: None,
        };
        describe(&mut event);
        self.events.get_or_insert_default().push(event);
    }
}
