//! A client: asks, waits, asks again, and says only what it knows.

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::transport::Transport;
use crate::wire::{Wire, WireOf, WireRef};
use node::{Answer, Dice, Incarnation, Node, NodeId, Reason, mix};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Duration;

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outcome<Ret> {
    /// It took effect.
    Ok(Ret),
    /// It never takes effect.
    Fail(Reason),
    /// Nobody knows: it may take effect at any later time, or never.
    Info,
}

/// When a request that has no answer is sent again, to the node that was asked last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resend {
    /// Never: for operations that are not idempotent.
    Never,
    /// So long after the call began: what an engine says that plans every attempt.
    At(Vec<Duration>),
    /// After a pause that grows with every attempt.
    After(Backoff),
}

/// How a client behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How long it waits for an answer before the outcome is unknown.
    pub give_up: Duration,
    /// When it asks again.
    pub resend: Resend,
    /// A request that was handled once has the same outcome ever after, so a Fail is final
    /// whatever becomes of its other copies.
    pub deduplicated: bool,
}

impl Default for Policy {
    fn default() -> Self {
        let backoff = Backoff { first: Duration::from_millis(200), most: Duration::from_secs(2) };
        Self {
            give_up: Duration::from_secs(5),
            resend: Resend::After(backoff),
            deduplicated: false,
        }
    }
}

/// A client on a machine of its own. It runs one operation at a time.
pub struct Client<N, T, C> {
    /// How it behaves; it may change between two calls.
    pub policy: Policy,
    me: NodeId,
    servers: u16,
    dice: Dice,
    transport: T,
    clock: C,
    node: PhantomData<fn() -> N>,
}

/// An operation under way.
struct Call {
    number: u32,
    /// The node that the next attempt goes to.
    to: NodeId,
    attempts: u32,
    /// The nodes that were asked, and how often.
    asked: BTreeMap<NodeId, usize>,
    /// Answers that have come, copies of one counted once: who, in which life, and which.
    answers: BTreeSet<(NodeId, Incarnation, u32)>,
    /// Retry answers so far.
    forwarded: u32,
    /// When the next attempts are due.
    due: Vec<Duration>,
}

impl Call {
    /// Every node has answered as often as it was asked.
    fn is_answered(&self) -> bool {
        let by = |node| self.answers.iter().filter(|(from, ..)| from == node).count();
        self.asked.iter().all(|(node, asked)| by(node) >= *asked)
    }
}

/// Longest pause after a Retry answer, as a power of two of a millisecond.
const SLOWEST: u32 = 8;

impl<N: Node, T: Transport, C: Clock> Client<N, T, C> {
    /// A client on the machine `me` of a cluster with so many nodes. The seed is for the jitter.
    pub fn new(
        me: NodeId,
        servers: u16,
        policy: Policy,
        transport: T,
        clock: C,
        seed: u64,
    ) -> Self {
        let dice = Dice::new(mix(seed, u64::from(me.0)));
        Self { policy, me, servers, dice, transport, clock, node: PhantomData }
    }

    /// The machine that it stands on.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Runs one operation, first at node `to`. The number names the request over all attempts: a
    /// machine must never use one twice, and one that starts anew takes another [`NodeId`] or goes
    /// on counting.
    ///
    /// A Retry answer sends the request on, to the node that it names or to the next one, slower
    /// each time. A Fail is only believed when every node has answered as often as it was asked, or
    /// requests are deduplicated; otherwise the outcome is Info. Copies that the network makes of a
    /// request are not known here: an engine whose network makes them turns such a Fail into Info.
    pub async fn call(&mut self, number: u32, to: NodeId, op: &N::Op) -> Outcome<N::Ret> {
        let began = self.clock.now();
        let mut call = Call {
            number,
            to,
            attempts: 0,
            asked: BTreeMap::new(),
            answers: BTreeSet::new(),
            forwarded: 0,
            due: Vec::new(),
        };
        if let Resend::At(times) = &self.policy.resend {
            call.due.extend(times.iter().map(|after| began.saturating_add(*after)));
        }
        self.attempt(&mut call, op);
        self.plan_resend(&mut call);
        let end = began.saturating_add(self.policy.give_up);
        loop {
            let now = self.clock.now();
            if now >= end {
                return Outcome::Info;
            }
            if let Some(at) = call.due.iter().position(|due| *due <= now) {
                call.due.swap_remove(at);
                self.attempt(&mut call, op);
                self.plan_resend(&mut call);
                continue;
            }
            let wake = call.due.iter().copied().fold(end, Duration::min);
            let (from, frame) = tokio::select! {
                biased;
                arrived = self.transport.recv() => arrived,
                () = self.clock.sleep_until(wake) => continue,
            };
            let Ok(Wire::Answer { call: number, answer, life, nth }) = WireOf::<N>::decode(&frame)
            else {
                tracing::warn!(%from, "a frame that is no answer was dropped");
                self.transport.distrust(from);
                continue;
            };
            // A node that was not asked has nothing to answer.
            if number == call.number
                && call.asked.contains_key(&from)
                && call.answers.insert((from, life, nth))
                && let Some(outcome) = self.conclude(&mut call, from, answer)
            {
                return outcome;
            }
        }
    }

    fn attempt(&mut self, call: &mut Call, op: &N::Op) {
        call.attempts += 1;
        *call.asked.entry(call.to).or_default() += 1;
        let request = WireRef::<N>::Request { call: call.number, op };
        self.transport.send(call.to, request.encode());
    }

    /// After an attempt: when the next one is due, unless an engine has said so.
    fn plan_resend(&mut self, call: &mut Call) {
        if let Resend::After(backoff) = self.policy.resend {
            let pause = backoff.pause(call.attempts, &mut self.dice);
            call.due.clear();
            call.due.push(self.clock.now().saturating_add(pause));
        }
    }

    /// What an answer means; nothing, if the request goes on to another node.
    fn conclude(
        &self,
        call: &mut Call,
        from: NodeId,
        answer: Answer<N::Ret>,
    ) -> Option<Outcome<N::Ret>> {
        let certain = self.policy.deduplicated || call.is_answered();
        match answer {
            Answer::Ok(ret) => Some(Outcome::Ok(ret)),
            Answer::Fail(reason) if certain => Some(Outcome::Fail(reason)),
            Answer::Fail(_) => Some(Outcome::Info),
            Answer::Retry(hint) => {
                let next = hint.unwrap_or(NodeId(from.0.wrapping_add(1)));
                call.to = if next.0 < self.servers { next } else { NodeId(0) };
                call.forwarded += 1;
                let pause = Duration::from_millis(1 << call.forwarded.min(SLOWEST));
                if let Resend::After(_) = self.policy.resend {
                    call.due.clear();
                }
                call.due.push(self.clock.now().saturating_add(pause));
                None
            }
        }
    }
}
