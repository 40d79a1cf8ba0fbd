//! What an engine may see of a running node, and where it may step in.

use crate::server::{Event, Refused};
use node::{Context, Effect, Incarnation, Node, NodeId};
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::{Arc, Mutex};

/// Which side of an effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Edge {
    /// The effect has not happened.
    Before,
    /// A force or a snapshot has been written and not synced. Other effects have no such moment.
    During,
    /// The effect has happened.
    After,
}

/// Watches one life of a node. `()` watches nothing.
///
/// Everything that reaches a history or a trace passes here: `Invoke` and `Complete` of a role's
/// own steps, marks, and what is durable (the log that a life begins with, and every `Persist`,
/// `Force` and `Snapshot` since).
pub trait Observer<N: Node> {
    /// This is the node of the life that begins, before it is told anything. Between two events
    /// whoever keeps it may look at it; while it is locked, its life waits.
    fn born(&mut self, node: &Arc<Mutex<N>>) {
        let _ = node;
    }

    /// A life begins with these records, all of them synced.
    fn booted(&mut self, incarnation: Incarnation, log: &[N::Record]) {
        let _ = (incarnation, log);
    }

    /// The node is about to be told something.
    fn event(&mut self, event: &Event<N>) {
        let _ = event;
    }

    /// The node has been told, and its effects are about to be applied. The context says whether
    /// it looked at its clocks.
    fn handled(&mut self, node: &N, context: &Context) {
        let _ = (node, context);
    }

    /// An effect is about to happen, happens, or has happened; `place` is where in the source it
    /// was made. The shell waits for the answer, so an engine can stall the node here, pause its
    /// machine, or kill it: `Break` ends the life at this very point, with nothing written,
    /// synced or sent any more.
    fn effect(
        &mut self,
        edge: Edge,
        effect: &Effect<N>,
        place: &'static Location<'static>,
    ) -> impl Future<Output = ControlFlow<()>> {
        let _ = (edge, effect, place);
        std::future::ready(ControlFlow::Continue(()))
    }

    /// A frame that says nothing to this node is dropped.
    fn refused(&mut self, from: NodeId, why: &Refused) {
        tracing::warn!(%from, %why, "frame dropped");
    }
}

impl<N: Node> Observer<N> for () {}
