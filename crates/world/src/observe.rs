//! What judges may look at: the scene, on whichever engine; and what only this engine can show.

use crate::Clock;
use crate::engine::{End, Uses, World};
use crate::fault::{Fault, Faults};
use crate::machine::{MONOTONIC, WALL};
use crate::network::Drawn;
use crate::trace::{Digest, TraceEvent};
use history::History;
use node::{Node, NodeId};

/// A cluster as invariants and checks see it, while it runs and when it has ended. The heap
/// engine's [`World`] is one; other engines show what they have in the same shape, so that one
/// scenario judges them all.
pub trait Scene<N: Node> {
    /// Nanoseconds since the start of the run, by the engine's own clock.
    fn now(&self) -> u64;

    /// How many nodes there are, clients apart.
    fn nodes(&self) -> usize;

    /// Every node's id.
    fn ids(&self) -> NodeIds {
        NodeIds(0..self.nodes() as u16)
    }

    /// The running node, if it runs. A paused one runs.
    fn state(&self, id: NodeId) -> Option<&N>;

    /// The records that no power loss can take.
    fn durable(&self, id: NodeId) -> &[N::Record];

    /// How many snapshots have replaced the node's log. While the number stays, its durable log
    /// only grows, and what has been looked at need not be looked at again.
    fn rewrites(&self, id: NodeId) -> u32;

    /// The node whose durable log the last step has changed by a sync or a start, if any. What a
    /// crash or a failed sync makes durable is named when the node starts again.
    fn changed(&self) -> Option<NodeId>;

    /// The node's configuration.
    fn config(&self, id: NodeId) -> Option<&N::Config>;

    /// The node's clocks, to map between its time and the run's.
    fn clock(&self, id: NodeId) -> Option<&Clock>;

    /// Whether a node is lost for good.
    fn is_retired(&self, id: NodeId) -> bool;

    /// Whether all faults have ended.
    fn is_healed(&self) -> bool;

    /// What clients saw so far.
    fn history(&self) -> &History<N::Op, N::Ret>;
}

/// The ids of a cluster's nodes, in order.
#[derive(Clone, Debug)]
pub struct NodeIds(std::ops::Range<u16>);

impl Iterator for NodeIds {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        self.0.next().map(NodeId)
    }
}

impl<N: Node> Scene<N> for World<N> {
    fn now(&self) -> u64 {
        self.now
    }

    fn nodes(&self) -> usize {
        self.machines.len()
    }

    fn state(&self, id: NodeId) -> Option<&N> {
        self.machines.get(id.index())?.node.as_ref()
    }

    fn durable(&self, id: NodeId) -> &[N::Record] {
        self.machines.get(id.index()).map_or(&[], |machine| machine.disk.durable())
    }

    fn rewrites(&self, id: NodeId) -> u32 {
        self.machines.get(id.index()).map_or(0, |machine| machine.disk.rewrites)
    }

    fn changed(&self) -> Option<NodeId> {
        self.changed
    }

    fn config(&self, id: NodeId) -> Option<&N::Config> {
        self.configs.get(id.index())
    }

    fn clock(&self, id: NodeId) -> Option<&Clock> {
        self.machines.get(id.index()).map(|machine| &machine.clock)
    }

    fn is_retired(&self, id: NodeId) -> bool {
        self.machines.get(id.index()).is_some_and(|machine| machine.retired)
    }

    fn is_healed(&self) -> bool {
        self.healed
    }

    fn history(&self) -> &History<N::Op, N::Ret> {
        &self.history
    }
}

impl<N: Node> World<N> {
    /// How the run ended.
    pub fn end(&self) -> End {
        self.end
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
