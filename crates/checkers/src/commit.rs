//! Atomic commitment: all parties of a transaction carry it out, or none does.
//!
//! The rules are the five of the textbooks (Bernstein, Hadzilacos, Goodman: *Concurrency Control
//! and Recovery in Database Systems*, chapter 7; Skeen 1981), and what a client may expect of them:
//!
//! - **AC1 agreement**: nobody commits what another one, or the coordinator, aborts.
//! - **AC2 validity**: commit only if every writer has voted Yes, and nobody No.
//! - **AC3 stability**: an outcome on record never changes.
//! - **AC4 no trivial aborts**: what nothing hinders commits. Whether nothing did is for the caller
//!   to say, for it takes timers and faults to know.
//! - **AC5 termination** is a matter of the progress checker.
//! - **applied twice**: an operation changes a party's data at most once.
//! - **client verdict**: an operation told ok is applied at every writer, one told failed at none;
//!   **atomicity**: any other at all of them or none.
//!
//! [`Commit`] is fed facts in the order in which they become true, and names the fact that breaks a
//! rule at once, because a later repair can make the end states agree: a participant that voted No
//! and is then made to commit agrees with everybody.

#[cfg(test)]
mod tests;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

/// A set of parties, which are numbered from 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parties(u64);

impl Parties {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// This party alone.
    ///
    /// # Panics
    ///
    /// If its number is above 63.
    pub fn only(party: usize) -> Self {
        assert!(party < 64, "party {party}: they are numbered from 0 to 63");
        Self(1 << party)
    }

    /// Whether the party is one of them.
    pub fn contains(self, party: usize) -> bool {
        self.0 & Self::only(party).0 != 0
    }

    /// The one with the smallest number.
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// Those of these that are not among `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These and `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of them, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |party| self.0 >> party & 1 != 0)
    }
}

impl FromIterator<usize> for Parties {
    fn from_iter<I: IntoIterator<Item = usize>>(parties: I) -> Self {
        parties.into_iter().fold(Self::NONE, |set, party| set.with(Self::only(party)))
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With all of its effects.
    Commit,
    /// With none.
    Abort,
}

/// What a client was told of its operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It took effect.
    Ok,
    /// It never does.
    Failed,
    /// Nothing that decides it.
    Unknown,
}

/// What was ever seen of a transaction. Parties may forget; this does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transaction<R> {
    /// The operation that it carries out, as far as anybody has named it.
    pub request: Option<R>,
    /// COMMIT is on its coordinator's record: the decision point.
    pub decided: bool,
    /// Who voted Yes, on record.
    pub prepared: Parties,
    /// Who voted No.
    pub refused: Parties,
    /// Who committed, on record.
    pub committed: Parties,
    /// Who aborted, on record.
    pub aborted: Parties,
    /// Who stood for commit, on record or not.
    pub for_commit: Parties,
    /// Who stood for abort, on record or not.
    pub for_abort: Parties,
}

impl<R> Default for Transaction<R> {
    fn default() -> Self {
        Self {
            request: None,
            decided: false,
            prepared: Parties::NONE,
            refused: Parties::NONE,
            committed: Parties::NONE,
            aborted: Parties::NONE,
            for_commit: Parties::NONE,
            for_abort: Parties::NONE,
        }
    }
}

/// What was ever seen of an operation.
#[derive(Clone, Copy, Default)]
struct Operation {
    /// Where it changes something: these must vote Yes.
    writers: Parties,
    /// Who has a reason to vote No.
    vetoes: Parties,
    applied: Parties,
    failed: bool,
}

/// The judge of transactions `T` that carry out operations `R`. Their `Debug` is what messages call
/// them: `t0.1.4`, `call 7`. Parties are numbers, and have names `P`.
pub struct Commit<T, R, P = String> {
    names: Vec<P>,
    transactions: BTreeMap<T, Transaction<R>>,
    operations: BTreeMap<R, Operation>,
}

impl<T: Ord + Copy + Debug, R: Ord + Copy + Debug, P: Display> Commit<T, R, P> {
    /// Nothing is known yet. The names are those of the parties, by number, in messages.
    pub fn new(names: Vec<P>) -> Self {
        Self { names, transactions: BTreeMap::new(), operations: BTreeMap::new() }
    }

    /// What was seen of a transaction so far, if anything.
    pub fn seen(&self, tx: T) -> Option<&Transaction<R>> {
        self.transactions.get(&tx)
    }

    /// Where an operation changes something; nowhere if nobody asked for it.
    pub fn writers(&self, request: R) -> Parties {
        self.operations.get(&request).map_or(Parties::NONE, |operation| operation.writers)
    }

    /// A client asks for an operation that changes something at `writers` and that `vetoes` have
    /// a reason to vote No to.
    pub fn asked(&mut self, request: R, writers: Parties, vetoes: Parties) {
        let operation = self.operations.entry(request).or_default();
        (operation.writers, operation.vetoes) = (writers, vetoes);
    }

    /// A client is told that its operation never takes effect.
    ///
    /// # Errors
    ///
    /// `client verdict` if it is applied somewhere.
    pub fn failed(&mut self, request: R) -> Judged {
        let Some(operation) = self.operations.get_mut(&request) else { return Ok(()) };
        operation.failed = true;
        match operation.applied.first() {
            Some(party) => self.failed_and_applied(request, party),
            None => Ok(()),
        }
    }

    /// A party has its Yes on record.
    pub fn prepared(&mut self, tx: T, request: R, party: usize) {
        let seen = self.transactions.entry(tx).or_default();
        seen.prepared = seen.prepared.with(Parties::only(party));
        seen.request = Some(request);
    }

    /// A party votes No.
    ///
    /// # Errors
    ///
    /// `AC2 validity` if somebody has committed already.
    pub fn refused(&mut self, tx: T, party: usize) -> Judged {
        let seen = self.transactions.entry(tx).or_default();
        seen.refused = seen.refused.with(Parties::only(party));
        let seen = *seen;
        match seen.committed.first() {
            Some(by) => self.invalid(tx, by, "voted No", party),
            None => Ok(()),
        }
    }

    /// A party has ABORT on record.
    ///
    /// # Errors
    ///
    /// `AC3 stability` if it has committed, `AC1 agreement` if another one has, or if the
    /// `coordinator` has decided to.
    pub fn aborted(&mut self, tx: T, coordinator: usize, party: usize) -> Judged {
        let seen = self.transactions.entry(tx).or_default();
        seen.aborted = seen.aborted.with(Parties::only(party));
        let seen = *seen;
        if seen.committed.contains(party) {
            return self.unstable(tx, "committed and then aborted", party);
        }
        let decided = if seen.decided { Some(coordinator) } else { None };
        match seen.committed.first().or(decided).or(seen.for_commit.first()) {
            Some(by) => self.split(tx, by, party),
            None => Ok(()),
        }
    }

    /// A party stands for an outcome, whether or not that is on record: it has answered so, or has
    /// let go of its locks. Such a belief counts from now on.
    ///
    /// # Errors
    ///
    /// `AC1 agreement` if another one stands for, or has on record, the other outcome.
    pub fn stands_for(&mut self, tx: T, party: usize, outcome: Outcome) -> Judged {
        let seen = self.transactions.entry(tx).or_default();
        let side = match outcome {
            Outcome::Commit => &mut seen.for_commit,
            Outcome::Abort => &mut seen.for_abort,
        };
        *side = side.with(Parties::only(party));
        let me = Parties::only(party);
        let other = match outcome {
            Outcome::Commit => seen.aborted.without(me).with(seen.for_abort),
            Outcome::Abort => seen.committed.without(me).with(seen.for_commit),
        };
        match (outcome, other.first()) {
            (_, None) => Ok(()),
            (Outcome::Commit, Some(no)) => self.split(tx, party, no),
            (Outcome::Abort, Some(yes)) => self.split(tx, yes, party),
        }
    }

    /// COMMIT is on the record of the coordinator, `party`.
    ///
    /// # Errors
    ///
    /// `AC1 agreement` if somebody stands for abort, `AC2 validity` if a writer is not prepared or
    /// somebody has a reason to vote No.
    pub fn decided(&mut self, tx: T, request: R, party: usize) -> Judged {
        let seen = self.transactions.entry(tx).or_default();
        if seen.decided {
            return Ok(());
        }
        seen.decided = true;
        seen.request = Some(request);
        let seen = *seen;
        let no = seen.aborted.first().or(seen.for_abort.without(seen.committed).first());
        if let Some(no) = no {
            return self.split(tx, party, no);
        }
        let unprepared = self.writers(request).without(seen.committed).without(seen.prepared);
        if let Some(writer) = unprepared.first() {
            return self.invalid(tx, party, "not prepared", writer);
        }
        self.vetoed(tx, &seen, party)
    }

    /// A party has COMMIT on record. `request` is the operation, where that is known.
    ///
    /// # Errors
    ///
    /// `AC3 stability` if it has aborted, `AC1 agreement` if another one has or stands for that,
    /// `AC2 validity` if somebody has voted No or has a reason to.
    pub fn committed(&mut self, tx: T, request: Option<R>, party: usize) -> Judged {
        let me = Parties::only(party);
        let seen = self.transactions.entry(tx).or_default();
        if seen.committed.contains(party) {
            return Ok(());
        }
        seen.request = seen.request.or(request);
        seen.committed = seen.committed.with(me);
        let seen = *seen;
        if seen.aborted.contains(party) {
            return self.unstable(tx, "aborted and then committed", party);
        }
        if let Some(no) = seen.aborted.first() {
            return self.split(tx, party, no);
        }
        if seen.decided {
            return Ok(());
        }
        match seen.for_abort.without(me).first() {
            Some(no) => self.split(tx, party, no),
            None => self.vetoed(tx, &seen, party),
        }
    }

    /// A party's data has come to contain an operation, so many times more. Tells whether it did
    /// not contain it before.
    ///
    /// # Errors
    ///
    /// `applied twice`; `client verdict` if its client was told that it failed.
    pub fn applied(&mut self, request: R, party: usize, times: u32) -> Result<bool, Box<Anomaly>> {
        self.found(request, party, times, false)
    }

    /// A party's data, looked at as a whole, contains an operation so many times. Tells whether
    /// that was not known.
    ///
    /// # Errors
    ///
    /// As for [`applied`](Self::applied).
    pub fn contains(&mut self, request: R, party: usize, times: u32) -> Result<bool, Box<Anomaly>> {
        self.found(request, party, times, true)
    }

    fn found(
        &mut self,
        request: R,
        party: usize,
        times: u32,
        whole: bool,
    ) -> Result<bool, Box<Anomaly>> {
        let Some(operation) = self.operations.get_mut(&request) else { return Ok(false) };
        let before = operation.applied.contains(party);
        operation.applied = operation.applied.with(Parties::only(party));
        let failed = operation.failed;
        if times > 1 || before && !whole {
            let message = format!("{request:?} is applied twice at {}", self.name(party));
            return Err(anomaly("applied twice", message));
        }
        if failed {
            self.failed_and_applied(request, party)?;
        }
        Ok(!before)
    }

    /// The end of an operation: what its client was told, and for each writer whether the
    /// operation is in its data now that everything is over.
    ///
    /// # Errors
    ///
    /// `client verdict` if an ok is missing somewhere or a failure applied, `atomicity` if an
    /// operation is applied at some and missing at others.
    pub fn ended(
        &self,
        request: R,
        told: Told,
        effects: impl IntoIterator<Item = (usize, bool)>,
    ) -> Judged {
        let (mut there, mut missing) = (None, None);
        for (party, applied) in effects {
            let seen = if applied { &mut there } else { &mut missing };
            seen.get_or_insert(party);
        }
        match (told, there, missing) {
            (Told::Ok, _, Some(party)) => {
                let who = self.name(party);
                let message = format!("{request:?} is ok, and not applied at {who}");
                Err(anomaly("client verdict", message))
            }
            (Told::Failed, Some(party), _) => self.failed_and_applied(request, party),
            (_, Some(at), Some(other)) => {
                let (at, other) = (self.name(at), self.name(other));
                let message = format!("{request:?} is applied at {at}, and not at {other}");
                Err(anomaly("atomicity", message))
            }
            _ => Ok(()),
        }
    }

    /// AC4 of an operation that met no fault, no conflict, no impatience and no reason to vote No.
    ///
    /// # Errors
    ///
    /// `AC4 trivial abort` unless its client was told ok.
    pub fn unhindered(&self, request: R, told: Told) -> Judged {
        if told == Told::Ok {
            return Ok(());
        }
        let message = format!("{request:?} meets no obstacle, and is not committed");
        Err(anomaly("AC4 trivial abort", message))
    }

    /// Whether the facts prove anything: `Unknown` while no transaction has committed, for then
    /// nobody could disagree.
    pub fn verdict(&self) -> Verdict {
        let commits = |tx: &Transaction<R>| tx.decided || tx.committed != Parties::NONE;
        if self.transactions.values().any(commits) {
            Verdict::Holds
        } else {
            Verdict::Unknown("commit: no transaction committed".into())
        }
    }

    fn vetoed(&self, tx: T, seen: &Transaction<R>, party: usize) -> Judged {
        let operation = seen.request.and_then(|request| self.operations.get(&request));
        if let Some(veto) = operation.and_then(|operation| operation.vetoes.first()) {
            return self.invalid(tx, party, "vetoed", veto);
        }
        match seen.refused.first() {
            Some(no) => self.invalid(tx, party, "voted No", no),
            None => Ok(()),
        }
    }

    fn name(&self, party: usize) -> String {
        self.names.get(party).map_or_else(|| format!("party {party}"), P::to_string)
    }

    fn split(&self, tx: T, committed: usize, aborted: usize) -> Judged {
        let (yes, no) = (self.name(committed), self.name(aborted));
        Err(anomaly("AC1 agreement", format!("{tx:?} committed at {yes}, aborted at {no}")))
    }

    fn invalid(&self, tx: T, committed: usize, why: &str, party: usize) -> Judged {
        let (by, who) = (self.name(committed), self.name(party));
        Err(anomaly("AC2 validity", format!("{tx:?} committed at {by}, {why} at {who}")))
    }

    fn unstable(&self, tx: T, how: &str, party: usize) -> Judged {
        Err(anomaly("AC3 stability", format!("{tx:?} {how} at {}", self.name(party))))
    }

    fn failed_and_applied(&self, request: R, party: usize) -> Judged {
        let message = format!("{request:?} failed, and is applied at {}", self.name(party));
        Err(anomaly("client verdict", message))
    }
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("commit", class, message))
}
