//! Golden runs of atomic commitment, accepted and rejected, and random ones with one fact changed.

use super::{Commit, Outcome, Parties, Told};
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// Party 0 is the coordinator, the others are p1, p2 and so on.
const COORDINATOR: usize = 0;

/// One call of the checker; the numbers are transaction, operation, party.
#[derive(Clone, Debug)]
enum Fact {
    Asked(u32, Vec<usize>, Vec<usize>),
    Prepared(u32, u32, usize),
    Refused(u32, usize),
    Decided(u32, u32),
    Committed(u32, usize),
    Aborted(u32, usize),
    StandsFor(u32, usize, Outcome),
    Applied(u32, usize),
    Contains(u32, usize, u32),
    Failed(u32),
    Ended(u32, Told, Vec<(usize, bool)>),
    Unhindered(u32, Told),
}

fn judge(facts: &[Fact]) -> Verdict {
    let names = ["coordinator", "p1", "p2", "p3", "p4"].map(str::to_owned);
    let mut commit = Commit::new(names.to_vec());
    let fed = facts.iter().try_for_each(|fact| feed(&mut commit, fact));
    Verdict::from(fed).and_then(|| commit.verdict())
}

fn feed(commit: &mut Commit<u32, u32>, fact: &Fact) -> Judged {
    let parties = |list: &[usize]| list.iter().copied().collect::<Parties>();
    match fact {
        Asked(r, writers, vetoes) => commit.asked(*r, parties(writers), parties(vetoes)),
        Prepared(t, r, party) => commit.prepared(*t, *r, *party),
        Refused(t, party) => commit.refused(*t, *party)?,
        Decided(t, r) => commit.decided(*t, *r, COORDINATOR)?,
        Committed(t, party) => commit.committed(*t, None, *party)?,
        Aborted(t, party) => commit.aborted(*t, COORDINATOR, *party)?,
        StandsFor(t, party, outcome) => commit.stands_for(*t, *party, *outcome)?,
        Applied(r, party) => commit.applied(*r, *party, 1).map(drop)?,
        Contains(r, party, times) => commit.contains(*r, *party, *times).map(drop)?,
        Failed(r) => commit.failed(*r)?,
        Ended(r, told, effects) => commit.ended(*r, *told, effects.iter().copied())?,
        Unhindered(r, told) => commit.unhindered(*r, *told)?,
    }
    Ok(())
}

fn asked() -> Fact {
    Asked(7, vec![1, 2], vec![])
}

/// Transaction 1 carries out operation 7 at p1 and p2; nothing goes wrong.
fn commits() -> Vec<Fact> {
    vec![
        asked(),
        Prepared(1, 7, 1),
        Prepared(1, 7, 2),
        Decided(1, 7),
        Committed(1, 1),
        Applied(7, 1),
        Committed(1, 2),
        Applied(7, 2),
        Ended(7, Told::Ok, vec![(1, true), (2, true)]),
        Unhindered(7, Told::Ok),
    ]
}

#[test]
fn accepted() {
    let retried = vec![
        asked(),
        Prepared(1, 7, 1),
        Refused(1, 2),
        Aborted(1, 1),
        Prepared(2, 7, 1),
        Prepared(2, 7, 2),
        Decided(2, 7),
        Decided(2, 7),
        Committed(2, 2),
        Committed(2, 2),
        Applied(7, 2),
        Contains(7, 2, 1),
        Committed(2, 1),
        Applied(7, 1),
        StandsFor(2, 1, Outcome::Commit),
        StandsFor(1, 1, Outcome::Abort),
        Ended(7, Told::Unknown, vec![(1, true), (2, true)]),
    ];
    for facts in [commits(), retried] {
        assert_eq!(judge(&facts), Verdict::Holds, "{facts:?}");
    }
}

#[test]
fn a_run_without_a_commit_proves_nothing() {
    let facts = [asked(), Refused(1, 2), Aborted(1, 1), Failed(7)];
    let unknown = Verdict::Unknown("commit: no transaction committed".into());
    assert_eq!(judge(&facts), unknown);
}

#[test]
fn rejected() {
    let prepared = || vec![asked(), Prepared(1, 7, 1), Prepared(1, 7, 2)];
    let after = |facts: &[Fact]| [prepared(), facts.to_vec()].concat();
    let (yes, no) = (Outcome::Commit, Outcome::Abort);
    let cases = [
        (
            "A3: a prepared participant aborts alone",
            after(&[Decided(1, 7), Committed(1, 1), Aborted(1, 2)]),
            "AC1 agreement: 1 committed at p1, aborted at p2",
        ),
        (
            "A1: the decision is lost, and told differently later",
            after(&[Committed(1, 1), StandsFor(1, COORDINATOR, no)]),
            "AC1 agreement: 1 committed at p1, aborted at coordinator",
        ),
        (
            "A2: a Yes that is not on record when the decision is",
            vec![asked(), Prepared(1, 7, 1), Decided(1, 7)],
            "AC2 validity: 1 committed at coordinator, not prepared at p2",
        ),
        (
            "a writer has let go of its locks",
            after(&[StandsFor(1, 2, no), Decided(1, 7)]),
            "AC1 agreement: 1 committed at coordinator, aborted at p2",
        ),
        (
            "two that believe different things, nothing on record",
            vec![asked(), StandsFor(1, 1, yes), StandsFor(1, 2, no)],
            "AC1 agreement: 1 committed at p1, aborted at p2",
        ),
        (
            "masked: who voted No is made to commit, and in the end all agree",
            after(&[Refused(1, 2), Decided(1, 7), Committed(1, 1), Committed(1, 2)]),
            "AC2 validity: 1 committed at coordinator, voted No at p2",
        ),
        (
            "a No that comes out after a commit without a decision",
            after(&[Committed(1, 1), Refused(1, 2)]),
            "AC2 validity: 1 committed at p1, voted No at p2",
        ),
        (
            "a reason to vote No",
            vec![Asked(7, vec![1], vec![2]), Prepared(1, 7, 1), Committed(1, 1)],
            "AC2 validity: 1 committed at p1, vetoed at p2",
        ),
        (
            "A10: an abort overrides a commit",
            after(&[Decided(1, 7), Committed(1, 1), Aborted(1, 1)]),
            "AC3 stability: 1 committed and then aborted at p1",
        ),
        (
            "a commit overrides an abort",
            vec![asked(), Aborted(1, 2), Committed(1, 2)],
            "AC3 stability: 1 aborted and then committed at p2",
        ),
        (
            "A12: a second Decision is carried out again",
            after(&[Decided(1, 7), Committed(1, 1), Applied(7, 1), Applied(7, 1)]),
            "applied twice: 7 is applied twice at p1",
        ),
        (
            "twice in a rewritten log",
            after(&[Decided(1, 7), Committed(1, 1), Contains(7, 1, 2)]),
            "applied twice: 7 is applied twice at p1",
        ),
        (
            "told failed, then applied",
            after(&[Failed(7), Decided(1, 7), Committed(1, 1), Applied(7, 1)]),
            "client verdict: 7 failed, and is applied at p1",
        ),
        (
            "B6: applied, then told failed",
            after(&[Decided(1, 7), Committed(1, 1), Applied(7, 1), Failed(7)]),
            "client verdict: 7 failed, and is applied at p1",
        ),
        (
            "told ok, and missing",
            vec![asked(), Ended(7, Told::Ok, vec![(1, true), (2, false)])],
            "client verdict: 7 is ok, and not applied at p2",
        ),
        (
            "half of it",
            vec![asked(), Ended(7, Told::Unknown, vec![(1, false), (2, true)])],
            "atomicity: 7 is applied at p2, and not at p1",
        ),
        (
            "nothing in its way",
            vec![asked(), Refused(1, 2), Unhindered(7, Told::Failed)],
            "AC4 trivial abort: 7 meets no obstacle, and is not committed",
        ),
    ];
    for (what, facts, expected) in cases {
        let verdict = judge(&facts);
        let anomaly = verdict.anomaly().unwrap_or_else(|| panic!("{what}: {verdict}"));
        assert_eq!(anomaly.to_string(), expected, "{what}");
        assert_eq!(anomaly.checker, "commit");
    }
}

/// A right run: transaction t carries out operation t at parties 1 to n, where one may vote No.
fn right(runs: &[(usize, Option<usize>)]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (t, (parties, no)) in (0..).zip(runs) {
        let all = 1..=*parties;
        facts.push(Asked(t, all.clone().collect(), Vec::new()));
        let no = no.map(|no| 1 + no % parties);
        let yes = all.clone().filter(|party| Some(*party) != no);
        facts.extend(yes.clone().map(|party| Prepared(t, t, party)));
        match no {
            Some(no) => {
                facts.push(Refused(t, no));
                facts.extend(yes.map(|party| Aborted(t, party)));
                facts.push(Failed(t));
                facts.push(Ended(t, Told::Failed, all.map(|party| (party, false)).collect()));
            }
            None => {
                facts.push(Decided(t, t));
                facts.extend(yes.flat_map(|party| [Committed(t, party), Applied(t, party)]));
                facts.push(Ended(t, Told::Ok, all.map(|party| (party, true)).collect()));
            }
        }
    }
    facts
}

/// What one fact must not be turned into, or be followed by; or nothing if it cannot be spoiled.
fn spoiled(fact: &Fact) -> Option<Vec<Fact>> {
    Some(match fact.clone() {
        // The Yes is missing, or it is a No.
        Prepared(t, _, party) => vec![Refused(t, party), Decided(t, t)],
        Refused(t, party) => vec![Refused(t, party), Decided(t, t)],
        Committed(t, party) => vec![Aborted(t, party)],
        Aborted(t, party) => vec![Aborted(t, party), Committed(t, party)],
        Applied(t, party) => vec![Applied(t, party), Applied(t, party)],
        Ended(t, Told::Ok, parties) => vec![Ended(t, Told::Failed, parties)],
        Ended(t, _, parties) => vec![Ended(t, Told::Ok, parties)],
        _ => return None,
    })
}

proptest! {
    #[test]
    fn one_spoiled_fact_is_found(
        runs in prop::collection::vec((1..5usize, prop::option::weighted(0.3, 0..4usize)), 1..6),
        at in any::<Index>(),
    ) {
        let facts = right(&runs);
        prop_assert!(!judge(&facts).is_violated(), "{}", judge(&facts));
        let at = at.index(facts.len());
        if let Some(spoiled) = spoiled(&facts[at]) {
            let mut wrong = facts.clone();
            wrong.splice(at..=at, spoiled);
            prop_assert!(judge(&wrong).is_violated(), "{wrong:?}");
        }
    }
}
