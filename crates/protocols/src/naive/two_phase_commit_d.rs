//! Two-phase commit as seed 002 has it (§3.1, code §4): prepare, then commit.
//!
//! The article claims that the coordinator commits if all are ready.
//!
//! What is wrong:
//! - On a No it returns False and never tells the participants that have prepared: they keep their
//!   locks for ever.
//! - The commit loop is not on record: a crash in the middle of it leaves A committed and B not,
//!   and nobody to ask.
//! - A second call by the client is a second transaction: everything commits twice.
//!
//! Breaks on a calm run: an orphaned prepared transaction, with one veto; with a duplicate request,
//! an operation applied twice. AC1 with a crash inside the commit loop.

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
    /// Coordinator: all are ready.
    Commit {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct TwoPhaseCommitD {
    desk: Desk,
    store: Store,
}

impl Node for TwoPhaseCommitD {
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
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl TwoPhaseCommitD {
    fn finish(&mut self, tx: TxId, ready: bool, cx: &mut Cx<Self>) {
        let decision = if ready { Outcome::Commit } else { Outcome::Abort };
        let Some(running) = self.desk.close(tx, Some(decision)) else { return };
        if !ready {
            // `return False`
            return cx.fail(running.request, "not all are ready");
        }
        running.parts.iter().for_each(|to| cx.send(*to, Msg::Commit { tx }));
        cx.reply(running.request, self.desk.committed(&running));
    }
}

impl Observe for TwoPhaseCommitD {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
