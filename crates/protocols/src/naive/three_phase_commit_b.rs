//! Three-phase commit as seed 002 has it (§3.2): prepare, commit, rollback.
//!
//! The article claims that the rollback phase handles failure (FAQ 3).
//!
//! What is wrong:
//! - Rollback is the third phase, and not an outcome: by its text the coordinator sends it when all
//!   are ready. So it rolls back what has just been committed.
//! - Where somebody is not ready, nothing is said at all: those that are ready stay so for ever.
//!
//! Breaks on a calm run: AC3, with no veto; an orphaned prepared transaction, with one.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: are you ready for this?
    Prepare {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done.
        work: Vec<(Key, Action)>,
    },
    /// Participant: ready, with what it read, or not.
    Ready {
        /// The transaction.
        tx: TxId,
        /// Of one that is ready.
        values: Option<Vec<i64>>,
    },
    /// Coordinator, second phase: all are ready.
    Commit {
        /// The transaction.
        tx: TxId,
    },
    /// Coordinator, third phase: all are ready.
    Rollback {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct ThreePhaseCommitB {
    desk: Desk,
    store: Store,
}

impl Node for ThreePhaseCommitB {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = TxId;

    fn new(_: NodeId, config: &Config) -> Self {
        Self { desk: Desk::new(config), store: Store::new(config) }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        if let Some(opened) = self.store.start(log) {
            cx.force(opened);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let Some((tx, parts)) = self.desk.begin(request, op, cx) else { return };
        for (to, work) in parts {
            cx.send(to, Msg::Prepare { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Prepare { tx, request, work } => {
                let values = self.store.prepare(tx, request, &work).map(|(prepared, values)| {
                    cx.force(prepared);
                    values
                });
                cx.send(from, Msg::Ready { tx, values });
            }
            Msg::Ready { tx, values } => {
                if let Some(all) = self.desk.answer(tx, from, values) {
                    self.finish(tx, all, cx);
                }
            }
            Msg::Commit { tx } => {
                if let Some(committed) = self.store.commit(tx) {
                    cx.force(committed);
                }
            }
            // Nothing was kept from which the old balances could be restored.
            Msg::Rollback { tx } => cx.force(Record::Aborted { tx }),
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl ThreePhaseCommitB {
    fn finish(&mut self, tx: TxId, ready: bool, cx: &mut Cx<Self>) {
        let decision = if ready { Outcome::Commit } else { Outcome::Abort };
        let Some(running) = self.desk.close(tx, Some(decision)) else { return };
        if !ready {
            return cx.fail(running.request, "not all are ready");
        }
        running.parts.iter().for_each(|to| cx.send(*to, Msg::Commit { tx }));
        running.parts.iter().for_each(|to| cx.send(*to, Msg::Rollback { tx }));
        cx.reply(running.request, self.desk.committed(&running));
    }
}

impl Observe for ThreePhaseCommitB {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
