//! Two-phase commit as seed 001 has it (§3.1.3, code 4.1): a coordinator with the states Prepare,
//! Commit and Abort, and participants that call it.
//!
//! The article claims that any refusal cancels, and that a transaction is committed when all have
//! acknowledged.
//!
//! What is wrong:
//! - The participant pulls: once prepared it calls the coordinator. The coordinator has no list of
//!   participants, so it cannot know who is missing, and always answers "Committed".
//! - The state machine enters Commit on two different events and has no final state.
//! - A participant that refuses tells nobody.
//!
//! Breaks on a calm run: AC1 and AC2. P commits while Q never prepared.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// From where the request came in: here is your part. (In the article it is just there.)
    Part {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done.
        work: Vec<(Key, Action)>,
    },
    /// Participant: I am prepared.
    Prepared {
        /// The transaction.
        tx: TxId,
        /// What it read.
        values: Vec<i64>,
    },
    /// Coordinator, to whoever calls.
    Committed {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct TwoPhaseCommitC {
    desk: Desk,
    store: Store,
}

impl Node for TwoPhaseCommitC {
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
            cx.send(to, Msg::Part { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Part { tx, request, work } => match self.store.prepare(tx, request, &work) {
                Some((prepared, values)) => {
                    cx.force(prepared);
                    cx.send(from, Msg::Prepared { tx, values });
                }
                None => cx.force(Record::Aborted { tx }),
            },
            // The first call is as good as the last one: nobody knows how many there will be.
            Msg::Prepared { tx, values } => {
                self.desk.answer(tx, from, Some(values));
                if let Some(running) = self.desk.close(tx, Some(Outcome::Commit)) {
                    cx.reply(running.request, self.desk.committed(&running));
                }
                cx.send(from, Msg::Committed { tx });
            }
            Msg::Committed { tx } => {
                if let Some(committed) = self.store.commit(tx) {
                    cx.force(committed);
                }
            }
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl Observe for TwoPhaseCommitC {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
