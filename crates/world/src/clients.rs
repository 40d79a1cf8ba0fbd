//! The clients: what each is waiting for, and what may be recorded of an answer.

use crate::case::{CaseOf, Clients as Config};
use node::{Node, NodeId, RequestId};

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
    /// A copy of the request is under way: sent, retried, or made by the network.
    pub fn copy(&mut self) {
        self.copies += 1;
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
    /// The call that it is busy with.
    pub(crate) busy: Option<u32>,
    /// Indices of its calls that have not begun, the next one last.
    pub(crate) waiting: Vec<u32>,
}

pub(crate) struct Clients<N: Node> {
    pub(crate) config: Config,
    pub(crate) calls: Vec<CallState<N::Op>>,
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
                at: call.at.as_nanos() as u64,
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
            .map(|process| Client { process: process.into(), busy: None, waiting: Vec::new() })
            .collect();
        for index in (0..calls.len()).rev() {
            clients[usize::from(calls[index].client)].waiting.push(index as u32);
        }
        Self { config: case.clients.clone(), calls, clients, base: case.nodes.len() as u16 }
    }

    pub(crate) fn machine(&self, call: u32) -> NodeId {
        NodeId(self.base + self.calls[call as usize].client)
    }

    pub(crate) fn request(&self, call: u32) -> RequestId {
        RequestId { client: self.machine(call), call: self.calls[call as usize].id }
    }

    /// The index of the call that a request names, if there is one.
    pub(crate) fn find(&self, request: RequestId) -> Option<u32> {
        let index = match self.calls.get(request.call as usize) {
            Some(call) if call.id == request.call => request.call as usize,
            _ => self.calls.iter().position(|call| call.id == request.call)?,
        };
        (self.machine(index as u32) == request.client).then_some(index as u32)
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
                "copy" => attempts.copy(),
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
