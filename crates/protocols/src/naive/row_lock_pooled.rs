//! A database lock that belongs to a session, where sessions are pooled.
//!
//! # What the article says
//!
//! 003 §3 counts the database among the ways to a lock, and shows none. This is the usual way
//! without a transaction: `GET_LOCK` or `pg_advisory_lock`, which a session holds until it lets go
//! or ends, over a pool of connections.
//!
//! # What is wrong
//!
//! The lock is the session's, and a session is whoever the pool lends it to: two tasks of one
//! worker have the same one, and each is told that it has the lock, for it is granted to a session
//! as often as that one asks. No fault is needed. And a session that ends, with the store, takes
//! its locks along, but not the effects: these go over another connection, in a transaction of
//! their own that knows nothing of the lock.
//!
//! # The rules
//!
//! - Upon a request: `Lock` the row's name, over the pooled session.
//! - Upon `Locked`: read the row, over any connection; compute; write it, with a commit of its own.
//! - Upon `Written`: reply, and `Unlock`.
//! - The store: a lock that is free, **or the same session's**, is granted; else one waits.

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Lock { request: RequestId, op: Op },
    Locked { request: RequestId, op: Op },
    Read { request: RequestId, op: Op },
    Value { request: RequestId, op: Op, row: Row },
    Write { request: RequestId, op: Op, row: Row, ret: Ret },
    Written { request: RequestId, op: Op, ret: Ret },
    Unlock { item: Item },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Written { request: RequestId, item: Item, row: Row },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Computed { request: RequestId, op: Op, row: Row },
}

/// A lock of a session. It counts how often that one has taken it.
#[derive(Debug, Default)]
struct Lock {
    held: Option<(NodeId, u32)>,
    waiting: VecDeque<(NodeId, RequestId, Op)>,
}

/// One node of a stock keeper.
#[derive(Debug)]
pub struct RowLockPooled {
    config: Config,
    rows: BTreeMap<Item, Row>,
    /// At the store. A worker's pool has one session.
    locks: BTreeMap<Item, Lock>,
}

impl RowLockPooled {
    /// Whoever is next has the lock, if it is free or the same session's.
    fn grant(&mut self, item: Item, cx: &mut Cx<Self>) {
        let lock = self.locks.entry(item).or_default();
        while let Some((session, request, op)) = lock.waiting.front().copied() {
            match &mut lock.held {
                Some((holder, times)) if *holder == session => *times += 1,
                Some(_) => return,
                None => lock.held = Some((session, 1)),
            }
            lock.waiting.pop_front();
            cx.send(session, Msg::Locked { request, op });
        }
    }

    fn unlock(&mut self, session: NodeId, item: Item, cx: &mut Cx<Self>) {
        let lock = self.locks.entry(item).or_default();
        if let Some((holder, times)) = &mut lock.held
            && *holder == session
        {
            *times -= 1;
            if *times == 0 {
                lock.held = None;
            }
            self.grant(item, cx);
        }
    }
}

impl Node for RowLockPooled {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), rows: BTreeMap::new(), locks: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for Record::Written { item, row, .. } in log {
            self.rows.insert(*item, *row);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Worker if op.only_reads() => {
                cx.send(self.config.store, Msg::Read { request, op });
            }
            Role::Worker => cx.send(self.config.store, Msg::Lock { request, op }),
            Role::Store => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Lock { request, op } => {
                let lock = self.locks.entry(op.item()).or_default();
                let own = lock.held.is_some_and(|(holder, _)| holder == from);
                match own {
                    true => lock.waiting.push_front((from, request, op)),
                    false => lock.waiting.push_back((from, request, op)),
                }
                self.grant(op.item(), cx);
            }
            Msg::Locked { request, op } => cx.send(from, Msg::Read { request, op }),
            Msg::Read { request, op } => {
                let row = self.rows.get(&op.item()).copied().unwrap_or(Row::OPENING);
                cx.send(from, Msg::Value { request, op, row });
            }
            Msg::Value { request, op, row } if op.only_reads() => cx.reply(request, Ret::Row(row)),
            Msg::Value { request, op, row } => {
                cx.set_timer(self.config.think, Timer::Computed { request, op, row });
            }
            Msg::Write { request, op, row, ret } => {
                self.rows.insert(op.item(), row); // whoever has the lock
                cx.force(Record::Written { request, item: op.item(), row });
                cx.send(from, Msg::Written { request, op, ret });
            }
            Msg::Written { request, op, ret } => {
                cx.reply(request, ret);
                cx.send(from, Msg::Unlock { item: op.item() });
            }
            Msg::Unlock { item } => self.unlock(from, item, cx),
        }
    }

    fn on_timer(&mut self, Timer::Computed { request, op, row }: Timer, cx: &mut Cx<Self>) {
        match row.after(op) {
            Some((row, ret)) => {
                cx.send(self.config.store, Msg::Write { request, op, row, ret });
            }
            None => {
                cx.fail(request, "sold out");
                cx.send(self.config.store, Msg::Unlock { item: op.item() });
            }
        }
    }
}

impl Observe for RowLockPooled {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|Record::Written { request, item, row }| Written {
            operation: *request,
            item: *item,
            row: *row,
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        View::default()
    }
}
