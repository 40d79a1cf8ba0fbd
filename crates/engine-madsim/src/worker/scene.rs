//! The stage as judges see it, between two steps.

use super::stage::{Machine, Stage};
use history::History;
use node::{Node, NodeId};
use std::cell::OnceCell;
use std::sync::{MutexGuard, PoisonError};
use world::{Clock, Scene};

/// A look at the stage. A node is locked once somebody has looked at it: its task does not run
/// while judges do.
pub(super) struct View<'a, N: Node> {
    stage: &'a Stage<N>,
    changed: Option<NodeId>,
    nodes: Vec<OnceCell<MutexGuard<'a, N>>>,
}

impl<'a, N: Node> View<'a, N> {
    pub(super) fn new(stage: &'a Stage<N>, changed: Option<NodeId>) -> Self {
        let nodes = stage.machines.iter().map(|_| OnceCell::new()).collect();
        Self { stage, changed, nodes }
    }

    fn machine(&self, id: NodeId) -> Option<&'a Machine<N>> {
        self.stage.machines.get(id.index())
    }
}

impl<N: Node> Scene<N> for View<'_, N> {
    fn now(&self) -> u64 {
        self.stage.now
    }

    fn nodes(&self) -> usize {
        self.stage.machines.len()
    }

    fn state(&self, id: NodeId) -> Option<&N> {
        let node = self.machine(id)?.node.as_ref()?;
        let lock = || node.lock().unwrap_or_else(PoisonError::into_inner);
        Some(&**self.nodes.get(id.index())?.get_or_init(lock))
    }

    fn durable(&self, id: NodeId) -> &[N::Record] {
        self.machine(id).map_or(&[], |machine| &machine.log[..machine.synced])
    }

    fn rewrites(&self, id: NodeId) -> u32 {
        self.machine(id).map_or(0, |machine| machine.rewrites)
    }

    fn changed(&self) -> Option<NodeId> {
        self.changed
    }

    fn config(&self, id: NodeId) -> Option<&N::Config> {
        self.stage.configs.get(id.index())
    }

    fn clock(&self, id: NodeId) -> Option<&Clock> {
        self.machine(id).map(|machine| &machine.clock)
    }

    fn is_retired(&self, id: NodeId) -> bool {
        self.machine(id).is_some_and(|machine| machine.retired)
    }

    fn is_healed(&self) -> bool {
        self.stage.healed
    }

    fn history(&self) -> &History<N::Op, N::Ret> {
        &self.stage.history
    }
}
