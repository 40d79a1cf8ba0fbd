//! Golden orders of events, accepted and rejected.

use super::Clock;
use crate::{Judged, Verdict};
use Fact::*;

/// One call of the checker: node, stamps.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Happened(char, u32),
    Received(char, u32, u32),
}

fn feed(clock: &mut Clock<char, u32>, fact: Fact) -> Judged {
    match fact {
        Happened(node, stamp) => clock.happened(node, stamp),
        Received(node, sent, stamp) => clock.received(node, sent, stamp),
    }
}

#[test]
fn orders_of_events() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Happened('a', 1), Received('b', 1, 2), Happened('a', 3), Happened('b', 4)], "HOLDS"),
        // Events that do not know of each other may have any order.
        (&[Happened('b', 9), Happened('a', 1), Received('b', 1, 10)], "HOLDS"),
        // A message that comes twice, and late.
        (&[Happened('a', 1), Received('b', 1, 2), Happened('a', 5), Received('b', 1, 3)], "HOLDS"),
        (&[Happened('a', 1)], "UNKNOWN   clock: no message has been received"),
        (
            &[Happened('a', 2), Happened('a', 1)],
            "VIOLATED   stamp went back: 'a' stamps 2, and after it 1",
        ),
        (
            &[Happened('a', 2), Happened('a', 2)],
            "VIOLATED   stamp went back: 'a' stamps 2, and after it 2",
        ),
        (
            &[Happened('a', 5), Received('b', 5, 3)],
            "VIOLATED   effect before its cause: 'b' receives what was sent at 5 at 3",
        ),
        (
            &[Happened('a', 5), Received('b', 5, 5)],
            "VIOLATED   effect before its cause: 'b' receives what was sent at 5 at 5",
        ),
        (&[Happened('a', 1), Happened('b', 1)], "VIOLATED   stamp twice: 'a' and 'b' both stamp 1"),
        (
            &[Happened('a', 1), Happened('b', 7), Received('b', 1, 4)],
            "VIOLATED   stamp went back: 'b' stamps 7, and after it 4",
        ),
    ];
    for (facts, expected) in cases {
        let mut clock = Clock::new();
        let fed = facts.iter().try_for_each(|fact| feed(&mut clock, *fact));
        let verdict = Verdict::from(fed).and_then(|| clock.verdict());
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "clock"));
    }
}
