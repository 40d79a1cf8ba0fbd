//! The judge of a run that goes on: it looks only at what has changed, and tells the rules of
//! [`checkers::commit`] and [`checkers::conservation`] what it finds.

use super::{Account, Call, Cast, Commit, Rules};
use checkers::commit::{Outcome as Stands, Parties};
use checkers::conservation::Ledger;
use checkers::{Judged, Verdict};
use history::{Actor, What};
use node::{NodeId, RequestId};
use protocols::commit::{Action, Decided, Item, Op, Outcome, Presume, TxId};
use world::Scene;

/// Judges one run, step by step.
pub struct Judge {
    cast: Cast,
    rules: Rules,
    ledger: Ledger<Account>,
    /// For each node, the rewrites and records of its log that have been looked at.
    seen: Vec<(u32, usize)>,
    /// Events of the history that have been looked at.
    told: usize,
    /// Where among them each operation is asked for.
    asked: Vec<(Call, usize)>,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            cast: Cast::default(),
            rules: Rules::new(Vec::new()),
            ledger: Ledger::new([]),
            seen: Vec::new(),
            told: 0,
            asked: Vec::new(),
        }
    }
}

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
        Verdict::from(judged)
    }

    fn begin<N: Commit>(&mut self, scene: &dyn Scene<N>) {
        self.cast = Cast::of(scene.ids().filter_map(|id| scene.config(id)));
        self.rules = Rules::new(self.cast.parts(scene.nodes()));
        let configs = scene.ids().filter_map(|id| scene.config(id));
        self.ledger = Ledger::new(self.cast.accounts(configs));
        self.seen = vec![(0, 0); scene.nodes()];
    }

    /// What clients ask and are told.
    fn listen<N: Commit>(&mut self, scene: &dyn Scene<N>) -> Judged {
        let events = &scene.history().events;
        for (event, told) in events.iter().enumerate().skip(self.told) {
            let Actor::Client(client) = told.actor else { continue };
            let client = NodeId(scene.nodes() as u16 + client);
            let call = Call(RequestId { client, call: told.call });
            match &told.what {
                What::Invoke(op) => {
                    self.asked.push((call, event));
                    let veto = op.items.iter().find(|item| item.action == Action::Veto);
                    let vetoes = veto.map(|item| self.cast.party(item.at)).into_iter();
                    let writes = |item: &&Item| matches!(item.action, Action::Add(_));
                    let writers = op.items.iter().filter(writes);
                    let writers = writers.map(|item| self.cast.party(item.at));
                    self.rules.asked(call, writers.collect(), vetoes.collect());
                }
                What::Fail(_) => self.rules.failed(call)?,
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
        let party = node.index();
        for prepared in &durable.prepared {
            self.rules.prepared(prepared.tx, Call(prepared.request), party);
        }
        for tx in &durable.aborted {
            self.rules.aborted(*tx, tx.coordinator.index(), party)?;
        }
        for decided in &durable.decided {
            self.decided(scene, decided, party)?;
        }
        // Where one operation commits alone, it is this transaction's.
        let alone = match (&durable.committed[..], &durable.applied[..]) {
            ([_], [(request, _)]) => Some(Call(*request)),
            _ => None,
        };
        for tx in &durable.committed {
            self.committed(scene, *tx, alone, party)?;
        }
        for (request, times) in &durable.applied {
            self.applied(scene, Call(*request), *times, whole, node)?;
        }
        let number = self.cast.number(node).filter(|_| whole);
        number.map_or(Ok(()), |at| {
            let mut balances = durable.balances.iter();
            balances.try_for_each(|(key, sum)| self.ledger.balance(&Account(at, *key), *sum))
        })
    }

    /// A coordinator has decided. A writer's abort need not be on record to count: its locks are
    /// free.
    fn decided<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        decided: &Decided,
        party: usize,
    ) -> Judged {
        let (tx, call) = (decided.tx, Call(decided.request));
        let seen = self.rules.seen(tx);
        if seen.is_some_and(|seen| seen.decided) {
            return Ok(());
        }
        let committed = seen.map_or(Parties::NONE, |seen| seen.committed);
        for writer in self.rules.writers(call).without(committed).iter() {
            self.ask(scene, tx, writer)?;
        }
        self.rules.decided(tx, call, party)
    }

    /// A participant has committed. A coordinator's abort is nowhere on record.
    fn committed<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        tx: TxId,
        call: Option<Call>,
        party: usize,
    ) -> Judged {
        let seen = self.rules.seen(tx);
        if seen.is_some_and(|seen| seen.committed.contains(party)) {
            return Ok(());
        }
        if seen.is_none_or(|seen| !seen.decided) {
            let call = call.or(seen.and_then(|seen| seen.request));
            self.ask(scene, tx, tx.coordinator.index())?;
            if let Some(Call(request)) = call.filter(|_| self.shows_a_decision(scene, party)) {
                let decided = Decided { tx, request, writers: Vec::new(), ended: false };
                self.decided(scene, &decided, party)?;
            }
        }
        self.rules.committed(tx, call, party)
    }

    /// Where votes are agreed on, or commit is presumed, a decision need not be on record: the
    /// first commit shows it.
    fn shows_a_decision<N: Commit>(&self, scene: &dyn Scene<N>, party: usize) -> bool {
        let config = scene.config(NodeId(party as u16));
        !self.cast.acceptors.is_empty()
            || config.is_some_and(|config| config.presume == Presume::Commit)
    }

    /// Whether a node believes that a transaction has aborted.
    fn ask<N: Commit>(&mut self, scene: &dyn Scene<N>, tx: TxId, party: usize) -> Judged {
        let state = scene.state(NodeId(party as u16));
        let decisions = state.map(|state| state.view().decisions).unwrap_or_default();
        if decisions.contains(&(tx, Outcome::Abort)) {
            return self.rules.stands_for(tx, party, Stands::Abort);
        }
        Ok(())
    }

    /// A participant's data contains an operation.
    fn applied<N: Commit>(
        &mut self,
        scene: &dyn Scene<N>,
        call: Call,
        times: u32,
        whole: bool,
        node: NodeId,
    ) -> Judged {
        let party = node.index();
        let first = match whole {
            true => self.rules.contains(call, party, times)?,
            false => self.rules.applied(call, party, times)?,
        };
        let number = self.cast.number(node).filter(|_| first);
        let (Some(at), Some(op)) = (number, self.op(scene, call)) else { return Ok(()) };
        for item in op.items.iter().filter(|item| item.at == at) {
            if let Action::Add(amount) = item.action {
                self.ledger.change(Account(at, item.key), amount)?;
            }
        }
        Ok(())
    }

    fn op<'a, N: Commit>(&self, scene: &'a dyn Scene<N>, call: Call) -> Option<&'a Op> {
        let (_, event) = self.asked.iter().find(|(asked, _)| *asked == call)?;
        match &scene.history().events[*event].what {
            What::Invoke(op) => Some(op),
            _ => None,
        }
    }
}
