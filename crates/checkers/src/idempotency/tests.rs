//! Golden uses of keys, accepted and rejected, and random ones.

use super::{Answer, Idempotency};
use crate::{Judged, Verdict};
use Fact::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// One call of the checker: key, fingerprint, result.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Asked(u32, u32),
    Effect(u32),
    Done(u32, u32, u32),
    Failed(u32),
    Mismatch(u32, u32),
    Busy(u32),
}

fn feed(keys: &mut Idempotency<u32, u32, u32>, fact: Fact) -> Judged {
    match fact {
        Asked(key, body) => keys.asked(key, body),
        Effect(key) => keys.effect(key)?,
        Done(key, body, result) => keys.answered(key, body, Answer::Done(result))?,
        Failed(key) => keys.answered(key, 5, Answer::Failed)?,
        Mismatch(key, body) => keys.answered(key, body, Answer::Mismatch)?,
        Busy(key) => keys.answered(key, 5, Answer::Undecided)?,
    }
    Ok(())
}

fn judge(facts: &[Fact]) -> Verdict {
    let mut keys = Idempotency::new();
    let fed = facts.iter().try_for_each(|fact| feed(&mut keys, *fact));
    Verdict::from(fed).and_then(|| keys.verdict())
}

#[test]
fn keys() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Asked(1, 5), Effect(1), Asked(1, 5), Done(1, 5, 9), Done(1, 5, 9)], "HOLDS"),
        (&[Asked(1, 5), Asked(1, 5), Busy(1), Effect(1), Done(1, 5, 9)], "HOLDS"),
        (&[Asked(1, 5), Asked(1, 6), Effect(1), Done(1, 5, 9), Mismatch(1, 6)], "HOLDS"),
        (&[Asked(1, 5), Asked(1, 5), Failed(1), Failed(1)], "HOLDS"),
        // An effect whose answer was lost.
        (&[Asked(1, 5), Asked(1, 5), Effect(1)], "HOLDS"),
        (&[Asked(1, 5), Effect(1)], "UNKNOWN   idempotency: no key was used twice"),
        // I1, I3, I6, I7, R5: two retries both act.
        (
            &[Asked(1, 5), Asked(1, 5), Effect(1), Effect(1)],
            "VIOLATED   double effect: 1 has taken effect 2 times",
        ),
        // I2: the key is recorded, then a crash.
        (
            &[Asked(1, 5), Asked(1, 5), Done(1, 5, 9)],
            "VIOLATED   effect lost: 1 was answered 9, and has no effect",
        ),
        // I4: a time-out downstream is stored as final.
        (
            &[Asked(1, 5), Failed(1), Effect(1)],
            "VIOLATED   failed and applied: 1 was answered that it failed, and has an effect",
        ),
        (
            &[Asked(1, 5), Effect(1), Failed(1)],
            "VIOLATED   failed and applied: 1 was answered that it failed, and has an effect",
        ),
        (
            &[Asked(1, 5), Effect(1), Done(1, 5, 9), Failed(1)],
            "VIOLATED   unequal replies: 1 was answered 9, and then that it failed",
        ),
        (
            &[Asked(1, 5), Failed(1), Asked(1, 5), Done(1, 5, 9)],
            "VIOLATED   unequal replies: 1 was answered that it failed, and then 9",
        ),
        (
            &[Asked(1, 5), Effect(1), Done(1, 5, 9), Asked(1, 5), Done(1, 5, 8)],
            "VIOLATED   unequal replies: 1 was answered 9, and then 8",
        ),
        // I5: no fingerprint in the key.
        (
            &[Asked(1, 5), Effect(1), Done(1, 5, 9), Asked(1, 6), Done(1, 6, 9)],
            "VIOLATED   mismatch accepted: 1 belongs to 5, and 6 was answered 9",
        ),
        (
            &[Asked(1, 5), Asked(1, 5), Mismatch(1, 5)],
            "VIOLATED   mismatch without cause: 1 was refused, and only ever came as 5",
        ),
        (&[Effect(1)], "VIOLATED   phantom effect: 1 has an effect, and no request"),
        (&[Busy(1)], "VIOLATED   phantom reply: 1 was answered, and never asked"),
    ];
    for (facts, expected) in cases {
        let verdict = judge(facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "idempotency"));
    }
}

proptest! {
    /// Every key is asked for several times, takes effect once and is answered each time; then one
    /// fact is spoiled.
    #[test]
    fn one_spoiled_fact_is_found(
        attempts in prop::collection::vec(2..5u32, 1..8),
        at in any::<Index>(),
        how in 0..4u8,
    ) {
        let mut facts = Vec::new();
        for (key, attempts) in (0..).zip(&attempts) {
            facts.extend([Asked(key, 5), Effect(key), Done(key, 5, key)]);
            facts.extend((1..*attempts).flat_map(|_| [Asked(key, 5), Done(key, 5, key)]));
        }
        prop_assert_eq!(judge(&facts), Verdict::Holds);
        let at = at.index(facts.len());
        match (facts[at], how) {
            (Effect(_), 0) => { facts.remove(at); }
            (Effect(key), _) => facts.insert(at, Effect(key)),
            (Asked(..), _) => return Ok(()),
            (Done(key, body, result), 0) => facts[at] = Done(key, body, result + 1),
            (Done(key, body, result), 1) => facts.insert(at, Done(key, body + 1, result)),
            (Done(key, ..), 2) => facts[at] = Failed(key),
            (_, _) => facts.push(Effect(999)),
        }
        prop_assert!(judge(&facts).is_violated(), "{facts:?}");
    }
}
