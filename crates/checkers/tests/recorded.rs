//! Recorded histories through every model, kind of transaction and checker that has a name: one
//! that holds, one that does not, one that proves nothing, and what is refused.

use checkers::Verdict;
use checkers::isolation::Level;
use checkers::recorded::{CHECKERS, Judge, MODELS, Opinion, Shown, TXNS, Terms};
use history::recorded::{Format, read};

/// A history in short: `process type f value`, one operation or two lines each.
fn edn(lines: &[&str]) -> String {
    let line = |line: &&str| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or("nil");
        let (process, kind, f, value) = (word(), word(), word(), word());
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    lines.iter().map(line).collect()
}

fn judge(judge: &Judge, lines: &[&str]) -> Result<Opinion, String> {
    let text = edn(lines);
    let opinion = judge.judge(&Terms::of(Format::Edn), read(Format::Edn, &text));
    opinion.map_err(|misread| misread.to_string())
}

/// A judge, a history that holds, one that is violated, and one that is refused with this.
type Row = (
    &'static [Judge],
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    (&'static [&'static str], &'static str),
);

const ROWS: &[Row] = &[
    (
        MODELS,
        "cas-register",
        &[
            "0 invoke write 4",
            "0 ok write 4",
            "0 invoke cas [4 2]",
            "0 ok cas [4 2]",
            "1 invoke read",
            "1 ok read 2",
        ],
        &[
            "0 invoke write 4",
            "0 ok write 4",
            "0 invoke write 2",
            "0 ok write 2",
            "1 invoke read",
            "1 ok read 4",
        ],
        (
            &["0 invoke cas 4"],
            "line 1: cas of 4: expected the value that is expected and the new one",
        ),
    ),
    (
        MODELS,
        "multi-register",
        &[
            "0 invoke txn [[:write :x 1] [:read :y nil]]",
            "0 ok txn [[:write :x 1] [:read :y 0]]",
            "0 invoke txn [[:r :x nil]]",
            "0 ok txn [[:r :x 1]]",
        ],
        &[
            "0 invoke txn [[:write :x 1] [:write :y 1]]",
            "0 ok txn [[:write :x 1] [:write :y 1]]",
            "0 invoke txn [[:r :x nil] [:r :y nil]]",
            "0 ok txn [[:r :x 1] [:r :y 0]]",
        ],
        (
            &["0 invoke txn [[:write :x 1]]", "0 ok txn [[:read :x 1]]"],
            "line 2: txn of [[:read :x 1]]: expected what was asked",
        ),
    ),
    (
        MODELS,
        "kv",
        &[
            "0 invoke put [\"a\" \"x\"]",
            "0 ok put",
            "0 invoke append [\"a\" \"y\"]",
            "0 ok append",
            "1 invoke get [\"a\" nil]",
            "1 ok get [\"a\" \"xy\"]",
        ],
        &["0 invoke put [\"a\" \"x\"]", "0 ok put", "1 invoke get [\"a\" nil]", "1 ok get \"y\""],
        (&["0 invoke put 3"], "line 1: put of 3: expected a :key beside the :value"),
    ),
    (
        MODELS,
        "counter",
        &["0 invoke add 2", "0 ok add 2", "1 invoke read", "1 ok read 2"],
        &["0 invoke add 2", "0 ok add 2", "1 invoke read", "1 ok read 0"],
        (&["0 invoke add :x"], "line 1: add of :x: expected an integer"),
    ),
    (
        MODELS,
        "fetch-and-add",
        &["0 invoke fetch-and-add 2", "0 ok fetch-and-add 0", "1 invoke read", "1 ok read 2"],
        &[
            "0 invoke fetch-and-add 2",
            "0 ok fetch-and-add 0",
            "1 invoke fetch-and-add 1",
            "1 ok fetch-and-add 0",
        ],
        (&["0 invoke sub 2"], "line 1: :f \"sub\": expected fetch-and-add or read"),
    ),
    (
        MODELS,
        "mutex",
        &[
            "0 invoke acquire",
            "0 ok acquire",
            "0 invoke release",
            "0 ok release",
            "1 invoke acquire",
            "1 ok acquire",
        ],
        &["0 invoke acquire", "0 ok acquire", "1 invoke acquire", "1 ok acquire"],
        (&["-1 invoke acquire"], "line 1: acquire of nil: expected a :process from 0 on"),
    ),
    (
        MODELS,
        "fenced-mutex",
        &[
            "0 invoke acquire",
            "0 ok acquire 1",
            "0 invoke release 1",
            "0 ok release",
            "1 invoke acquire",
            "1 ok acquire 2",
        ],
        &[
            "0 invoke acquire",
            "0 ok acquire 2",
            "0 invoke release 2",
            "0 ok release",
            "1 invoke acquire",
            "1 ok acquire 2",
        ],
        (
            &["0 invoke acquire", "0 ok acquire -1"],
            "line 2: acquire of -1: expected a fence from 0 on",
        ),
    ),
    (
        MODELS,
        "set",
        &[
            "0 invoke add 1",
            "0 ok add true",
            "1 invoke contains 1",
            "1 ok contains true",
            "1 invoke contains 2",
            "1 ok contains false",
        ],
        &["0 invoke add 1", "0 ok add", "1 invoke contains 1", "1 ok contains false"],
        (
            &["0 invoke contains 1", "0 ok contains 7"],
            "line 2: contains of 7: expected true or false",
        ),
    ),
    (
        MODELS,
        "set",
        &["0 invoke add 1", "0 ok add", "1 invoke read", "1 ok read #{1}"],
        &["0 invoke add 1", "0 ok add", "1 invoke read", "1 ok read []"],
        (&["0 invoke read", "0 ok read 7"], "line 2: read of 7: expected a set or a list"),
    ),
    (
        MODELS,
        "queue",
        &[
            "0 invoke enqueue 1",
            "0 ok enqueue",
            "0 invoke enq 2",
            "0 ok enq",
            "1 invoke dequeue",
            "1 ok dequeue 1",
        ],
        &[
            "0 invoke enqueue 1",
            "0 ok enqueue",
            "0 invoke enq 2",
            "0 ok enq",
            "1 invoke dequeue",
            "1 ok dequeue 2",
        ],
        (
            &["0 invoke dequeue", "0 ok dequeue"],
            "line 2: dequeue of nil: expected what was taken, or empty",
        ),
    ),
    (
        MODELS,
        "stack",
        &[
            "0 invoke push 1",
            "0 ok push",
            "0 invoke push 2",
            "0 ok push",
            "1 invoke pop",
            "1 ok pop 2",
        ],
        &["0 invoke push 1", "0 ok push", "1 invoke pop", "1 ok pop :empty"],
        (&["0 invoke enq 1"], "line 1: :f \"enq\": expected push or pop"),
    ),
    (
        MODELS,
        "log",
        &[
            "0 invoke append :a",
            "0 ok append 0",
            "1 invoke read 0",
            "1 ok read :a",
            "1 invoke read 1",
            "1 ok read :end",
        ],
        &["0 invoke append :a", "0 ok append 0", "1 invoke append :b", "1 ok append 0"],
        (&["0 invoke read -1"], "line 1: read of -1: expected an offset from 0 on"),
    ),
    (
        CHECKERS,
        "bank",
        &[
            "0 invoke read",
            "0 ok read {0 10, 1 0}",
            "0 invoke transfer {:from 0, :to 1, :amount 3}",
            "0 ok transfer",
            "0 invoke read",
            "0 ok read {0 7, 1 3}",
        ],
        &["0 invoke read", "0 ok read {0 10, 1 0}", "0 invoke read", "0 ok read {0 10, 1 3}"],
        (&["0 invoke transfer {:from 0}"], "line 1: transfer of {:from 0}: expected {:from a"),
    ),
    (
        CHECKERS,
        "counter",
        &["0 invoke add 2", "0 ok add 2", "1 invoke read", "1 ok read 2"],
        &["0 invoke add 2", "0 ok add 2", "1 invoke read", "1 ok read 3"],
        (&["0 invoke read", "0 ok read [1]"], "line 2: read of [1]: expected an integer"),
    ),
    (
        CHECKERS,
        "set",
        &["0 invoke add 1", "0 ok add", "1 invoke read", "1 ok read [1]"],
        &["0 invoke add 1", "0 ok add", "1 invoke read", "1 ok read []"],
        (&["0 invoke remove 1"], "line 1: :f \"remove\": expected add or read"),
    ),
    (
        CHECKERS,
        "long-fork",
        &[
            "0 invoke read [[:r 0 nil] [:r 1 nil]]",
            "0 ok read [[:r 0 1] [:r 1 nil]]",
            "1 invoke read [[:r 0 nil] [:r 1 nil]]",
            "1 ok read [[:r 0 1] [:r 1 1]]",
        ],
        &[
            "0 invoke read [[:r 0 nil] [:r 1 nil]]",
            "0 ok read [[:r 0 1] [:r 1 nil]]",
            "1 invoke read [[:r 0 nil] [:r 1 nil]]",
            "1 ok read [[:r 0 nil] [:r 1 1]]",
        ],
        (&["0 invoke read 4"], "line 1: read of 4: expected a list of [:w k v] and [:r k v]"),
    ),
    (
        TXNS,
        "list-append",
        &[
            "0 invoke txn [[:append :x 1]]",
            "0 ok txn [[:append :x 1]]",
            "1 invoke txn [[:r :x nil]]",
            "1 ok txn [[:r :x [1]]]",
        ],
        &[
            "0 invoke txn [[:append :x 1]]",
            "0 ok txn [[:append :x 1]]",
            "1 invoke txn [[:r :x nil]]",
            "1 ok txn [[:r :x nil]]",
        ],
        (
            &["0 invoke txn [[:append :x]]"],
            "line 1: txn of [[:append :x]]: expected a list of [:append k v]",
        ),
    ),
    (
        TXNS,
        "rw-register",
        &[
            "0 invoke txn [[:w :x 1]]",
            "0 ok txn [[:w :x 1]]",
            "1 invoke txn [[:r :x nil]]",
            "1 ok txn [[:r :x 1]]",
        ],
        &[
            "0 invoke txn [[:w :x 1]]",
            "0 ok txn [[:w :x 1]]",
            "1 invoke txn [[:r :x nil]]",
            "1 ok txn [[:r :x 2]]",
        ],
        (&["0 invoke transfer 1"], "line 1: :f \"transfer\": expected txn"),
    ),
];

fn named(judges: &'static [Judge], name: &str) -> &'static Judge {
    judges.iter().find(|judge| judge.name == name).expect("a name of the list")
}

#[test]
fn every_judge_holds_violates_and_refuses() {
    for (judges, name, holds, violated, (refused, complaint)) in ROWS {
        let with = named(judges, name);
        let verdict = |lines| judge(with, lines).expect("a history").verdict;
        assert_eq!(verdict(holds), Verdict::Holds, "{name}");
        assert!(verdict(violated).is_violated(), "{name}");
        match judge(with, refused) {
            Ok(opinion) => panic!("{name}: taken: {opinion:?}"),
            Err(said) => assert!(said.starts_with(complaint), "{name}: {said}"),
        }
    }
    for judge in MODELS.iter().chain(CHECKERS).chain(TXNS) {
        assert!(ROWS.iter().any(|row| named(row.0, row.1).name == judge.name), "{}", judge.name);
    }
}

/// Nothing at all, and the first line of every history: nobody has been answered.
#[test]
fn what_proves_nothing_is_unknown() {
    for (judges, name, holds, ..) in ROWS {
        for lines in [&holds[..0], &holds[..1]] {
            let verdict = judge(named(judges, name), lines).expect("a history").verdict;
            assert!(matches!(verdict, Verdict::Unknown(_)), "{name}: {verdict}");
        }
    }
    let writes = ["0 invoke write 1", "0 ok write 1", "0 invoke read", "0 ok read nil"];
    let opinion = judge(named(MODELS, "cas-register"), &writes).expect("a history");
    assert!(matches!(opinion.verdict, Verdict::Unknown(why) if why.contains("can be wrong")));
}

/// Independent keys: as a pair with the value, or beside it.
#[test]
fn objects_of_many_keys_are_told_apart() {
    let register = named(MODELS, "cas-register");
    let two = [
        "0 invoke write [:x 1]",
        "0 ok write [:x 1]",
        "0 invoke write [:y 2]",
        "0 ok write [:y 2]",
        "0 invoke cas [:y [2 3]]",
        "0 ok cas [:y [2 3]]",
        "1 invoke read [:x nil]",
        "1 ok read [:x 1]",
    ];
    assert_eq!(judge(register, &two).map(|opinion| opinion.verdict), Ok(Verdict::Holds));
    let said = judge(register, &["0 invoke write [:x 1]", "0 ok write [:y 1]"]).unwrap_err();
    assert!(said.contains("line 2: write of [:y 1]: expected the key of its invocation"), "{said}");
    let text = "{:process 0, :type :invoke, :f :write, :key :x, :value 1}\n\
                {:process 0, :type :ok, :f :write, :key :x, :value 1}\n\
                {:process 0, :type :invoke, :f :read, :key :y}\n\
                {:process 0, :type :ok, :f :read, :key :y, :value 1}\n";
    let opinion = register.judge(&Terms::of(Format::Edn), read(Format::Edn, text));
    assert!(opinion.expect("a history").verdict.is_violated(), "y was never written");
}

/// The same lines mean one thing in etcd's logs and another in Knossos' files.
#[test]
fn dialects_differ() {
    let register = named(MODELS, "cas-register");
    let log = |text: &str| {
        let opinion = register.judge(&Terms::of(Format::JepsenLog), read(Format::JepsenLog, text));
        opinion.expect("a history").verdict
    };
    let line = |rest: &str| format!("INFO  jepsen.util - 0\t{rest}\n");
    let read_nil = line(":invoke\t:read\tnil") + &line(":ok\t:read\tnil");
    assert_eq!(log(&read_nil), Verdict::Holds, "absent, as it was at first");
    let write = line(":invoke\t:write\t4") + &line(":ok\t:write\t4");
    assert!(log(&(write.clone() + &read_nil)).is_violated(), "it was written");
    let refused = line(":invoke\t:cas\t[4 2]") + &line(":fail\t:cas\t[4 2]");
    assert!(log(&(write + &refused)).is_violated(), "it found 4");

    let edn = [
        "0 invoke write 4",
        "0 ok write 4",
        "0 invoke read nil",
        "0 ok read nil",
        "0 invoke cas [4 2]",
        "0 fail cas [4 2]",
        "0 invoke read nil",
        "0 ok read 4",
    ];
    assert_eq!(judge(register, &edn).map(|opinion| opinion.verdict), Ok(Verdict::Holds));
    let mut terms = Terms::of(Format::Edn);
    let zero = "{:process 0, :type :invoke, :f :read}{:process 0, :type :ok, :f :read, :value 0}";
    let of = |terms: &Terms| register.judge(terms, read(Format::Edn, zero)).expect("a history");
    assert_eq!(of(&terms).verdict, Verdict::Holds);
    terms.dialect.initial = 7.into();
    assert!(of(&terms).verdict.is_violated());
}

/// An unknown outcome may take effect later, or never.
#[test]
fn an_unknown_outcome_may_come_true_or_not() {
    let register = named(MODELS, "cas-register");
    for seen in ["1 ok read 0", "1 ok read 4"] {
        let lines = ["0 invoke write 4", "0 info write 4", "1 invoke read", seen];
        let opinion = judge(register, &lines).expect("a history");
        assert_eq!((opinion.verdict, opinion.unknown), (Verdict::Holds, 1), "{seen}");
    }
}

#[test]
fn evidence_stands_on_lines_of_the_file() {
    let text = "; a comment\n[".to_owned() + &edn(ROWS[0].3) + "]";
    let opinion = named(MODELS, "cas-register")
        .judge(&Terms::of(Format::Edn), read(Format::Edn, &text))
        .expect("a history");
    let evidence = opinion.evidence.expect("evidence");
    let Shown::NoOrder(explanation) = &evidence.shown else { panic!("no explanation") };
    assert_eq!(evidence.line(explanation.culprit.invoked), 6);
    assert_eq!(evidence.lines_of(explanation.culprit.id), (6, Some(7)));

    let mut terms = Terms::of(Format::Edn);
    let stale = edn(ROWS[ROWS.len() - 2].3);
    let lists = named(TXNS, "list-append");
    let opinion = lists.judge(&terms, read(Format::Edn, &stale)).expect("a history");
    let evidence = opinion.evidence.expect("evidence");
    let Shown::Phenomena(witnesses, standing) = &evidence.shown else { panic!("no witness") };
    let lines: Vec<_> =
        witnesses[0].transactions.iter().map(|named| evidence.lines_of(named.op)).collect();
    assert_eq!(lines.len(), 2, "{witnesses:?}");
    assert!(lines.contains(&(1, Some(2))) && lines.contains(&(3, Some(4))), "{lines:?}");
    assert!(standing.holds.contains(&"strong-session-serializable".parse().expect("a level")));
    terms.level = Level::SERIALIZABLE;
    let opinion = lists.judge(&terms, read(Format::Edn, &stale)).expect("a history");
    assert_eq!(opinion.verdict, Verdict::Holds, "nobody promised real time");
}
