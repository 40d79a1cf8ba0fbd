//! The network between processes: what each directed link does to what passes, and what has come
//! of it.

use crate::clock::RunClock;
use node::{Dice, NodeId, mix};
use shell::Clock as _;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use world::{Direction, FaultKind, Faults, Network};

/// What happens to one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fate {
    /// The way takes so long.
    pub(crate) takes: Duration,
    /// The fault that makes it slow.
    pub(crate) slow: Option<usize>,
    /// Fate has made it late.
    pub(crate) delayed: bool,
    /// The connection breaks, and the frame is lost with all behind it.
    pub(crate) lost: bool,
    /// It comes twice.
    pub(crate) twice: bool,
    /// One of its bits flips.
    pub(crate) corrupt: bool,
}

/// A cut, as long as it lasts.
struct Cut {
    fault: usize,
    nodes: Vec<NodeId>,
    direction: Direction,
}

impl Cut {
    fn silences(&self, from: NodeId, to: NodeId) -> bool {
        let (out, into) = (self.nodes.contains(&from), self.nodes.contains(&to));
        match self.direction {
            Direction::Both => out != into,
            Direction::Into => into && !out,
            Direction::OutOf => out && !into,
        }
    }
}

struct Slow {
    fault: usize,
    from: NodeId,
    to: NodeId,
    by: Duration,
}

struct State {
    network: Network,
    dice: Dice,
    cuts: Vec<Cut>,
    slow: Vec<Slow>,
    /// Nodes that are stopped, and by which fault.
    stopped: BTreeMap<NodeId, usize>,
    /// Where each node that runs is called.
    addresses: BTreeMap<NodeId, SocketAddr>,
    /// When a request of a client's machine was last copied on its way.
    copied: BTreeMap<NodeId, u64>,
    /// Faults of the plan that have changed something.
    effective: BTreeSet<usize>,
    /// Kinds of random fates that have.
    fates: Faults,
    /// Frames under way.
    under_way: usize,
    /// Frames that have arrived.
    arrived: u64,
}

/// All links of a cluster; copies are the same.
#[derive(Clone)]
pub(crate) struct Links {
    state: Rc<RefCell<State>>,
    pub(crate) clock: RunClock,
    servers: u16,
}

impl Links {
    pub(crate) fn new(network: &Network, seed: u64, servers: u16, clock: RunClock) -> Self {
        let state = State {
            network: network.clone(),
            dice: Dice::new(mix(seed, LINK_DICE)),
            cuts: Vec::new(),
            slow: Vec::new(),
            stopped: BTreeMap::new(),
            addresses: BTreeMap::new(),
            copied: BTreeMap::new(),
            effective: BTreeSet::new(),
            fates: Faults::NONE,
            under_way: 0,
            arrived: 0,
        };
        Self { state: Rc::new(RefCell::new(state)), clock, servers }
    }

    /// A node can be called there, or not at all.
    pub(crate) fn place(&self, node: NodeId, address: Option<SocketAddr>) {
        let addresses = &mut self.state.borrow_mut().addresses;
        match address {
            Some(address) => addresses.insert(node, address),
            None => addresses.remove(&node),
        };
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.state.borrow().addresses.get(&node).copied()
    }

    pub(crate) fn cut(&self, fault: usize, nodes: Vec<NodeId>, direction: Direction) {
        self.state.borrow_mut().cuts.push(Cut { fault, nodes, direction });
    }

    pub(crate) fn slow(&self, fault: usize, from: NodeId, to: NodeId, by: Duration) {
        self.state.borrow_mut().slow.push(Slow { fault, from, to, by });
    }

    /// A fault that lasts is over.
    pub(crate) fn lift(&self, fault: usize) {
        let state = &mut *self.state.borrow_mut();
        state.cuts.retain(|cut| cut.fault != fault);
        state.slow.retain(|slow| slow.fault != fault);
    }

    /// A node is stopped by a fault, or by none any more.
    pub(crate) fn stopped(&self, node: NodeId, by: Option<usize>) {
        let stopped = &mut self.state.borrow_mut().stopped;
        match by {
            Some(fault) => stopped.insert(node, fault),
            None => stopped.remove(&node),
        };
    }

    /// Every link works, and fate strikes none any more.
    pub(crate) fn heal(&self) {
        let state = &mut *self.state.borrow_mut();
        state.network = state.network.calm();
        state.cuts.clear();
        state.slow.clear();
    }

    /// The fault of that index has changed something.
    pub(crate) fn effective(&self, fault: usize) {
        self.state.borrow_mut().effective.insert(fault);
    }

    /// Faults of the plan, and kinds of random fates, that have changed something.
    pub(crate) fn effects(&self) -> (BTreeSet<usize>, Faults) {
        let state = self.state.borrow();
        (state.effective.clone(), state.fates)
    }

    /// How many frames have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.state.borrow().arrived
    }

    /// Whether a frame is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.borrow().under_way > 0
    }

    /// Whether a request of this client's machine was copied since.
    pub(crate) fn was_copied(&self, client: NodeId, since: u64) -> bool {
        self.state.borrow().copied.get(&client).is_some_and(|at| *at >= since)
    }

    /// A frame leaves; what becomes of it on the way. Those that carry nothing, and those that
    /// bring a connection about, only take their time.
    pub(crate) fn leave(&self, from: NodeId, to: NodeId, bare: bool) -> Fate {
        let state = &mut *self.state.borrow_mut();
        state.under_way += 1;
        let network = &state.network;
        let span = network.slowest.saturating_sub(network.fastest);
        let mut takes = network.fastest + below(&mut state.dice, span);
        let slow = state.slow.iter().find(|slow| (slow.from, slow.to) == (from, to));
        takes += slow.map_or(Duration::ZERO, |slow| slow.by);
        let mut fate = Fate { takes, slow: slow.map(|slow| slow.fault), ..Fate::default() };
        if !bare {
            fate.lost = state.dice.per_mille(network.loss);
            fate.twice = state.dice.per_mille(network.duplicate);
            fate.corrupt = state.dice.per_mille(network.corrupt);
            fate.delayed = state.dice.per_mille(network.delay);
            if fate.delayed {
                fate.takes += below(&mut state.dice, network.tail);
            }
        }
        fate
    }

    /// A frame comes to the end of its way; whether it may pass.
    pub(crate) fn arrive(&self, from: NodeId, to: NodeId, bare: bool, fate: Fate) -> bool {
        let state = &mut *self.state.borrow_mut();
        state.under_way -= 1;
        if let Some(cut) = state.cuts.iter().find(|cut| cut.silences(from, to)) {
            state.effective.insert(cut.fault);
            return false;
        }
        if bare {
            return true;
        }
        state.arrived += 1;
        state.effective.extend(state.stopped.get(&to));
        state.effective.extend(fate.slow);
        for (struck, kind) in [
            (fate.delayed, FaultKind::Delay),
            (fate.lost, FaultKind::Loss),
            (fate.corrupt, FaultKind::Corrupt),
            (fate.twice, FaultKind::Duplicate),
        ] {
            if struck {
                state.fates.add(kind);
            }
        }
        if fate.twice && from.0 >= self.servers {
            let now = crate::journal::nanos(self.clock.now());
            state.copied.insert(from, now);
        }
        true
    }

    /// Frames that will never arrive: their connection is gone.
    pub(crate) fn gone(&self, frames: usize) {
        self.state.borrow_mut().under_way -= frames;
    }
}

const LINK_DICE: u64 = 0x6c69_6e6b_6469_6365;

fn below(dice: &mut Dice, most: Duration) -> Duration {
    Duration::from_micros(dice.below(most.as_micros() as u64 + 1))
}
