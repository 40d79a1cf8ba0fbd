//! Raft: a replicated state machine, after Ongaro and Ousterhout (In search of an understandable
//! consensus algorithm, 2014) and Ongaro's thesis (2014), whose sections are named here.
//!
//! **Elections** (`election.rs`, thesis 3.4)
//! - 4.1 A server forces its term and its vote before anything that depends on them leaves it. It
//!   votes once in a term.
//! - 4.3 It votes only for a log that is at least as new as its own: by the last entry's term,
//!   then by its index.
//! - It does not listen to candidates while it hears from a leader (thesis 4.2.3): who has been
//!   removed and does not know it must not disturb the others.
//!
//! **Replication** (`replication.rs`, thesis 3.5, 3.6)
//! - 4.2 A follower forces new entries before it acknowledges them; a leader counts itself only
//!   for entries that it has forced.
//! - 4.4 A leader commits an entry of its *own* term once a majority holds it, and with it all
//!   before it; never an older entry by counting.
//! - 4.5 A follower truncates its log only where an entry of the leader's has another term than
//!   its own at the same index, never because a message is short.
//!
//! **Reads** (`reads.rs`, thesis 6.4)
//! - 4.6 A leader begins its term with a no-op, and serves no read before it is committed.
//! - 4.7 ReadIndex: upon a query it notes its commit index and begins a new round of messages.
//!   Once a majority has answered that round or a later one it still led when it noted the index,
//!   and it answers when it has applied all up to there.
//!
//! **Membership** (`membership.rs`, thesis 4)
//! - 4.8 One server at a time is added or removed, and a server goes by the latest configuration
//!   in its log, committed or not. A leader begins a change only when the one before is committed
//!   and an entry of its own term is, too (Ongaro's correction of 2015).
//! - A leader that is not in a committed configuration steps down (thesis 4.2.2).
//!
//! **State** (`state.rs`, thesis 5, 6.3)
//! - 4.9 Sessions of clients live in the replicated state: a command that was executed before is
//!   answered from there, and not executed again.
//! - 4.10 A snapshot holds the last entry's position, the configuration, the machine and the
//!   sessions. Who installs one replaces its log by it atomically, and keeps the entries behind it
//!   only if its own entry at that position is the same.
//!
//! # Deviations
//!
//! - A client is known by its machine, a session holds its last request, and sessions never end. A
//!   request older than that is met with silence: it may have taken effect, and nobody waits.
//! - A follower that lacks the entry before new ones answers with its commit index: up to there
//!   its log is the leader's. The paper goes back one entry at a time.
//! - A leader sends entries without waiting for earlier ones to be acknowledged (thesis 10.2.1).
//! - A snapshot is one message, and every server makes its own when its log has grown long.
//! - A new server counts from the moment it is added; nobody waits until it has caught up.
//! - A leader that steps down sends those who wait on to others, as P0.9 has it. Their commands
//!   may be in the log; sessions make it harmless to ask again.
//!
//! # Costs
//!
//! In a cluster of N without faults a command takes 2(N − 1) messages and one force at each
//! server; a query 2(N − 1) messages and no force; an election 4(N − 1) messages, two forces at
//! the leader (its vote, its no-op) and two at each follower.
//!
//! # What it promises
//!
//! Commands and queries are linearizable and each command is executed at most once, whatever
//! network, crashes, power losses and clocks do. What is committed is never lost. An operation
//! ends once a majority of the members stays up and hears each other.
//!
//! # What it cannot
//!
//! Go on without a majority of the members, or while candidates duel for ever (Fischer, Lynch and
//! Paterson). Read at the leader without a round of messages, unless the clocks' drift is bounded.

mod election;
mod log;
mod membership;
mod observe;
mod reads;
mod replication;
mod state;
#[cfg(test)]
mod tests;

use super::replicated::{
    Config, Durable, Fact, Index, Machine, Members, Op, Payload, Position, Ret, Term, View,
};
use log::{Entry, Log};
use node::{Cx, Node, NodeId, Observe, RequestId};
use reads::Read;
use serde::{Deserialize, Serialize};
use state::{Snapshot, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// What servers say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Msg<M: Machine> {
    /// A candidate: vote for me.
    RequestVote {
        /// The term that it wants to lead.
        term: Term,
        /// The last entry of its log.
        last: Position,
    },
    /// The answer.
    Vote {
        /// The voter's term.
        term: Term,
        /// Whether it votes for the candidate.
        granted: bool,
    },
    /// A leader: append these entries. Without any it is a heartbeat.
    Append {
        /// The leader's term.
        term: Term,
        /// How many rounds it has begun for reads.
        round: u64,
        /// The entry before the new ones.
        prev: Position,
        /// The new ones.
        entries: Vec<Entry<M::Command>>,
        /// All up to here is committed.
        commit: Index,
    },
    /// A leader to a follower that lacks what its log no longer has.
    InstallSnapshot {
        /// The leader's term.
        term: Term,
        /// How many rounds it has begun for reads.
        round: u64,
        /// The state at the beginning of its log.
        snapshot: Snapshot<M>,
    },
    /// The answer to either.
    Appended {
        /// The follower's term.
        term: Term,
        /// The round that it answers.
        round: u64,
        /// What became of the entries.
        outcome: Outcome,
    },
}

/// What became of entries at a follower.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Its log is the leader's up to this index.
    Matches(Index),
    /// It lacks the entry before them. Up to this index, its commit index, it has the leader's.
    Lacks(Index),
}

/// What stands in the log on disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Record<M: Machine> {
    /// The server's term, and its vote in it.
    Term {
        /// The term.
        term: Term,
        /// For whom it has voted.
        voted_for: Option<NodeId>,
    },
    /// The next entry.
    Entry(Entry<M::Command>),
    /// The entries from this index on are gone.
    Truncate {
        /// The first of them.
        from: Index,
    },
    /// The entries before the ones that follow, as their effects.
    Snapshot(Snapshot<M>),
}

/// What a server waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// A word from a leader, or a majority's votes.
    Election,
    /// The next heartbeat.
    Heartbeat,
}

/// What a server is in its term.
enum Role<C> {
    /// It does what the leader says, once it knows who that is.
    Follower { leader: Option<NodeId> },
    /// It wants to lead.
    Candidate { votes: Members },
    /// It leads.
    Leader(Leader<C>),
}

/// What a leader keeps in mind: all of it is volatile.
struct Leader<C> {
    /// The no-op with which its term began.
    no_op: Index,
    peers: BTreeMap<NodeId, Peer>,
    /// Who waits for which entry.
    waiting: BTreeMap<Index, RequestId>,
    /// How many rounds it has begun for reads.
    round: u64,
    reads: Vec<Read<C>>,
}

/// What a leader knows of another server.
#[derive(Clone, Copy, Debug)]
struct Peer {
    /// The next entry to send.
    next: Index,
    /// Its log is the leader's up to here.
    matched: Index,
    /// The latest round that it has answered.
    round: u64,
}

/// A server.
pub struct Raft<M: Machine> {
    me: NodeId,
    config: Config,
    /// On disk, as are the vote, the snapshot and the log behind it.
    term: Term,
    voted_for: Option<NodeId>,
    snapshot: Snapshot<M>,
    log: Log<M::Command>,
    /// The latest configuration in the log, and the entry that brought it.
    members: Members,
    members_at: Index,
    /// All up to here is committed, and applied to the state.
    commit: Index,
    state: State<M>,
    role: Role<M::Command>,
    /// When it last heard from a leader, on its own clock.
    heard: Option<Duration>,
}

impl<M: Machine> Node for Raft<M> {
    type Config = Config;
    type Op = Op<M::Command>;
    type Ret = Ret<M::Answer>;
    type Msg = Msg<M>;
    type Record = Record<M>;
    type Timer = Timer;

    fn new(me: NodeId, config: &Config) -> Self {
        let members = config.members.iter().copied().collect();
        Self {
            me,
            config: config.clone(),
            term: 0,
            voted_for: None,
            snapshot: Snapshot { members, ..Snapshot::default() },
            log: Log::default(),
            members,
            members_at: 0,
            commit: 0,
            state: State::default(),
            role: Role::Follower { leader: None },
            heard: None,
        }
    }

    fn on_start(&mut self, log: &[Record<M>], cx: &mut Cx<Self>) {
        for record in log {
            match record {
                Record::Term { term, voted_for } => {
                    (self.term, self.voted_for) = (*term, *voted_for);
                }
                Record::Entry(entry) => self.log.push(entry.clone()),
                Record::Truncate { from } => self.log.truncate(*from),
                Record::Snapshot(snapshot) => self.restore(snapshot.clone()),
            }
        }
        self.find_members();
        self.await_election(cx);
    }

    fn on_request(&mut self, request: RequestId, op: Self::Op, cx: &mut Cx<Self>) {
        if let Role::Follower { .. } | Role::Candidate { .. } = self.role {
            return cx.retry(request, self.known_leader());
        }
        match op {
            Op::Command(query) if M::is_query(&query) => self.on_query(request, query, cx),
            Op::Command(command) => {
                self.propose(request, Payload::Command { request, command }, cx)
            }
            Op::Add(server) => self.on_change(request, self.members.with(server), cx),
            Op::Remove(server) => self.on_change(request, self.members.without(server), cx),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg<M>, cx: &mut Cx<Self>) {
        match msg {
            Msg::RequestVote { term, last } => self.on_request_vote(from, term, last, cx),
            Msg::Vote { term, granted } => self.on_vote(from, term, granted, cx),
            Msg::Append { term, round, prev, entries, commit } => {
                if self.follows(from, term, cx) {
                    let outcome = self.on_append(prev, entries, commit, cx);
                    cx.send(from, Msg::Appended { term, round, outcome });
                }
            }
            Msg::InstallSnapshot { term, round, snapshot } => {
                if self.follows(from, term, cx) {
                    let outcome = self.on_install(snapshot, cx);
                    cx.send(from, Msg::Appended { term, round, outcome });
                }
            }
            Msg::Appended { term, round, outcome } => {
                self.on_appended(from, term, round, outcome, cx);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
        match timer {
            Timer::Election => self.on_election_timeout(cx),
            Timer::Heartbeat => self.on_heartbeat(cx),
        }
    }
}

impl<M: Machine> Raft<M> {
    /// Who leads, as far as a server knows that does not lead itself.
    fn known_leader(&self) -> Option<NodeId> {
        match self.role {
            Role::Follower { leader } => leader,
            Role::Candidate { .. } | Role::Leader(_) => None,
        }
    }

    /// The members but for this server itself.
    fn others(&self) -> Members {
        self.members.without(self.me)
    }

    /// Becomes a follower. Who waits here is sent on: a command of theirs may be in the log, and
    /// whoever leads next commits it or answers the next copy of the request.
    fn follow(&mut self, leader: Option<NodeId>, cx: &mut Cx<Self>) {
        let before = std::mem::replace(&mut self.role, Role::Follower { leader });
        if let Role::Leader(deposed) = before {
            cx.cancel_timer(Timer::Heartbeat);
            self.await_election(cx);
            if !deposed.reads.is_empty() {
                cx.mark("deposed leader left a read unserved");
            }
            let waiting = deposed.waiting.into_values();
            for request in waiting.chain(deposed.reads.into_iter().map(|read| read.request)) {
                cx.retry(request, leader);
            }
        }
    }
}
