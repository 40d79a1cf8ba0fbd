//! Raft, handler by handler: each test quotes its rule.

use super::super::replicated::{RegisterAnswer, RegisterCommand, Registers};
use super::*;
use node::{Answer, Context, Effect};

type Server = Raft<Registers>;
type Command = RegisterCommand;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);
const D: NodeId = NodeId(3);
const READ: Op<Command> = Op::Command(Command::Read { key: 7 });

fn config() -> Config {
    Config {
        members: vec![A, B, C],
        election: Duration::from_millis(100),
        heartbeat: Duration::from_millis(30),
        batch: 4,
        compact_after: 0,
    }
}

fn request(client: u16, call: u32) -> RequestId {
    RequestId { client: NodeId(client), call }
}

fn add(amount: u32) -> Op<Command> {
    Op::Command(Command::Add { key: 7, amount })
}

fn at(index: Index, term: Term) -> Position {
    Position { index, term }
}

fn no_op(term: Term) -> Entry<Command> {
    Entry { term, payload: Payload::NoOp }
}

fn adds(term: Term, call: u32, amount: u32) -> Entry<Command> {
    let command = Command::Add { key: 7, amount };
    Entry { term, payload: Payload::Command { request: request(9, call), command } }
}

fn forced(term: Term, voted_for: Option<NodeId>) -> Effect<Server> {
    Effect::Force(Record::Term { term, voted_for })
}

fn told(call: u32, value: u32) -> Effect<Server> {
    Effect::Reply(request(9, call), Answer::Ok(Ret::Answer(RegisterAnswer::Value(value))))
}

/// Server A, and what its last handler wanted done, timers and marks apart.
struct Bench {
    server: Server,
    cx: Cx<Server>,
}

impl Bench {
    fn new(config: &Config, log: &[Record<Registers>]) -> Self {
        let mut bench = Self { server: Raft::new(A, config), cx: Cx::new(Context::default()) };
        bench.server.on_start(log, &mut bench.cx);
        bench.cx.take();
        bench
    }

    /// In term 1, with these entries.
    fn with(entries: &[Entry<Command>]) -> Self {
        let term = Record::Term { term: 1, voted_for: None };
        let entries = entries.iter().cloned().map(Record::Entry);
        Self::new(&config(), &[term].into_iter().chain(entries).collect::<Vec<_>>())
    }

    /// The leader of the next term, by B's vote.
    fn leader(entries: &[Entry<Command>]) -> Self {
        let mut bench = Self::with(entries);
        bench.stand();
        bench.hear(B, Msg::Vote { term: 2, granted: true });
        assert!(bench.server.view().leads);
        bench
    }

    fn effects(&mut self) -> Vec<Effect<Server>> {
        let mut effects = self.cx.take();
        effects.retain(|effect| {
            !matches!(effect, Effect::SetTimer { .. } | Effect::CancelTimer(_) | Effect::Mark(_))
        });
        effects
    }

    fn hear(&mut self, from: NodeId, msg: Msg<Registers>) -> Vec<Effect<Server>> {
        self.server.on_message(from, msg, &mut self.cx);
        self.effects()
    }

    fn ask(&mut self, call: u32, op: Op<Command>) -> Vec<Effect<Server>> {
        self.server.on_request(request(9, call), op, &mut self.cx);
        self.effects()
    }

    fn stand(&mut self) -> Vec<Effect<Server>> {
        self.server.on_timer(Timer::Election, &mut self.cx);
        self.effects()
    }

    /// A leader of term 2 says something.
    fn append(&mut self, prev: Position, entries: &[Entry<Command>], commit: Index) -> Outcome {
        let msg = Msg::Append { term: 2, round: 0, prev, entries: entries.to_vec(), commit };
        match self.hear(B, msg).last() {
            Some(Effect::Send(B, Msg::Appended { term: 2, round: 0, outcome })) => *outcome,
            other => panic!("no answer but {other:?}"),
        }
    }

    fn matches(&mut self, from: NodeId, round: u64, index: Index) -> Vec<Effect<Server>> {
        let term = self.server.term;
        self.hear(from, Msg::Appended { term, round, outcome: Outcome::Matches(index) })
    }

    fn terms(&self) -> Vec<Term> {
        self.server.log.behind_index(0).iter().map(|entry| entry.term).collect()
    }
}

#[test]
fn rule_4_1_a_vote_is_forced_before_it_is_told_and_given_once_in_a_term() {
    let mut a = Bench::with(&[]);
    let ask = Msg::RequestVote { term: 2, last: at(0, 0) };
    let vote = |to, granted| Effect::Send(to, Msg::Vote { term: 2, granted });
    assert_eq!(a.hear(B, ask.clone()), [forced(2, Some(B)), vote(B, true)]);
    assert_eq!(a.hear(B, ask.clone()), [vote(B, true)], "the same vote, told again");
    assert_eq!(a.hear(C, ask.clone()), [vote(C, false)]);

    let log = [Record::Term { term: 2, voted_for: Some(B) }];
    let mut restarted = Bench::new(&config(), &log);
    assert_eq!(restarted.hear(C, ask), [vote(C, false)], "a restart does not forget it");
}

#[test]
fn rule_4_1_a_candidate_forces_its_vote_for_itself_first() {
    let mut a = Bench::with(&[no_op(1)]);
    let ask = |to| Effect::Send(to, Msg::RequestVote { term: 2, last: at(1, 1) });
    assert_eq!(a.stand(), [forced(2, Some(A)), ask(B), ask(C)]);
    assert_eq!(a.hear(B, Msg::Vote { term: 1, granted: true }), [], "an old vote");
    assert_eq!(a.hear(B, Msg::Vote { term: 2, granted: false }), []);
    assert_eq!(a.hear(C, Msg::Vote { term: 3, granted: false }), [forced(3, None)]);
}

#[test]
fn rule_4_3_no_vote_for_an_older_log() {
    for (last, granted) in
        [(at(9, 0), false), (at(1, 1), false), (at(2, 1), true), (at(3, 1), true), (at(1, 2), true)]
    {
        let mut a = Bench::with(&[no_op(1), adds(1, 1, 5)]);
        let effects = a.hear(B, Msg::RequestVote { term: 3, last });
        let vote = Effect::Send(B, Msg::Vote { term: 3, granted });
        assert_eq!(effects, [forced(3, granted.then_some(B)), vote], "{last:?}");
    }
}

#[test]
fn who_hears_from_a_leader_does_not_listen_to_candidates() {
    let mut a = Bench::with(&[]);
    a.append(at(0, 0), &[], 0);
    let ask = Msg::RequestVote { term: 9, last: at(9, 9) };
    a.cx.context.now_nanos = 99_999_999;
    assert_eq!(a.hear(C, ask.clone()), []);
    a.cx.context.now_nanos = 100_000_000;
    assert_eq!(a.hear(C, ask.clone()).len(), 2);
    assert_eq!(Bench::leader(&[]).hear(C, ask), [], "a leader hears itself");
}

#[test]
fn rule_4_2_entries_are_forced_before_they_are_acknowledged() {
    let mut a = Bench::with(&[]);
    let entries = vec![no_op(2), adds(2, 1, 5)];
    let msg = Msg::Append { term: 2, round: 3, prev: at(0, 0), entries, commit: 1 };
    let outcome = Outcome::Matches(2);
    let expected = [
        forced(2, None),
        Effect::Persist(Record::Entry(no_op(2))),
        Effect::Force(Record::Entry(adds(2, 1, 5))),
        Effect::Send(B, Msg::Appended { term: 2, round: 3, outcome }),
    ];
    assert_eq!(a.hear(B, msg), expected);
    assert_eq!(a.server.view().commit, at(1, 2));
}

#[test]
fn rule_4_2_a_leader_forces_an_entry_before_it_sends_it() {
    let mut a = Bench::leader(&[]);
    let append = |to| {
        let (prev, entries) = (at(1, 2), vec![adds(2, 1, 5)]);
        Effect::Send(to, Msg::Append { term: 2, round: 0, prev, entries, commit: 0 })
    };
    let entry = Effect::Force(Record::Entry(adds(2, 1, 5)));
    assert_eq!(a.ask(1, add(5)), [entry, append(B), append(C)]);
    assert_eq!(a.matches(B, 0, 1), []);
    assert_eq!(a.matches(B, 0, 2), [told(1, 5)]);
    assert_eq!(a.matches(C, 0, 2), []);
}

#[test]
fn rule_4_4_an_older_entry_is_not_committed_by_counting() {
    let mut a = Bench::leader(&[no_op(1), adds(1, 1, 5)]);
    a.matches(B, 0, 2);
    assert_eq!(a.server.commit, 0, "figure 8: a majority holds it, and it can still be lost");
    a.matches(B, 0, 3);
    assert_eq!(a.server.commit, 3, "the no-op of its own term brings it along");
}

#[test]
fn rule_4_5_only_a_conflict_truncates() {
    let mut a = Bench::with(&[no_op(1), adds(1, 1, 5), adds(1, 2, 6)]);
    assert_eq!(a.append(at(0, 0), &[no_op(1)], 0), Outcome::Matches(1), "a short, old message");
    assert_eq!(a.append(at(1, 1), &[], 0), Outcome::Matches(1));
    assert_eq!(a.terms(), [1, 1, 1]);
    assert_eq!(a.append(at(1, 1), &[adds(1, 1, 5), no_op(2)], 0), Outcome::Matches(3));
    assert_eq!(a.terms(), [1, 1, 2]);
}

#[test]
fn rule_4_5_a_truncation_is_a_record() {
    let mut a = Bench::with(&[no_op(1), adds(1, 1, 5)]);
    let (prev, entries) = (at(1, 1), vec![no_op(2)]);
    let effects = a.hear(B, Msg::Append { term: 2, round: 0, prev, entries, commit: 0 });
    assert_eq!(effects[1], Effect::Persist(Record::Truncate { from: 2 }));
    assert_eq!(effects[2], Effect::Force(Record::Entry(no_op(2))));
    let log = [
        Record::Entry(no_op(1)),
        Record::Entry(adds(1, 1, 5)),
        Record::Truncate { from: 2 },
        Record::Entry(no_op(2)),
    ];
    assert_eq!(Bench::new(&config(), &log).terms(), [1, 2]);
}

#[test]
fn who_lacks_the_entry_before_says_how_far_it_agrees() {
    let mut a = Bench::with(&[no_op(1), adds(1, 1, 5)]);
    assert_eq!(a.append(at(1, 1), &[], 1), Outcome::Matches(1));
    assert_eq!(a.append(at(9, 2), &[], 9), Outcome::Lacks(1), "it is too short");
    assert_eq!(a.append(at(2, 2), &[], 2), Outcome::Lacks(1), "it has another entry there");

    let mut a = Bench::leader(&[no_op(1), adds(1, 1, 5)]);
    let lacks = Msg::Appended { term: 2, round: 0, outcome: Outcome::Lacks(1) };
    let (prev, entries) = (at(1, 1), vec![adds(1, 1, 5), no_op(2)]);
    let again = Msg::Append { term: 2, round: 0, prev, entries, commit: 0 };
    assert_eq!(a.hear(C, lacks), [Effect::Send(C, again)]);
}

#[test]
fn an_earlier_leader_is_told_the_term() {
    let mut a = Bench::new(&config(), &[Record::Term { term: 5, voted_for: None }]);
    let msg = Msg::Append { term: 4, round: 1, prev: at(0, 0), entries: vec![], commit: 0 };
    let outcome = Outcome::Lacks(0);
    // 4.7 No round: if it leads term 5 too, its first round is another one.
    assert_eq!(a.hear(B, msg), [Effect::Send(B, Msg::Appended { term: 5, round: 0, outcome })]);
}

#[test]
fn rule_4_6_no_read_before_the_no_op_is_committed() {
    let mut a = Bench::leader(&[no_op(1), adds(1, 1, 5)]);
    a.ask(2, READ);
    let lacks = Msg::Appended { term: 2, round: 1, outcome: Outcome::Lacks(0) };
    assert!(!a.hear(B, lacks).contains(&told(2, 0)), "the round is answered, but 5 is not known");
    assert_eq!(a.matches(B, 1, 3), [told(2, 5)]);
}

#[test]
fn rule_4_7_the_round_comes_after_the_index() {
    let mut a = Bench::leader(&[]);
    a.matches(B, 0, 1);
    let round = |to| {
        let prev = at(1, 2);
        Effect::Send(to, Msg::Append { term: 2, round: 1, prev, entries: vec![], commit: 1 })
    };
    assert_eq!(a.ask(1, READ), [round(B), round(C)]);
    assert_eq!(a.matches(C, 0, 1), [], "an answer to an earlier heartbeat");
    assert_eq!(a.matches(C, 1, 1), [told(1, 0)]);
}

#[test]
fn rule_4_8_one_change_at_a_time_and_none_before_the_term_has_begun() {
    let mut a = Bench::leader(&[no_op(1)]);
    let later = |call| Effect::Reply(request(9, call), Answer::Retry(Some(A)));
    assert_eq!(a.ask(1, Op::Add(D)), [later(1)], "nothing of this term is committed");
    a.matches(B, 0, 2);
    let appended = a.ask(2, Op::Add(D));
    assert!(matches!(appended[1..], [Effect::Send(B, _), Effect::Send(C, _), Effect::Send(D, _)]));
    assert_eq!(a.ask(3, Op::Remove(B)), [later(3)], "the change before is not committed");
    assert_eq!(a.matches(B, 0, 3), [], "two of four are no majority");
    let changed = |call| Effect::Reply(request(9, call), Answer::Ok(Ret::Changed));
    assert_eq!(a.matches(C, 0, 3), [changed(2)]);
    a.ask(4, Op::Remove(B));
    assert_eq!(a.server.view().members.iter().collect::<Vec<_>>(), [A, C, D]);
}

#[test]
fn a_removed_leader_steps_down_and_stands_no_more() {
    let mut a = Bench::leader(&[]);
    a.matches(B, 0, 1);
    a.ask(1, Op::Remove(A));
    assert_eq!(a.matches(B, 0, 2), [], "it does not count itself");
    let changed = Effect::Reply(request(9, 1), Answer::Ok(Ret::Changed));
    assert_eq!(a.matches(C, 0, 2), [changed]);
    assert!(!a.server.view().leads);
    assert_eq!(a.stand(), []);
    let mut spare = Bench::new(&Config { members: vec![B, C], ..config() }, &[]);
    assert_eq!(spare.stand(), [], "who was never added waits");
}

#[test]
fn rule_4_9_a_command_is_executed_once() {
    let mut a = Bench::leader(&[]);
    a.ask(1, add(5));
    assert_eq!(a.matches(B, 0, 2), [told(1, 5)]);
    a.ask(1, add(5));
    assert_eq!(a.matches(B, 0, 3), [told(1, 5)], "from its session");
    a.ask(2, add(6));
    assert_eq!(a.matches(B, 0, 4), [told(2, 11)]);
    a.ask(1, add(5));
    assert_eq!(a.matches(B, 0, 5), [], "older than the client's last");
}

#[test]
fn rule_4_10_a_snapshot_takes_the_place_of_what_is_applied() {
    let config = Config { compact_after: 2, ..config() };
    let term = Record::Term { term: 2, voted_for: None };
    let mut a = Bench::new(&config, std::slice::from_ref(&term));
    a.append(at(0, 0), &[no_op(2), adds(2, 1, 5), adds(2, 2, 6)], 2);
    let msg = Msg::Append { term: 2, round: 0, prev: at(3, 2), entries: vec![], commit: 2 };
    let effects = a.hear(B, msg);
    let Effect::Snapshot(records) = &effects[0] else { panic!("{effects:?}") };
    let [Record::Snapshot(snapshot), same, Record::Entry(rest)] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!((snapshot.last, same, rest), (at(2, 2), &term, &adds(2, 2, 6)));

    let mut restarted = Bench::new(&config, records);
    assert_eq!(restarted.server.view().commit, at(2, 2));
    assert_eq!(restarted.append(at(0, 0), &[no_op(2)], 3), Outcome::Matches(1));
    assert_eq!(restarted.append(at(3, 2), &[adds(2, 1, 5)], 4), Outcome::Matches(4));
    let session = &restarted.server.state.sessions[&NodeId(9)];
    assert_eq!((session.call, restarted.server.commit), (2, 4));
    let ret = restarted.server.state.machine.apply(&Command::Read { key: 7 });
    assert_eq!(ret, RegisterAnswer::Value(11), "the copy of the first call is not executed");
}

#[test]
fn rule_4_10_entries_behind_an_installed_snapshot_stay_only_if_they_agree() {
    for (term, kept) in [(1, vec![1]), (2, vec![])] {
        let mut a = Bench::with(&[no_op(1), adds(1, 1, 5), adds(1, 2, 6)]);
        let members = [A, B].into_iter().collect();
        let snapshot = Snapshot { last: at(2, term), members, state: State::default() };
        let install = Msg::InstallSnapshot { term: 2, round: 0, snapshot };
        let effects = a.hear(B, install.clone());
        assert!(matches!(effects[1], Effect::Snapshot(_)), "{effects:?}");
        let terms: Vec<Term> = a.server.log.behind_index(2).iter().map(|e| e.term).collect();
        assert_eq!(terms, kept);
        assert_eq!(a.server.view().members, members);
        let appended = Msg::Appended { term: 2, round: 0, outcome: Outcome::Matches(2) };
        assert_eq!(a.hear(B, install), [Effect::Send(B, appended)], "an old one changes nothing");
    }
}

#[test]
fn a_leader_sends_its_snapshot_to_who_is_behind_it() {
    let config = Config { compact_after: 1, ..config() };
    let mut a = Bench::new(&config, &[Record::Term { term: 1, voted_for: None }]);
    a.stand();
    a.hear(B, Msg::Vote { term: 2, granted: true });
    a.matches(B, 0, 1);
    a.server.on_timer(Timer::Heartbeat, &mut a.cx);
    a.effects();
    let lacks = Msg::Appended { term: 2, round: 0, outcome: Outcome::Lacks(0) };
    let snapshot = a.server.snapshot.clone();
    assert_eq!(snapshot.last, at(1, 2));
    let install = Msg::InstallSnapshot { term: 2, round: 0, snapshot };
    assert_eq!(a.hear(C, lacks), [Effect::Send(C, install)]);
}

#[test]
fn who_waits_at_a_deposed_leader_is_sent_on() {
    let mut a = Bench::leader(&[]);
    a.ask(1, add(5));
    a.ask(2, READ);
    let heartbeat = Msg::Append { term: 3, round: 0, prev: at(0, 0), entries: vec![], commit: 0 };
    let on = |call| Effect::Reply(request(9, call), Answer::Retry(Some(C)));
    assert_eq!(a.hear(C, heartbeat)[..3], [on(1), on(2), forced(3, None)]);
    assert_eq!(a.ask(3, READ), [on(3)]);
}
