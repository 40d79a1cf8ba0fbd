//! The fault plan while it runs: what is armed where, what has struck, and what had an effect.

use crate::engine::nanos;
use crate::fault::{Address, Edge, EffectPattern, Fault, FaultKind, Faults, Origin, Place};
use crate::network::Fate;
use crate::origin::{OriginId, Origins};
use node::{Effect, Node, NodeId};

/// A fault that waits for an effect.
struct Armed {
    fault: usize,
    edge: Edge,
    node: NodeId,
    pattern: EffectPattern,
    origin: Option<Origin>,
    nth: u32,
    seen: u32,
}

/// The faults of a case: where each one waits, and what it has done.
pub struct Plan {
    faults: Vec<Fault>,
    origins: Vec<OriginId>,
    struck: Vec<bool>,
    effective: Faults,
    armed: Vec<Armed>,
    armed_nodes: u64,
    fates: Vec<(Address, usize)>,
    calls: Vec<(u32, usize)>,
    reordered: Vec<Reordered>,
}

/// A message under way that shall be overtaken.
struct Reordered {
    from: NodeId,
    to: NodeId,
    sent: u32,
    overtaken: bool,
}

impl Plan {
    /// A plan before anything has happened. Every fault is an origin of its own.
    pub fn new(faults: &[Fault], origins: &mut Origins) -> Self {
        let mut plan = Self {
            faults: faults.to_vec(),
            origins: faults.iter().map(|fault| origins.add(Origin::Fault(fault.id))).collect(),
            struck: vec![false; faults.len()],
            effective: Faults::NONE,
            armed: Vec::new(),
            armed_nodes: 0,
            fates: Vec::new(),
            calls: Vec::new(),
            reordered: Vec::new(),
        };
        for (index, fault) in faults.iter().enumerate() {
            match &fault.place {
                Place::At(_) => {}
                Place::Effect { edge, node, effect, origin, nth } => {
                    // Clients' machines have no effects to wait for.
                    plan.armed_nodes |= 1u64.checked_shl(node.0.into()).unwrap_or(0);
                    plan.armed.push(Armed {
                        fault: index,
                        edge: *edge,
                        node: *node,
                        pattern: effect.clone(),
                        origin: *origin,
                        nth: *nth,
                        seen: 0,
                    });
                }
                Place::Message(address) => plan.fates.push((*address, index)),
                Place::Call(call) => plan.calls.push((*call, index)),
            }
        }
        plan.fates.sort_unstable();
        plan
    }

    /// Whether nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many faults there are.
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// A fault, by its index.
    pub fn fault(&self, index: usize) -> &Fault {
        &self.faults[index]
    }

    /// The origin of what follows from a fault.
    pub fn origin(&self, index: usize) -> OriginId {
        self.origins[index]
    }

    /// When a fault strikes, if that is at a time.
    pub fn time(&self, index: usize) -> Option<u64> {
        match self.faults[index].place {
            Place::At(at) => Some(nanos(at)),
            _ => None,
        }
    }

    /// Whether a fault waits for an effect of this node.
    #[inline]
    pub fn is_armed(&self, node: NodeId) -> bool {
        self.armed_nodes & (1 << node.0) != 0
    }

    /// Whether a fault waits for a message.
    #[inline]
    pub fn has_fates(&self) -> bool {
        !self.fates.is_empty()
    }

    /// The faults whose effect this is, with the side on which each strikes.
    pub fn due<N: Node>(
        &mut self,
        node: NodeId,
        effect: &Effect<N>,
        origin: Origin,
    ) -> Vec<(Edge, usize)> {
        let mut due = Vec::new();
        for armed in self.armed.iter_mut().filter(|armed| armed.node == node) {
            if armed.origin.is_none_or(|o| o == origin) && armed.pattern.fits(effect) {
                armed.seen += 1;
                if armed.seen == armed.nth {
                    due.push((armed.edge, armed.fault));
                }
            }
        }
        due
    }

    /// Adds the placed fates of a message.
    pub fn place_fates(&mut self, address: Address, fate: &mut Fate) {
        let first = self.fates.partition_point(|(at, _)| *at < address);
        for (at, index) in &self.fates[first..] {
            if *at != address {
                break;
            }
            fate.place(&self.faults[*index].kind);
            self.struck[*index] = true;
        }
    }

    /// The faults placed on a call.
    pub fn of_call(&self, call: u32) -> impl Iterator<Item = usize> {
        self.calls.iter().filter(move |(id, _)| *id == call).map(|(_, index)| *index)
    }

    /// A fault has found its place.
    pub fn strike(&mut self, index: usize) {
        self.struck[index] = true;
    }

    /// A fault has changed what happened.
    pub fn effective(&mut self, index: usize) {
        self.effective.add(self.faults[index].kind.kind());
    }

    /// Faults of these kinds have changed what happened.
    #[inline]
    pub fn count(&mut self, kinds: Faults) {
        self.effective = self.effective.and(kinds);
    }

    /// A message leaves that shall be overtaken.
    pub fn reordered(&mut self, from: NodeId, to: NodeId, sent: u32) {
        self.reordered.push(Reordered { from, to, sent, overtaken: false });
    }

    /// A message arrives: it has overtaken those that left before it, and if it was overtaken
    /// itself, that was the effect of its fate.
    #[inline]
    pub fn arrived(&mut self, from: NodeId, to: NodeId, sent: u32) {
        if self.reordered.is_empty() {
            return;
        }
        for slow in self.reordered.iter_mut().filter(|slow| slow.from == from && slow.to == to) {
            slow.overtaken |= slow.sent < sent;
            if slow.sent == sent && slow.overtaken {
                self.effective.add(FaultKind::Reorder);
            }
        }
        self.reordered.retain(|slow| slow.sent != sent);
    }

    /// The kinds that changed what happened.
    pub fn effects(&self) -> Faults {
        self.effective
    }

    /// The faults that found no place to strike.
    pub fn missed(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().zip(&self.struck).filter(|(_, struck)| !**struck).map(|(fault, _)| fault)
    }
}

impl EffectPattern {
    /// Whether an effect is one of these.
    pub fn fits<N: Node>(&self, effect: &Effect<N>) -> bool {
        self.kind.is_none_or(|kind| kind == effect.kind())
            && self.variant.as_ref().is_none_or(|variant| *variant == effect.variant())
    }
}
