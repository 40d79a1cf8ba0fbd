//! Histories that show one phenomenon each, and the levels that they are and are not of.

#[path = "common/txn.rs"]
mod txn;

use checkers::Verdict;
use checkers::isolation::{
    Analysis, Judgement, Level, Phenomenon, Standing, Witness, list_append, long_fork, rw_register,
};
use std::fmt::Debug;
use std::hash::Hash;
use txn::{Dice, lists, medium, parse, registers};

/// What a history holds that keeps all orders but that of time, and what it violates.
const SESSION_AND_TIME: &str = "strong-read-committed strong-session-serializable";
const STRONG: &str = "strong-repeatable-read strong-snapshot-isolation";

fn names(levels: &[Level]) -> String {
    levels.iter().map(Level::to_string).collect::<Vec<_>>().join(" ")
}

/// The phenomenon at the strongest level, the strongest levels that hold, and the weakest that do
/// not.
fn stands<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    analysis: &Analysis<'_, K, V>,
) -> (String, String, String) {
    let Standing { holds, violated, unknown } = analysis.standing();
    assert_eq!(names(&unknown), "");
    let strict = analysis.check(Level::STRICT_SERIALIZABLE);
    let class = strict.anomaly().map_or("", |anomaly| &anomaly.class).to_owned();
    (class, names(&holds), names(&violated))
}

fn list(text: &str, class: &str, holds: &str, violated: &str) {
    let history = lists(&parse(text));
    let (a, b, c) = stands(&list_append(&history));
    assert_eq!((&*a, &*b, &*c), (class, holds, violated), "{text}");
}

fn register(text: &str, class: &str, holds: &str, violated: &str) {
    let history = registers(&parse(text));
    let (a, b, c) = stands(&rw_register(&history));
    assert_eq!((&*a, &*b, &*c), (class, holds, violated), "{text}");
}

#[test]
fn one_after_the_other() {
    let text = "0 0-1: wx1 \n 1 2-3: rx1 wx2 \n 0 4-5: rx1.2";
    list(text, "", "strict-serializable", "");
    register(text, "", "strict-serializable", "");
}

#[test]
fn writes_that_interleave() {
    let text = "0 0-10: wx1 wy2 \n 1 1-11: wx3 wy4 \n 2 12-13: rx1.3 ry4.2";
    list(text, "G0", "", "read-uncommitted");
    // A register shows only what is on top: no order of what is below would do.
    let violated = "repeatable-read snapshot-isolation";
    register(text, "no version order", "strong-read-committed", violated);
}

#[test]
fn a_write_that_time_has_overtaken() {
    let text = "0 0-1: wx1 \n 1 2-3: wx2 \n 2 4-5: rx2.1";
    list(text, "G0-realtime", "strong-session-serializable", "strong-read-uncommitted");
    register(text, "G-single-realtime", SESSION_AND_TIME, STRONG);
}

#[test]
fn a_write_that_its_process_has_overtaken() {
    let text = "0 0-1: wx1 \n 0 2-3: wx2 \n 2 4-5: rx2.1";
    list(text, "G0-process", "serializable", "strong-session-read-uncommitted");
    // The reader may have run between the two, had not time passed.
    register(text, "G-single-realtime", SESSION_AND_TIME, STRONG);
}

#[test]
fn a_read_of_an_aborted_write() {
    let text = "0 0-5 fail: wx1 \n 1 1-9: rx1";
    list(text, "G1a", "strong-read-uncommitted", "read-committed");
    register(text, "G1a", "strong-read-uncommitted", "read-committed");
}

#[test]
fn a_write_on_top_of_an_aborted_one() {
    let text = "0 0-5 fail: wx1 \n 1 1-9: wx2 \n 2 10-12: rx1.2 \n 2 13-14: rx1.2";
    list(text, "G1a", "strong-read-uncommitted", "read-committed");
    let history = lists(&parse(text));
    let Judgement::Violated(witnesses) = list_append(&history).judge(Level::READ_COMMITTED) else {
        panic!("violated")
    };
    assert!(witnesses.iter().any(|witness| witness.phenomenon == Phenomenon::DirtyUpdate));
    // Who reads a register sees only what is on top.
    register(text, "", "strict-serializable", "");
}

#[test]
fn a_read_in_the_middle_of_a_transaction() {
    let text = "0 0-9: wx1 wx2 \n 1 1-8: rx1 \n 1 10-11: rx1.2";
    list(text, "G1b", "strong-read-uncommitted", "read-committed");
    register(text, "G1b", "strong-read-uncommitted", "read-committed");
}

#[test]
fn information_in_a_circle() {
    let text = "0 0-9: wx1 ry2 \n 1 1-8: wy2 rx1";
    list(text, "G1c", "strong-read-uncommitted", "read-committed");
    register(text, "G1c", "strong-read-uncommitted", "read-committed");
}

#[test]
fn a_read_of_what_is_written_later() {
    let text = "0 0-1: rx1 \n 1 2-3: wx1";
    list(
        text,
        "G1c-realtime",
        "strong-read-uncommitted strong-session-serializable",
        "strong-read-committed",
    );
    register(
        text,
        "G1c-realtime",
        "strong-read-uncommitted strong-session-serializable",
        "strong-read-committed",
    );
}

#[test]
fn a_read_that_is_skewed() {
    let text = "0 0-9: wx1 wy2 \n 1 1-8: rx1 ry";
    list(text, "G-single", "strong-read-committed", "repeatable-read snapshot-isolation");
    register(text, "G-single", "strong-read-committed", "repeatable-read snapshot-isolation");
}

#[test]
fn a_read_that_does_not_repeat() {
    let text = "0 0-9: wx1 \n 1 1-8: rx rx1";
    list(text, "G-single", "strong-read-committed", "repeatable-read snapshot-isolation");
    register(text, "G-single", "strong-read-committed", "repeatable-read snapshot-isolation");
}

#[test]
fn an_update_that_is_lost() {
    let text = "0 0-9: rx wx1 \n 1 1-8: rx wx2 \n 0 10-11: rx1.2";
    list(text, "lost update", "strong-read-committed", "repeatable-read snapshot-isolation");
    register(text, "lost update", "strong-read-committed", "repeatable-read snapshot-isolation");
}

#[test]
fn a_stale_read() {
    let text = "0 0-1: wx1 \n 1 2-3: rx";
    list(text, "G-single-realtime", SESSION_AND_TIME, STRONG);
    register(text, "G-single-realtime", SESSION_AND_TIME, STRONG);
    let text = "0 0-1: wx1 \n 0 2-3: rx";
    let violated = "strong-session-repeatable-read strong-session-snapshot-isolation";
    list(text, "G-single-process", "strong-read-committed serializable", violated);
    register(text, "G-single-process", "strong-read-committed serializable", violated);
}

#[test]
fn a_long_fork() {
    let text = "0 0-9: wx1 \n 1 0-9: wy2 \n 2 1-8: rx1 ry \n 3 1-8: rx ry2";
    list(text, "long fork", "strong-read-committed", "repeatable-read snapshot-isolation");
    register(text, "long fork", "strong-read-committed", "repeatable-read snapshot-isolation");
}

#[test]
fn anti_dependencies_that_are_not_adjacent() {
    let text = "0 0-9: rp wx2 \n 1 0-9: wp1 wq1 \n 2 1-8: wq2 rs \n 3 1-8: ws1 wx1
        4 10-11: rx1.2 rq1.2";
    list(text, "G-nonadjacent", "strong-read-committed", "repeatable-read snapshot-isolation");
}

#[test]
fn a_skew_of_writes() {
    let text = "0 0-10: rx ry wx1 \n 1 1-11: rx ry wy2";
    list(text, "G2-item", "strong-snapshot-isolation", "repeatable-read");
    register(text, "G2-item", "strong-snapshot-isolation", "repeatable-read");
}

#[test]
fn appends_that_nobody_saw_come_after_all_reads() {
    let text = "2 1-4: wd2 we5 \n 0 2-8: rb rc wd0 \n 1 3-6: wc1 wb4 rd \n 2 5-9: wb8
        1 7-10: wc7 wd10";
    list(text, "G2-item", "strong-snapshot-isolation", "repeatable-read");
}

#[test]
fn values_from_nowhere() {
    let text = "0 0-1: wx1 \n 1 2-3: rx1.7";
    list(text, "phantom value", "", "read-uncommitted");
    register(text, "phantom value", "", "read-uncommitted");
}

#[test]
fn an_element_twice() {
    let text = "0 0-1: wx1 \n 1 2-3: rx1.1";
    list(text, "duplicate element", "", "read-uncommitted");
}

#[test]
fn own_writes_unseen() {
    let text = "0 0-1: wx1 rx \n 1 2-3: rx1";
    list(text, "internal", "", "read-uncommitted");
    register(text, "internal", "", "read-uncommitted");
    let text = "0 0-1: rx1 wx1 \n 1 2-3: rx1";
    list(text, "internal", "", "read-uncommitted");
    register(text, "internal", "", "read-uncommitted");
}

#[test]
fn reads_of_lists_that_fit_no_order() {
    let text = "0 0-9: wx1 \n 1 0-9: wx2 \n 2 1-8: rx1.2 \n 3 1-8: rx2.1";
    let history = lists(&parse(text));
    let analysis = list_append(&history);
    let verdict = analysis.check(Level::READ_COMMITTED);
    assert_eq!(verdict.anomaly().map(|anomaly| &*anomaly.class), Some("incompatible order"));
    // What was written in which order, nobody can say.
    assert!(matches!(analysis.check(Level::READ_UNCOMMITTED), Verdict::Unknown(_)));
    let text = "0 0-9: wx1 wx2 \n 1 0-9: wx3 \n 2 10-11: rx2.1.3";
    list(text, "incompatible order", "strong-read-uncommitted", "read-committed");
}

#[test]
fn an_unknown_outcome_takes_effect_if_it_is_seen() {
    let text = "0 0-5 info: wx1 \n 1 6-7: rx \n 2 8-9: rx1 \n 3 10-11: rx1";
    list(text, "", "strict-serializable", "");
    register(text, "", "strict-serializable", "");
    let text = "0 0-5 info: wx1 wy2 \n 1 6-7: rx1 ry \n 2 8-9: wx3";
    let violated = "repeatable-read snapshot-isolation";
    list(text, "G-single", "strong-read-committed", violated);
    register(text, "G-single", "strong-read-committed", violated);
}

fn unknown(verdict: &Verdict, because: &str) {
    assert!(matches!(verdict, Verdict::Unknown(reason) if reason.contains(because)), "{verdict}");
}

#[test]
fn what_puts_nothing_to_the_test_is_unknown() {
    let strict = Level::STRICT_SERIALIZABLE;
    unknown(&list_append(&lists(&parse(""))).check(strict), "no transaction");
    let writes = parse("0 0-1: wx1 \n 1 2-3: wx2");
    unknown(&rw_register(&registers(&writes)).check(strict), "nothing was put to the test");
    let own = parse("0 0-1: wx1 rx1");
    unknown(&rw_register(&registers(&own)).check(strict), "nothing was put to the test");
    let twice = parse("0 0-1: wx1 \n 1 2-3: wx1 \n 2 4-5: rx1");
    unknown(&rw_register(&registers(&twice)).check(strict), "more than once");
    unknown(&list_append(&lists(&twice)).check(strict), "more than once");
}

#[test]
fn a_search_that_ends_at_its_bound_says_how_far_it_came() {
    let mut bounds = 0;
    for seed in 0..300 {
        let history = registers(&medium(&mut Dice(seed)));
        let bounded = rw_register(&history).within(1).check(Level::SERIALIZABLE);
        if let Verdict::Unknown(reason) = &bounded {
            bounds += u32::from(reason.contains("pairs of writes; the search for an order"));
        } else {
            assert_eq!(bounded, rw_register(&history).check(Level::SERIALIZABLE));
        }
    }
    assert!(bounds > 0);
}

#[test]
fn a_recorded_order_is_tried_and_not_believed() {
    let history = registers(&parse("0 0-9: wx1 \n 1 0-9: wx2 \n 2 10-11: rx2"));
    for order in [[1, 2], [2, 1]] {
        let orders = [('x', order)];
        let orders = orders.iter().map(|(key, values)| (key, values.as_slice()));
        let analysis = rw_register(&history).with_recorded_orders(orders);
        assert!(analysis.check(Level::STRICT_SERIALIZABLE).holds());
    }
}

#[test]
fn readers_alone_tell_of_a_long_fork() {
    let forked = "0 0-1: rx1 ry1 rz \n 1 2-3: rz1 rx1 ry";
    let verdict = long_fork(&registers(&parse(forked)));
    assert_eq!(verdict.anomaly().map(|anomaly| &*anomaly.class), Some("long fork"));
    assert!(long_fork(&registers(&parse("0 0-1: rx1 ry \n 1 2-3: ry1 rx1"))).holds());
    unknown(&long_fork(&registers(&parse("0 0-1: rx1 \n 1 2-3: rx ry"))), "the same two keys");
}

/// After Elle's own example of a cycle with anti-dependencies that are adjacent.
#[test]
fn words_for_a_cycle() {
    let text = "2 0-1: wx2 \n 4 2-3: wy1 rx \n 7 4-5: rz ry wx5 \n 9 6-7: wz2 rx2";
    let history = lists(&parse(text));
    let verdict = list_append(&history).check(Level::REPEATABLE_READ);
    assert_eq!(
        verdict.anomaly().expect("violated").message,
        "not repeatable-read.
Let:
  T1 = read 'z' = [], read 'y' = [], append 5 to 'x'; operation 2 by client 7 (call 2)
  T2 = append 2 to 'z', read 'x' = [2]; operation 3 by client 9 (call 3)
Then:
  - T1 < T2, because T1 did not observe T2's append of 2 to 'z'.
  - However, T2 < T1, because T2 read 2 in 'x' and did not observe T1's append of 5: a contradiction!"
    );
}

#[test]
fn a_witness_survives_json() {
    let history = registers(&parse("0 0-1: wx1 \n 1 2-3: rx"));
    let Judgement::Violated(witnesses) = rw_register(&history).judge(Level::STRICT_SERIALIZABLE)
    else {
        panic!("violated")
    };
    let json = serde_json::to_string(&witnesses[0]).expect("JSON");
    assert!(json.contains("\"dependency\":\"rw\""), "{json}");
    let back: Witness = serde_json::from_str(&json).expect("a witness");
    assert_eq!(back, witnesses[0]);
}

#[test]
fn levels_have_names() {
    for level in Level::all() {
        assert_eq!(level.to_string().parse(), Ok(level));
    }
    let error = "chaos".parse::<Level>().expect_err("no level").to_string();
    assert!(error.starts_with("no isolation level `chaos`, expected one of read-uncommitted, "));
}
