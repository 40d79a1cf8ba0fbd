//! The clients: what each is waiting for, and what may be recorded of an answer.

use crate::case::{CaseOf, Clients as Config};
use crate::engine::{Event, World, nanos};
use crate::fault::{Faults, Kind};
use crate::origin::OriginId;
use crate::post::Wire;
use crate::trace::Happening;
use history::{Actor, What};
use node::{Answer, Node, NodeId, Reason, RequestId};
use std::hash::Hash;

/// The copies of one request, and which of them have been answered: what decides whether a Fail is
/// final.
///
/// A Fail means "never takes effect, over all attempts". While another copy of the request is in
/// flight, or was swallowed unanswered, or its answer has not reached the client, that copy may
/// still take effect, so the outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attempts {
    /// Copies that ever left the client or were made by the network, the lost ones included.
    copies: u32,
    /// Answers that nodes have sent.
    replies: u32,
    /// Which of the first 64 answers have reached the client.
    arrived: u64,
}

impl Attempts {
    /// So many copies of the request are under way: sent, retried, or made by the network.
    pub fn copies(&mut self, copies: u32) {
        self.copies += copies;
    }

    /// A node answers; the number names the answer, however often the network copies it.
    pub fn reply(&mut self) -> u32 {
        self.replies += 1;
        self.replies - 1
    }

    /// An answer reaches the client; false if a copy of it did before.
    pub fn arrive(&mut self, reply: u32) -> bool {
        let bit = 1u64.checked_shl(reply).unwrap_or(0);
        let first = self.arrived & bit == 0;
        self.arrived |= bit;
        first
    }

    /// Every copy of the request has been answered, and the client has seen every answer.
    pub fn all_answered(&self) -> bool {
        self.arrived.count_ones() >= self.copies
    }
}

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Waiting,
    /// Its operation has this number in the history.
    Open(u32),
    Done,
}

pub(crate) struct CallState<Op> {
    pub(crate) id: u32,
    pub(crate) at: u64,
    pub(crate) client: u16,
    /// The node that the next attempt goes to.
    pub(crate) to: NodeId,
    pub(crate) op: Op,
    pub(crate) status: Status,
    pub(crate) attempts: Attempts,
    /// Nodes that were ever asked, as bits.
    pub(crate) asked: u64,
    /// Attempts that a Retry answer caused.
    pub(crate) forwarded: u32,
}

pub(crate) struct Client {
    pub(crate) process: u32,
    /// A call of its has begun and not ended.
    pub(crate) busy: bool,
    /// Indices of its calls that have not begun, the next one last.
    pub(crate) waiting: Vec<u32>,
}

pub(crate) struct Clients<N: Node> {
    pub(crate) config: Config,
    pub(crate) calls: Vec<CallState<N::Op>>,
    /// Ids of calls with their indices, sorted; empty where each id is its index.
    by_id: Vec<(u32, u32)>,
    pub(crate) clients: Vec<Client>,
    /// The first client's machine.
    pub(crate) base: u16,
}

impl<N: Node> Clients<N> {
    pub(crate) fn new(case: &CaseOf<N>) -> Self {
        let calls: Vec<_> = case
            .calls
            .iter()
            .map(|call| CallState {
                id: call.id,
                at: nanos(call.at),
                client: call.client,
                to: call.to,
                op: call.op.clone(),
                status: Status::Waiting,
                attempts: Attempts::default(),
                asked: 0,
                forwarded: 0,
            })
            .collect();
        let mut clients: Vec<Client> = (0..case.clients.count)
            .map(|process| Client { process: process.into(), busy: false, waiting: Vec::new() })
            .collect();
        for index in (0..calls.len()).rev() {
            clients[usize::from(calls[index].client)].waiting.push(index as u32);
        }
        let mut by_id: Vec<(u32, u32)> = Vec::new();
        if calls.iter().enumerate().any(|(index, call)| call.id as usize != index) {
            by_id.extend(calls.iter().zip(0..).map(|(call, index)| (call.id, index)));
            by_id.sort_unstable();
        }
        let base = case.nodes.len() as u16;
        Self { config: case.clients.clone(), calls, by_id, clients, base }
    }

    pub(crate) fn machine(&self, call: u32) -> NodeId {
        NodeId(self.base + self.calls[call as usize].client)
    }

    pub(crate) fn request(&self, call: u32) -> RequestId {
        RequestId { client: self.machine(call), call: self.calls[call as usize].id }
    }

    /// The index of the call that a request names, if there is one.
    pub(crate) fn find(&self, request: RequestId) -> Option<u32> {
        let index = if self.by_id.is_empty() {
            request.call
        } else {
            let at = self.by_id.binary_search_by_key(&request.call, |(id, _)| *id).ok()?;
            self.by_id[at].1
        };
        let known = (index as usize) < self.calls.len();
        (known && self.machine(index) == request.client).then_some(index)
    }
}

impl<N: Node> World<N> {
    pub(crate) fn tell_history(
        &mut self,
        op: u32,
        actor: Actor,
        process: u32,
        call: u32,
        what: What<N::Op, N::Ret>,
    ) {
        self.history.events.push(history::Event { at: self.now, op, actor, process, call, what });
    }

    /// Begins a client's next call.
    pub(crate) fn begin(&mut self, client: u16) {
        let state = &mut self.clients.clients[usize::from(client)];
        if state.busy {
            return;
        }
        let Some(index) = state.waiting.pop() else { return };
        state.busy = true;
        let process = state.process;
        let operation = self.operations;
        self.operations += 1;
        let call = &mut self.clients.calls[index as usize];
        call.status = Status::Open(operation);
        let (id, op) = (call.id, call.op.clone());
        let origin = self.call_origin(index);
        let machine = self.clients.machine(index);
        self.note(Happening::Invoke, machine, origin, &(id, &op), |event| {
            event.text = format!("{op:?}");
        });
        self.tell_history(operation, Actor::Client(client), process, id, What::Invoke(op));
        self.attempt(index, Faults::NONE);
        let patience = nanos(self.clients.config.give_up);
        self.queue.push(self.now + patience, Event::GiveUp { call: index });
        self.trouble_call(index, id);
    }

    pub(crate) fn call_origin(&self, call: u32) -> OriginId {
        OriginId(self.first_call + call)
    }

    /// Sends the request of a call, for the first time or again; these kinds have an effect when it
    /// is handled.
    fn attempt(&mut self, index: u32, counts: Faults) {
        let call = &self.clients.calls[index as usize];
        let (to, op) = (call.to, call.op.clone());
        let (client, origin) = (self.clients.machine(index), self.call_origin(index));
        self.send_as(client, to, origin, Wire::Request(index, op), counts);
    }

    /// A Retry answer sends a call that is still open on.
    pub(crate) fn resend(&mut self, call: u32) {
        if let Status::Open(_) = self.clients.calls[call as usize].status {
            self.attempt(call, Faults::NONE);
        }
    }

    /// An answer reaches its client; false if nobody waits for it any more.
    pub(crate) fn answered(
        &mut self,
        from: NodeId,
        index: u32,
        answer: Answer<N::Ret>,
        reply: u32,
    ) -> bool {
        let call = &mut self.clients.calls[index as usize];
        if !call.attempts.arrive(reply) || !matches!(call.status, Status::Open(_)) {
            return false;
        }
        let certain = call.attempts.all_answered() || self.clients.config.deduplicated;
        match answer {
            Answer::Ok(ret) => self.complete(index, What::Ok(ret)),
            Answer::Fail(reason) if certain => self.complete(index, What::Fail(reason)),
            Answer::Fail(_) => self.complete(index, What::Info),
            Answer::Retry(hint) => {
                let nodes = self.machines.len() as u16;
                let next = hint.unwrap_or(NodeId((from.0 + 1) % nodes));
                call.to = if next.0 < nodes { next } else { NodeId(0) };
                call.forwarded += 1;
                // Slower each time, so that a cluster without a leader is not stormed.
                let pause = 1_000_000 << call.forwarded.min(8);
                self.queue.push(self.now + pause, Event::Resend { call: index });
            }
        }
        true
    }

    /// A call without an answer: its outcome stays unknown.
    pub(crate) fn give_up(&mut self, call: u32) {
        self.complete(call, What::Info);
    }

    /// Records the end of a call, and lets its client go on.
    pub(crate) fn complete(&mut self, index: u32, what: What<N::Op, N::Ret>) {
        let call = &mut self.clients.calls[index as usize];
        let Status::Open(operation) = call.status else { return };
        call.status = Status::Done;
        let (id, client) = (call.id, call.client);
        self.note_end(self.clients.machine(index), self.call_origin(index), id, &what);
        let state = &mut self.clients.clients[usize::from(client)];
        let process = state.process;
        if what == What::Info {
            state.process = self.next_process;
            self.next_process += 1;
        }
        state.busy = false;
        let next = state.waiting.last().copied();
        self.tell_history(operation, Actor::Client(client), process, id, what);
        if let Some(next) = next {
            let at = self.clients.calls[next as usize].at.max(self.now);
            self.queue.push(at, Event::Begin { client });
        }
    }

    /// What goes wrong with a call is decided when it begins.
    fn trouble_call(&mut self, index: u32, id: u32) {
        if self.healed {
            return;
        }
        let faults: Vec<usize> = self.plan.of_call(id).collect();
        for fault in faults {
            self.plan.strike(fault);
            let (after, event) = match self.plan.fault(fault).kind {
                Kind::Retry { after } | Kind::DuplicateRequest { after } => {
                    (after, Event::Again { call: index, fault })
                }
                Kind::ClientCrash { after } => (after, Event::ClientCrash { call: index, fault }),
                _ => continue,
            };
            self.queue.push(self.now + nanos(after), event);
        }
    }

    /// A client sends its request again, unless it has its answer by now.
    pub(crate) fn again(&mut self, call: u32, fault: usize) {
        if let Status::Open(_) = self.clients.calls[call as usize].status {
            let counts = Faults::of(&[self.plan.fault(fault).kind.kind()]);
            self.attempt(call, counts);
        }
    }

    /// A client ends in the middle of a call and comes back as a new process.
    pub(crate) fn client_crash(&mut self, call: u32, fault: usize) {
        if let Status::Open(_) = self.clients.calls[call as usize].status
            && !self.healed
        {
            self.plan.effective(fault);
            self.complete(call, What::Info);
        }
    }

    /// Notes how an operation ended.
    pub(crate) fn note_end(
        &mut self,
        node: NodeId,
        origin: OriginId,
        about: impl Hash,
        what: &What<N::Op, N::Ret>,
    ) {
        let (happening, ret) = match what {
            What::Ok(ret) => (Happening::Ok, Some(ret)),
            What::Fail(_) => (Happening::Fail, None),
            What::Info | What::Invoke(_) => (Happening::Info, None),
        };
        self.note(happening, node, origin, &(about, ret), |event| event.text = describe_end(what));
    }
}

/// What became of an operation, in words.
pub fn describe_end<Op: std::fmt::Debug, Ret: std::fmt::Debug>(what: &What<Op, Ret>) -> String {
    match what {
        What::Invoke(op) => format!("{op:?}"),
        What::Ok(ret) => format!("{ret:?}"),
        What::Fail(reason) => Reason::to_string(reason),
        What::Info => "outcome unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three schedules of the oracle's `bank.py` in which a Fail must not be recorded. Each is
    /// a list of steps; the last arrival carries the Fail.
    fn fail_is_final(steps: &str) -> bool {
        let mut attempts = Attempts::default();
        for step in steps.split_whitespace() {
            match step {
                "copy" => attempts.copies(1),
                "reply" => drop(attempts.reply()),
                arrive => {
                    let reply = arrive.strip_prefix("arrive").and_then(|n| n.parse().ok());
                    attempts.arrive(reply.expect("arriveN"));
                }
            }
        }
        attempts.all_answered()
    }

    #[test]
    fn one_copy_answered_is_final() {
        assert!(fail_is_final("copy reply arrive0"));
        assert!(fail_is_final("copy reply copy reply arrive0 arrive1"));
    }

    #[test]
    fn r7_a_retry_is_still_open() {
        assert!(!fail_is_final("copy copy reply arrive0"));
    }

    #[test]
    fn r7n_the_networks_own_copy_counts() {
        // One send by the client; the second `copy` is the network's duplicate of it.
        assert!(!fail_is_final("copy copy reply arrive0"));
        // A duplicate of the answer is not a second answer.
        assert!(!fail_is_final("copy copy reply arrive0 arrive0"));
    }

    #[test]
    fn r7a_an_answer_that_never_arrived_is_no_answer() {
        assert!(!fail_is_final("copy copy reply reply arrive1"));
    }
}
