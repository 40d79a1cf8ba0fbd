//! The judge of a run that goes on: it looks only at what has changed.

use super::{Cast, Commit, anomaly, split};
use checkers::{Anomaly, Verdict};
use history::{Actor, What};
use node::{NodeId, RequestId};
use protocols::commit::{Action, Key, Op, Outcome, Role, TxId};
use std::collections::BTreeMap;
use world::Scene;

/// Nodes as bits.
type Set = u64;

fn bit(node: NodeId) -> Set {
    1 << node.0
}

fn first(set: Set) -> NodeId {
    NodeId(set.trailing_zeros() as u16)
}

/// What was ever seen of a transaction. Nodes may forget; this does not.
#[derive(Clone, Copy, Default)]
struct Tx {
    request: Option<RequestId>,
    /// COMMIT is on its coordinator's record.
    decided: bool,
    prepared: Set,
    committed: Set,
    aborted: Set,
}

/// What was ever seen of an operation.
struct Asked {
    request: RequestId,
    /// Its invocation among the events of the history.
    event: usize,
    /// Where it is applied.
    applied: Set,
    /// Its client was told that it never takes effect.
    failed: bool,
}

/// Judges one run, step by step.
#[derive(Default)]
pub struct Judge {
    cast: Cast,
    /// For each node, the rewrites and records of its log that have been looked at.
    seen: Vec<(u32, usize)>,
    /// Events of the history that have been looked at.
    told: usize,
    asked: Vec<Asked>,
    txs: BTreeMap<TxId, Tx>,
    balances: BTreeMap<(NodeId, Key), i64>,
}

/// Boxed, because it travels through every look and is almost never there.
type Judged = Result<(), Box<Anomaly>>;

impl Judge {
    /// To be asked after every step.
    pub fn step<N: Commit>(&mut self, scene: &dyn Scene<N>) -> Verdict {
        let quiet = scene.changed().is_none() && scene.history().events.len() == self.told;
        if quiet {
            return Verdict::Holds;
        }
        if self.seen.is_empty() {
            self.begin(scene);
        }
        let judged = self.listen(scene).and_then(|()| match scene.changed() {
            Some(node) => self.look(scene, node),
            None => Ok(()),
        });
        judged.map_or_else(|anomaly| Verdict::Violated(*anomaly), |()| Verdict::Holds)
    }

    fn begin<N: Commit>(&mut self, scene: &dyn Scene<N>) {
        self.cast = Cast::of(scene.ids().filter_map(|id| scene.config(id)));
        self.seen = vec![(0, 0); scene.nodes()];
        for node in scene.ids() {
            if let Some(Role::Participant { balances }) = scene.config(node).map(|c| &c.role) {
                self.balances.extend(balances.iter().map(|(key, sum)| ((node, *key), *sum)));
            }
        }
    }

    /// What clients ask and are told.
    fn listen<N: Commit>(&mut self, scene: &dyn Scene<N>) -> Judged {
        let events = &scene.history().events;
        for (event, told) in events.iter().enumerate().skip(self.told) {
            let Actor::Client(client) = told.actor else { continue };
            let client = NodeId(scene.nodes() as u16 + client);
            let request = RequestId { client, call: told.call };
            match told.what {
                What::Invoke(_) => {
                    self.asked.push(Asked { request, event, applied: 0, failed: false });
                }
                What::Fail(_) => {
                    let asked = self.asked.iter_mut().find(|asked| asked.request == request);
                    let Some(asked) = asked else { continue };
                    asked.failed = true;
                    let applied = asked.applied;
                    if applied != 0 {
                        return self.failed_and_applied(request, first(applied));
                    }
                }
                What::Ok(_) | What::Info => {}
            }
        }
        self.told = events.len();
        Ok(())
    }

    /// A node's durable log has changed: it has grown, or a snapshot has replaced it.
    fn look<N: Commit>(&mut self, scene: &dyn Scene<N>, node: NodeId) -> Judged {
        let log = scene.durable(node);
        let (rewrites, records) = self.seen[node.index()];
        let whole = rewrites != scene.rewrites(node);
        let from = if whole { 0 } else { records };
        if from == log.len() {
            return Ok(());
        }
        self.seen[node.index()] = (scene.rewrites(node), log.len());
        // Of a part of the log, `durable` tells what that part says; balances need all of it.
        let durable = N::durable(&log[from..]);
        for prepared in &durable.prepared {
            let tx = self.txs.entry(prepared.tx).or_default();
            tx.prepared |= bit(node);
            tx.request = Some(prepared.request);
        }
        for tx in &durable.aborted {
            self.abort(*tx, node)?;
        }
        for decided in &durable.decided {
            self.decide(scene, decided.tx, decided.request, node)?;
        }
        // Where one operation commits alone, it is this transaction's.
        let alone = match (&durable.committed[..], &durable.applied[..]) {
            ([_], [(request, _)]) => Some(*request),
            _ => None,
        };
        for tx in &durable.committed {
            self.commit(scene, *tx, alone, node)?;
        }
        for (request, times) in &durable.applied {
            self.apply(scene, *request, *times, whole, node)?;
        }
        match durable.balances.iter().find(|(_, balance)| whole && *balance < 0) {
            Some((key, balance)) => self.below_zero(node, *key, *balance),
            None => Ok(()),
        }
    }

    fn abort(&mut self, id: TxId, node: NodeId) -> Judged {
        let tx = self.txs.entry(id).or_default();
        tx.aborted |= bit(node);
        let tx = *tx;
        if tx.committed & bit(node) != 0 {
            self.unstable(id, "committed and then aborted", node)
        } else if tx.committed != 0 {
            self.split(id, first(tx.committed), node)
        } else if tx.decided {
            self.split(id, id.coordinator, node)
        } else {
            Ok(())
        }
    }

    /// COMMIT is on the coordinator's record: the decision point.
    fn decide<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        id: TxId,
        request: RequestId,
        node: NodeId,
    ) -> Judged {
        let tx = self.txs.entry(id).or_default();
        if tx.decided {
            return Ok(());
        }
        tx.decided = true;
        tx.request = Some(request);
        let tx = *tx;
        if tx.aborted != 0 {
            return self.split(id, node, first(tx.aborted));
        }
        let Some(op) = self.op(scene, &tx) else { return Ok(()) };
        let writers = op.writers().into_iter().map(|at| self.cast.participants[usize::from(at)]);
        let writers: Vec<NodeId> = writers.filter(|node| tx.committed & bit(*node) == 0).collect();
        // An abort need not be on record to count: its locks are free.
        if let Some(writer) = writers.iter().find(|writer| believes_abort(scene, **writer, id)) {
            return self.split(id, node, *writer);
        }
        // AC2: every writer has voted Yes, which PREPARE on its own record proves.
        if let Some(writer) = writers.iter().find(|writer| tx.prepared & bit(**writer) == 0) {
            let (by, who) = (self.cast.role(node), self.cast.role(*writer));
            let message = format!("{id:?} committed at {by}, not prepared at {who}");
            return Err(anomaly("AC2 validity", message).into());
        }
        self.vetoed(op, id, node)
    }

    /// A participant has committed.
    fn commit<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        id: TxId,
        request: Option<RequestId>,
        node: NodeId,
    ) -> Judged {
        let tx = self.txs.entry(id).or_default();
        if tx.committed & bit(node) != 0 {
            return Ok(());
        }
        tx.request = tx.request.or(request);
        tx.committed |= bit(node);
        let tx = *tx;
        if tx.aborted & bit(node) != 0 {
            return self.unstable(id, "aborted and then committed", node);
        }
        if tx.aborted != 0 {
            return self.split(id, node, first(tx.aborted));
        }
        if tx.decided {
            return Ok(());
        }
        // A coordinator's abort is nowhere on record.
        if believes_abort(scene, id.coordinator, id) {
            return self.split(id, node, id.coordinator);
        }
        self.op(scene, &tx).map_or(Ok(()), |op| self.vetoed(op, id, node))
    }

    /// AC2: commit only if nobody has a reason to vote No.
    fn vetoed(&self, op: &Op, id: TxId, node: NodeId) -> Judged {
        let Some(veto) = op.items.iter().find(|item| item.action == Action::Veto) else {
            return Ok(());
        };
        let who = self.cast.role(self.cast.participants[usize::from(veto.at)]);
        let by = self.cast.role(node);
        Err(anomaly("AC2 validity", format!("{id:?} committed at {by}, vetoed at {who}")).into())
    }

    /// A participant's data contains an operation.
    fn apply<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        request: RequestId,
        times: u32,
        whole: bool,
        node: NodeId,
    ) -> Judged {
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.request == request) else {
            return Ok(());
        };
        let (before, event) = (asked.applied & bit(node) != 0, asked.event);
        asked.applied |= bit(node);
        if times > 1 || before && !whole {
            let who = self.cast.role(node);
            let message = format!("call {} is applied twice at {who}", request.call);
            return Err(anomaly("applied twice", message).into());
        }
        if asked.failed {
            return self.failed_and_applied(request, node);
        }
        let number = self.cast.number(node).filter(|_| !before);
        let (Some(number), Some(op)) = (number, invoked(scene, event)) else { return Ok(()) };
        for item in op.items.iter().filter(|item| item.at == number) {
            let Action::Add(amount) = item.action else { continue };
            let balance = self.balances.entry((node, item.key)).or_default();
            *balance += amount;
            let balance = *balance;
            if balance < 0 {
                return self.below_zero(node, item.key, balance);
            }
        }
        Ok(())
    }

    /// What a transaction was to do.
    fn op<'a, N: Commit>(&self, scene: &'a dyn Scene<N>, tx: &Tx) -> Option<&'a Op> {
        let asked = self.asked.iter().find(|asked| Some(asked.request) == tx.request)?;
        invoked(scene, asked.event)
    }

    fn split(&self, id: TxId, committed: NodeId, aborted: NodeId) -> Judged {
        Err(split(&self.cast, id, committed, aborted).into())
    }

    fn unstable(&self, id: TxId, how: &str, node: NodeId) -> Judged {
        let message = format!("{id:?} {how} at {}", self.cast.role(node));
        Err(anomaly("AC3 stability", message).into())
    }

    fn failed_and_applied(&self, request: RequestId, node: NodeId) -> Judged {
        let (call, who) = (request.call, self.cast.role(node));
        let message = format!("call {call} failed, and is applied at {who}");
        Err(anomaly("client verdict", message).into())
    }

    fn below_zero(&self, node: NodeId, key: Key, balance: i64) -> Judged {
        let message = format!("{key:?} of {} falls to {balance}", self.cast.role(node));
        Err(Anomaly::new("conservation", "negative balance", message).into())
    }
}

fn invoked<N: Commit>(scene: &dyn Scene<N>, event: usize) -> Option<&Op> {
    match &scene.history().events[event].what {
        What::Invoke(op) => Some(op),
        _ => None,
    }
}

fn believes_abort<N: Commit>(scene: &dyn Scene<N>, node: NodeId, id: TxId) -> bool {
    let decisions = scene.state(node).map(|state| state.view().decisions).unwrap_or_default();
    decisions.contains(&(id, Outcome::Abort))
}
