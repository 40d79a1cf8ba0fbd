//! Golden ends of replicas with siblings, accepted and rejected, and random ones.

use super::Siblings;
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;

/// One call of the checker: versions are letters, those read and those stored are words.
#[derive(Clone, Debug)]
enum Fact {
    Written(char, &'static str),
    Acknowledged(char),
    Stored(u32, &'static str),
}

fn feed(sync: &mut Siblings<u32, &'static str, char>, fact: &Fact) -> Judged {
    match fact {
        Written(version, read) => sync.written("k", *version, read.chars()),
        Acknowledged(version) => sync.acknowledged("k", *version),
        Stored(replica, versions) => sync.stored(*replica, "k", versions.chars()),
    }
}

fn judge(replicas: u32, facts: &[Fact]) -> Verdict {
    let mut sync = Siblings::new(1..=replicas);
    let fed = facts.iter().try_for_each(|fact| feed(&mut sync, fact));
    Verdict::from(fed).and_then(|| sync.verdict())
}

#[test]
fn replicas() {
    let two = [Written('a', ""), Written('b', "")];
    let cases: &[(&[Fact], &str)] = &[
        (&[Written('a', ""), Stored(1, "a"), Acknowledged('a'), Stored(2, "a")], "HOLDS"),
        // Writers that do not know each other: both stay, until one has read both.
        (
            &[
                two[0].clone(),
                Stored(1, "a"),
                Acknowledged('a'),
                two[1].clone(),
                Stored(2, "b"),
                Acknowledged('b'),
                Stored(1, "ab"),
                Written('c', "ab"),
                Stored(1, "c"),
                Stored(2, "ab"),
                Stored(2, "c"),
            ],
            "HOLDS",
        ),
        // What was replaced by what was replaced need not be seen.
        (
            &[
                Written('a', ""),
                Stored(2, "a"),
                Acknowledged('a'),
                Written('b', "a"),
                Written('c', "b"),
                Stored(2, "c"),
                Stored(1, "c"),
                Stored(9, "a"),
            ],
            "HOLDS",
        ),
        (
            &[Written('a', ""), Stored(1, "a"), Stored(2, "a")],
            "UNKNOWN   convergence: no write was acknowledged",
        ),
        (
            &[Written('a', ""), Written('a', "")],
            "VIOLATED   version twice: 'a' of \"k\" was written before",
        ),
        (
            &[Written('b', "a")],
            "VIOLATED   phantom version: who wrote 'b' of \"k\" had read 'a' there",
        ),
        (
            &[Stored(1, "a")],
            "VIOLATED   phantom version: 1 stores 'a' for \"k\", which nobody wrote",
        ),
        (&[Acknowledged('a')], "VIOLATED   acknowledged, not written: 'a' of \"k\" is on no disk"),
        // Last writer wins.
        (
            &[two[0].clone(), two[1].clone(), Stored(1, "a"), Stored(1, "b")],
            "VIOLATED   version lost: 1 had 'a' for \"k\", and has {'b'}, which had not read it",
        ),
        // It has read one of them, and takes the place of both.
        (
            &[two[0].clone(), two[1].clone(), Stored(1, "ab"), Written('c', "a"), Stored(1, "c")],
            "VIOLATED   version lost: 1 had 'b' for \"k\", and has {'c'}, which had not read it",
        ),
        (
            &[Written('a', ""), Stored(1, "a"), Written('b', "a"), Stored(1, "ab")],
            "VIOLATED   replaced version kept: 1 has {'a', 'b'} for \"k\", where 'a' is replaced",
        ),
        // An older state that comes back.
        (
            &[Written('a', ""), Written('b', "a"), Stored(1, "b"), Stored(1, "a")],
            "VIOLATED   version lost: 1 had 'b' for \"k\", and has {'a'}, which had not read it",
        ),
        (
            &[Written('a', ""), Stored(1, "a"), Acknowledged('a')],
            "VIOLATED   diverged: 1 has {'a'} for \"k\", and 2 {}",
        ),
        // The writer's clock was behind: its write was acknowledged, and what it replaces stands.
        (
            &[
                Written('a', ""),
                Stored(1, "a"),
                Written('b', "a"),
                Acknowledged('b'),
                Stored(2, "a"),
            ],
            "VIOLATED   older version wins: 'b' of \"k\" was acknowledged, and the replicas agree \
             on {'a'}",
        ),
        (
            &[two[0].clone(), two[1].clone(), Acknowledged('b'), Stored(1, "a"), Stored(2, "a")],
            "VIOLATED   acknowledged write lost: 'b' of \"k\" was acknowledged, and the replicas \
             agree on {'a'}",
        ),
        (
            &[Written('a', ""), Acknowledged('a')],
            "VIOLATED   acknowledged write lost: 'a' of \"k\" was acknowledged, and the replicas \
             agree on {}",
        ),
    ];
    for (facts, expected) in cases {
        let verdict = judge(2, facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "convergence"));
    }
    let alone = [Written('a', ""), Stored(1, "a"), Acknowledged('a')];
    let unknown = Verdict::Unknown("convergence: fewer than two replicas".into());
    assert_eq!(judge(1, &alone), unknown);
}

proptest! {
    /// Each write reads what its replica has, or nothing, and the replicas merge now and then; in
    /// the end all have all. One that then lacks any version of the agreed ones is found.
    #[test]
    fn maximal_versions_are_accepted_and_a_missing_one_is_found(
        steps in prop::collection::vec((0..3usize, 0..3usize, 0..3u8), 1..30),
    ) {
        let mut sync = Siblings::new(0..3usize);
        let mut has: Vec<Vec<(u32, Vec<u32>)>> = vec![Vec::new(); 3];
        let maximal = |all: &[(u32, Vec<u32>)]| -> Vec<u32> {
            let stays = |one: &u32| !all.iter().any(|(_, replaced)| replaced.contains(one));
            all.iter().map(|(one, _)| *one).filter(stays).collect()
        };
        let mut next = 0;
        for (one, other, kind) in steps {
            if kind < 2 {
                let read = if kind == 0 { maximal(&has[one]) } else { Vec::new() };
                let known = |old: &u32| has[one].iter().find(|(name, _)| name == old).cloned();
                let more = read.iter().filter_map(known).flat_map(|(_, replaced)| replaced);
                let replaced = more.chain(read.iter().copied()).collect();
                prop_assert_eq!(sync.written("k", next, read), Ok(()));
                has[one].push((next, replaced));
                next += 1;
            } else {
                let missing: Vec<_> =
                    has[other].iter().filter(|v| !has[one].contains(v)).cloned().collect();
                has[one].extend(missing);
            }
            prop_assert_eq!(sync.stored(one, "k", maximal(&has[one])), Ok(()));
        }
        let mut all: Vec<(u32, Vec<u32>)> = has.concat();
        all.sort();
        all.dedup();
        let agreed = maximal(&all);
        prop_assume!(!agreed.is_empty());
        for (version, _) in &all {
            prop_assert_eq!(sync.acknowledged("k", *version), Ok(()));
        }
        for replica in 0..3 {
            prop_assert_eq!(sync.stored(replica, "k", agreed.iter().copied()), Ok(()));
        }
        prop_assert_eq!(sync.verdict(), Verdict::Holds);
        let fewer = agreed[1..].iter().copied();
        prop_assert!(sync.stored(1, "k", fewer).is_err());
    }
}
