//! A cache beside a database, kept up to date by who writes: delete the entry, then write; and the
//! same with a second delete a while later.
//!
//! # What the article says
//!
//! 004 §3.2.1: data has a version in the cache and one in the database; when both are equal the
//! cache may be used, which makes reads consistent. That asks the database at every read. What is
//! done instead to have no old entry there is to delete it: before the write ("delete, then
//! write"), or before *and* some time after it ("delayed double delete").
//!
//! # What is wrong
//!
//! A reader that misses between the delete and the write reads the old page, and puts it back: the
//! cache is old for ever, and no fault is needed. The second delete helps against a reader that is
//! back before it. One that is slower than the delay puts the old page back after it, and how slow
//! a reader may be nobody knows. A writer that dies on its way deletes nothing. And a client whose
//! own write the cache does not know reads what was there before it.
//!
//! # The rules
//!
//! - Upon a read: `Get` it from the cache. Upon `Miss`: `Read` it from the database, **`Set`** it
//!   in the cache, reply.
//! - Upon a write: **`Delete`** the entry, upon `Deleted` `Write` to the database, upon `Written`
//!   reply, and in the second version **`Delete` again** after a time.

use super::page::{Commit, Config, Content, Durable, Op, Page, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Deletes the entry, and then writes.
pub type CacheDeleteThenWrite = CacheAside<false>;
/// Deletes the entry, writes, and deletes it once more a while later.
pub type CacheDoubleDelete = CacheAside<true>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Get { request: RequestId, page: Page },
    Hit { request: RequestId, content: Content },
    Miss { request: RequestId, page: Page },
    Read { request: RequestId, page: Page },
    Row { request: RequestId, page: Page, content: Content },
    Set { page: Page, content: Content },
    Delete { request: RequestId, op: Op },
    Deleted { request: RequestId, op: Op },
    DeleteAgain { page: Page },
    Write { request: RequestId, page: Page, price: u32 },
    Written { request: RequestId, page: Page, content: Content },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Written { request: RequestId, page: Page, content: Content },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    DeleteAgain(Page),
}

/// One node of a cached shop; `AGAIN` is whether an entry is deleted a second time.
#[derive(Debug)]
pub struct CacheAside<const AGAIN: bool> {
    config: Config,
    /// The database's pages, or a cache's entries.
    pages: BTreeMap<Page, Content>,
}

impl<const AGAIN: bool> Node for CacheAside<AGAIN> {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), pages: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for Record::Written { page, content, .. } in log {
            self.pages.insert(*page, *content);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let cache = self.config.cache_of(op.page());
        match (self.config.role, op) {
            (Role::Front, Op::Read { page }) => cx.send(cache, Msg::Get { request, page }),
            (Role::Front, Op::Write { .. }) => cx.send(cache, Msg::Delete { request, op }),
            (Role::Database | Role::Cache, _) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        let database = self.config.database;
        match msg {
            Msg::Get { request, page } => match self.pages.get(&page) {
                Some(&content) => cx.send(from, Msg::Hit { request, content }),
                None => cx.send(from, Msg::Miss { request, page }),
            },
            Msg::Hit { request, content } => cx.reply(request, Ret::Page(content)),
            Msg::Miss { request, page } => cx.send(database, Msg::Read { request, page }),
            Msg::Read { request, page } => {
                let content = self.pages.get(&page).copied().unwrap_or_default();
                cx.send(from, Msg::Row { request, page, content });
            }
            Msg::Row { request, page, content } => {
                cx.send(self.config.cache_of(page), Msg::Set { page, content });
                cx.reply(request, Ret::Page(content));
            }
            Msg::Set { page, content } => drop(self.pages.insert(page, content)),
            Msg::Delete { request, op } => {
                self.pages.remove(&op.page());
                cx.send(from, Msg::Deleted { request, op });
            }
            Msg::Deleted { request, op: Op::Write { page, price } } => {
                cx.send(database, Msg::Write { request, page, price });
            }
            Msg::Deleted { .. } => {} // a read deletes nothing
            Msg::Write { request, page, price } => {
                let before = self.pages.get(&page).copied().unwrap_or_default();
                let content = Content { version: before.version + 1, price };
                self.pages.insert(page, content);
                cx.force(Record::Written { request, page, content });
                cx.send(from, Msg::Written { request, page, content });
            }
            Msg::Written { request, page, content } => {
                if AGAIN {
                    cx.set_timer(self.config.pause, Timer::DeleteAgain(page));
                }
                cx.reply(request, Ret::Written { version: content.version });
            }
            Msg::DeleteAgain { page } => drop(self.pages.remove(&page)),
        }
    }

    fn on_timer(&mut self, Timer::DeleteAgain(page): Timer, cx: &mut Cx<Self>) {
        cx.send(self.config.cache_of(page), Msg::DeleteAgain { page });
    }
}

impl<const AGAIN: bool> Observe for CacheAside<AGAIN> {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let commits = log.iter().map(|Record::Written { request, page, content }| Commit {
            operation: *request,
            page: *page,
            content: *content,
        });
        Durable { commits: commits.collect() }
    }

    fn view(&self) -> View {
        match self.config.role {
            Role::Cache => View { cached: self.pages.clone(), ..View::default() },
            Role::Database | Role::Front => View::default(),
        }
    }
}
