//! A frame's way: its fate is drawn when it is sent; cuts, loss and the life that receives it are
//! decided when it arrives.

use super::port::{Arrived, Heard};
use super::stage::{About, Envelope, Event, Stage};
use bytes::Bytes;
use checkers::Verdict;
use node::{Dice, Node, NodeId, mix};
use world::parts::{Fate, Late, OriginId};
use world::{Address, Drawn, FaultKind, Faults, Happening};

impl<N: Node> Stage<N> {
    /// Sends a frame on its way, as its address decides.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, frame: Bytes) {
        let (origin, about, mut counts) = match self.machines.get_mut(from.index()) {
            Some(machine) => {
                let (origin, about) =
                    machine.sending.take().unwrap_or((machine.origin, About::Peer));
                (origin, about, Faults::NONE)
            }
            None => {
                let Some((call, counts)) = self.attempt(from) else { return };
                (self.call_origin(call), About::Request(call), counts)
            }
        };
        let nth = self.origins.next(origin, from, to);
        self.sent += 1;
        let mut fate = self.links.fate(from, to, self.origins.code(origin), nth);
        if self.plan.has_fates() || self.drawn.is_some() {
            self.settle_fate(from, to, origin, nth, &mut fate);
        }
        let (mut at, mut epoch) = (self.now + fate.delay, 0);
        at += self.lateness(from, to, &fate, &mut counts);
        if self.links.is_stream() {
            (at, epoch) = self.links.enqueue(from, to, at);
            fate.copy = None;
        }
        let Fate { lost, corrupt, copy, .. } = fate;
        if let About::Request(call) = about {
            self.calls.calls[call as usize].attempts.copies(1 + u32::from(copy.is_some()));
        }
        let sent = self.sent;
        let envelope =
            Envelope { from, to, origin, nth, sent, epoch, counts, lost, corrupt, about, frame };
        if let Some(takes) = copy {
            let counts = Faults::of(&[FaultKind::Duplicate]);
            let copy = Envelope { counts, corrupt: false, lost: false, ..envelope.clone() };
            self.queue.push(self.now + takes, Event::Deliver(copy));
        }
        self.queue.push(at, Event::Deliver(envelope));
    }

    /// Adds what is placed on a frame, and keeps what was drawn for it.
    fn settle_fate(&mut self, from: NodeId, to: NodeId, by: OriginId, nth: u32, fate: &mut Fate) {
        let address = Address { from, to, origin: self.origins.get(by), nth };
        if !self.healed {
            self.plan.place_fates(address, fate);
        }
        if let Some(drawn) = &mut self.drawn {
            drawn.extend(fate.as_placed().map(|kind| Drawn { address, kind }));
        }
    }

    /// How much longer a frame takes than the shortest ways and its own draw.
    fn lateness(&mut self, from: NodeId, to: NodeId, fate: &Fate, counts: &mut Faults) -> u64 {
        let mut late = self.links.slowness(from, to);
        if late > 0 {
            counts.add(FaultKind::SlowLink);
        }
        match fate.late {
            None => {}
            Some(Late::Delay(by)) => {
                late = late.saturating_add(by);
                if by > 0 {
                    counts.add(FaultKind::Delay);
                }
            }
            Some(Late::Reorder(by)) => {
                late = late.saturating_add(by);
                self.plan.reordered(from, to, self.sent);
            }
        }
        late
    }

    /// A frame arrives, or does not.
    pub(super) fn deliver(&mut self, envelope: Envelope) {
        if let Some(why) = self.lost_on_the_way(&envelope) {
            return self.drop_frame(&envelope, why);
        }
        self.deliveries += 1;
        let Envelope { from, to, origin, nth, sent, epoch, counts, about, .. } = envelope;
        self.plan.arrived(from, to, sent);
        let corrupt = envelope.corrupt && !self.healed;
        let frame = if corrupt { self.flipped(&envelope) } else { envelope.frame };
        if !corrupt {
            let counts = match about {
                About::Answer(call, reply) if !self.arrive(call, reply) => {
                    counts.without(Faults::of(&[FaultKind::Duplicate]))
                }
                _ => counts,
            };
            self.plan.count(counts);
        }
        let heard = Heard { origin, nth, epoch, corrupt, about };
        self.ports[to.index()].inbox.push_back(Arrived { from, frame, heard });
        self.wake(to);
    }

    /// Why a frame does not arrive, if it does not. A fault counts only where no other reason
    /// before it would have kept the frame away.
    fn lost_on_the_way(&mut self, envelope: &Envelope) -> Option<&'static str> {
        let (from, to) = (envelope.from, envelope.to);
        if let Some(machine) = self.machines.get(to.index())
            && !machine.up
        {
            if let Some(fault) = machine.downed_by {
                self.plan.effective(fault);
            }
            return Some("node down");
        }
        if let Some(fault) = self.links.cut_by(from, to) {
            self.plan.effective(fault);
            return Some("cut");
        }
        if let Some(by) = self.links.broken(from, to, envelope.epoch) {
            if let Some(fault) = by {
                self.plan.effective(fault);
            }
            return Some("connection broken");
        }
        if envelope.lost && !self.healed {
            self.count(FaultKind::Loss);
            return Some("lost");
        }
        None
    }

    /// The bytes of a frame with one bit flipped.
    fn flipped(&self, envelope: &Envelope) -> Bytes {
        let key = mix(self.seed, u64::from(envelope.nth) << 32 | u64::from(envelope.from.0));
        let mut bytes = envelope.frame.to_vec();
        let bit = Dice::new(key).below(bytes.len() as u64 * 8);
        if let Some(byte) = bytes.get_mut(bit as usize / 8) {
            *byte ^= 1 << (bit % 8);
        }
        bytes.into()
    }

    /// A frame is gone; on a stream, so is all behind it on the same connection.
    fn drop_frame(&mut self, envelope: &Envelope, why: &'static str) {
        let Envelope { from, to, origin, nth, epoch, .. } = *envelope;
        self.links.break_off(from, to, epoch);
        self.note(Happening::Drop, to, origin, &(from, why), |event| {
            event.peer = Some(from);
            event.nth = nth;
            event.text = format!("{why}: {}", envelope.about.describe());
        });
    }

    /// A machine believes that the frame that it heard last means nothing.
    pub(super) fn distrusted(&mut self, me: NodeId, from: NodeId) {
        let heard = self.heard[me.index()].filter(|heard| heard.corrupt);
        let Some(Heard { origin, nth, epoch, about, .. }) = heard else {
            let message = format!("{me} refuses a frame from {from} that nobody has damaged");
            return self.found(Verdict::violated("frames", "whole frame refused", message));
        };
        self.count(FaultKind::Corrupt);
        self.links.break_off(from, me, epoch);
        self.note(Happening::Drop, me, origin, &(from, "corrupt"), |event| {
            event.peer = Some(from);
            event.nth = nth;
            event.text = format!("corrupt: {}", about.describe());
        });
    }
}

impl About {
    fn describe(self) -> &'static str {
        match self {
            Self::Peer => "a message",
            Self::Request(_) => "a request",
            Self::Answer(..) => "an answer",
        }
    }
}
