//! What invariants see: participants' logs, for no other node's log has an outcome. The log is read
//! here by code of its own: a slip in the protocol's own replay must not hide itself from its
//! judge.

use super::*;
use node::Observe;
use std::collections::BTreeMap;

impl Observe for PaxosCommit {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        let mut balances = BTreeMap::new();
        let mut applied = BTreeMap::new();
        let mut open: BTreeMap<TxId, &Redo> = BTreeMap::new();
        for record in log {
            match record {
                Record::Promised { .. } | Record::Accepted { .. } => {}
                Record::Opened { balances: opening } => balances.extend(opening.iter().copied()),
                Record::Prepared(redo) => {
                    open.insert(redo.tx, redo);
                }
                Record::Committed { tx, request } => {
                    let redo = open.remove(tx).into_iter();
                    balances.extend(redo.flat_map(|redo| redo.writes.iter().copied()));
                    *applied.entry(*request).or_default() += 1;
                    durable.committed.push(*tx);
                }
                Record::Aborted { tx } => {
                    open.remove(tx);
                    durable.aborted.push(*tx);
                }
            }
        }
        for list in [&mut durable.committed, &mut durable.aborted] {
            list.sort_unstable();
            list.dedup();
        }
        durable.prepared =
            open.values().map(|redo| Prepared { tx: redo.tx, request: redo.request }).collect();
        durable.balances = balances.into_iter().collect();
        durable.applied = applied.into_iter().collect();
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Coordinator(coordinator) => coordinator.view(),
            Self::Participant(participant) => participant.view(),
            Self::Acceptor(acceptor) => acceptor.view(),
        }
    }
}
