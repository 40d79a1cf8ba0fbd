//! Why there is more than one family of checkers: each rejects a run that every other one which can
//! read it accepts.
//!
//! One run of a small shop, in which nothing is wrong, is read by all of them: a transfer between
//! two accounts by two-phase commit, sent twice under one idempotency key; a versioned value in a
//! store, its replicas and its cache; a lock. Each golden run goes on from there with one fault.

use checkers::cache::Cache;
use checkers::commit::{Commit, Parties, Told};
use checkers::conservation::Ledger;
use checkers::convergence::Convergence;
use checkers::delivery::Delivery;
use checkers::idempotency::{Answer, Idempotency};
use checkers::isolation::{Level, RwHistory, RwOp, rw_register};
use checkers::models::{Counter, CounterOp, CounterRet, Register, RegisterOp, RegisterRet};
use checkers::progress::Progress;
use checkers::{Judged, Keyed, Verdict, linearizable};
use history::{Actor, History, What};
use std::collections::BTreeMap;
use std::time::Duration;

/// What happens in the shop. Requests, transactions, clients, versions and waits are numbers;
/// parties are 0, the coordinator, and 1 and 2, which have an account each.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client asks, under a key, for a transfer of so much from account 1 to account 2.
    Ask {
        request: u32,
        key: u32,
        amount: i64,
    },
    /// It is told that this took effect, by a reply made for that request.
    Answered {
        request: u32,
        key: u32,
        made_for: u32,
    },
    Yes {
        tx: u32,
        request: u32,
        party: usize,
    },
    No {
        tx: u32,
        party: usize,
    },
    Decide {
        tx: u32,
        request: u32,
    },
    /// A party commits, which applies the request to its account.
    Committed {
        tx: u32,
        request: u32,
        party: usize,
        change: i64,
    },
    /// A client begins to read both accounts, and has read them.
    ReadAll {
        call: u32,
    },
    Balances {
        call: u32,
        balances: [i64; 2],
    },
    /// A client begins to write a version, and is told ok.
    Write {
        client: u32,
        version: u64,
    },
    Wrote {
        client: u32,
        version: u64,
    },
    /// The store has it; a replica has it.
    Stored {
        version: u64,
    },
    Replica {
        number: u32,
        version: u64,
    },
    /// A client reads it, at one moment.
    Read {
        client: u32,
        version: u64,
    },
    /// Nothing goes on any more, and this is in the cache.
    Cached {
        version: u64,
    },
    /// A transaction on the roster begins, and has committed.
    Begin {
        txn: u32,
        rows: Rows,
    },
    Ended {
        txn: u32,
        rows: Rows,
    },
    /// Something is waited for, and comes.
    Wait(u32),
    Over(u32),
}
use Step::*;

/// What a transaction wrote and read.
type Rows = &'static [RwOp<&'static str, u64>];

/// A transfer that commits at both parties.
fn transfer(tx: u32, request: u32, key: u32, amount: i64) -> Vec<Step> {
    vec![
        Ask { request, key, amount },
        Yes { tx, request, party: 1 },
        Yes { tx, request, party: 2 },
        Decide { tx, request },
        Committed { tx, request, party: 1, change: -amount },
        Committed { tx, request, party: 2, change: amount },
        Answered { request, key, made_for: request },
    ]
}

/// A version that reaches the store and these replicas.
fn write(client: u32, version: u64, replicas: &[u32]) -> Vec<Step> {
    let mut steps = vec![Write { client, version }, Stored { version }];
    steps.extend(replicas.iter().map(|number| Replica { number: *number, version }));
    steps.push(Wrote { client, version });
    steps
}

fn calm() -> Vec<Step> {
    let again =
        [Ask { request: 1, key: 1, amount: 3 }, Answered { request: 1, key: 1, made_for: 1 }];
    let reads = [ReadAll { call: 90 }, Balances { call: 90, balances: [7, 3] }];
    let rest = [Read { client: 1, version: 1 }, Cached { version: 1 }, Wait(1), Over(1)];
    let alice: Rows = &[RwOp::Read("alice", None), RwOp::Write("alice", 1)];
    let both: Rows = &[RwOp::Read("alice", Some(1)), RwOp::Read("bob", None)];
    let roster = [
        Begin { txn: 50, rows: alice },
        Ended { txn: 50, rows: alice },
        Begin { txn: 51, rows: both },
        Ended { txn: 51, rows: both },
    ];
    [&transfer(1, 1, 1, 3)[..], &again, &reads, &write(1, 1, &[1, 2]), &roster, &rest].concat()
}

type Family = (&'static str, fn(&[Step]) -> Verdict);

/// All of them read every step that concerns them.
const FAMILIES: [Family; 9] = [
    ("linearizable", linearizable_family),
    ("isolation", isolation),
    ("commit", commit),
    ("delivery", delivery),
    ("idempotency", idempotency),
    ("conservation", conservation),
    ("cache", cache),
    ("convergence", convergence),
    ("progress", progress),
];

/// Feeds every step, and asks at the end.
fn judged<C>(
    steps: &[Step],
    mut checker: C,
    mut feed: impl FnMut(&mut C, Step) -> Judged,
    end: impl FnOnce(&C) -> Verdict,
) -> Verdict {
    let fed = steps.iter().try_for_each(|step| feed(&mut checker, *step));
    Verdict::from(fed).and_then(|| end(&checker))
}

fn commit(steps: &[Step]) -> Verdict {
    let names = ["coordinator", "p1", "p2"].map(str::to_owned).to_vec();
    let mut applied: BTreeMap<(u32, usize), bool> = BTreeMap::new();
    let feed = |commit: &mut Commit<u32, u32>, step: Step| {
        match step {
            Ask { request, .. } => {
                commit.asked(request, [1, 2].into_iter().collect(), Parties::NONE);
            }
            Yes { tx, request, party } => commit.prepared(tx, request, party),
            No { tx, party } => commit.refused(tx, party)?,
            Decide { tx, request } => commit.decided(tx, request, 0)?,
            Committed { tx, request, party, .. } => {
                commit.committed(tx, Some(request), party)?;
                commit.applied(request, party, 1)?;
                applied.insert((request, party), true);
            }
            Answered { request, .. } => {
                let effect = |party| (party, applied.contains_key(&(request, party)));
                commit.ended(request, Told::Ok, [1, 2].map(effect))?;
            }
            _ => {}
        }
        Ok(())
    };
    judged(steps, Commit::new(names), feed, Commit::verdict)
}

fn delivery(steps: &[Step]) -> Verdict {
    let feed = |queue: &mut Delivery<u32, u32>, step: Step| {
        match step {
            Ask { request, .. } => queue.sent(request, None),
            Committed { request, party: 1, .. } => queue.delivered(request)?,
            Answered { request, made_for, .. } => {
                queue.acknowledged(request);
                queue.replied(request, made_for)?;
            }
            _ => {}
        }
        Ok(())
    };
    judged(steps, Delivery::exactly_once(), feed, Delivery::verdict)
}

fn idempotency(steps: &[Step]) -> Verdict {
    let mut keys = BTreeMap::new();
    let feed = |checker: &mut Idempotency<u32, &str, &str>, step: Step| {
        match step {
            Ask { request, key, .. } => {
                keys.insert(request, key);
                checker.asked(key, "transfer");
            }
            Committed { request, party: 1, .. } => checker.effect(keys[&request])?,
            Answered { key, .. } => checker.answered(key, "transfer", Answer::Done("moved"))?,
            _ => {}
        }
        Ok(())
    };
    judged(steps, Idempotency::new(), feed, Idempotency::verdict)
}

fn conservation(steps: &[Step]) -> Verdict {
    let feed = |ledger: &mut Ledger<usize>, step: Step| match step {
        Committed { party, change, .. } => ledger.change(party, change),
        Balances { call, balances } => {
            ledger.snapshot(format_args!("call {call}"), (1..).zip(balances))
        }
        _ => Ok(()),
    };
    judged(steps, Ledger::new([(1, 10), (2, 0)]), feed, Ledger::verdict)
}

fn cache(steps: &[Step]) -> Verdict {
    let feed = |cache: &mut Cache<u32, &str>, step: Step| match step {
        Stored { version } => {
            cache.committed("value", version, Duration::ZERO);
            Ok(())
        }
        Wrote { client, version } => {
            cache.wrote(client, "value", version);
            Ok(())
        }
        Read { client, version } => cache.read(client, "value", version, Duration::ZERO),
        Cached { version } => cache.at_rest(&"value", Some(version)),
        _ => Ok(()),
    };
    judged(steps, Cache::new(), feed, Cache::verdict)
}

fn convergence(steps: &[Step]) -> Verdict {
    let feed = |sync: &mut Convergence<u32, &str, u64>, step: Step| {
        match step {
            Write { version, .. } => sync.written("value", version),
            Wrote { version, .. } => sync.acknowledged("value", version),
            Replica { number, version } => sync.stored(number, "value", version)?,
            _ => {}
        }
        Ok(())
    };
    judged(steps, Convergence::new([1, 2]), feed, Convergence::verdict)
}

fn progress(steps: &[Step]) -> Verdict {
    let second = Duration::from_secs;
    let feed = |waits: &mut Progress<u32>, step: Step| match step {
        Wait(what) => {
            waits.due("lock never free", what, second(1));
            Ok(())
        }
        Over(what) => waits.done("lock never free", what, second(1)),
        _ => Ok(()),
    };
    judged(steps, Progress::new(), feed, |waits| waits.verdict(second(9)))
}

/// The roster, by the strongest level.
fn isolation(steps: &[Step]) -> Verdict {
    let mut roster: Lines<Vec<RwOp<_, _>>, Vec<RwOp<_, _>>> = Lines::default();
    for step in steps {
        match *step {
            Begin { txn, rows } => roster.line((txn, 0), What::Invoke(rows.to_vec())),
            Ended { txn, rows } => roster.line((txn, 0), What::Ok(rows.to_vec())),
            _ => {}
        }
    }
    let history: RwHistory<&str, u64> = roster.history;
    rw_register(&history).check(Level::STRICT_SERIALIZABLE)
}

/// The value and each row as a register, and each account as a counter.
fn linearizable_family(steps: &[Step]) -> Verdict {
    let mut register = Lines::default();
    let mut accounts = Lines::default();
    let mut rows = Lines::default();
    for step in steps {
        match *step {
            Write { client, version } => {
                register.line((client, 0), What::Invoke(RegisterOp::Write(version)));
            }
            Wrote { client, .. } => register.line((client, 0), What::Ok(RegisterRet::Done)),
            Read { client, version } => {
                register.line((client, 1), What::Invoke(RegisterOp::Read));
                register.line((client, 1), What::Ok(RegisterRet::Value(version)));
            }
            Ask { request, amount, .. } if !accounts.knows((request, 0)) => {
                for (account, amount) in [(0, -amount), (1, amount)] {
                    let op = (account, CounterOp::Add(amount));
                    accounts.line((request, account), What::Invoke(op));
                }
            }
            Answered { request, .. } => {
                for account in [0, 1] {
                    accounts.line((request, account), What::Ok(CounterRet::Done));
                }
            }
            Begin { txn, rows: all } => {
                for (nth, row) in (0..).zip(all) {
                    let op = match row {
                        RwOp::Write(name, value) => (*name, RegisterOp::Write(*value)),
                        RwOp::Read(name, _) => (*name, RegisterOp::Read),
                    };
                    rows.line((txn, nth), What::Invoke(op));
                }
            }
            Ended { txn, rows: all } => {
                for (nth, row) in (0..).zip(all) {
                    let ret = match row {
                        RwOp::Write(..) => RegisterRet::Done,
                        RwOp::Read(_, value) => RegisterRet::Value(value.unwrap_or(0)),
                    };
                    rows.line((txn, nth), What::Ok(ret));
                }
            }
            ReadAll { call } => {
                for account in [0, 1] {
                    accounts.line((call, account), What::Invoke((account, CounterOp::Read)));
                }
            }
            Balances { call, balances: [first, second] } => {
                // Account 1 opens with 10; its counter counts from 0.
                accounts.line((call, 0), What::Ok(CounterRet::Total(first - 10)));
                accounts.line((call, 1), What::Ok(CounterRet::Total(second)));
            }
            _ => {}
        }
    }
    linearizable(&Register(0), &register.history)
        .and_then(|| linearizable(&Keyed::<u32, _>::new(Counter(0)), &accounts.history))
        .and_then(|| linearizable(&Keyed::<&str, _>::new(Register(0)), &rows.history))
}

/// A history under way; operations are named by pairs, and a name may be used again.
struct Lines<Op, Ret> {
    history: History<Op, Ret>,
    numbers: BTreeMap<(u32, u32), u32>,
    next: u32,
}

impl<Op, Ret> Default for Lines<Op, Ret> {
    fn default() -> Self {
        Self { history: History::new(), numbers: BTreeMap::new(), next: 0 }
    }
}

impl<Op, Ret> Lines<Op, Ret> {
    fn knows(&self, name: (u32, u32)) -> bool {
        self.numbers.contains_key(&name)
    }

    fn line(&mut self, name: (u32, u32), what: What<Op, Ret>) {
        if let What::Invoke(_) = what {
            self.numbers.insert(name, self.next);
            self.next += 1;
        }
        let op = self.numbers[&name];
        let actor = Actor::Client(name.0 as u16);
        let event = history::Event { at: 0, op, actor, process: op, call: name.0, what };
        self.history.events.push(event);
    }
}

/// What goes on after the calm run, who must reject it, and in which words.
fn golden() -> Vec<(&'static str, Vec<Step>, &'static str)> {
    let mut vetoed = transfer(2, 2, 2, 1);
    vetoed[2] = No { tx: 2, party: 2 };
    let mut wrong_reply = transfer(2, 2, 2, 1);
    wrong_reply[6] = Answered { request: 2, key: 2, made_for: 1 };
    // Account 1 is read before a transfer that goes on, account 2 after it.
    let mut torn = transfer(2, 2, 2, 1);
    torn.splice(6..6, [ReadAll { call: 91 }, Balances { call: 91, balances: [7, 4] }]);
    let mut behind = write(1, 2, &[1]);
    behind.push(Cached { version: 2 });
    // Two doctors are on call; each sees the other one, and goes.
    let alice: Rows = &[RwOp::Read("bob", None), RwOp::Write("alice", 2)];
    let bob: Rows = &[RwOp::Read("alice", Some(1)), RwOp::Write("bob", 2)];
    let skew = vec![
        Begin { txn: 52, rows: alice },
        Begin { txn: 53, rows: bob },
        Ended { txn: 52, rows: alice },
        Ended { txn: 53, rows: bob },
    ];
    vec![
        (
            "linearizable",
            vec![Read { client: 2, version: 0 }],
            "not linearizable: Read by client 2 (call 2) returned Value(0), but while it ran the \
             state could only be 1",
        ),
        (
            "isolation",
            skew,
            "G2-item: not strict-serializable.\nLet:\n  \
             T1 = read \"bob\" = nothing, write 2 to \"alice\"; operation 2 by client 52 (call \
             52)\n  \
             T2 = read \"alice\" = 1, write 2 to \"bob\"; operation 3 by client 53 (call 53)\n\
             Then:\n  \
             - T1 < T2, because T1 did not observe T2's write of 2 to \"bob\".\n  \
             - However, T2 < T1, because T2 read 1 in \"alice\" and did not observe T1's write of \
             2 (the other order of the two writes would contradict what else was read): a \
             contradiction!",
        ),
        (
            // The participant that voted No is made to commit: in the end all agree.
            "commit",
            vetoed,
            "AC2 validity: 2 committed at coordinator, not prepared at p2",
        ),
        ("delivery", wrong_reply, "wrong reply: the caller of 2 took the reply to 1"),
        (
            // A retry under a new request id: each of the two transactions is atomic.
            "idempotency",
            transfer(2, 2, 1, 3),
            "double effect: 1 has taken effect 2 times",
        ),
        ("conservation", torn, "read_all: call 91 read a sum of 11, expected 10"),
        (
            "cache",
            vec![Cached { version: 0 }],
            "stale at rest: at rest the cache has version 0 of \"value\", and the store 1",
        ),
        ("convergence", behind, "diverged: 1 has 2 for \"value\", and 2 1"),
        ("progress", vec![Wait(2)], "lock never free: 2 had to be over by 1s, and is not at 9s"),
    ]
}

#[test]
fn a_run_in_which_nothing_is_wrong_holds_for_every_family() {
    for (name, judge) in FAMILIES {
        assert_eq!(judge(&calm()), Verdict::Holds, "{name}");
    }
}

#[test]
fn each_family_rejects_what_every_other_accepts() {
    for (name, after, expected) in golden() {
        let steps = [calm(), after].concat();
        for (family, judge) in FAMILIES {
            let verdict = judge(&steps);
            if family == name {
                let anomaly = verdict.anomaly().unwrap_or_else(|| panic!("{name}: {verdict}"));
                assert_eq!(anomaly.to_string(), expected);
                assert_eq!(anomaly.checker, name);
            } else {
                assert_eq!(verdict, Verdict::Holds, "{family} of the run for {name}");
            }
        }
    }
    let covered: Vec<&str> = golden().iter().map(|(name, ..)| *name).collect();
    assert_eq!(covered, FAMILIES.map(|(name, _)| name), "one golden run for each family");
}
