//! Three-phase commit as seed 000 has it (§3.2, code 4.2): check, prepare, commit, confirm.
//!
//! The article claims that it is an improvement of two-phase commit.
//!
//! What is wrong:
//! - It has four rounds, and the one that is new comes after execution. When somebody executes,
//!   nobody knows that all can: there is no pre-commit, and who survives a crash knows nothing.
//! - Every loop asks `can_execute` of each participant again, and each one executes, confirms or
//!   aborts by its own answer. One No is enough: A `prepare, execute, confirm`, B `reject, abort,
//!   abort`.
//! - Who has executed may find in the last loop that it cannot, and aborts what it has committed.
//!
//! Breaks on a calm run: AC1 and AC2, with one veto; AC3, where an account suffices only once.

use super::commit::{Action, Config, Durable, Key, Op, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Coordinator: confirm.
    Confirm {
        /// The transaction.
        tx: TxId,
    },
    /// Participant: `confirm` or `abort`.
    Confirmed {
        /// The transaction.
        tx: TxId,
        /// The answer.
        can: bool,
    },
}

/// Coordinator or participant.
pub struct ThreePhaseCommitA {
    desk: Desk,
    store: Store,
    checked: BTreeMap<TxId, (RequestId, Vec<(Key, Action)>)>,
    acks: BTreeMap<TxId, BTreeSet<NodeId>>,
    confirms: BTreeMap<TxId, BTreeMap<NodeId, bool>>,
}

impl Node for ThreePhaseCommitA {
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
            confirms: BTreeMap::new(),
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
            // Whatever they have answered, the next loop asks each one again.
            Msg::Ack { tx, can: _ } => {
                let Some(running) = self.desk.running(tx) else { return };
                let acks = self.acks.entry(tx).or_default();
                if acks.insert(from) && acks.len() == running.parts.len() {
                    running.parts.iter().for_each(|to| cx.send(*to, Msg::Execute { tx }));
                }
            }
            Msg::Execute { tx } => {
                let Some((request, work)) = self.checked.get(&tx) else { return };
                let values = match self.store.can_execute(work) {
                    Some((writes, values)) => {
                        cx.force(self.store.execute(tx, *request, writes));
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
                if self.desk.answer(tx, from, values).is_some()
                    && let Some(running) = self.desk.running(tx)
                {
                    running.parts.iter().for_each(|to| cx.send(*to, Msg::Confirm { tx }));
                }
            }
            Msg::Confirm { tx } => {
                let Some((_, work)) = self.checked.remove(&tx) else { return };
                let can = self.store.can_execute(&work).is_some();
                if !can {
                    cx.force(Record::Aborted { tx });
                }
                cx.send(from, Msg::Confirmed { tx, can });
            }
            Msg::Confirmed { tx, can } => self.on_confirmed(tx, from, can, cx),
        }
    }

    fn on_timer(&mut self, _: TxId, _: &mut Cx<Self>) {}
}

impl ThreePhaseCommitA {
    fn on_confirmed(&mut self, tx: TxId, from: NodeId, can: bool, cx: &mut Cx<Self>) {
        let Some(running) = self.desk.running(tx) else { return };
        let confirms = self.confirms.entry(tx).or_default();
        confirms.insert(from, can);
        if confirms.len() < running.parts.len() {
            return;
        }
        let everywhere = confirms.values().all(|can| *can);
        let Some(running) = self.desk.close(tx, None) else { return };
        match everywhere {
            true => cx.reply(running.request, self.desk.committed(&running)),
            false => cx.fail(running.request, "not confirmed everywhere"),
        }
    }
}

impl Observe for ThreePhaseCommitA {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
