//! What invariants see. The log is read here by code of its own: a slip in the protocol's own
//! replay must not hide itself from its judge.

use super::*;
use node::Observe;

impl Observe for TwoPhaseCommit {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        let mut open: Vec<&Redo> = Vec::new();
        for record in log {
            match record {
                Record::Commit { tx, request, writers } => {
                    let writers = writers.clone();
                    let decided = Decided { tx: *tx, request: *request, writers, ended: false };
                    if let Err(at) = durable.decided.binary_search_by_key(tx, |old| old.tx) {
                        durable.decided.insert(at, decided);
                    }
                }
                Record::End { tx } => {
                    if let Ok(at) = durable.decided.binary_search_by_key(tx, |old| old.tx) {
                        durable.decided[at].ended = true;
                    }
                }
                Record::Prepared(prepared) => open.push(prepared),
                Record::Committed { tx, request } => {
                    for prepared in open.extract_if(.., |prepared| prepared.tx == *tx) {
                        for (key, balance) in &prepared.writes {
                            set(&mut durable.balances, *key, *balance);
                        }
                    }
                    add(&mut durable.committed, *tx);
                    match durable.applied.binary_search_by_key(request, |(id, _)| *id) {
                        Ok(at) => durable.applied[at].1 += 1,
                        Err(at) => durable.applied.insert(at, (*request, 1)),
                    }
                }
                Record::Aborted { tx } => {
                    open.retain(|prepared| prepared.tx != *tx);
                    add(&mut durable.aborted, *tx);
                }
                Record::Checkpoint(checkpoint) => {
                    durable.balances.clone_from(&checkpoint.balances);
                    durable.applied = checkpoint.applied.iter().map(|id| (*id, 1)).collect();
                    durable.committed.clone_from(&checkpoint.committed);
                    durable.aborted.clone_from(&checkpoint.aborted);
                    durable.low_water.clone_from(&checkpoint.low_water);
                    open.clear();
                }
                Record::Collecting { .. } => {}
                Record::Abort { tx } => add(&mut durable.aborted, *tx),
            }
        }
        durable.prepared =
            open.iter().map(|redo| Prepared { tx: redo.tx, request: redo.request }).collect();
        durable.prepared.sort_unstable_by_key(|prepared| prepared.tx);
        durable.prepared.dedup();
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Coordinator(coordinator) => coordinator.view(),
            Self::Participant(participant) => participant.view(),
        }
    }
}

fn add(list: &mut Vec<TxId>, tx: TxId) {
    if let Err(at) = list.binary_search(&tx) {
        list.insert(at, tx);
    }
}

fn set(balances: &mut Vec<(Key, i64)>, key: Key, balance: i64) {
    match balances.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(at) => balances[at].1 = balance,
        Err(at) => balances.insert(at, (key, balance)),
    }
}
