//! Golden ends of replicas, accepted and rejected, and random ones.

use super::Convergence;
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// One call of the checker: replica, version.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Written(u32),
    Acknowledged(u32),
    Stored(u32, u32),
}

fn feed(sync: &mut Convergence<u32, &'static str, u32>, fact: Fact) -> Judged {
    match fact {
        Written(version) => sync.written("k", version),
        Acknowledged(version) => sync.acknowledged("k", version),
        Stored(replica, version) => sync.stored(replica, "k", version)?,
    }
    Ok(())
}

fn judge(replicas: u32, facts: &[Fact]) -> Verdict {
    let mut sync = Convergence::new(1..=replicas);
    let fed = facts.iter().try_for_each(|fact| feed(&mut sync, *fact));
    Verdict::from(fed).and_then(|| sync.verdict())
}

#[test]
fn replicas() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Written(1), Stored(1, 1), Acknowledged(1), Stored(2, 1), Stored(2, 1)], "HOLDS"),
        // A newer write wins, acknowledged or not; a replica may skip what it never saw.
        (
            &[Written(1), Written(2), Stored(1, 1), Acknowledged(1), Stored(1, 2), Stored(2, 2)],
            "HOLDS",
        ),
        // A node that is lost for good.
        (&[Written(1), Stored(1, 1), Stored(2, 1), Stored(9, 1), Acknowledged(1)], "HOLDS"),
        (
            &[Written(1), Stored(1, 1), Stored(2, 1)],
            "UNKNOWN   convergence: no write was acknowledged",
        ),
        (
            &[Written(1), Stored(1, 1), Acknowledged(1)],
            "VIOLATED   diverged: 1 has 1 for \"k\", and 2 nothing",
        ),
        (
            &[Written(1), Written(2), Stored(1, 1), Stored(2, 2)],
            "VIOLATED   diverged: 1 has 1 for \"k\", and 2 2",
        ),
        // The last writer by a wall clock that is behind: the write that was acknowledged loses.
        (
            &[Written(1), Written(2), Acknowledged(2), Stored(1, 1), Stored(2, 1)],
            "VIOLATED   acknowledged write lost: 2 of \"k\" was acknowledged, and the replicas \
             agree on 1",
        ),
        (
            &[Written(1), Acknowledged(1)],
            "VIOLATED   acknowledged write lost: 1 of \"k\" was acknowledged, and the replicas \
             agree on nothing",
        ),
        (&[Stored(1, 1)], "VIOLATED   phantom version: 1 stores 1 for \"k\", which nobody wrote"),
        (
            &[Written(1), Written(2), Stored(1, 2), Stored(1, 1)],
            "VIOLATED   version went back: 1 replaces 2 for \"k\" by 1",
        ),
    ];
    for (facts, expected) in cases {
        let verdict = judge(2, facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "convergence"));
    }
    let alone = [Written(1), Stored(1, 1), Acknowledged(1)];
    let unknown = Verdict::Unknown("convergence: fewer than two replicas".into());
    assert_eq!(judge(1, &alone), unknown);
}

proptest! {
    /// Versions spread in any order, and replicas keep the greatest; then one of them misses it.
    #[test]
    fn a_replica_that_misses_the_last_write_is_found(
        spread in prop::collection::vec((1..4u32, 1..6u32), 0..30),
        replica in any::<Index>(),
    ) {
        let mut facts: Vec<Fact> = (1..7).map(Written).collect();
        let mut stored = [0; 3];
        for (replica, version) in spread {
            let mine = &mut stored[replica as usize - 1];
            if version >= *mine {
                *mine = version;
                facts.extend([Stored(replica, version), Acknowledged(version)]);
            }
        }
        facts.push(Acknowledged(6));
        facts.extend((1..4).map(|replica| Stored(replica, 6)));
        prop_assert_eq!(judge(3, &facts), Verdict::Holds);
        let last = facts.len() - 3;
        facts.remove(last + replica.index(3));
        prop_assert!(judge(3, &facts).is_violated(), "{facts:?}");
    }
}
