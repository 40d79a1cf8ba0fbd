//! Honest plumbing that the commit exhibits share: what is wrong with them is not here.

use super::commit::{
    Action, Config, Decided, Durable, Key, Op, Outcome, Prepared, Reading, Ret, Role, TxId, View,
};
use node::{Cx, Node, NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What stands in an exhibit's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A participant's first record: what it starts with.
    Opened {
        /// By ascending key.
        balances: Vec<(Key, i64)>,
    },
    /// A participant can commit, and holds its locks.
    Prepared {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// All keys that it uses.
        locks: Vec<Key>,
        /// New balances.
        writes: Vec<(Key, i64)>,
    },
    /// A participant has changed its balances.
    Committed {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// New balances.
        writes: Vec<(Key, i64)>,
    },
    /// A participant has not, and will not.
    Aborted {
        /// The transaction.
        tx: TxId,
    },
    /// A coordinator's decision to commit.
    Decided {
        /// The transaction.
        tx: TxId,
        /// Its operation.
        request: RequestId,
        /// Those that change something.
        writers: Vec<NodeId>,
    },
}

/// What the records promise.
pub(super) fn durable(log: &[Record]) -> Durable {
    let mut durable = Durable::default();
    let mut balances = BTreeMap::new();
    let mut applied = BTreeMap::new();
    let mut prepared = BTreeMap::new();
    for record in log {
        match record {
            Record::Opened { balances: opening } => balances.extend(opening.iter().copied()),
            Record::Prepared { tx, request, .. } => {
                prepared.insert(*tx, *request);
            }
            Record::Committed { tx, request, writes } => {
                balances.extend(writes.iter().copied());
                *applied.entry(*request).or_default() += 1;
                durable.committed.push(*tx);
            }
            Record::Aborted { tx } => durable.aborted.push(*tx),
            Record::Decided { tx, request, writers } => {
                let (request, writers) = (*request, writers.clone());
                durable.decided.push(Decided { tx: *tx, request, writers, ended: false });
            }
        }
    }
    for list in [&mut durable.committed, &mut durable.aborted] {
        list.sort_unstable();
        list.dedup();
        for tx in list {
            prepared.remove(tx);
        }
    }
    durable.decided.sort_unstable_by_key(|decided| decided.tx);
    durable.decided.dedup_by_key(|decided| decided.tx);
    durable.prepared = prepared.into_iter().map(|(tx, request)| Prepared { tx, request }).collect();
    durable.balances = balances.into_iter().collect();
    durable.applied = applied.into_iter().collect();
    durable
}

/// A participant's data and locks.
pub(super) struct Store {
    balances: BTreeMap<Key, i64>,
    locks: BTreeMap<Key, TxId>,
    prepared: BTreeMap<TxId, (RequestId, Vec<(Key, i64)>)>,
}

/// New balances, and what was read.
pub(super) type Executed = (Vec<(Key, i64)>, Vec<i64>);

impl Store {
    pub(super) fn new(config: &Config) -> Self {
        let balances = match &config.role {
            Role::Participant { balances } => balances.iter().copied().collect(),
            Role::Coordinator { .. } | Role::Acceptor => BTreeMap::new(),
        };
        Self { balances, locks: BTreeMap::new(), prepared: BTreeMap::new() }
    }

    /// Reads the log again, locks included; at first boot, what must be forced into it.
    pub(super) fn start(&mut self, log: &[Record]) -> Option<Record> {
        for record in log {
            match record {
                Record::Opened { balances } => self.balances.extend(balances.iter().copied()),
                Record::Prepared { tx, request, locks, writes } => {
                    self.locks.extend(locks.iter().map(|key| (*key, *tx)));
                    self.prepared.insert(*tx, (*request, writes.clone()));
                }
                Record::Committed { tx, writes, .. } => {
                    self.balances.extend(writes.iter().copied());
                    self.forget(*tx);
                }
                Record::Aborted { tx } => self.forget(*tx),
                Record::Decided { .. } => {}
            }
        }
        let balances = self.balances.iter().map(|(key, balance)| (*key, *balance)).collect();
        log.is_empty().then_some(Record::Opened { balances })
    }

    /// What the work would do, if nothing stands against it: a veto, a lock, an empty account.
    pub(super) fn can_execute(&self, work: &[(Key, Action)]) -> Option<Executed> {
        let (mut writes, mut values) = (BTreeMap::new(), Vec::new());
        for (key, action) in work {
            if self.locks.contains_key(key) {
                return None;
            }
            let balance = writes.get(key).or(self.balances.get(key)).copied().unwrap_or(0);
            match action {
                Action::Add(amount) => {
                    let balance = balance.checked_add(*amount).filter(|balance| *balance >= 0)?;
                    writes.insert(*key, balance);
                }
                Action::Read => values.push(balance),
                Action::Veto => return None,
            }
        }
        Some((writes.into_iter().collect(), values))
    }

    /// Changes the balances; the record is to be forced.
    pub(super) fn execute(
        &mut self,
        tx: TxId,
        request: RequestId,
        writes: Vec<(Key, i64)>,
    ) -> Record {
        self.balances.extend(writes.iter().copied());
        Record::Committed { tx, request, writes }
    }

    /// Locks the keys; the record is to be forced. Nothing if it cannot be executed.
    pub(super) fn prepare(
        &mut self,
        tx: TxId,
        request: RequestId,
        work: &[(Key, Action)],
    ) -> Option<(Record, Vec<i64>)> {
        let (writes, values) = self.can_execute(work)?;
        let locks: Vec<Key> = work.iter().map(|(key, _)| *key).collect();
        self.locks.extend(locks.iter().map(|key| (*key, tx)));
        self.prepared.insert(tx, (request, writes.clone()));
        Some((Record::Prepared { tx, request, locks, writes }, values))
    }

    /// Carries out what was prepared, once; the record is to be forced.
    pub(super) fn commit(&mut self, tx: TxId) -> Option<Record> {
        let (request, writes) = self.prepared.get(&tx).cloned()?;
        self.forget(tx);
        Some(self.execute(tx, request, writes))
    }

    /// Drops what was prepared; the record is to be forced.
    pub(super) fn abort(&mut self, tx: TxId) -> Record {
        self.forget(tx);
        Record::Aborted { tx }
    }

    /// Whether a transaction holds one of the keys.
    pub(super) fn is_locked(&self, work: &[(Key, Action)]) -> bool {
        work.iter().any(|(key, _)| self.locks.contains_key(key))
    }

    fn forget(&mut self, tx: TxId) {
        self.prepared.remove(&tx);
        self.locks.retain(|_, holder| *holder != tx);
    }
}

/// A coordinator's book of transactions.
pub(super) struct Desk {
    participants: Vec<NodeId>,
    next: u32,
    running: BTreeMap<TxId, Running>,
    decisions: BTreeMap<TxId, Outcome>,
}

/// Who has to do what.
pub(super) type Parts = Vec<(NodeId, Vec<(Key, Action)>)>;

/// A transaction that its client waits for.
pub(super) struct Running {
    pub(super) request: RequestId,
    op: Op,
    /// Whom it concerns.
    pub(super) parts: Vec<NodeId>,
    /// Who changes something.
    pub(super) writers: Vec<NodeId>,
    answers: BTreeMap<NodeId, Option<Vec<i64>>>,
}

impl Desk {
    pub(super) fn new(config: &Config) -> Self {
        let participants = match &config.role {
            Role::Coordinator { participants, .. } => participants.clone(),
            Role::Participant { .. } | Role::Acceptor => Vec::new(),
        };
        Self { participants, next: 0, running: BTreeMap::new(), decisions: BTreeMap::new() }
    }

    /// Begins a transaction; who has to do what. Answers the client itself where that cannot be.
    pub(super) fn begin<N: Node<Ret = Ret>>(
        &mut self,
        request: RequestId,
        op: Op,
        cx: &mut Cx<N>,
    ) -> Option<(TxId, Parts)> {
        if self.participants.is_empty() {
            cx.retry(request, None);
            return None;
        }
        let node = |at: u16| self.participants.get(usize::from(at)).copied();
        let work: Option<Vec<_>> =
            op.participants().iter().map(|at| Some((node(*at)?, op.work_at(*at)))).collect();
        let Some(work) = work.filter(|work| !work.is_empty()) else {
            cx.fail(request, "names no participant, or an unknown one");
            return None;
        };
        let tx = TxId { coordinator: cx.me(), incarnation: cx.incarnation(), seq: self.next };
        self.next += 1;
        let parts = work.iter().map(|(part, _)| *part).collect();
        let writers = op.writers().into_iter().filter_map(node).collect();
        let answers = BTreeMap::new();
        self.running.insert(tx, Running { request, op, parts, writers, answers });
        Some((tx, work))
    }

    /// A transaction on the book.
    pub(super) fn running(&self, tx: TxId) -> Option<&Running> {
        self.running.get(&tx)
    }

    /// Notes an answer: what was read, or that it cannot be. Once everybody has answered, whether
    /// everybody could.
    pub(super) fn answer(
        &mut self,
        tx: TxId,
        from: NodeId,
        values: Option<Vec<i64>>,
    ) -> Option<bool> {
        let running = self.running.get_mut(&tx)?;
        running.answers.insert(from, values);
        let complete = running.answers.len() == running.parts.len();
        complete.then(|| running.answers.values().all(Option::is_some))
    }

    /// Takes a transaction off the book, decided or not.
    pub(super) fn close(&mut self, tx: TxId, decision: Option<Outcome>) -> Option<Running> {
        let running = self.running.remove(&tx)?;
        self.decisions.extend(decision.map(|outcome| (tx, outcome)));
        Some(running)
    }

    /// What the client is told of the answers that are there.
    pub(super) fn committed(&self, running: &Running) -> Ret {
        let mut seen: BTreeMap<NodeId, _> =
            running.answers.iter().map(|(from, read)| (*from, read.iter().flatten())).collect();
        let reads = running.op.items.iter().filter(|item| item.action == Action::Read);
        let values = reads.filter_map(|item| {
            let from = self.participants.get(usize::from(item.at))?;
            let balance = *seen.get_mut(from)?.next()?;
            Some(Reading { at: item.at, key: item.key, balance })
        });
        Ret::Committed { values: values.collect() }
    }
}

/// What the node believes.
pub(super) fn view(desk: &Desk, store: &Store) -> View {
    View {
        undecided: desk.running.keys().copied().collect(),
        decisions: desk.decisions.iter().map(|(tx, outcome)| (*tx, *outcome)).collect(),
        in_doubt: store.prepared.keys().copied().collect(),
        locks: store.locks.iter().map(|(key, holder)| (*key, *holder)).collect(),
        ..View::default()
    }
}
