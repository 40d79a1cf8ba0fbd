//! Two-phase commit as seed 000 has it (§3.1, code 4.1): check, ack, execute, results, commit.
//!
//! The article claims that it "satisfies consistency on all nodes at once".
//!
//! What is wrong:
//! - There is no decision. `commit()` asks `can_execute` of each participant a second time, and
//!   each one executes or aborts by its own answer. One No is enough: A `prepare, execute`, B
//!   `reject, abort`.
//! - The coordinator decides, if at all, after the participants have executed. No prepared state
//!   exists that could be undone, so an abort cannot be honoured.
//! - Nothing is locked between the two questions: two transactions can both be told yes.
//!
//! Breaks on a calm run: AC1 and AC2, with one veto.

use super::commit::{Action, Config, Durable, Key, Op, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: can you execute this?
    Check {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// What is to be done.
        work: Vec<(Key, Action)>,
    },
    /// Participant: `prepare` or `reject`.
    Ack {
        /// The transaction.
        tx: TxId,
        /// The answer, which nobody uses.
        can: bool,
    },
    /// Coordinator: execute.
    Execute {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: what it read, or that it did not execute.
    Result {
        /// The transaction.
        tx: TxId,
        /// Of one that executed.
        values: Option<Vec<i64>>,
    },
}

/// Coordinator or participant.
pub struct TwoPhaseCommitA {
    desk: Desk,
    store: Store,
    checked: BTreeMap<TxId, (RequestId, Vec<(Key, Action)>)>,
    acks: BTreeMap<TxId, Vec<NodeId>>,
}

impl Node for TwoPhaseCommitA {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = TxId;

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            desk: Desk::new(config),
            store: Store::new(config),
            checked: BTreeMap::new(),
            acks: BTreeMap::new(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        if let Some(opened) = self.store.start(log) {
            cx.force(opened);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let Some((tx, parts)) = self.desk.begin(request, op, cx) else { return };
        for (to, work) in parts {
            cx.send(to, Msg::Check { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Check { tx, request, work } => {
                let can = self.store.can_execute(&work).is_some();
                self.checked.insert(tx, (request, work));
                cx.send(from, Msg::Ack { tx, can });
            }
            // Whatever they have answered, `commit()` asks each one again.
            Msg::Ack { tx, can: _ } => {
                let Some(running) = self.desk.running(tx) else { return };
                let acks = self.acks.entry(tx).or_default();
                if !acks.contains(&from) {
                    acks.push(from);
                    if acks.len() == running.parts.len() {
                        running.parts.iter().for_each(|to| cx.send(*to, Msg::Execute { tx }));
                    }
                }
            }
            Msg::Execute { tx } => {
                let Some((request, work)) = self.checked.remove(&tx) else { return };
                let values = match self.store.can_execute(&work) {
                    Some((writes, values)) => {
                        cx.force(self.store.execute(tx, request, writes));
                        Some(values)
                    }
                    None => {
                        cx.force(Record::Aborted { tx });
                        None
                    }
                };
                cx.send(from, Msg::Result { tx, values });
            }
            Msg::Result { tx, values } => {
                let Some(everywhere) = self.desk.answer(tx, from, values) else { return };
                let Some(running) = self.desk.close(tx, None) else { return };
                self.acks.remove(&tx);
                match everywhere {
                    true => cx.reply(running.request, self.desk.committed(&running)),
                    false => cx.fail(running.request, "not executed everywhere"),
                }
            }
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl Observe for TwoPhaseCommitA {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
