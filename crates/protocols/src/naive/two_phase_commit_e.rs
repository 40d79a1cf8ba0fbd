//! Two-phase commit as seed 004 has it (§3.1.1, code 4.1.1): prepare, then commit or rollback.
//!
//! The article claims "all or nothing", and that one can return to the initial state.
//!
//! What is wrong:
//! - A participant's `prepare()` calls `coordinator.commit()`, so the first one that is prepared
//!   decides for all.
//! - Participants are never told the decision. What was prepared stays prepared, locks and all;
//!   the client is told that it happened.
//!
//! Breaks on a calm run: nothing ever ends, and nothing is ever applied; AC1 and AC2 with one veto.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: prepare this.
    Prepare {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done.
        work: Vec<(Key, Action)>,
    },
    /// Participant, prepared, to the coordinator: commit.
    Commit {
        /// The transaction.
        tx: TxId,
        /// What it read.
        values: Vec<i64>,
    },
    /// Participant, not prepared, to the coordinator: roll back.
    Rollback {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct TwoPhaseCommitE {
    desk: Desk,
    store: Store,
}

impl Node for TwoPhaseCommitE {
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
            Msg::Prepare { tx, request, work } => match self.store.prepare(tx, request, &work) {
                Some((prepared, values)) => {
                    cx.force(prepared);
                    cx.send(from, Msg::Commit { tx, values });
                }
                None => {
                    cx.force(Record::Aborted { tx });
                    cx.send(from, Msg::Rollback { tx });
                }
            },
            // Decided, on record, and told to the client alone.
            Msg::Commit { tx, values } => {
                self.desk.answer(tx, from, Some(values));
                if let Some(running) = self.desk.close(tx, Some(Outcome::Commit)) {
                    let (request, writers) = (running.request, running.writers.clone());
                    cx.force(Record::Decided { tx, request, writers });
                    cx.reply(request, self.desk.committed(&running));
                }
            }
            Msg::Rollback { tx } => {
                if let Some(running) = self.desk.close(tx, Some(Outcome::Abort)) {
                    cx.fail(running.request, "rolled back");
                }
            }
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl Observe for TwoPhaseCommitE {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
