//! Pessimistic locks, in whatever order they come, and nothing against deadlock.
//!
//! # What the article says
//!
//! 001 and 003: a pessimistic lock "assumes that others will change the data", so it is taken
//! before the access, and who finds it taken waits. Neither article says in which order, or for how
//! long.
//!
//! # What is wrong
//!
//! Two transfers between the same two accounts: one gets its lock here, the other one there, and
//! each waits for what the other holds. Nobody ends it: no order, no age, no timeout. No fault is
//! needed, only messages that do not all take the same time.
//!
//! # The rules
//!
//! - Upon a request: `Lock` at every participant at once.
//! - Upon `Lock`: if the keys are free, force what is to be done, say `Locked`; if not, **wait**.
//! - Upon `Locked` from all: `Commit`. If somebody cannot: `Abort`.
//! - Upon either: do it, give the locks to who waits.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
use super::ledger::{self, Desk, Record, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Lock { tx: TxId, request: RequestId, work: Vec<(Key, Action)> },
    Locked { tx: TxId, values: Option<Vec<i64>> },
    Commit { tx: TxId },
    Abort { tx: TxId },
}

type Asked = (TxId, RequestId, Vec<(Key, Action)>);

/// Coordinator or participant.
pub struct TwoPhaseLocking {
    desk: Desk,
    store: Store,
    /// Locks that are asked for, in the order in which they came.
    waiting: Vec<Asked>,
}

impl Node for TwoPhaseLocking {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self { desk: Desk::new(config), store: Store::new(config), waiting: Vec::new() }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        if let Some(opened) = self.store.start(log) {
            cx.force(opened);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let Some((tx, parts)) = self.desk.begin(request, op, cx) else { return };
        for (to, work) in parts {
            cx.send(to, Msg::Lock { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Lock { tx, request, work } => {
                self.waiting.push((tx, request, work));
                self.lock(cx);
            }
            Msg::Locked { tx, values } => {
                if let Some(all) = self.desk.answer(tx, from, values) {
                    self.finish(tx, all, cx);
                }
            }
            Msg::Commit { tx } => {
                if let Some(committed) = self.store.commit(tx) {
                    cx.force(committed);
                    self.lock(cx);
                }
            }
            Msg::Abort { tx } => {
                cx.force(self.store.abort(tx));
                self.lock(cx);
            }
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl TwoPhaseLocking {
    /// Who finds its locks free takes them; the others wait.
    fn lock(&mut self, cx: &mut Cx<Self>) {
        for (tx, request, work) in std::mem::take(&mut self.waiting) {
            if self.store.is_locked(&work) {
                self.waiting.push((tx, request, work));
                continue;
            }
            let values = self.store.prepare(tx, request, &work).map(|(prepared, values)| {
                cx.force(prepared);
                values
            });
            cx.send(tx.coordinator, Msg::Locked { tx, values });
        }
    }

    fn finish(&mut self, tx: TxId, all: bool, cx: &mut Cx<Self>) {
        let decision = if all { Outcome::Commit } else { Outcome::Abort };
        let Some(running) = self.desk.close(tx, Some(decision)) else { return };
        for to in &running.parts {
            cx.send(*to, if all { Msg::Commit { tx } } else { Msg::Abort { tx } });
        }
        match all {
            true => cx.reply(running.request, self.desk.committed(&running)),
            false => cx.fail(running.request, "somebody cannot"),
        }
    }
}

impl Observe for TwoPhaseLocking {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
