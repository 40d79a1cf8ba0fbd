//! Golden deliveries and sets, accepted and rejected, and random ones.

use super::{Delivery, Set, SetOp, SetRet};
use crate::{Judged, Verdict};
use Fact::*;
use history::{Actor, Event, History, What};
use proptest::prelude::*;
use proptest::sample::Index;

/// One call of the checker; messages are numbers, and the lane of a message is its hundreds.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fact {
    Sent(u32),
    Loose(u32),
    Acknowledged(u32),
    Failed(u32),
    Delivered(u32),
    Buried(u32),
    Replied(u32, u32),
}

fn feed(queue: &mut Delivery<u32, u32>, fact: Fact) -> Judged {
    match fact {
        Sent(message) => queue.sent(message, Some(message / 100)),
        Loose(message) => queue.sent(message, None),
        Acknowledged(message) => queue.acknowledged(message),
        Failed(message) => queue.failed(message)?,
        Delivered(message) => queue.delivered(message)?,
        Buried(message) => queue.buried(message),
        Replied(request, made_for) => queue.replied(request, made_for)?,
    }
    Ok(())
}

fn judge(mut queue: Delivery<u32, u32>, facts: &[Fact]) -> Verdict {
    let fed = facts.iter().try_for_each(|fact| feed(&mut queue, *fact));
    Verdict::from(fed).and_then(|| queue.verdict())
}

#[test]
fn queues() {
    let cases: &[(&[Fact], &str)] = &[
        (&[Sent(1), Acknowledged(1), Delivered(1), Replied(1, 1)], "HOLDS"),
        // No acknowledgement, no promise; sent again, it keeps its place.
        (&[Sent(1), Sent(2), Sent(1), Delivered(2), Failed(1)], "HOLDS"),
        (&[Sent(1), Sent(2), Acknowledged(1), Buried(1), Delivered(2)], "HOLDS"),
        // Lanes of their own, or none.
        (&[Sent(1), Sent(101), Delivered(101), Delivered(1)], "HOLDS"),
        (&[Loose(1), Loose(2), Delivered(2), Delivered(1)], "HOLDS"),
        (&[Sent(1), Acknowledged(1), Buried(1)], "UNKNOWN   delivery: nothing was delivered"),
        // F2: acknowledged before it is processed, then a crash. F6: skipped. F7: not published.
        (
            &[Sent(1), Sent(2), Acknowledged(1), Delivered(2)],
            "VIOLATED   lost: 1 was acknowledged, and is not delivered",
        ),
        // F3: the mark that it was seen is lost. F9: it is forgotten too early.
        (
            &[Sent(1), Acknowledged(1), Delivered(1), Delivered(1)],
            "VIOLATED   duplicate: 1 is delivered twice",
        ),
        (
            &[Sent(1), Sent(2), Delivered(2), Delivered(1)],
            "VIOLATED   reordered: 1 is delivered after 2, which was sent behind it in 0",
        ),
        (&[Delivered(1)], "VIOLATED   phantom: 1 is delivered, and nobody sent it"),
        (
            &[Sent(1), Failed(1), Delivered(1)],
            "VIOLATED   phantom: 1 is delivered, and its sender was told that it never is",
        ),
        (
            &[Sent(1), Delivered(1), Failed(1)],
            "VIOLATED   phantom: 1 is delivered, and its sender was told that it never is",
        ),
        // F8: replies matched by their order.
        (
            &[Sent(1), Sent(2), Delivered(1), Delivered(2), Replied(1, 2)],
            "VIOLATED   wrong reply: the caller of 1 took the reply to 2",
        ),
        (
            &[Sent(1), Replied(1, 1)],
            "VIOLATED   phantom reply: 1 is replied to, and was not delivered",
        ),
    ];
    for (facts, expected) in cases {
        let verdict = judge(Delivery::exactly_once(), facts);
        assert_eq!(verdict.to_string(), *expected, "{facts:?}");
        assert!(verdict.anomaly().is_none_or(|anomaly| anomaly.checker == "delivery"));
    }
}

#[test]
fn at_least_once_forgives_duplicates_and_nothing_else() {
    let holds = [Sent(1), Sent(2), Delivered(1), Delivered(2), Delivered(1)];
    assert_eq!(judge(Delivery::at_least_once(), &holds), Verdict::Holds);
    let reordered = [Sent(1), Sent(2), Delivered(2), Delivered(2), Delivered(1)];
    assert!(judge(Delivery::at_least_once(), &reordered).is_violated());
}

proptest! {
    /// Every lane is delivered in order; then one delivery is left out, doubled, put in front, or
    /// of a message that nobody sent.
    #[test]
    fn one_spoiled_delivery_is_found(
        lanes in prop::collection::vec(0..3u32, 2..20),
        at in any::<Index>(),
        how in 0..4u8,
    ) {
        let mut messages: Vec<u32> =
            (0..).zip(&lanes).map(|(number, lane)| 100 * lane + number).collect();
        // Lanes one after the other: each in its order.
        messages.sort_unstable();
        let sent = messages.iter().flat_map(|message| [Sent(*message), Acknowledged(*message)]);
        let mut facts: Vec<Fact> = sent.collect();
        let first = facts.len();
        facts.extend(messages.iter().map(|message| Delivered(*message)));
        prop_assert_eq!(judge(Delivery::exactly_once(), &facts), Verdict::Holds);
        let at = first + at.index(messages.len());
        let before = messages[..at - first].iter().any(|m| m / 100 == messages[at - first] / 100);
        match how {
            0 => { facts.remove(at); }
            1 => facts.push(facts[at]),
            2 => facts.push(Delivered(999)),
            _ if !before => return Ok(()),
            _ => { let fact = facts.remove(at); facts.insert(first, fact); }
        }
        let verdict = judge(Delivery::exactly_once(), &facts);
        prop_assert!(verdict.is_violated(), "{verdict}: {facts:?}");
    }
}

type Line = (u32, What<SetOp<u32>, SetRet<u32>>);

fn history(lines: &[Line]) -> History<SetOp<u32>, SetRet<u32>> {
    // Clients are named in the lines; operations are numbered by invocation.
    let mut clients = Vec::new();
    let events = lines.iter().map(|(client, what)| {
        if let What::Invoke(_) = what {
            clients.push(*client);
        }
        let op = clients.iter().position(|other| other == client).expect("invoked") as u32;
        let actor = Actor::Client(*client as u16);
        Event { at: 0, op, actor, process: *client, call: *client, what: what.clone() }
    });
    History { events: events.collect() }
}

fn add(op: u32, element: u32) -> Line {
    (op, What::Invoke(SetOp::Add(element)))
}

fn done(op: u32) -> Line {
    (op, What::Ok(SetRet::Done))
}

fn read(op: u32) -> Line {
    (op, What::Invoke(SetOp::Read))
}

fn saw(op: u32, elements: &[u32]) -> Line {
    (op, What::Ok(SetRet::Elements(elements.to_vec())))
}

#[test]
fn sets() {
    let failed = (0, What::Fail("".into()));
    let cases = [
        (vec![add(0, 7), done(0), read(1), saw(1, &[7])], "HOLDS"),
        // Unknown outcomes, and what is still going on, may show or not.
        (vec![add(0, 7), (0, What::Info), read(1), saw(1, &[])], "HOLDS"),
        (vec![add(0, 7), (0, What::Info), read(1), saw(1, &[7])], "HOLDS"),
        (vec![read(1), add(0, 7), done(0), saw(1, &[])], "HOLDS"),
        // Missed once, seen later: not lost.
        (vec![add(0, 7), done(0), read(1), saw(1, &[]), read(2), saw(2, &[7])], "HOLDS"),
        (vec![add(0, 7), failed.clone()], "UNKNOWN   delivery: no read of the set completed"),
        (vec![read(0), saw(0, &[])], "UNKNOWN   delivery: nothing was added to the set"),
        (
            vec![add(0, 7), done(0), read(1), saw(1, &[7]), read(2), saw(2, &[])],
            "VIOLATED   lost: 7 was added by client 0 (call 0), and is not in the last read, by \
             client 2 (call 2)",
        ),
        (
            vec![add(0, 7), (0, What::Info), read(1), saw(1, &[7]), read(2), saw(2, &[])],
            "VIOLATED   lost: 7 was read by client 1 (call 1), and is not in the last read, by \
             client 2 (call 2)",
        ),
        (
            vec![add(0, 7), done(0), read(1), saw(1, &[7, 7])],
            "VIOLATED   duplicate: 7 is twice in the read by client 1 (call 1)",
        ),
        (
            vec![add(0, 7), done(0), read(1), saw(1, &[7, 8])],
            "VIOLATED   phantom: 8 is in the read by client 1 (call 1), and nobody added it",
        ),
        (
            vec![add(0, 7), failed, read(1), saw(1, &[7])],
            "VIOLATED   phantom: 7 is in the read by client 1 (call 1), and every addition of it \
             failed",
        ),
        (
            vec![read(0), saw(0, &[7]), add(1, 7), done(1)],
            "VIOLATED   phantom: 7 is in the read by client 0 (call 0), before anybody began to \
             add it",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(Set::default().check(&history(&lines)).to_string(), expected, "{lines:?}");
    }
}

#[test]
fn stale_reads_of_a_set_are_judged_if_asked_for() {
    let lines = [add(0, 7), done(0), read(1), saw(1, &[]), read(2), saw(2, &[7])];
    let strict = Set { no_stale_reads: true };
    assert_eq!(
        strict.check(&history(&lines)).to_string(),
        "VIOLATED   stale: 7 was added by client 0 (call 0), and is not in a later read, by \
         client 1 (call 1)"
    );
}

proptest! {
    /// Additions end ok, with an unknown outcome or failed; reads see what took effect.
    #[test]
    fn one_spoiled_read_is_found(
        fates in prop::collection::vec(0..5u8, 1..20),
        at in any::<Index>(),
        how in 0..3u8,
    ) {
        let (mut lines, mut elements, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (op, fate) in (0..).zip(&fates) {
            lines.push(add(op, op));
            if *fate < 3 {
                elements.push(op);
            }
            match fate {
                0 | 1 => {
                    known.push(op);
                    lines.push(done(op));
                }
                2 | 3 => lines.push((op, What::Info)),
                _ => lines.push((op, What::Fail("".into()))),
            }
        }
        lines.push(read(100));
        let strict = Set { no_stale_reads: true };
        let right = [lines.clone(), vec![saw(100, &elements)]].concat();
        prop_assert_eq!(strict.check(&history(&right)), Verdict::Holds);
        match how {
            0 if !known.is_empty() => {
                let lost = known[at.index(known.len())];
                elements.retain(|element| *element != lost);
            }
            1 if !elements.is_empty() => elements.push(elements[at.index(elements.len())]),
            _ => elements.push(99),
        }
        let wrong = [lines, vec![saw(100, &elements)]].concat();
        prop_assert!(Set::default().check(&history(&wrong)).is_violated(), "{wrong:?}");
    }
}
