//! Two-phase commit as seed 000 has it in its questions and answers (§9.2): submit, results,
//! "confirm".
//!
//! The article claims the same as in §3.1, which it contradicts: there the phases are prepare and
//! submit, here they are submit and confirm.
//!
//! What is wrong:
//! - Participants execute when the work is submitted, durably and for all to see. The coordinator
//!   decides afterwards, by whether all results agree. When they do not, there is nothing prepared
//!   that could be undone: the Cancel comes too late.
//! - The third message confirms what has happened already; it decides nothing.
//!
//! Breaks on a calm run: AC1, with one veto or one empty account; and an effect is durable before
//! there is a decision. A crash of a participant after another one has executed does the same.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: execute this.
    Submit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done.
        work: Vec<(Key, Action)>,
    },
    /// Participant: what it read, or that the execution failed.
    Result {
        /// The transaction.
        tx: TxId,
        /// Of one that executed.
        values: Option<Vec<i64>>,
    },
    /// Coordinator: all results agree.
    Confirm {
        /// The transaction.
        tx: TxId,
    },
    /// Coordinator: they do not.
    Cancel {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct TwoPhaseCommitB {
    desk: Desk,
    store: Store,
}

impl Node for TwoPhaseCommitB {
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
            cx.send(to, Msg::Submit { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            // Executed at once: this is the commit, whatever is decided later.
            Msg::Submit { tx, request, work } => {
                let values = self.store.can_execute(&work).map(|(writes, values)| {
                    cx.force(self.store.execute(tx, request, writes));
                    values
                });
                cx.send(from, Msg::Result { tx, values });
            }
            Msg::Result { tx, values } => {
                if let Some(all) = self.desk.answer(tx, from, values) {
                    self.decide(tx, all, cx);
                }
            }
            Msg::Confirm { .. } => {}
            // Nothing was kept from which the old balances could be restored.
            Msg::Cancel { tx } => cx.force(Record::Aborted { tx }),
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl TwoPhaseCommitB {
    fn decide(&mut self, tx: TxId, agree: bool, cx: &mut Cx<Self>) {
        let decision = if agree { Outcome::Commit } else { Outcome::Abort };
        let Some(running) = self.desk.close(tx, Some(decision)) else { return };
        for to in &running.parts {
            cx.send(*to, if agree { Msg::Confirm { tx } } else { Msg::Cancel { tx } });
        }
        match decision {
            Outcome::Commit => cx.reply(running.request, self.desk.committed(&running)),
            Outcome::Abort => cx.fail(running.request, "the results do not agree"),
        }
    }
}

impl Observe for TwoPhaseCommitB {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
