//! Golden waits, accepted and rejected, and random ones.

use super::Progress;
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;

/// One call of the checker: what, seconds.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Due(u32, u64),
    Done(u32, u64),
}

const END: Duration = Duration::from_secs(100);

fn feed(waits: &mut Progress<u32>, fact: Fact) -> Judged {
    match fact {
        Due(what, by) => waits.due("in doubt", what, Duration::from_secs(by)),
        Done(what, at) => waits.done("in doubt", what, Duration::from_secs(at))?,
    }
    Ok(())
}

fn judge(facts: &[Fact]) -> Verdict {
    let mut waits = Progress::new();
    let fed = facts.iter().try_for_each(|fact| feed(&mut waits, *fact));
    Verdict::from(fed).and_then(|| waits.verdict(END))
}

#[test]
fn waits() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Due(1, 5), Due(2, 6), Done(2, 2), Done(1, 5)], "HOLDS"),
        // A wait that nobody named; one that begins again.
        (&[Done(2, 90), Due(1, 5), Done(1, 3), Due(1, 9), Done(1, 9)], "HOLDS"),
        (&[], "UNKNOWN   progress: nothing was waited for"),
        (&[Due(1, 200)], "UNKNOWN   progress: the run ended at 100s, and 1 has until 200s"),
        // K1, D9, G3: retried for ever, granted to nobody, hanging.
        (
            &[Due(1, 9), Due(2, 5)],
            "VIOLATED   in doubt: 2 had to be over by 5s, and is not at 100s",
        ),
        // The first deadline stands.
        (
            &[Due(1, 5), Due(1, 9), Done(1, 7)],
            "VIOLATED   in doubt: 1 had to be over by 5s, and was at 7s",
        ),
    ];
    for (facts, expected) in cases {
        let verdict = judge(facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "progress"));
    }
}

proptest! {
    #[test]
    fn a_wait_without_an_end_is_found(
        waits in prop::collection::vec((1..90u64, 0..50u64), 1..20),
        at in any::<Index>(),
        late in any::<bool>(),
    ) {
        let named = || (0..).zip(&waits);
        let mut facts: Vec<Fact> = named().map(|(what, (by, _))| Due(what, *by)).collect();
        facts.extend(named().map(|(what, (by, spare))| Done(what, by.saturating_sub(*spare))));
        prop_assert_eq!(judge(&facts), Verdict::Holds);
        let which = at.index(waits.len());
        let place = waits.len() + which;
        match late {
            true => facts[place] = Done(which as u32, waits[which].0 + 1),
            false => { facts.remove(place); }
        }
        prop_assert!(judge(&facts).is_violated(), "{facts:?}");
    }
}
