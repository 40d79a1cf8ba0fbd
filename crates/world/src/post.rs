//! A message's way: its fate is drawn when it is sent; cuts, loss and the life that receives it are
//! decided when it arrives.

use crate::engine::{Event, World};
use crate::fault::{Address, FaultKind, Faults};
use crate::machine::Input;
use crate::network::{Drawn, Fate, Late};
use crate::origin::OriginId;
use crate::trace::Happening;
use derive_where::derive_where;
use node::{Answer, Dice, Node, NodeId, RequestId, mix};

/// What travels.
#[derive_where(Clone)]
pub(crate) enum Wire<N: Node> {
    Peer(N::Msg),
    /// The index of the call, and what it asks.
    Request(u32, N::Op),
    /// The index of the call, the answer, and its number among all answers to the call.
    Answer(u32, Answer<N::Ret>, u32),
}

/// A message under way.
#[derive_where(Clone)]
pub(crate) struct Envelope<N: Node> {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) origin: OriginId,
    pub(crate) nth: u32,
    /// Its number among all messages, in the order of sending.
    pub(crate) sent: u32,
    pub(crate) epoch: u32,
    /// What will have had an effect when it is handled.
    pub(crate) counts: Faults,
    pub(crate) lost: bool,
    pub(crate) corrupt: bool,
    pub(crate) wire: Wire<N>,
}

impl<N: Node> World<N> {
    /// Sends a message on its way, as its address decides.
    #[inline]
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, origin: OriginId, wire: Wire<N>) {
        self.send_as(from, to, origin, wire, Faults::NONE);
    }

    /// Sends a message; these kinds will have had an effect when it is handled.
    #[inline]
    pub(crate) fn send_as(
        &mut self,
        from: NodeId,
        to: NodeId,
        origin: OriginId,
        wire: Wire<N>,
        mut counts: Faults,
    ) {
        let nth = self.origins.next(origin, from, to);
        self.sent += 1;
        let (mut at, mut epoch, mut fate) = (self.now, 0, Fate::default());
        if from != to {
            fate = self.network.fate(from, to, self.origins.code(origin), nth);
            if self.plan.has_fates() || self.drawn.is_some() {
                self.settle_fate(from, to, origin, nth, &mut fate);
            }
            at += fate.delay + self.lateness(from, to, &fate, &mut counts);
            if self.network.is_stream() {
                (at, epoch) = self.network.enqueue(from, to, at);
                fate.copy = None;
            }
        }
        let Fate { lost, corrupt, copy, .. } = fate;
        if let Wire::Request(call, _) = &wire {
            self.clients.calls[*call as usize].attempts.copies(1 + u32::from(copy.is_some()));
        }
        let sent = self.sent;
        let envelope = Envelope { from, to, origin, nth, sent, epoch, counts, lost, corrupt, wire };
        if let Some(takes) = copy {
            let counts = Faults::of(&[FaultKind::Duplicate]);
            let copy = Envelope { counts, corrupt: false, lost: false, ..envelope.clone() };
            self.queue.push(self.now + takes, Event::Deliver(copy));
        }
        self.queue.push(at, Event::Deliver(envelope));
    }

    /// Adds what is placed on a message, and keeps what was drawn for it.
    fn settle_fate(&mut self, from: NodeId, to: NodeId, by: OriginId, nth: u32, fate: &mut Fate) {
        let address = Address { from, to, origin: self.origins.get(by), nth };
        if !self.healed {
            self.plan.place_fates(address, fate);
        }
        if let Some(drawn) = &mut self.drawn {
            drawn.extend(fate.as_placed().map(|kind| Drawn { address, kind }));
        }
    }

    /// How much longer a message takes than the shortest ways and its own draw.
    #[inline]
    fn lateness(&mut self, from: NodeId, to: NodeId, fate: &Fate, counts: &mut Faults) -> u64 {
        let mut late = self.network.slowness(from, to);
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

    /// A message arrives, or does not.
    #[inline]
    pub(crate) fn deliver(&mut self, mut envelope: Envelope<N>) {
        if let Some(why) = self.lost_on_the_way(&mut envelope) {
            return self.drop_message(&envelope, why);
        }
        self.deliveries += 1;
        let Envelope { from, to, origin, wire, nth, sent, mut counts, .. } = envelope;
        self.plan.arrived(from, to, sent);
        match wire {
            Wire::Peer(msg) => {
                self.note(Happening::Receive, to, origin, &(from, &msg), |event| {
                    event.peer = Some(from);
                    event.nth = nth;
                    event.text = format!("{msg:?}");
                });
                self.plan.count(counts);
                self.tell(to, Input::Message(from, msg), origin);
            }
            Wire::Request(call, op) => {
                let request = self.clients.request(call);
                self.note(Happening::Request, to, origin, &(from, request, &op), |event| {
                    event.peer = Some(from);
                    event.nth = nth;
                    event.text = format!("{op:?}");
                });
                self.plan.count(counts);
                self.clients.calls[call as usize].asked |= 1 << to.0;
                self.tell(to, Input::Request(request, op), origin);
            }
            Wire::Answer(call, answer, reply) => {
                if !self.answered(from, call, answer, reply) {
                    counts = counts.without(Faults::of(&[FaultKind::Duplicate]));
                }
                self.plan.count(counts);
            }
        }
    }

    /// Why a message is not handled, if it is not. A fault counts only where no other reason
    /// before it would have kept the message away.
    #[inline]
    fn lost_on_the_way(&mut self, envelope: &mut Envelope<N>) -> Option<&'static str> {
        let (from, to) = (envelope.from, envelope.to);
        if let Some(machine) = self.machines.get(to.index())
            && machine.node.is_none()
        {
            if let Some(fault) = machine.downed_by {
                self.plan.effective(fault);
            }
            return Some("node down");
        }
        if let Some(fault) = self.network.cut_by(from, to) {
            self.plan.effective(fault);
            return Some("cut");
        }
        if let Some(by) = self.network.broken(from, to, envelope.epoch) {
            if let Some(fault) = by {
                self.plan.effective(fault);
            }
            return Some("connection broken");
        }
        if envelope.lost && !self.healed {
            self.plan.count(Faults::of(&[FaultKind::Loss]));
            return Some("lost");
        }
        if envelope.corrupt && !self.healed && self.is_refused(envelope) {
            self.plan.count(Faults::of(&[FaultKind::Corrupt]));
            return Some("corrupt");
        }
        None
    }

    /// Encodes a message, flips one of its bits and lets the codec judge it. What the codec lets
    /// through is what arrives.
    fn is_refused(&self, envelope: &mut Envelope<N>) -> bool {
        let key = mix(self.seed, u64::from(envelope.nth) << 32 | u64::from(envelope.from.0));
        let mut dice = Dice::new(key);
        match &mut envelope.wire {
            Wire::Peer(msg) => corrupt(msg, &mut dice),
            Wire::Request(_, op) => corrupt(op, &mut dice),
            Wire::Answer(_, answer, _) => corrupt(answer, &mut dice),
        }
    }

    /// A message is gone; on a stream, so is all behind it on the same connection.
    #[cold]
    fn drop_message(&mut self, envelope: &Envelope<N>, why: &'static str) {
        let Envelope { from, to, origin, nth, epoch, .. } = *envelope;
        self.network.break_off(from, to, epoch);
        self.note(Happening::Drop, to, origin, &(from, why), |event| {
            event.peer = Some(from);
            event.nth = nth;
            event.text = match &envelope.wire {
                Wire::Peer(msg) => format!("{why}: {msg:?}"),
                Wire::Request(_, op) => format!("{why}: {op:?}"),
                Wire::Answer(_, answer, _) => format!("{why}: {answer:?}"),
            };
        });
    }

    /// Answers a request, if this node was ever asked.
    pub(crate) fn reply(&mut self, id: NodeId, request: RequestId, answer: Answer<N::Ret>) {
        self.trace.hash(self.now, Happening::Reply, id, &(request, &answer));
        let Some(index) = self.clients.find(request) else { return self.misuse(id) };
        let call = &mut self.clients.calls[index as usize];
        if call.asked & 1 << id.0 == 0 {
            return self.misuse(id);
        }
        let reply = call.attempts.reply();
        let origin = self.call_origin(index);
        self.send(id, request.client, origin, Wire::Answer(index, answer, reply));
    }
}

fn corrupt<T: node::Data>(value: &mut T, dice: &mut Dice) -> bool {
    let mut bytes = codec::encode(value);
    let bit = dice.below(bytes.len() as u64 * 8);
    bytes[bit as usize / 8] ^= 1 << (bit % 8);
    match codec::decode(&bytes) {
        Ok(other) => {
            *value = other;
            false
        }
        Err(_) => true,
    }
}
