//! Golden reads through a cache, accepted and rejected, and random ones.

use super::Cache;
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;

/// One call of the checker. Each happens a second after the one before.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Committed(u64),
    Wrote(u32, u64),
    Read(u32, u64),
    AtRest(Option<u64>),
}

const KEY: &str = "k";

fn feed(cache: &mut Cache<u32, &'static str>, fact: Fact, at: Duration) -> Judged {
    match fact {
        Committed(version) => cache.committed(KEY, version, at),
        Wrote(client, version) => cache.wrote(client, KEY, version),
        Read(client, version) => cache.read(client, KEY, version, at)?,
        AtRest(version) => cache.at_rest(&KEY, version)?,
    }
    Ok(())
}

fn judge(staleness: Option<Duration>, facts: &[Fact]) -> Verdict {
    let mut cache = Cache { staleness, ..Cache::new() };
    let mut timed = (0..).map(Duration::from_secs).zip(facts);
    let fed = timed.try_for_each(|(at, fact)| feed(&mut cache, *fact, at));
    Verdict::from(fed).and_then(|| cache.verdict())
}

#[test]
fn caches() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Read(1, 0), Committed(1), Read(1, 0), Read(1, 1), AtRest(Some(1))], "HOLDS"),
        // Old for one client while another sees the new one.
        (&[Committed(1), Committed(2), Read(1, 2), Read(2, 1), AtRest(None)], "HOLDS"),
        (&[Committed(1), Wrote(1, 1), Read(2, 0), Read(1, 1)], "HOLDS"),
        (&[Read(1, 0)], "UNKNOWN   cache: no version that was written has been read"),
        (
            &[Committed(1), Read(1, 2), Committed(2)],
            "VIOLATED   newer than the store: 1 read version 2 of \"k\", and the store was at 1",
        ),
        (
            &[Committed(1), Committed(3), Read(1, 2)],
            "VIOLATED   phantom version: 1 read version 2 of \"k\", and the store went on to 3 \
             without it",
        ),
        // A read that falls through to the store, then an old entry.
        (
            &[Committed(1), Committed(2), Read(1, 2), Read(1, 1)],
            "VIOLATED   version went back: 1 read version 1 of \"k\" after version 2",
        ),
        (
            &[Committed(1), Wrote(1, 1), Read(1, 0)],
            "VIOLATED   version went back: 1 read version 0 of \"k\" after version 1",
        ),
        // J4 to J7: a slow reader puts back what it read; an invalidation is lost.
        (
            &[Committed(1), Read(1, 1), Committed(2), AtRest(Some(1))],
            "VIOLATED   stale at rest: at rest the cache has version 1 of \"k\", and the store 2",
        ),
    ];
    for (facts, expected) in cases {
        let verdict = judge(None, facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "cache"));
    }
}

#[test]
fn staleness_is_judged_where_it_is_bounded() {
    let facts = [Committed(1), Committed(2), Read(1, 1), Read(1, 1), Read(1, 1)];
    assert_eq!(judge(Some(Duration::from_secs(3)), &facts), Verdict::Holds);
    assert_eq!(
        judge(Some(Duration::from_secs(2)), &facts).to_string(),
        "VIOLATED   too stale: 1 read version 1 of \"k\" 3s after version 2, at most 2s were \
         allowed"
    );
    let initial = [Committed(1), Read(1, 0), Read(1, 0)];
    assert!(judge(Some(Duration::from_secs(1)), &initial).is_violated());
}

proptest! {
    /// Clients read something committed and not below what they have seen; then one read is
    /// spoiled.
    #[test]
    fn one_spoiled_read_is_found(
        steps in prop::collection::vec((0..4u8, 0..3u32, any::<Index>()), 2..40),
        at in any::<Index>(),
        back in any::<bool>(),
    ) {
        let (mut newest, mut seen) = (0, [0u64; 3]);
        let mut facts = Vec::new();
        let mut spoiled = Vec::new();
        for (what, client, index) in steps {
            if what == 0 || newest == 0 {
                newest += 1;
                facts.push(Committed(newest));
                continue;
            }
            let mine = &mut seen[client as usize];
            let version = *mine + index.index((newest - *mine + 1) as usize) as u64;
            if !back {
                spoiled.push((facts.len(), Read(client, newest + 1)));
            } else if *mine > 0 {
                spoiled.push((facts.len(), Read(client, *mine - 1)));
            }
            *mine = version;
            facts.push(Read(client, version));
        }
        facts.push(AtRest(Some(newest)));
        prop_assert!(!judge(None, &facts).is_violated(), "{facts:?}");
        let last = facts.len() - 1;
        spoiled.push((last, AtRest(Some(newest + 1))));
        let (place, fact) = spoiled[at.index(spoiled.len())];
        facts[place] = fact;
        prop_assert!(judge(None, &facts).is_violated(), "{facts:?}");
    }
}
