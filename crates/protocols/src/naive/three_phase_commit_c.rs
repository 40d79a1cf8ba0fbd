//! Three-phase commit as seed 004 has it (§3.1.2, code 4.1.2): pre-prepare, prepare, confirm.
//!
//! The article calls it a variant of two-phase commit with one phase more: if all confirm, the
//! transaction has succeeded, otherwise it has failed.
//!
//! What is wrong:
//! - Prepare decides and commits, so confirm comes when the effects are visible. One that is
//!   missing makes a failure of what has been committed.
//! - After a No nobody is told anything. A later `commit()`, here a second copy of the request,
//!   commits and confirms everybody, those that said No included.
//!
//! "Otherwise" needs a time-out, which the article does not speak of: it is the vote's.
//!
//! Breaks on a calm run: an orphaned prepared transaction, with one veto. AC2 with a copy of that
//! request; with one confirm that is late or lost, a client that is told of a failure and finds it
//! committed.

use super::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, TxId, View};
pub use super::ledger::Record;
use super::ledger::{self, Desk, Running, Store};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What they say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Coordinator: are you ready for this?
    PrePrepare {
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
    /// Coordinator: commit, and confirm it.
    Commit {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
    },
    /// Participant: committed.
    Confirm {
        /// The transaction.
        tx: TxId,
    },
}

/// Coordinator or participant.
pub struct ThreePhaseCommitC {
    desk: Desk,
    store: Store,
    timeout: Duration,
    /// Transactions that somebody was not ready for.
    refused: BTreeMap<RequestId, (TxId, Running)>,
    /// Who has confirmed.
    confirms: BTreeMap<TxId, (Running, BTreeSet<NodeId>)>,
    /// What was committed here.
    committed: BTreeSet<TxId>,
}

impl Node for ThreePhaseCommitC {
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
            timeout: config.vote_timeout,
            refused: BTreeMap::new(),
            confirms: BTreeMap::new(),
            committed: BTreeSet::new(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        if let Some(opened) = self.store.start(log) {
            cx.force(opened);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        // `commit()` does not ask what came of `prepare()`.
        if let Some((tx, running)) = self.refused.remove(&request) {
            return self.commit(tx, running, cx);
        }
        let Some((tx, parts)) = self.desk.begin(request, op, cx) else { return };
        for (to, work) in parts {
            cx.send(to, Msg::PrePrepare { tx, request, work });
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::PrePrepare { tx, request, work } => {
                let values = self.store.prepare(tx, request, &work).map(|(prepared, values)| {
                    cx.force(prepared);
                    values
                });
                cx.send(from, Msg::Ready { tx, values });
            }
            Msg::Ready { tx, values } => {
                let Some(ready) = self.desk.answer(tx, from, values) else { return };
                let decision = ready.then_some(Outcome::Commit);
                let Some(running) = self.desk.close(tx, decision) else { return };
                if ready {
                    return self.commit(tx, running, cx);
                }
                cx.fail(running.request, "not all are ready");
                self.refused.insert(running.request, (tx, running));
            }
            // Also where nothing was prepared.
            Msg::Commit { tx, request } => {
                if self.committed.insert(tx) {
                    let committed = self.store.commit(tx);
                    let nothing = || Record::Committed { tx, request, writes: Vec::new() };
                    cx.force(committed.unwrap_or_else(nothing));
                }
                cx.send(from, Msg::Confirm { tx });
            }
            Msg::Confirm { tx } => {
                let Some((running, confirms)) = self.confirms.get_mut(&tx) else { return };
                confirms.insert(from);
                if confirms.len() == running.parts.len()
                    && let Some((running, _)) = self.confirms.remove(&tx)
                {
                    cx.reply(running.request, self.desk.committed(&running));
                }
            }
        }
    }

    fn on_timer(&mut self, tx: TxId, cx: &mut Cx<Self>) {
        if let Some((running, _)) = self.confirms.remove(&tx) {
            cx.fail(running.request, "not everybody has confirmed");
        }
    }
}

impl ThreePhaseCommitC {
    fn commit(&mut self, tx: TxId, running: Running, cx: &mut Cx<Self>) {
        let request = running.request;
        running.parts.iter().for_each(|to| cx.send(*to, Msg::Commit { tx, request }));
        cx.set_timer(self.timeout, tx);
        self.confirms.insert(tx, (running, BTreeSet::new()));
    }
}

impl Observe for ThreePhaseCommitC {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        ledger::durable(log)
    }

    fn view(&self) -> View {
        ledger::view(&self.desk, &self.store)
    }
}
