//! What a node answers with: effects, as data.

use crate::{Node, NodeId, RequestId, StepId};
use derive_where::derive_where;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Why something failed, in a few words for a person.
pub type Reason = Cow<'static, str>;

/// A node's answer to a request. A node that stays silent leaves its client in doubt.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Answer<Ret> {
    /// It took effect.
    Ok(Ret),
    /// It never takes effect. The harness records that only while no other copy of the request
    /// can still take effect.
    Fail(Reason),
    /// Not here: the client sends the same request to the hint, or to the next node. Nothing is
    /// recorded.
    Retry(Option<NodeId>),
}

/// How a role's own step ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Step<Ret> {
    /// It took effect.
    Ok(Ret),
    /// It never takes effect.
    Fail(Reason),
    /// The role does not know.
    Info,
}

/// One thing that a node wants done. Effects of a handler are applied in order, one by one, after
/// the handler has run to its end.
#[derive_where(Clone, PartialEq, Eq, Debug)]
pub enum Effect<N: Node> {
    /// Append to the log, without a sync: a power loss may take it.
    Persist(N::Record),
    /// Append and sync, with everything before it, before any later effect. A sync that fails
    /// crashes the node.
    Force(N::Record),
    /// Replace the whole log atomically, and sync.
    Snapshot(Vec<N::Record>),
    /// Send a message.
    Send(NodeId, N::Msg),
    /// Wake this incarnation after a time on its own monotonic clock. Timers are keyed by value:
    /// an equal one is armed again.
    SetTimer {
        /// How long, on the node's own clock.
        after: Duration,
        /// What to be told.
        timer: N::Timer,
        /// It serves many operations (a heartbeat, a retry loop) and belongs to the boot, not to
        /// the operation whose handler set it.
        background: bool,
    },
    /// Forget an equal timer, if one is set.
    CancelTimer(N::Timer),
    /// Answer a client.
    Reply(RequestId, Answer<N::Ret>),
    /// A role begins a step of its own.
    Invoke(StepId, N::Op),
    /// A role's step has ended.
    Complete(StepId, Step<N::Ret>),
    /// Something worth counting has happened: "in-doubt participant restarted".
    Mark(&'static str),
}

/// The kind of an effect, as faults are placed on it and stories name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum EffectKind {
    /// [`Effect::Persist`]
    Persist,
    /// [`Effect::Force`]
    Force,
    /// [`Effect::Snapshot`]
    Snapshot,
    /// [`Effect::Send`]
    Send,
    /// [`Effect::SetTimer`]
    SetTimer,
    /// [`Effect::CancelTimer`]
    CancelTimer,
    /// [`Effect::Reply`]
    Reply,
    /// [`Effect::Invoke`]
    Invoke,
    /// [`Effect::Complete`]
    Complete,
    /// [`Effect::Mark`]
    Mark,
}

impl<N: Node> Effect<N> {
    /// Its kind.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Persist(_) => EffectKind::Persist,
            Self::Force(_) => EffectKind::Force,
            Self::Snapshot(_) => EffectKind::Snapshot,
            Self::Send(..) => EffectKind::Send,
            Self::SetTimer { .. } => EffectKind::SetTimer,
            Self::CancelTimer(_) => EffectKind::CancelTimer,
            Self::Reply(..) => EffectKind::Reply,
            Self::Invoke(..) => EffectKind::Invoke,
            Self::Complete(..) => EffectKind::Complete,
            Self::Mark(_) => EffectKind::Mark,
        }
    }

    /// The variant name of what it carries: "Prepare" of `Send(n1, Prepare { .. })`. Empty where
    /// it carries nothing of the protocol's.
    pub fn variant(&self) -> String {
        match self {
            Self::Persist(record) | Self::Force(record) => variant(record),
            Self::Send(_, msg) => variant(msg),
            Self::SetTimer { timer, .. } | Self::CancelTimer(timer) => variant(timer),
            Self::Reply(_, answer) => variant(answer),
            Self::Invoke(_, op) => variant(op),
            Self::Complete(_, step) => variant(step),
            Self::Snapshot(_) | Self::Mark(_) => String::new(),
        }
    }
}

/// The variant (or type) name with which the `Debug` text of `value` begins.
pub fn variant(value: &impl fmt::Debug) -> String {
    struct Name(String);
    impl fmt::Write for Name {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                if !c.is_alphanumeric() && c != '_' {
                    return Err(fmt::Error); // the name is complete: nothing more need be written
                }
                self.0.push(c);
            }
            Ok(())
        }
    }
    let mut name = Name(String::new());
    let _complete = write!(name, "{value:?}");
    name.0
}
