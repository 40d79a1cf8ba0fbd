//! The participant where commit is presumed, rules 1.15 and 1.16: it is the abort that must be
//! durable before the coordinator hears of it, and the commit that may be asked for again.

use super::*;

impl Participant {
    /// The outcome, from the coordinator or from a peer.
    pub(super) fn on_recorded_decision(
        &mut self,
        tx: TxId,
        outcome: Outcome,
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        match (outcome, self.txs.get(&tx)) {
            // 1.15 Lazy, and no Ack: if a crash takes it, an Inquiry brings it back. What other
            // transactions make of these balances is later in the log.
            (Outcome::Commit, Some(State::Prepared { redo, .. })) => {
                cx.persist(Record::Committed { tx, request: redo.request });
                self.release(tx, cx);
                self.apply(tx);
            }
            // 1.16
            (Outcome::Abort, Some(State::Prepared { .. })) => {
                self.release(tx, cx);
                cx.force(Record::Aborted { tx });
                self.txs.insert(tx, State::Aborted(Logged::Durably));
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            // G7 What was never prepared, or has aborted, needs no record to stay so.
            (Outcome::Abort, None) if self.forgotten(tx) => {
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            (Outcome::Abort, Some(State::Aborted(_) | State::ReadOnly)) => {
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            (Outcome::Abort, Some(State::Working { .. }) | None) => {
                self.abort(tx, true, cx);
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            // G5
            (Outcome::Abort, Some(State::Committed)) | (Outcome::Commit, _) => {}
        }
    }
}
