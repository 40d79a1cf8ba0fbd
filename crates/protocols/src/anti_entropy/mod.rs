//! Anti-entropy: replicas that each take reads and writes alone, also while they are cut off, and
//! tell each other what they have missed.
//!
//! Sources: A. Demers and others, *Epidemic algorithms for replicated database maintenance*, 1987
//! (anti-entropy); G. DeCandia and others, *Dynamo*, 2007 (siblings); N. Preguiça, C. Baquero,
//! P. Almeida, V. Fonte, R. Gonçalves, *Efficient causality tracking in distributed storage systems
//! with dotted version vectors*, 2012; the same and others, *Concise server-wide causality
//! management for eventually consistent data stores*, 2015 (one vector for a whole replica).
//!
//! # What is known
//!
//! - A write has a *dot*, its name: the replica that took it and a number, without gaps. It bears
//!   its *context*, a version vector of what its writer had seen: the version takes the place of
//!   these, and of nothing else. Of versions that have not seen each other all stay, as *siblings*.
//! - A replica has *seen* a set of writes: of each replica all up to some number, and with a write
//!   all that is in its context. Of each record it keeps the versions that no other one replaces.
//!
//! # The rules
//!
//! - Upon a read: answer with the siblings, in the order of their stamps, which no two versions
//!   share. All replicas that have the same siblings show them in the same order.
//! - Upon a write: the next dot, and an empty context; **force** it, and say so. Upon an edit: keep
//!   in mind what stands there and what has been seen; after a while write with that as context.
//! - From time to time, to one of the others after another: `Digest`, what has been seen here.
//! - Upon `Digest`: if the other one lacks something, `Delta`: all versions that its vector does
//!   not have, and what has been seen here. If not, but something is missing here: `Digest` back.
//! - Upon `Delta`: take what is not known, and add the vectors; **force** it before anything else
//!   leaves. Versions that were sent for a digest fit only those who have seen what it says: they
//!   leave out the rest. So nothing may be lost that a digest has told of. If the other one lacks
//!   something: `Delta` back.
//!
//! # Stamps
//!
//! Every write, every message sent and every message taken has a stamp of a hybrid logical clock
//! (crate `clocks`): what causes another thing has the smaller stamp, whatever wall clocks say. The
//! bound below which a life's stamps stay is **forced** before a stamp goes out. A message whose
//! stamp is more than 500 units ahead of the wall clock here is refused as if it had been lost.
//!
//! # Costs
//!
//! A read: nothing. A write: 1 force. A round that finds nothing new: 1 message. A write's way to
//! another replica: 2 messages and 1 force if that one turns to its writer, 3 if the writer turns
//! to it, whatever else is taken along. And 1 force for 100 units of stamps.
//!
//! # Deviations
//!
//! - In Dynamo the client carries the context. Here it stays at the replica while the client
//!   thinks: what clients ask is fixed in advance in a case.
//! - Dynamo writes to several replicas before it says so. Here it is one: see *Cannot*.
//! - Vectors and requests' ids are kept for ever, and the log is not cut.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss, and with wall clocks that
//! are off, drift and jump: no acknowledged write is lost, each stands there until it is replaced
//! by a write that had seen it; a replica never forgets what it has seen; what is read was written;
//! stamps keep the clock condition. After heal all replicas have the same siblings, unless
//! somebody's stamps are more than 500 units ahead of another one's wall clock: because wall clocks
//! are that far apart, or because a replica has started several times in a few units, and each life
//! begins above what the one before had reserved.
//!
//! **Cannot**: save a write whose replica is lost for good before anybody has come for it; keep two
//! writers from not knowing of each other; say which sibling is right; write once only what a
//! client sends to two replicas; sync with a replica whose clock is too far ahead.

mod store;
#[cfg(test)]
mod tests;

use super::sync::{Config, Dot, Durable, Key, Op, Ret, Seen, Stamp, Stamped, View};
use clocks::{Clock, Hybrid};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use store::Store;

/// A write, as it travels and stays.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Where.
    pub key: Key,
    /// Its name.
    pub dot: Dot,
    /// What its writer had seen.
    pub context: Seen,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub value: u32,
}

/// What replicas say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// This much have I seen.
    Digest { stamp: Stamp, seen: Seen },
    /// And this is what you have not.
    Delta { stamp: Stamp, seen: Seen, versions: Vec<Version> },
}

/// What stands in a replica's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Stamps stay below this time.
    Reserved(u64),
    /// A client's write, and the siblings that it had read.
    Written { operation: RequestId, read: Vec<Dot>, version: Version },
    /// What came from another replica, and when by the clock here.
    Merged { at: Duration, seen: Seen, versions: Vec<Version> },
}

/// What a replica waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// It is another one's turn to be told.
    Round,
    /// An editor has thought.
    Save(RequestId),
}

/// What an editor has seen, and wants to write.
#[derive(Debug)]
struct Draft {
    op: Op,
    read: Vec<Dot>,
    context: Seen,
}

/// A replica.
#[derive(Debug)]
pub struct AntiEntropy {
    me: NodeId,
    config: Config,
    clock: Hybrid,
    /// The bound that is on disk.
    reserved: u64,
    store: Store,
    drafts: BTreeMap<RequestId, Draft>,
    rounds: u16,
    /// What was on disk at the start.
    found: Seen,
    /// The stamps of what happens now.
    stamped: Vec<Stamped>,
    /// What it shows of itself: what was before what happens now, so that it is on disk.
    view: View,
}

type Context = Cx<AntiEntropy>;

/// How many of its stamps a replica shows.
const RECENT: usize = 16;

impl Node for AntiEntropy {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(me: NodeId, config: &Config) -> Self {
        Self {
            me,
            config: config.clone(),
            clock: Hybrid::start(me.0 as u8, 0),
            reserved: 0,
            store: Store::default(),
            drafts: BTreeMap::new(),
            rounds: me.0,
            found: Seen::default(),
            stamped: Vec::new(),
            view: View::default(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        let bounds = log.iter().map(|record| match record {
            Record::Reserved(until) => *until,
            Record::Written { .. } | Record::Merged { .. } => 0,
        });
        self.reserved = bounds.max().unwrap_or(0);
        self.clock = Hybrid::start(self.me.0 as u8, self.reserved);
        self.store.load(self.me, log);
        self.found = self.store.seen.clone();
        (self.view.life, self.view.seen) = (cx.incarnation(), self.found.clone());
        cx.set_background_timer(self.config.interval, Timer::Round);
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        self.begin();
        match op {
            Op::Read { key } => self.read(request, key, cx),
            Op::Write { .. } | Op::Edit { .. } if self.store.done.contains_key(&request) => {
                cx.mark("a write was done already");
                cx.reply(request, Ret::Written(self.store.done[&request]));
            }
            Op::Write { .. } => {
                self.write(request, Draft { op, read: Vec::new(), context: Seen::default() }, cx);
            }
            Op::Edit { .. } if self.drafts.contains_key(&request) => {} // a copy
            Op::Edit { key, .. } => {
                let read = self.store.at(key).iter().map(|version| version.dot).collect();
                let context = self.store.seen.clone();
                self.drafts.insert(request, Draft { op, read, context });
                cx.set_timer(self.config.thought, Timer::Save(request));
            }
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        self.begin();
        let (Msg::Digest { stamp, .. } | Msg::Delta { stamp, .. }) = msg;
        if !self.receive(stamp, cx) {
            return;
        }
        match msg {
            Msg::Digest { seen, .. } if !seen.covers(&self.store.seen) => {
                self.send_delta(from, &seen, cx);
            }
            Msg::Digest { seen, .. } if !self.store.seen.covers(&seen) => {
                self.send_digest(from, cx);
            }
            Msg::Digest { .. } => {}
            Msg::Delta { seen, versions, .. } => {
                self.take(&seen, versions, cx);
                if !seen.covers(&self.store.seen) {
                    self.send_delta(from, &seen, cx);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        self.begin();
        match timer {
            Timer::Round => {
                let others = self.config.replicas.saturating_sub(1).max(1);
                let next = NodeId((self.me.0 + 1 + self.rounds % others) % self.config.replicas);
                self.rounds = (self.rounds + 1) % others;
                self.send_digest(next, cx);
                cx.set_background_timer(self.config.interval, Timer::Round);
            }
            Timer::Save(request) => {
                if let Some(draft) = self.drafts.remove(&request) {
                    self.write(request, draft, cx);
                }
            }
        }
    }
}

impl AntiEntropy {
    /// Something else happens: all that was to be done before has been done.
    fn begin(&mut self) {
        self.view.seen = self.store.seen.clone();
        self.view.stamps += self.stamped.len() as u64;
        self.view.recent.append(&mut self.stamped);
        let old = self.view.recent.len().saturating_sub(RECENT);
        self.view.recent.drain(..old);
    }

    fn read(&self, request: RequestId, key: Key, cx: &mut Context) {
        let versions = self.store.at(key);
        if versions.iter().any(|one| one.dot.node != self.me && self.found.has(one.dot)) {
            cx.mark("a restarted replica served what it had synced");
        }
        cx.reply(request, Ret::Siblings(versions.iter().map(Version::sibling).collect()));
    }

    fn write(
        &mut self,
        operation: RequestId,
        Draft { op, read, context }: Draft,
        cx: &mut Context,
    ) {
        let (Op::Write { key, value } | Op::Edit { key, value }) = op else { return };
        self.store.mark(key, &context, cx);
        let stamp = self.tick(cx);
        let dot = self.store.next(self.me);
        let version = Version { key, dot, context, stamp, value };
        self.store.add(version.clone());
        self.store.done.insert(operation, dot);
        cx.force(Record::Written { operation, read, version });
        cx.reply(operation, Ret::Written(dot));
    }

    fn send_digest(&mut self, to: NodeId, cx: &mut Context) {
        let stamp = self.tick(cx);
        cx.send(to, Msg::Digest { stamp, seen: self.store.seen.clone() });
    }

    /// All that one who has seen this much has not.
    fn send_delta(&mut self, to: NodeId, known: &Seen, cx: &mut Context) {
        let stamp = self.tick(cx);
        let (seen, versions) = (self.store.seen.clone(), self.store.missing(known));
        cx.send(to, Msg::Delta { stamp, seen, versions });
    }

    fn take(&mut self, seen: &Seen, versions: Vec<Version>, cx: &mut Context) {
        if self.store.seen.covers(seen) {
            return; // it came before
        }
        if !seen.covers(&self.store.seen) {
            cx.mark("each of two replicas had what the other one had not");
        }
        self.store.merge(seen, &versions);
        if versions.iter().any(|version| self.store.at(version.key).len() > 1) {
            cx.mark("siblings came together");
        }
        let at = cx.now();
        cx.force(Record::Merged { at, seen: seen.clone(), versions });
    }

    /// The stamp of something that happens here, or of a message that leaves.
    fn tick(&mut self, cx: &mut Context) -> Stamp {
        let wall = self.config.units(cx.wall());
        let stamp = self.clock.tick(wall);
        if stamp.0 > wall {
            cx.mark("a stamp went on from one that was ahead of the wall clock here");
        }
        self.stamped(Stamped { stamp, cause: None }, cx);
        stamp
    }

    /// A message with this stamp comes in. False if it is to be refused.
    fn receive(&mut self, cause: Stamp, cx: &mut Context) -> bool {
        let wall = self.config.units(cx.wall());
        let Some(stamp) = self.clock.receive(wall, cause) else {
            cx.mark("a message whose stamp was too far ahead was refused");
            self.view.refused = Some(cx.now());
            return false;
        };
        self.stamped(Stamped { stamp, cause: Some(cause) }, cx);
        true
    }

    /// Before a stamp goes out, the bound that it stays below is on disk.
    fn stamped(&mut self, stamped: Stamped, cx: &mut Context) {
        if self.clock.reserved() > self.reserved {
            self.reserved = self.clock.reserved();
            cx.force(Record::Reserved(self.reserved));
        }
        self.stamped.push(stamped);
    }
}

impl Observe for AntiEntropy {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        store::durable(log)
    }

    fn view(&self) -> View {
        let editing = self.drafts.keys().copied().collect();
        View { editing, ..self.view.clone() }
    }
}
