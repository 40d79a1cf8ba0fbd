//! Recorded histories: what is read out of every format, what is refused and how, and that no
//! text makes a reader panic.

use history::recorded::{Format, Kind, Process, Recorded, read};
use history::value::{Scalar, Value};
use history::{Actor, Answer, Event, History, Told, What, edn, jsonl};
use proptest::prelude::*;

/// Every line of a text, or the first complaint.
fn lines(format: Format, text: &str) -> Result<Vec<Recorded<'_>>, String> {
    read(format, text).collect::<Result<_, _>>().map_err(|misread| misread.to_string())
}

/// The history that a text tells, of functions and values as they are.
fn told(format: Format, text: &str) -> Result<Told<String, String>, String> {
    History::told(
        read(format, text),
        |recorded| Ok(format!("{} {}", recorded.f, recorded.value)),
        |_, recorded| {
            Ok(match recorded.kind {
                Kind::Fail => Answer::Fail,
                _ => Answer::Ok(recorded.value.to_string()),
            })
        },
    )
    .map_err(|misread| misread.to_string())
}

/// Lines as `line kind process f value`.
fn short(format: Format, text: &str) -> Vec<String> {
    assert_eq!(Format::sniff(text), Some(format), "{text}");
    let short = |r: Recorded<'_>| {
        let key = r.key.map(|key| format!(" of {key}")).unwrap_or_default();
        let process = match r.process {
            Process::Number(number) => number.to_string(),
            other => other.to_string(),
        };
        format!("{} {:?} {process} {} {}{key}", r.line, r.kind, r.f, r.value)
    };
    lines(format, text).expect("a history").into_iter().map(short).collect()
}

#[test]
fn one_operation_in_every_format() {
    let expected = |f: &str, value: &str| {
        vec![format!("1 Invoke 3 {f} {value}"), format!("2 Ok 3 {f} {value}")]
    };
    let edn = "{:type :invoke, :process 3, :f :write, :value 4}\n{:type :ok, :f :write \
               :process 3 :value 4}";
    assert_eq!(short(Format::Edn, edn), expected("write", "4"));
    let vector = "[{:type :invoke, :process 3, :f :write, :value 4}\n{:type :ok, :f :write \
                  :process 3 :value 4}]\n";
    assert_eq!(short(Format::Edn, vector), expected("write", "4"));
    let json = "[{\"type\":\"invoke\",\"process\":3,\"f\":\"write\",\"value\":4},\n\
                {\"type\":\"ok\",\"process\":3,\"f\":\"write\",\"value\":4}]";
    assert_eq!(short(Format::Json, json), expected("write", "4"));
    let log = "INFO  jepsen.util - 3\t:invoke\t:write\t4\n2026-01-31 12:00:00,545{GMT} INFO \
               [jepsen worker 3] jepsen.util: 3 :ok :write 4\n";
    assert_eq!(short(Format::JepsenLog, log), expected("write", "4"));
    let kv = "{:process 3, :type :invoke, :f :put, :key \"0\", :value \"x\"}\n\
              {:process 3, :type :ok, :f :put, :key \"0\", :value \"x\"}";
    let of = ["1 Invoke 3 put \"x\" of \"0\"", "2 Ok 3 put \"x\" of \"0\""];
    assert_eq!(short(Format::PorcupineKv, kv), of);
    let calls = "# @object atomic-queue\n[3] call enq(4)\n  [2] call deq\n\n[3] return\n\
                 [2] return empty";
    let lines = ["2 Invoke 3 enq 4", "3 Invoke 2 deq nil", "5 Ok 3 enq nil", "6 Ok 2 deq :empty"];
    assert_eq!(short(Format::Calls, calls), lines);
    let jsonl = "{\"format\":\"tribunal-history\",\"version\":1}\n\
        {\"at\":0,\"op\":0,\"actor\":{\"client\":9},\"process\":1,\"call\":0,\
        \"what\":{\"invoke\":{\"write\":4}}}\n\
        {\"at\":7,\"op\":0,\"actor\":{\"client\":9},\"process\":1,\"call\":0,\
        \"what\":{\"ok\":null}}\n";
    assert_eq!(short(Format::Jsonl, jsonl), ["2 Invoke 0 write 4", "3 Ok 0 write nil"]);
}

#[test]
fn jepsens_edn_in_full() {
    let text = "\
; A comment, and what people leave in files: [ { \"
#jepsen.history.Op{:index 0, :time 12, :type :invoke, :process 0, :f :txn,
  :value [[:append :x 1] [:r 7 nil]], :error [\"a ; b\" \\] \\space 1.5 22/7 #inst \"2026\"]}
#_{:not \"there\"}
{:type :info, :process :nemesis, :f :kill, :value #{:n1 :n2}}
{:type :ok :value ((:append :x 1), (:r 7 [1 2])) :process 0 :when {0 10, \"a\" -3}}
{:type :invoke, :f :read, :value [:x nil]}
{:type :fail, :f :read, :error :timeout}";
    assert_eq!(
        short(Format::Edn, text),
        [
            "2 Invoke 0 txn [[:append :x 1] [:r 7 nil]]",
            "5 Info nemesis kill #{:n1 :n2}",
            "6 Ok 0 txn [[:append :x 1] [:r 7 [1 2]]]",
            "7 Invoke an unnamed process read [:x nil]",
            "8 Fail an unnamed process read nil",
        ]
    );
    let Told { history, lines } = told(Format::Edn, text).expect("a history");
    assert_eq!(lines, [2, 6, 7, 8], "the nemesis runs no operation");
    assert_eq!(history.operations().len(), 2);
}

#[test]
fn what_nobody_has_written_is_sniffed_as_nothing() {
    for text in ["", "\n \n", "; only a comment", "hello", "r(1,2,3,4)", "=====", "7"] {
        assert_eq!(Format::sniff(text), None, "{text:?}");
    }
    assert_eq!(Format::sniff("; first\n\n[\n{:type :ok}]"), Some(Format::Edn));
    assert_eq!(Format::sniff("({:type :ok})"), Some(Format::Edn));
    assert_eq!(Format::sniff("[\n  {\"type\": 1}]"), Some(Format::Json));
}

/// Each with the line and what was expected.
#[test]
fn bad_input_is_refused_with_its_line() {
    const WRITE: &str = "{:process 0, :type :invoke, :f :write, :value 4}\n";
    const OK: &str = "{:process 0, :type :ok, :f :write, :value 4}\n";
    const INFO: &str = "{:process 0, :type :info, :f :write, :value 4}\n";
    let deep = format!("{{:type :ok, :value {}{}}}", "[".repeat(100), "]".repeat(100));
    let tags = format!("{}1", "#a ".repeat(100));
    let edn: &[(&str, &str)] = &[
        ("{:process 0, :type :invoke, :f :wri", "line 1: cut short"),
        (&[WRITE, "{:process 0, :type \"ok"].concat(), "line 2: cut short"),
        (
            &["[", WRITE, OK].concat(),
            "line 3: cut short: expected the end of the list that begins on line 1",
        ),
        (&["[", WRITE, OK, "] 1"].concat(), "line 3: expected nothing after the end"),
        (&[WRITE, "}"].concat(), "line 2: "),
        (&[WRITE, "{:type :ok, :f}"].concat(), "line 2: "),
        (&[WRITE, "[1 2]"].concat(), "line 2: [1 2]: expected an operation map"),
        ("{:process 0, :f :write}", "line 1: an operation map without :type: expected :invoke"),
        ("{:type :maybe}", "line 1: :maybe: expected a :type of :invoke, :ok, :fail or :info"),
        ("{:type :ok, :process [1]}", "line 1: [1]: expected a :process by its number"),
        ("{:type :ok, :f 7}", "line 1: 7: expected an :f by its name"),
        (&["{:type :ok,\n\n :value \\", "nonsense}"].concat(), "line 3: InvalidChar at column"),
        ("{:type\r\r :ok 1}", "line 1: UnexpectedEOF at column 15: expected EDN"),
        (&deep, "line 1: expected at most 64 brackets"),
        (&tags, "line 1: expected at most 64 brackets"),
        (OK, "line 1: process 0 ends an operation, expected its invocation first"),
        (&[WRITE, WRITE].concat(), "line 2: process 0 begins an operation, but the one of line 1"),
        (&[WRITE, OK, OK].concat(), "line 3: process 0 ends an operation, expected"),
        (
            &[WRITE, INFO, WRITE].concat(),
            "line 3: process 0 goes on after the unknown outcome of line 2",
        ),
        (
            &[WRITE, "{:process 0, :type :ok, :f :read}"].concat(),
            "line 2: process 0 ends read, expected the end of write, which it began on line 1",
        ),
        ("{:type :ok, :f :read}", "line 1: an unnamed process ends an operation"),
        (
            &[WRITE, "INFO  jepsen.util - 0\t:ok\t:write\t4"].concat(),
            "line 2: INFO: expected an operation map",
        ),
    ];
    let log: &[(&str, &str)] = &[
        ("INFO  jepsen.util - 0\t:invoke\t:wri", "line 1: nothing: expected one value"),
        (
            "INFO  jepsen.util - 0\t:invoke",
            "line 1: INFO  jepsen.util - 0\t:invoke: expected a line such as",
        ),
        (
            "INFO  jepsen.util - 0 :invoke :read nil\nINFO  jeps",
            "line 2: INFO  jeps: expected a line",
        ),
        ("INFO  jepsen.util - 0 :invoke :cas [1 2", "line 1: cut short"),
        ("INFO  jepsen.util - 0 :invoke :write 1 2", "line 1: 2: expected one value"),
        ("INFO  jepsen.util - x :invoke :write 1", "line 1: "),
        (WRITE, "line 1: {:process 0, "),
    ];
    let calls: &[(&str, &str)] = &[
        ("[1] call enq(4", "line 1: [1] call enq(4: expected a line such as"),
        ("[1] cal", "line 1: [1] cal: expected"),
        ("[1] call enq(4)\n[1] return\n[1] return", "line 3: process 1 ends an operation"),
        ("[1] call deq\n[1] call deq", "line 2: process 1 begins an operation"),
    ];
    let json: &[(&str, &str)] = &[
        ("[{\"type\":\"invoke\",\n", "line 1: cut short"),
        (
            "[{\"type\":\"invoke\",\n\"f\" 1}]",
            "line 2: expected `:` at line 2 column 5: expected JSON",
        ),
        ("{:type :invoke}", "line 1: key must be a string"),
        ("[{\"type\":\"invoke\"}] x", "line 1: expected nothing after"),
    ];
    let jsonl: &[(&str, &str)] = &[
        ("", "line 1: expected the header"),
        ("{\"format\":\"tribunal-history\",\"version\":9}", "line 1: version 9, expected 1"),
        ("{\"format\":\"tribunal-history\",\"version\":1}\n{\"at\":0,\"op\"", "line 2: cut short"),
        (
            "{\"format\":\"tribunal-history\",\"version\":1}\n{\"at\":0,\"op\":0,\"actor\":\
             {\"client\":9},\"process\":1,\"call\":0,\"what\":{\"invoke\":[1,2]}}",
            "line 2: this invocation: expected",
        ),
    ];
    for (format, table) in [
        (Format::Edn, edn),
        (Format::JepsenLog, log),
        (Format::Calls, calls),
        (Format::Json, json),
        (Format::Jsonl, jsonl),
    ] {
        for (text, complaint) in table {
            match told(format, text) {
                Ok(told) => panic!("{}: taken: {text:?}: {told:?}", format.name()),
                Err(said) => assert!(said.starts_with(complaint), "{text:?}: {said}"),
            }
        }
    }
}

#[test]
fn a_process_is_one_session_and_who_is_unnamed_none() {
    let text = "{:type :invoke, :process 70000, :f :a}\n{:type :ok, :process 70000, :f :a}\n\
                {:type :invoke, :process 3, :f :b}\n{:type :invoke, :f :c}\n\
                {:type :invoke, :f :c}\n{:type :ok, :f :c}\n{:type :info, :f :c}\n\
                {:type :invoke, :process 70000, :f :d}";
    let Told { history, .. } = told(Format::Edn, text).expect("a history");
    let processes: Vec<u32> = history.events.iter().map(|event| event.process).collect();
    assert_eq!(processes, [0, 0, 1, 2, 3, 2, 3, 0]);
    let calls: Vec<u32> = history.events.iter().map(|event| event.call).collect();
    assert_eq!(calls, [1, 1, 3, 4, 5, 4, 5, 8], "the line of the invocation");
}

fn a_scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "[a-z][a-z0-9-]{0,5}".prop_map(|word| Value::Word(word.into())),
        any::<String>().prop_map(|text| Value::Text(text.into())),
    ]
}

fn a_value() -> impl Strategy<Value = Value<'static>> {
    a_scalar().prop_recursive(4, 24, 4, |inner| {
        let pair = (Just(Value::Int(1)), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::List),
            pair.prop_map(|(key, value)| Value::Map(vec![(key, value)])),
        ]
    })
}

type Untyped = History<(String, Value<'static>), Value<'static>>;

/// Clients of which each does one thing after the other.
fn a_history() -> impl Strategy<Value = Untyped> {
    let step = ("[a-z]{1,5}", a_value(), a_value(), 0..4_u8, 0..5_u16);
    prop::collection::vec(step, 0..12).prop_map(|steps| {
        let mut history = History::new();
        let mut processes = [0; 5];
        let mut open: Vec<(Event<_, _>, What<_, _>)> = Vec::new();
        for (op, (f, asked, answer, end, client)) in (0_u32..).zip(steps) {
            let process = &mut processes[usize::from(client)];
            // Whoever is busy gets to its end first.
            open.retain(|(begun, end): &(Event<_, _>, _)| {
                let same = begun.actor == Actor::Client(client);
                if same {
                    history.events.push(Event { what: end.clone(), ..begun.clone() });
                    *process += u32::from(*end == What::Info);
                }
                !same
            });
            let what = What::Invoke((f, asked));
            let (at, call, actor) = (u64::from(op), op, Actor::Client(client));
            let event = Event { at, op, actor, process: *process, call, what };
            let end = match end {
                0 | 1 => What::Ok(answer),
                2 => What::Fail("no".into()),
                _ => What::Info,
            };
            open.push((event.clone(), end));
            history.events.push(event);
        }
        history
    })
}

/// What is left of a history in a file: kinds, functions, values.
fn content(history: &Untyped) -> Vec<What<(String, Value<'static>), Value<'static>>> {
    history.events.iter().map(|event| event.what.clone()).collect()
}

fn again(format: Format, text: &str) -> Untyped {
    let owned = |value: &Value<'_>| {
        let text = value.to_string();
        let copy = edn::value(&text, 1).expect("a value that was just read");
        copy.into_owned()
    };
    History::told(
        read(format, text),
        |recorded| Ok((recorded.f.to_string(), owned(&recorded.value))),
        |_, recorded| {
            Ok(match recorded.kind {
                Kind::Fail => Answer::Fail,
                _ => Answer::Ok(owned(&recorded.value)),
            })
        },
    )
    .expect("what was just written")
    .history
}

proptest! {
    #[test]
    fn edn_that_is_written_is_read(history in a_history()) {
        let mut text = Vec::new();
        edn::write(&history, &mut text, |op| op.clone(), |_, ret| ret.clone()).expect("a vector");
        let text = String::from_utf8(text).expect("UTF-8");
        let again = again(Format::Edn, &text);
        prop_assert_eq!(again.events.len(), history.events.len());
        for (again, event) in content(&again).iter().zip(content(&history)) {
            match (again, event) {
                (What::Fail(_), What::Fail(_)) => {}
                (again, event) => prop_assert_eq!(again, &event),
            }
        }
    }

    #[test]
    fn json_lines_that_are_written_are_read_untyped(
        ops in prop::collection::vec((any::<i64>(), any::<i64>()), 1..9),
    ) {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Op { Write(i64) }
        let mut history = History::new();
        for (op, (write, answer)) in (0..).zip(&ops) {
            let actor = Actor::Client(1);
            for what in [What::Invoke(Op::Write(*write)), What::Ok(*answer)] {
                history.events.push(Event { at: 0, op, actor, process: 0, call: op, what });
            }
        }
        let mut text = Vec::new();
        jsonl::write(&history, &mut text).expect("a vector");
        let text = String::from_utf8(text).expect("UTF-8");
        let again = content(&again(Format::Jsonl, &text));
        let expected: Vec<_> = ops.iter().flat_map(|(write, answer)| [
            What::Invoke(("write".to_owned(), Value::Int(*write))),
            What::Ok(Value::Int(*answer)),
        ]).collect();
        prop_assert_eq!(again, expected);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        for format in Format::ALL {
            let _refused = told(format, &text);
        }
    }

    /// As above, of what such files are made of.
    #[test]
    fn no_pieces_make_a_reader_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40),
    ) {
        let text = pieces.concat();
        for format in Format::ALL {
            let _refused = told(format, &text);
        }
        if let Some(format) = Format::sniff(&text) {
            prop_assert!(Format::ALL.contains(&format));
        }
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "#{",
    "#",
    "#_",
    "\"",
    "\\",
    "\\n",
    ";",
    ",",
    " ",
    "\n",
    "\r\n",
    ":type",
    ":invoke",
    ":ok",
    ":process",
    ":f",
    ":value",
    ":key",
    "\"type\"",
    "\"invoke\"",
    ":",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "1/0",
    "1N",
    "nil",
    "null",
    "true",
    "é",
    "\u{85}",
    "INFO  jepsen.util - ",
    "jepsen.util: ",
    "# @object",
    "[1] call ",
    "[1] return ",
    "enq(",
    "{:type :invoke, :f :a}\n",
    "{:type :ok, :f :a}\n",
    "{\"format\":\"tribunal-history\"",
    ",\"version\":1}\n",
    "#inst \"2026\"",
    "##NaN",
    "2r101",
    "0x1f",
    "\\u00e9",
    "\"\\u00e9\"",
];

#[test]
fn a_scalar_is_shown_as_edn() {
    let shown = |text| edn::scalar(text).map(|scalar| format!("{scalar:?}"));
    for text in ["nil", "true", "-4", ":x", "\"a\\\"b\""] {
        assert_eq!(shown(text).as_deref(), Some(text));
    }
    assert_eq!(shown("[1]"), None);
    assert_eq!(edn::scalar("x"), Some(Scalar::Word("x".into())));
}
