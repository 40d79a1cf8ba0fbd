//! What clients and judges share with every replicated state machine: the machine, operations,
//! results, configuration, and what an invariant may look at.

mod machines;

pub use machines::{DecisionAnswer, DecisionCommand};
pub use machines::{DecisionLog, Locks, Registers};
pub use machines::{Grant, LockAnswer, LockCommand};
pub use machines::{INITIAL, RegisterAnswer, RegisterCommand};

use node::{Data, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is replicated: a deterministic machine that executes commands one after the other. Equal
/// commands in an equal order give equal states and equal answers, everywhere.
pub trait Machine: Data + Default {
    /// What clients ask of it.
    type Command: Data;
    /// What it answers.
    type Answer: Data;

    /// Whether a command changes nothing, in any state: it need not be in the log.
    fn is_query(command: &Self::Command) -> bool;

    /// Executes a command.
    fn apply(&mut self, command: &Self::Command) -> Self::Answer;
}

/// What a client asks of the cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op<C> {
    /// Execute this, once, however often the request arrives.
    Command(C),
    /// Let this server be a member.
    Add(NodeId),
    /// Let this server be no member.
    Remove(NodeId),
}

/// What a client is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret<A> {
    /// The machine's answer.
    Answer(A),
    /// The configuration is as asked.
    Changed,
}

/// What an operator writes down; the same for every server of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The first configuration, known to all servers; others wait to be added.
    pub members: Vec<NodeId>,
    /// The shortest election timeout; each is drawn from it up to twice as long.
    #[serde(with = "humantime_serde")]
    pub election: Duration,
    /// How often a leader lets its followers hear from it: a fraction of `election`.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// The most entries in one message; at least 1.
    pub batch: u32,
    /// How many applied entries a log keeps before a snapshot takes their place; 0: all.
    pub compact_after: u32,
}

/// A set of servers: nodes with numbers below 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members(u64);

impl Members {
    /// The set with one more server.
    #[must_use]
    pub fn with(self, server: NodeId) -> Self {
        Self(self.0 | 1u64.checked_shl(server.0.into()).unwrap_or(0))
    }

    /// The set without a server.
    #[must_use]
    pub fn without(self, server: NodeId) -> Self {
        Self(self.0 & !Self::default().with(server).0)
    }

    /// Whether a server is in it.
    pub fn contains(self, server: NodeId) -> bool {
        self.without(server) != self
    }

    /// Whether these are more than half of the set: any two such parts have a server in common.
    pub fn majority(self, of_them: Self) -> bool {
        (self.0 & of_them.0).count_ones() * 2 > self.0.count_ones()
    }

    /// The servers, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        (0..64).map(NodeId).filter(move |server| self.contains(*server))
    }

    /// Whether nobody is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<NodeId> for Members {
    fn from_iter<I: IntoIterator<Item = NodeId>>(servers: I) -> Self {
        servers.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The number of a leader's time in office; 0 before the first election.
pub type Term = u64;

/// The number of an entry in the log; 0 before the first one.
pub type Index = u64;

/// An entry's place in the log and the term in which a leader made it: two logs that have an entry
/// of one position in common are the same up to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The place.
    pub index: Index,
    /// The term.
    pub term: Term,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// What an entry holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Payload<C> {
    /// Nothing: the entry with which a leader begins its term.
    NoOp,
    /// A client's command.
    Command {
        /// Whose.
        request: RequestId,
        /// What.
        command: C,
    },
    /// The configuration that holds from this entry on.
    Configuration {
        /// Who asked for the change.
        request: RequestId,
        /// All members.
        members: Members,
    },
}

/// Something that a server's log says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact<C> {
    /// The server is in this term, and has voted in it or not yet.
    Term {
        /// The term.
        term: Term,
        /// For whom.
        voted_for: Option<NodeId>,
    },
    /// The next entry.
    Entry {
        /// The term in which it was made.
        term: Term,
        /// What it holds.
        payload: Payload<C>,
    },
    /// The entries from this one on are gone.
    Truncated {
        /// The first of them.
        from: Index,
    },
    /// All entries up to this one are gone: their effects are kept instead.
    Snapshot {
        /// The last of them.
        last: Position,
        /// The configuration as of that entry.
        members: Members,
    },
}

/// What a server's log promises: its facts, in order. Those of a part of a log are what that part
/// adds.
pub type Durable<C> = Vec<Fact<C>>;

/// What a running server believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Its term.
    pub term: Term,
    /// Whether it leads.
    pub leads: bool,
    /// The last entry that it knows to be committed; it has applied all up to there.
    pub commit: Position,
    /// The last entry of its log.
    pub last: Index,
    /// The latest configuration in its log, committed or not.
    pub members: Members,
    /// How many clients wait for it.
    pub open: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_majorities_have_a_server_in_common() {
        for (servers, majority) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)] {
            let all: Members = (0..servers).map(NodeId).collect();
            for part in 0..=servers {
                let some = (0..part).map(NodeId).collect();
                assert_eq!(all.majority(some), part >= majority, "{part} of {servers}");
            }
        }
    }

    #[test]
    fn who_is_no_member_counts_for_no_majority() {
        let members: Members = [NodeId(1), NodeId(2), NodeId(3)].into_iter().collect();
        assert!(!members.majority([NodeId(0), NodeId(1)].into_iter().collect()));
        assert_eq!(members.with(NodeId(63)).without(NodeId(63)), members);
        assert_eq!(members.with(NodeId(64)), members, "no such server");
        assert_eq!(members.iter().collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(3)]);
        assert!(!Members::default().majority(members), "nobody is no majority");
        assert_eq!(format!("{members:?}"), "{n1, n2, n3}");
    }
}
