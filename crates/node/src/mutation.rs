//! Generic planted bugs: what a careless author forgets, done to any [`Node`] between its handlers
//! and its effects. No line of the protocol changes.

use crate::{Cx, Effect, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MutationKind {
    /// A `Force` never happens.
    DropForce,
    /// A `Force` becomes a `Persist`: written, but not synced.
    PersistInsteadOfForce,
    /// What a `Force` must come before (sends and replies) leaves first.
    SendBeforeForce,
    /// A timer is never set.
    ForgetTimer,
    /// A message is handled twice.
    HandleTwice,
    /// A restart finds an empty log.
    LoseOnRestart,
}

/// A planted bug: a kind, and the variant it is confined to, if any. Its text is
/// `send_before_force`, or `send_before_force(Commit)` for one record, message or timer only.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mutation {
    /// The broken rule.
    pub kind: MutationKind,
    /// The variant name of the record, message or timer it is confined to.
    pub only: Option<String>,
}

impl MutationKind {
    /// Every kind, in the order in which lists show them.
    pub const ALL: [Self; 6] = [
        Self::DropForce,
        Self::PersistInsteadOfForce,
        Self::SendBeforeForce,
        Self::ForgetTimer,
        Self::HandleTwice,
        Self::LoseOnRestart,
    ];

    /// The name on command lines and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropForce => "drop_force",
            Self::PersistInsteadOfForce => "persist_instead_of_force",
            Self::SendBeforeForce => "send_before_force",
            Self::ForgetTimer => "forget_timer",
            Self::HandleTwice => "handle_twice",
            Self::LoseOnRestart => "lose_on_restart",
        }
    }

    /// What it does, in one line.
    pub fn describe(self) -> &'static str {
        match self {
            Self::DropForce => "a forced record is never written",
            Self::PersistInsteadOfForce => "a forced record is written but not synced",
            Self::SendBeforeForce => "messages and replies leave before the force they wait for",
            Self::ForgetTimer => "a timer is never set",
            Self::HandleTwice => "every message is handled twice",
            Self::LoseOnRestart => "a restart finds an empty log",
        }
    }
}

impl From<MutationKind> for Mutation {
    fn from(kind: MutationKind) -> Self {
        Self { kind, only: None }
    }
}

impl Mutation {
    /// Runs `on_start` under the bug.
    pub fn on_start<N: Node>(&self, node: &mut N, log: &[N::Record], cx: &mut Cx<N>) {
        let log = if self.kind == MutationKind::LoseOnRestart { &[] } else { log };
        node.on_start(log, cx);
        self.transform(cx.buffer());
    }

    /// Runs `on_request` under the bug.
    pub fn on_request<N: Node>(&self, node: &mut N, id: RequestId, op: N::Op, cx: &mut Cx<N>) {
        node.on_request(id, op, cx);
        self.transform(cx.buffer());
    }

    /// Runs `on_message` under the bug.
    pub fn on_message<N: Node>(&self, node: &mut N, from: NodeId, msg: N::Msg, cx: &mut Cx<N>) {
        if self.kind == MutationKind::HandleTwice && self.covers(|| crate::variant(&msg)) {
            node.on_message(from, msg.clone(), cx);
        }
        node.on_message(from, msg, cx);
        self.transform(cx.buffer());
    }

    /// Runs `on_timer` under the bug.
    pub fn on_timer<N: Node>(&self, node: &mut N, timer: N::Timer, cx: &mut Cx<N>) {
        node.on_timer(timer, cx);
        self.transform(cx.buffer());
    }

    fn transform<N: Node, L>(&self, effects: &mut Vec<(Effect<N>, L)>) {
        match self.kind {
            MutationKind::DropForce => effects.retain(|(effect, _)| !self.is_covered_force(effect)),
            MutationKind::PersistInsteadOfForce => {
                for (effect, _) in effects {
                    if let Effect::Force(record) = effect
                        && self.covers(|| crate::variant(record))
                    {
                        *effect = Effect::Persist(record.clone());
                    }
                }
            }
            MutationKind::SendBeforeForce => self.send_before_force(effects),
            MutationKind::ForgetTimer => effects.retain(|(effect, _)| match effect {
                Effect::SetTimer { timer, .. } => !self.covers(|| crate::variant(timer)),
                _ => true,
            }),
            MutationKind::HandleTwice | MutationKind::LoseOnRestart => {}
        }
    }

    /// Moves each covered force behind everything that leaves the node after it.
    fn send_before_force<N: Node, L>(&self, effects: &mut Vec<(Effect<N>, L)>) {
        let mut forces = Vec::new();
        let mut rest = Vec::with_capacity(effects.len());
        for (effect, place) in effects.drain(..) {
            if self.is_covered_force(&effect) {
                forces.push((effect, place));
            } else {
                rest.push((effect, place));
            }
        }
        rest.append(&mut forces);
        *effects = rest;
    }

    fn is_covered_force<N: Node>(&self, effect: &Effect<N>) -> bool {
        match effect {
            Effect::Force(record) => self.covers(|| crate::variant(record)),
            Effect::Snapshot(_) => self.only.is_none(),
            _ => false,
        }
    }

    fn covers(&self, name: impl FnOnce() -> String) -> bool {
        self.only.as_ref().is_none_or(|only| *only == name())
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.only {
            None => f.write_str(self.kind.name()),
            Some(only) => write!(f, "{}({only})", self.kind.name()),
        }
    }
}

/// A text that names no planted bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownMutation(pub String);

impl fmt::Display for UnknownMutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = MutationKind::ALL.iter().map(|kind| kind.name()).collect();
        write!(f, "unknown mutant {:?}: expected one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownMutation {}

impl FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(text: &str) -> Result<Self, UnknownMutation> {
        let unknown = || UnknownMutation(text.to_owned());
        let (name, only) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(unknown)?)),
        };
        let kind = MutationKind::ALL.into_iter().find(|kind| kind.name() == name);
        Ok(Self { kind: kind.ok_or_else(unknown)?, only: only.map(str::to_owned) })
    }
}

impl TryFrom<String> for Mutation {
    type Error = UnknownMutation;

    fn try_from(text: String) -> Result<Self, UnknownMutation> {
        text.parse()
    }
}

impl From<Mutation> for String {
    fn from(mutation: Mutation) -> Self {
        mutation.to_string()
    }
}
