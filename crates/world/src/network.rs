//! The links: how long a message takes, what fate strikes it, and which links carry nothing.

use crate::case::{Network as Config, Profile};
use crate::engine::nanos;
use crate::fault::{Address, Direction, Kind};
use node::{Dice, NodeId, mix};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fate {
    /// How long it takes.
    pub delay: u64,
    /// Why it takes longer.
    pub late: Option<Late>,
    /// It does not arrive.
    pub lost: bool,
    /// One of its bits flips.
    pub corrupt: bool,
    /// A copy that takes so long.
    pub copy: Option<u64>,
}

/// Why a message takes longer than drawn, and by how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Late {
    /// By much.
    Delay(u64),
    /// By enough for others to overtake it.
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
    /// The fault that broke the connection before this one.
    broken_by: Option<usize>,
}

impl Stream {
    fn break_off(&mut self, by: Option<usize>) {
        *self = Self { epoch: self.epoch + 1, last: 0, broken_by: by };
    }
}

/// Every link of a cluster.
pub struct Network {
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

impl Network {
    /// Links between so many machines, before anything has happened.
    pub fn new(config: &Config, seed: u64, machines: usize) -> Self {
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

    /// Other fates from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.key = mix(seed, STREAM_FATES);
    }

    /// No random fate any more, and every link works.
    pub fn heal(&mut self) {
        self.random = false;
        self.cuts.clear();
        self.slow.clear();
    }

    /// The fate of a message, from its address alone.
    #[inline]
    pub fn fate(&self, from: NodeId, to: NodeId, origin: u64, nth: u32) -> Fate {
        let link = u64::from(from.0) << 48 | u64::from(to.0) << 32 | u64::from(nth);
        let roll = mix(self.key ^ origin.rotate_left(24), link);
        let mut fate = Fate { delay: self.way(roll), ..Fate::default() };
        if self.random {
            self.strike(roll, &mut fate);
        }
        fate
    }

    #[inline]
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
            // A copy that is lost in its turn is none.
            fate.copy = (dice.bits() & 0xffff >= self.loss).then_some(takes);
        }
        fate.corrupt = dice.bits() & 0xffff < self.corrupt;
    }

    /// Whether links are connections.
    #[inline]
    pub fn is_stream(&self) -> bool {
        !self.streams.is_empty()
    }

    #[inline]
    fn stream(&mut self, from: NodeId, to: NodeId) -> Option<&mut Stream> {
        self.streams.get_mut(from.index() * self.machines + to.index()).filter(|_| from != to)
    }

    /// When a message on a stream arrives, and on which connection: behind all before it.
    pub fn enqueue(&mut self, from: NodeId, to: NodeId, at: u64) -> (u64, u32) {
        let Some(stream) = self.stream(from, to) else { return (at, 0) };
        stream.last = stream.last.max(at);
        (stream.last, stream.epoch)
    }

    /// Whether a message's connection was broken, and by which fault. Never true of datagrams.
    #[inline]
    pub fn broken(&mut self, from: NodeId, to: NodeId, epoch: u32) -> Option<Option<usize>> {
        let stream = self.stream(from, to).filter(|stream| stream.epoch != epoch)?;
        Some(stream.broken_by)
    }

    /// A message is lost: its connection breaks, with all that is behind it, and what is sent from
    /// now on goes on a new one.
    pub fn break_off(&mut self, from: NodeId, to: NodeId, epoch: u32) {
        if let Some(stream) = self.stream(from, to).filter(|stream| stream.epoch == epoch) {
            stream.break_off(None);
        }
    }

    /// Both ways of every connection of a node break: its process has ended.
    pub fn disconnect(&mut self, node: NodeId, by: Option<usize>) {
        for other in (0..self.machines as u16).map(NodeId) {
            for (from, to) in [(node, other), (other, node)] {
                if let Some(stream) = self.stream(from, to) {
                    stream.break_off(by);
                }
            }
        }
    }

    /// Silences links, and breaks their connections.
    pub fn cut(&mut self, fault: usize, nodes: Vec<NodeId>, direction: Direction) {
        let cut = Cut { fault, nodes, direction };
        for (link, stream) in self.streams.iter_mut().enumerate() {
            let (from, to) = (link / self.machines, link % self.machines);
            if cut.silences(NodeId(from as u16), NodeId(to as u16)) {
                stream.break_off(Some(fault));
            }
        }
        self.cuts.push(cut);
    }

    /// Makes a link slower.
    pub fn slow(&mut self, fault: usize, from: NodeId, to: NodeId, by: Duration) {
        self.slow.push(Slow { fault, from, to, by: nanos(by) });
    }

    /// The end of a cut or of a slow link.
    pub fn lift(&mut self, fault: usize) {
        self.cuts.retain(|cut| cut.fault != fault);
        self.slow.retain(|slow| slow.fault != fault);
    }

    /// The cut that silences a link, if one does.
    #[inline]
    pub fn cut_by(&self, from: NodeId, to: NodeId) -> Option<usize> {
        self.cuts.iter().find(|cut| cut.silences(from, to)).map(|cut| cut.fault)
    }

    /// How much longer every message of a link takes.
    #[inline]
    pub fn slowness(&self, from: NodeId, to: NodeId) -> u64 {
        let slow = self.slow.iter().filter(|s| s.from == from && s.to == to);
        slow.fold(0, |sum, slow| sum.saturating_add(slow.by))
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drawn {
    /// The message.
    pub address: Address,
    /// What struck it.
    pub kind: Kind,
}

impl Fate {
    /// The placed faults that do the same.
    pub fn as_placed(&self) -> impl Iterator<Item = Kind> {
        let late = self.late.map(|late| match late {
            Late::Delay(by) => Kind::Delay { by: Duration::from_nanos(by) },
            Late::Reorder(by) => Kind::Reorder { by: Duration::from_nanos(by) },
        });
        let copy = self.copy.map(|takes| Kind::Duplicate { takes: Duration::from_nanos(takes) });
        let lost = self.lost.then_some(Kind::Loss);
        let corrupt = self.corrupt.then_some(Kind::Corrupt);
        [lost, corrupt, late, copy].into_iter().flatten()
    }

    /// Adds what a placed fault does.
    pub fn place(&mut self, kind: &Kind) {
        match kind {
            Kind::Loss => self.lost = true,
            Kind::Corrupt => self.corrupt = true,
            Kind::Delay { by } => self.late = Some(Late::Delay(nanos(*by))),
            Kind::Reorder { by } => self.late = Some(Late::Reorder(nanos(*by))),
            Kind::Duplicate { takes } => self.copy = Some(nanos(*takes)),
            _ => {}
        }
    }
}
