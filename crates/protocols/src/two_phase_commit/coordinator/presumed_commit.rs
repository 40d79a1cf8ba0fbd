//! The coordinator where commit is presumed (R*: Mohan, Lindsay, Obermarck), rules 1.14–1.17.
//!
//! - 1.14 Force COLLECTING, which names all participants, before the first Prepare.
//! - 1.15 Commit: force COMMIT, send Decision(C). No acks: with that record it may forget.
//! - 1.16 Abort: force ABORT, send Decision(A), again and again until all have acked who voted
//!   neither No nor ReadOnly; lazy END.
//! - 1.17 Restart: COLLECTING alone → abort, by 1.16. An Inquiry without a record → commit.
//!
//! # Deviations
//!
//! - An abort in the execution round leaves no record and awaits no ack: nobody was asked to
//!   prepare, so nobody will inquire.
//! - A transaction that changes nothing ends with a lazy END in place of COMMIT. If a crash takes
//!   that, its readers are told of an abort that means nothing to them.

use super::*;

impl Coordinator {
    /// 1.14 From here on, no record means commit.
    pub(super) fn collect(&self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let Some(Transaction { request, phase: Phase::Working { parts, .. } }) = self.txs.get(&tx)
        else {
            return;
        };
        if self.presume == Presume::Commit {
            cx.force(Record::Collecting { tx, request: *request, parts: parts.clone() });
        }
    }

    /// 1.16 ABORT is on record before anybody hears of it.
    pub(super) fn abort_on_record(
        &mut self,
        tx: TxId,
        parts: Vec<NodeId>,
        unacked: BTreeSet<NodeId>,
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        cx.force(Record::Abort { tx });
        let over = unacked.is_empty();
        transaction.phase = Phase::Aborting { parts, unacked };
        match over {
            true => self.end(tx, cx),
            false => self.tell(tx, cx),
        }
    }

    /// 1.17 COLLECTING alone: abort. ABORT without END: Decision(A) again.
    pub(super) fn recover(&mut self, log: &[Record], cx: &mut Cx<TwoPhaseCommit>) {
        let mut undecided = BTreeSet::new();
        for record in log {
            match record {
                Record::Collecting { tx, request, parts } => {
                    let (parts, unacked) = (parts.clone(), parts.iter().copied().collect());
                    let phase = Phase::Aborting { parts, unacked };
                    self.txs.insert(*tx, Transaction { request: *request, phase });
                    undecided.insert(*tx);
                }
                Record::Abort { tx } => {
                    undecided.remove(tx);
                }
                Record::Commit { tx, .. } | Record::End { tx } => {
                    undecided.remove(tx);
                    self.txs.remove(tx);
                    self.spent += 1;
                }
                _ => {}
            }
        }
        let aborting: Vec<TxId> = self.txs.keys().copied().collect();
        for tx in aborting {
            if undecided.contains(&tx) {
                cx.mark("coordinator restarted while collecting");
                cx.force(Record::Abort { tx });
            } else {
                cx.mark("coordinator restarted with an abort to finish");
            }
            self.tell(tx, cx);
        }
    }

    /// All votes are ReadOnly. COLLECTING, where there is one, must not be found alone.
    pub(super) fn end_unchanged(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        match self.presume {
            Presume::Abort => drop(self.txs.remove(&tx)),
            Presume::Commit => self.end(tx, cx),
        }
    }
}
