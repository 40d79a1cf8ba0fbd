//! The links: how long a message takes, what fate strikes it, and which links carry nothing.

use crate::case::{Network as Config, Profile};
use crate::fault::{Address, Direction, Kind};
use node::{Dice, NodeId, mix};
use std::time::Duration;

/// What happens to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fate {
    /// How long it takes.
    pub(crate) delay: u64,
    pub(crate) late: Option<Late>,
    pub(crate) lost: bool,
    pub(crate) corrupt: bool,
    /// A copy that takes so long, and is lost in its turn if the flag says so.
    pub(crate) copy: Option<(u64, bool)>,
}

/// Why a message takes longer than drawn, and by how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Late {
    Delay(u64),
    Reorder(u64),
}

struct Cut {
    fault: usize,
    nodes: Vec<NodeId>,
    direction: Direction,
}

struct Slow {
    fault: usize,
    from: NodeId,
    to: NodeId,
    by: u64,
}

#[derive(Clone, Copy, Default)]
struct Stream {
    /// The connection's number: what was sent on an earlier one is gone.
    epoch: u32,
    /// Nothing overtakes what arrives then.
    last: u64,
}

pub(crate) struct Network {
    fastest: u64,
    span: u64,
    tail: u64,
    /// Bounds out of 65,536.
    loss: u64,
    duplicate: u64,
    delay: u64,
    reorder: u64,
    corrupt: u64,
    random: bool,
    key: u64,
    machines: usize,
    streams: Vec<Stream>,
    cuts: Vec<Cut>,
    slow: Vec<Slow>,
}

const STREAM_FATES: u64 = 0x6e65_7477_6f72_6b21;

fn bound(per_mille: u16) -> u64 {
    u64::from(per_mille.min(1000)) * 65_536 / 1000
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl Network {
    pub(crate) fn new(config: &Config, seed: u64, machines: usize) -> Self {
        let fastest = nanos(config.fastest);
        let stream = config.profile == Profile::Stream;
        Self {
            fastest,
            span: nanos(config.slowest).saturating_sub(fastest) + 1,
            tail: nanos(config.tail),
            loss: bound(config.loss),
            duplicate: if stream { 0 } else { bound(config.duplicate) },
            delay: bound(config.delay),
            reorder: bound(config.reorder),
            corrupt: bound(config.corrupt),
            random: !config.fates().is_empty(),
            key: mix(seed, STREAM_FATES),
            machines,
            streams: if stream { vec![Stream::default(); machines * machines] } else { Vec::new() },
            cuts: Vec::new(),
            slow: Vec::new(),
        }
    }

    pub(crate) fn reseed(&mut self, seed: u64) {
        self.key = mix(seed, STREAM_FATES);
    }

    /// No random fate any more, and every link works.
    pub(crate) fn heal(&mut self) {
        self.random = false;
        self.cuts.clear();
        self.slow.clear();
    }

    /// The fate of a message, from its address alone.
    #[inline]
    pub(crate) fn fate(&self, from: NodeId, to: NodeId, origin: u64, nth: u32) -> Fate {
        let link = u64::from(from.0) << 48 | u64::from(to.0) << 32 | u64::from(nth);
        let roll = mix(self.key ^ origin.rotate_left(24), link);
        let mut fate = Fate { delay: self.way(roll), ..Fate::default() };
        if self.random {
            self.strike(roll, &mut fate);
        }
        fate
    }

    fn way(&self, roll: u64) -> u64 {
        self.fastest + ((u128::from(roll) * u128::from(self.span)) >> 64) as u64
    }

    fn strike(&self, roll: u64, fate: &mut Fate) {
        let mut dice = Dice::new(roll);
        let chances = dice.bits();
        let hit = |shift: u32, bound: u64| (chances >> shift & 0xffff) < bound;
        fate.lost = hit(0, self.loss);
        fate.late = if hit(16, self.delay) {
            Some(Late::Delay(dice.below(self.tail)))
        } else if hit(32, self.reorder) {
            Some(Late::Reorder(dice.below(self.tail / 10)))
        } else {
            None
        };
        if hit(48, self.duplicate) {
            let spread = if dice.below(2) == 0 { self.tail } else { self.span * 2 };
            let takes = self.fastest + dice.below(spread);
            fate.copy = Some((takes, dice.bits() & 0xffff < self.loss));
        }
        fate.corrupt = dice.bits() & 0xffff < self.corrupt;
    }

    pub(crate) fn is_stream(&self) -> bool {
        !self.streams.is_empty()
    }

    /// When a message on a stream arrives, and on which connection: behind all before it. A loss
    /// breaks the connection, and what follows goes on a new one.
    pub(crate) fn enqueue(&mut self, from: NodeId, to: NodeId, at: u64, lost: bool) -> (u64, u32) {
        let stream = &mut self.streams[from.index() * self.machines + to.index()];
        stream.last = stream.last.max(at);
        let ticket = (stream.last, stream.epoch);
        if lost {
            stream.epoch += 1;
        }
        ticket
    }

    /// Whether a connection still stands. Always true of datagrams.
    pub(crate) fn connected(&self, from: NodeId, to: NodeId, epoch: u32) -> bool {
        self.streams.get(from.index() * self.machines + to.index()).is_none_or(|s| s.epoch == epoch)
    }

    /// Both ways of every connection of a node break: its process has ended.
    pub(crate) fn disconnect(&mut self, node: NodeId) {
        if self.streams.is_empty() {
            return;
        }
        for other in 0..self.machines {
            self.streams[node.index() * self.machines + other].epoch += 1;
            self.streams[other * self.machines + node.index()].epoch += 1;
        }
    }

    pub(crate) fn cut(&mut self, fault: usize, nodes: Vec<NodeId>, direction: Direction) {
        self.cuts.push(Cut { fault, nodes, direction });
        for from in 0..self.machines {
            for to in 0..self.machines {
                let (f, t) = (NodeId(from as u16), NodeId(to as u16));
                if self.is_stream() && self.cuts.last().is_some_and(|cut| cut.silences(f, t)) {
                    self.streams[from * self.machines + to].epoch += 1;
                }
            }
        }
    }

    pub(crate) fn slow(&mut self, fault: usize, from: NodeId, to: NodeId, by: Duration) {
        self.slow.push(Slow { fault, from, to, by: nanos(by) });
    }

    /// The end of a cut or of a slow link.
    pub(crate) fn lift(&mut self, fault: usize) {
        self.cuts.retain(|cut| cut.fault != fault);
        self.slow.retain(|slow| slow.fault != fault);
    }

    /// The cut that silences a link, if one does.
    #[inline]
    pub(crate) fn cut_by(&self, from: NodeId, to: NodeId) -> Option<usize> {
        self.cuts.iter().find(|cut| cut.silences(from, to)).map(|cut| cut.fault)
    }

    /// The slowness of a link, and the fault that makes it slow.
    #[inline]
    pub(crate) fn slowness(&self, from: NodeId, to: NodeId) -> Option<(u64, usize)> {
        self.slow.iter().find(|s| s.from == from && s.to == to).map(|s| (s.by, s.fault))
    }
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

/// A fate that was drawn, as the placed fault that does the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The message.
    pub address: Address,
    /// What struck it.
    pub kind: Kind,
}

impl Fate {
    /// The placed faults that do the same.
    pub(crate) fn as_placed(&self) -> impl Iterator<Item = Kind> {
        let late = self.late.map(|late| match late {
            Late::Delay(by) => Kind::Delay { by: Duration::from_nanos(by) },
            Late::Reorder(by) => Kind::Reorder { by: Duration::from_nanos(by) },
        });
        // A copy that is lost does nothing and need not be placed.
        let copy = self.copy.filter(|(_, lost)| !lost);
        let copy = copy.map(|(takes, _)| Kind::Duplicate { takes: Duration::from_nanos(takes) });
        let lost = self.lost.then_some(Kind::Loss);
        let corrupt = self.corrupt.then_some(Kind::Corrupt);
        [lost, corrupt, late, copy].into_iter().flatten()
    }

    /// Adds what a placed fault does.
    pub(crate) fn place(&mut self, kind: &Kind) {
        match kind {
            Kind::Loss => self.lost = true,
            Kind::Corrupt => self.corrupt = true,
            Kind::Delay { by } => self.late = Some(Late::Delay(nanos(*by))),
            Kind::Reorder { by } => self.late = Some(Late::Reorder(nanos(*by))),
            Kind::Duplicate { takes } => self.copy = Some((nanos(*takes), false)),
            _ => {}
        }
    }
}
