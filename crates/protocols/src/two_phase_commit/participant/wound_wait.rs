//! Locks that are waited for: wound-wait (Rosenkrantz, Stearns, Lewis), rules 5.20–5.22.
//!
//! - 5.20 All locks are held until the outcome is durable: strict two-phase locking.
//! - 5.21 Each transaction has an age that it keeps over retries. An older requester wounds a
//!   younger holder: the wound goes to that one's coordinator, which aborts it unless it has
//!   decided, and begins again. Then the older one waits for the locks; a younger requester only
//!   waits, also for locks that are free and that an older one waits for.
//! - 5.22 Who is prepared cannot be wounded: it has given up the right to abort. The older one
//!   waits. Nobody waits for ever, for who is prepared anywhere waits for no lock (1.18).
//!
//! So whoever waits for one that waits is the younger of the two, and there is no circle.
//!
//! # Deviations
//!
//! - The age is the operation's id: clients count upwards, and every retry keeps it.
//! - A wound that finds its transaction voting does nothing: that one waits for no lock any more.
//! - A wound is sent once for each pair. One that is lost costs T_vote, which covers waiting too.
//! - A wound for a transaction that has been aborted is answered by its Decision(A), which was
//!   lost. One that finds nothing is not: who only read may have forgotten a commit, too.

use super::*;

/// Smaller is older.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    call: u32,
    client: NodeId,
    tx: TxId,
}

impl Age {
    fn new(RequestId { client, call }: RequestId, tx: TxId) -> Self {
        Self { call, client, tx }
    }

    fn request(self) -> RequestId {
        RequestId { client: self.client, call: self.call }
    }
}

/// Work that waits for locks, the oldest first.
#[derive(Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Age, Waiting>,
}

struct Waiting {
    work: Vec<(Key, Action)>,
    /// Whom it has wounded.
    wounded: BTreeSet<TxId>,
}

impl Queue {
    pub(super) fn txs(&self) -> impl Iterator<Item = TxId> {
        self.waiting.keys().map(|age| age.tx)
    }
}

impl Participant {
    /// Work takes its place; [`wake`](Self::wake) sees whether it must wait.
    pub(super) fn enqueue(
        &mut self,
        tx: TxId,
        request: RequestId,
        work: Vec<(Key, Action)>,
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        if self.is_over(tx) {
            return self.on_work(tx, request, &work, cx);
        }
        let wounded = BTreeSet::new();
        self.queue.waiting.entry(Age::new(request, tx)).or_insert(Waiting { work, wounded });
    }

    /// Whoever finds its locks free takes them, the oldest first, and whoever is over leaves. What
    /// an older one waits for is not free: else a wounded one, back again, would take it before
    /// the other is through with waiting for somebody else, and be wounded again, and so on.
    pub(in super::super) fn wake(&mut self, cx: &mut Cx<TwoPhaseCommit>) {
        let mut queue = std::mem::take(&mut self.queue);
        let mut wanted = BTreeSet::new();
        queue.waiting.retain(|age, waiting| {
            if self.is_over(age.tx) {
                return false;
            }
            let holders = self.holders(&waiting.work);
            let free =
                holders.is_empty() && !waiting.work.iter().any(|(key, _)| wanted.contains(key));
            if free || self.applied.contains(&age.request()) {
                self.on_work(age.tx, age.request(), &waiting.work, cx);
                return false;
            }
            wanted.extend(waiting.work.iter().map(|(key, _)| *key));
            for (holder, prepared) in holders {
                if *age > holder {
                    cx.mark("a younger transaction waited");
                } else if prepared {
                    cx.mark("an older transaction waited for a prepared one"); // 5.22
                } else if waiting.wounded.insert(holder.tx) {
                    cx.mark("an older transaction wounded a younger one");
                    cx.send(holder.tx.coordinator, Msg::Wound { tx: holder.tx });
                }
            }
            true
        });
        self.queue = queue;
    }

    /// Who holds one of these keys, and whether it is prepared.
    fn holders(&self, work: &[(Key, Action)]) -> Vec<(Age, bool)> {
        let locked = work.iter().filter_map(|(key, _)| self.locks.get(key));
        let holders = locked.filter_map(|tx| match self.txs.get(tx)? {
            State::Working { request, .. } => Some((Age::new(*request, *tx), false)),
            State::Prepared { redo, .. } => Some((Age::new(redo.request, *tx), true)),
            State::ReadOnly | State::Committed | State::Aborted(_) => None,
        });
        holders.collect()
    }

    /// Whether it has been answered, given up or forgotten.
    fn is_over(&self, tx: TxId) -> bool {
        self.txs.contains_key(&tx) || self.forgotten(tx)
    }
}
