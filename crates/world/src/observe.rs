//! What checkers and invariants may look at.

use crate::Clock;
use crate::engine::{End, Uses, World};
use crate::fault::{Fault, Faults};
use crate::machine::{MONOTONIC, WALL};
use crate::network::Drawn;
use crate::trace::{Digest, TraceEvent};
use history::History;
use node::{Node, NodeId};

impl<N: Node> World<N> {
    /// Virtual nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many nodes there are, clients apart.
    pub fn nodes(&self) -> usize {
        self.machines.len()
    }

    /// Every node's id.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<N> {
        (0..self.machines.len() as u16).map(NodeId)
    }

    /// The running node, if it runs. A paused one runs.
    pub fn state(&self, id: NodeId) -> Option<&N> {
        self.machines.get(id.index())?.node.as_ref()
    }

    /// The records that no power loss can take.
    pub fn durable(&self, id: NodeId) -> &[N::Record] {
        self.machines.get(id.index()).map_or(&[], |machine| machine.disk.durable())
    }

    /// How many snapshots have replaced the node's log. While the number stays, its durable log
    /// only grows, and what has been looked at need not be looked at again.
    pub fn rewrites(&self, id: NodeId) -> u32 {
        self.machines.get(id.index()).map_or(0, |machine| machine.disk.rewrites)
    }

    /// The node whose durable log the last step may have changed, if any.
    pub fn changed(&self) -> Option<NodeId> {
        self.changed
    }

    /// The node's configuration.
    pub fn config(&self, id: NodeId) -> Option<&N::Config> {
        self.configs.get(id.index())
    }

    /// The node's clocks, to map between its time and the run's.
    pub fn clock(&self, id: NodeId) -> Option<&Clock> {
        self.machines.get(id.index()).map(|machine| &machine.clock)
    }

    /// Whether a node is lost for good.
    pub fn is_retired(&self, id: NodeId) -> bool {
        self.machines.get(id.index()).is_some_and(|machine| machine.retired)
    }

    /// Whether all faults have ended.
    pub fn is_healed(&self) -> bool {
        self.healed
    }

    /// How the run ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// What clients saw so far.
    pub fn history(&self) -> &History<N::Op, N::Ret> {
        &self.history
    }

    /// The recorded events; none unless [`World::record`] was called.
    pub fn events(&self) -> &[TraceEvent] {
        self.trace.events.as_deref().unwrap_or_default()
    }

    /// The fates drawn so far, as placed faults; none unless [`World::record`] was called.
    pub fn drawn(&self) -> &[Drawn] {
        self.drawn.as_deref().unwrap_or_default()
    }

    /// What was worth counting, with how often it happened.
    pub fn marks(&self) -> &[(&'static str, u32)] {
        &self.marks
    }

    /// The kinds of faults that changed what happened.
    pub fn effective(&self) -> Faults {
        self.plan.effects()
    }

    /// The placed faults that found nothing to strike.
    pub fn missed(&self) -> Vec<Fault> {
        self.plan.missed().cloned().collect()
    }

    /// What nodes made use of.
    pub fn uses(&self) -> Uses {
        self.uses
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Messages that reached a machine.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The node in whose handler the run is, after a panic in it.
    pub fn running(&self) -> Option<NodeId> {
        self.running
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        Digest::value(&self.trace.digest)
    }

    /// The kinds of clock faults that changed what happened: a node read the clock that they made
    /// wrong. They are among the effective ones.
    pub fn clock_effects(&self) -> Faults {
        self.plan.effects().only(WALL.and(MONOTONIC))
    }
}
