//! Histories survive their file, and files that no run could have written are refused.

use history::jsonl::{self, MAX_LINE};
use history::{Actor, Event, History, What};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Read,
    Write(u64),
    Put { key: String, value: Option<i64> },
}

type Ret = Option<u64>;

fn text(history: &History<Op, Ret>) -> String {
    let mut out = Vec::new();
    jsonl::write(history, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A well-formed history: at every step some process invokes if it is idle, else completes.
fn well_formed() -> impl Strategy<Value = History<Op, Ret>> {
    let op = prop_oneof![
        Just(Op::Read),
        any::<u64>().prop_map(Op::Write),
        (any::<String>(), any::<Option<i64>>()).prop_map(|(key, value)| Op::Put { key, value }),
    ];
    let step = (0_u16..4, any::<u32>(), op, any::<Ret>(), any::<String>(), 0..3);
    prop::collection::vec(step, 0..40).prop_map(|steps| {
        let mut history = History::new();
        let mut open: [Option<(u32, u32)>; 4] = [None; 4];
        let (mut processes, mut op, mut at) = ([0, 1, 2, 3], 0, 0);
        for (who, later, asked, answer, reason, kind) in steps {
            let index = usize::from(who);
            at += u64::from(later);
            let actor = if who == 0 { Actor::Role(7) } else { Actor::Client(who) };
            let process = processes[index];
            let (number, call, what) = match open[index].take() {
                None => {
                    open[index] = Some((op, later));
                    op += 1;
                    (op - 1, later, What::Invoke(asked))
                }
                Some((number, call)) => {
                    let what = match kind {
                        0 => What::Ok(answer),
                        1 => What::Fail(Cow::Owned(reason)),
                        _ => What::Info,
                    };
                    if what == What::Info {
                        processes[index] += 4;
                    }
                    (number, call, what)
                }
            };
            history.events.push(Event { at, op: number, actor, process, call, what });
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn round_trip(history in well_formed()) {
        let text = text(&history);
        prop_assert_eq!(jsonl::read::<Op, Ret>(text.as_bytes()).unwrap(), history);
    }

    #[test]
    fn a_prefix_is_read_as_far_as_it_goes_or_refused(
        history in well_formed(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = text(&history);
        let cut = &text.as_bytes()[..cut.index(text.len())];
        match jsonl::read::<Op, Ret>(cut) {
            Ok(read) => prop_assert_eq!(&read.events, &history.events[..read.events.len()]),
            Err(error) => {
                let last = 1 + cut.iter().filter(|&&byte| byte == b'\n').count();
                prop_assert_eq!(error.line, last, "{}", error);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _refused = jsonl::read::<Op, Ret>(bytes.as_slice());
    }
}

const HEADER: &str = "{\"format\":\"tribunal-history\",\"version\":1}\n";

#[test]
fn the_format_is_fixed() {
    let event = |at, op, actor, process, call, what| Event { at, op, actor, process, call, what };
    let history = History {
        events: vec![
            event(0, 0, Actor::Client(0), 0, 0, What::Invoke(Op::Write(4))),
            event(5, 1, Actor::Role(2), 1, 0, What::Invoke(Op::Read)),
            event(31_000, 0, Actor::Client(0), 0, 0, What::Ok(None)),
            event(40_000, 1, Actor::Role(2), 1, 0, What::Info),
            event(40_000, 2, Actor::Client(0), 0, 1, What::Invoke(Op::Read)),
            event(50_000, 2, Actor::Client(0), 0, 1, What::Fail("no quorum".into())),
        ],
    };
    let expected = r#"{"format":"tribunal-history","version":1}
{"at":0,"op":0,"actor":{"client":0},"process":0,"call":0,"what":{"invoke":{"write":4}}}
{"at":5,"op":1,"actor":{"role":2},"process":1,"call":0,"what":{"invoke":"read"}}
{"at":31000,"op":0,"actor":{"client":0},"process":0,"call":0,"what":{"ok":null}}
{"at":40000,"op":1,"actor":{"role":2},"process":1,"call":0,"what":"info"}
{"at":40000,"op":2,"actor":{"client":0},"process":0,"call":1,"what":{"invoke":"read"}}
{"at":50000,"op":2,"actor":{"client":0},"process":0,"call":1,"what":{"fail":"no quorum"}}
"#;
    assert_eq!(text(&history), expected);
    assert_eq!(jsonl::read::<Op, Ret>(expected.as_bytes()).unwrap(), history);
    // A last line without its end, and the line ends of another system.
    assert_eq!(jsonl::read::<Op, Ret>(expected.trim_end().as_bytes()).unwrap(), history);
    assert_eq!(jsonl::read::<Op, Ret>(expected.replace('\n', "\r\n").as_bytes()).unwrap(), history);
}

/// A line of client 0: `what` as JSON.
fn line(op: u32, process: u32, call: u32, what: &str) -> String {
    let who = r#""actor":{"client":0}"#;
    format!(r#"{{"at":0,"op":{op},{who},"process":{process},"call":{call},"what":{what}}}"#) + "\n"
}

const READ: &str = r#"{"invoke":"read"}"#;
const OK: &str = r#"{"ok":4}"#;

fn refused(text: &str, expected: &str) {
    let error = jsonl::read::<Op, Ret>(text.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with(expected), "{error}\n{text:.300}");
}

#[test]
fn headers_that_are_refused() {
    let expected = r#"line 1: expected the header {"format":"tribunal-history","version":1}"#;
    refused("", expected);
    refused("\n", expected);
    refused(&line(0, 0, 0, READ), expected);
    refused("{\"format\":\"other\",\"version\":1}\n", expected);
    refused("{\"format\":\"tribunal-history\",\"version\":2}\n", "line 1: version 2, expected 1");
}

#[test]
fn lines_that_are_refused() {
    let after = |lines: &[String], expected: &str| {
        refused(&(HEADER.to_owned() + &lines.concat()), expected)
    };
    let invoke = || line(0, 0, 0, READ);
    after(&["\n".into()], "line 2: cut short: expected a whole event");
    after(&[invoke(), invoke()[..30].into()], "line 3: cut short: expected a whole event");
    after(&["{}\n".into()], "line 2: expected an event: missing field");
    after(
        &[line(0, 0, 0, r#"{"invoke":"jump"}"#)],
        "line 2: expected an event: unknown variant `jump`",
    );
    after(&[line(0, 0, 0, OK)], "line 2: operation 0 completed, expected its invocation first");
    after(&[line(1, 0, 0, READ)], "line 2: operation 1 invoked, expected operation 0");
    after(&[invoke(), invoke()], "line 3: operation 0 invoked, expected operation 1");
    let busy = "operation 1 invoked by process 0 of client 0, which is busy with operation 0";
    after(&[invoke(), line(1, 0, 1, READ)], &format!("line 3: {busy}"));
    after(&[invoke(), line(0, 0, 0, "\"info\""), line(1, 0, 1, READ)], &format!("line 4: {busy}"));
    after(
        &[invoke(), line(0, 0, 0, OK), line(0, 0, 0, OK)],
        "line 4: operation 0 completed twice, expected one completion",
    );
    after(
        &[invoke(), line(0, 0, 9, OK)],
        "line 3: operation 0 completed as call 9 of process 0 of client 0, expected the actor",
    );
}

#[test]
fn lines_are_bounded() {
    let put = |bytes: usize| {
        let op = Op::Put { key: "k".repeat(bytes), value: None };
        let event = Event {
            at: 0,
            op: 0,
            actor: Actor::Client(0),
            process: 0,
            call: 0,
            what: What::Invoke(op),
        };
        History::<Op, Ret> { events: vec![event] }
    };
    let mut out = Vec::new();
    jsonl::write(&put(0), &mut out).unwrap();
    let rest = out.len() - HEADER.len() - 1;

    let longest = put(MAX_LINE - rest);
    assert_eq!(jsonl::read::<Op, Ret>(text(&longest).as_bytes()).unwrap(), longest);

    let error = jsonl::write(&put(MAX_LINE - rest + 1), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "event 0: 1048577 bytes in one line, expected at most 1048576");
    refused(&(HEADER.to_owned() + &"k".repeat(MAX_LINE + 1)), "line 2: more than 1048576 bytes");
}

#[test]
fn a_projection_is_a_history_of_its_own() {
    let event = |op, process, what| Event {
        at: u64::from(op) * 10,
        op,
        actor: Actor::Client(1),
        process,
        call: op + 5,
        what,
    };
    let history = History {
        events: vec![
            event(0, 0, What::Invoke(Op::Read)),
            event(0, 0, What::Ok(None)),
            event(1, 0, What::Invoke(Op::Write(4))),
            event(1, 0, What::Info),
            event(2, 1, What::Invoke(Op::Read)),
            event(2, 1, What::Ok(Some(4))),
            event(3, 1, What::Invoke(Op::Read)),
            event(3, 1, What::Fail("".into())),
        ],
    };
    let reads = history.project(|op| (*op == Op::Read).then_some("read"), |_, ret| *ret);
    assert_eq!(reads.events.len(), 2);
    assert_eq!(
        reads.events[0],
        Event {
            at: 20,
            op: 0,
            actor: Actor::Client(1),
            process: 1,
            call: 7,
            what: What::Invoke("read")
        }
    );
    assert_eq!(reads.events[1].what, What::Ok(4));
    let writes = history.project(|op| (*op != Op::Read).then_some(()), |_, ret| *ret);
    assert_eq!(writes.events.len(), 1);
    assert_eq!(writes.operations()[0].completed, usize::MAX);
}
