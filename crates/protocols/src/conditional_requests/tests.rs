//! Each test quotes the rule that it is about.

use super::conditions::evaluate;
use super::*;
use crate::record::Role;
use node::{Answer, Context as Here, Effect};
use std::time::Duration;

type Effects = Vec<Effect<ConditionalRequests>>;

const ORIGIN: NodeId = NodeId(0);
const AGENT: NodeId = NodeId(1);
const ANN: Patient = Patient(0);
const ADD: Op = Op::Add { patient: ANN, dose: 5 };
const LOOK: Op = Op::Look { patient: ANN };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(role: Role) -> Config {
    let (think, patience, backoff) = (ms(2), ms(50), ms(5));
    Config { role, origin: ORIGIN, think, patience, backoff, attempts: 2 }
}

fn id(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn exchange(call: u32, nth: u32) -> Exchange {
    Exchange { request: id(call), life: 1, nth }
}

fn entry(call: u32) -> Entry {
    Entry { by: id(call), dose: 5 }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A request with these two conditions; an empty one is none.
fn request(method: Method, if_match: &str, if_none_match: &str) -> Request {
    Request {
        exchange: exchange(1, 1),
        method,
        patient: ANN,
        if_match: some(if_match),
        if_none_match: some(if_none_match),
        entries: (method == Method::Put).then(|| vec![entry(1)]),
    }
}

fn response(nth: u32, status: u16, tag: &str, entries: Option<Vec<Entry>>) -> Response {
    Response { exchange: exchange(1, nth), status, tag: some(tag), entries }
}

/// A node and the log that it writes.
struct Machine {
    node: ConditionalRequests,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        Self { node: ConditionalRequests::new(AGENT, &config(role)), log: Vec::new() }
    }

    fn run(&mut self, f: impl FnOnce(&mut ConditionalRequests, &mut Context)) -> Effects {
        let mut cx = Cx::new(Here::default());
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Mark(_))).collect()
    }

    fn ask(&mut self, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(id(1), op, cx))
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(AGENT, msg, cx))
    }

    fn answer(&mut self, response: Response) -> Effects {
        self.hear(Msg::Response(response))
    }

    fn ring(&mut self) -> Effects {
        self.run(|node, cx| node.on_timer(Timer::Next(id(1)), cx))
    }

    /// The status that an origin answers, and the tag that is there then.
    fn status(&mut self, request: Request) -> (u16, String) {
        let effects = self.hear(Msg::Request(request));
        match effects.last() {
            Some(Effect::Send(AGENT, Msg::Response(response))) => {
                (response.status, response.tag.clone().unwrap_or_default())
            }
            _ => panic!("{effects:?}"),
        }
    }
}

/// RFC 9110, 13.1.1, 13.1.2 and 13.2.2; RFC 6585, 3.
#[test]
fn conditions_hold_as_the_standard_says() {
    use Method::{Get, Put};
    let cases = [
        // 9.1: weak comparison
        (Get, "", "", "\"1\"", Ok(())),
        (Get, "", "\"1\"", "\"1\"", Err(304)),
        (Get, "", "W/\"1\"", "\"1\"", Err(304)),
        (Get, "", "\"0\", \"1\"", "\"1\"", Err(304)),
        (Get, "", "\"2\"", "\"1\"", Ok(())),
        (Get, "", "*", "\"1\"", Err(304)),
        (Get, "", "\"1\"", "", Ok(())),
        // 9.2: strong comparison
        (Put, "\"1\"", "", "\"1\"", Ok(())),
        (Put, "\"0\", \"1\"", "", "\"1\"", Ok(())),
        (Put, "\"2\"", "", "\"1\"", Err(412)),
        (Put, "W/\"1\"", "", "\"1\"", Err(412)),
        (Put, "\"1\"", "", "W/\"1\"", Err(412)),
        (Put, "\"1\"", "", "", Err(412)),
        (Put, "*", "", "\"1\"", Ok(())),
        (Put, "*", "", "", Err(412)),
        (Put, "", "*", "", Ok(())),
        (Put, "", "*", "\"1\"", Err(412)),
        // 9.4
        (Put, "", "", "\"1\"", Err(428)),
        (Put, "", "", "", Err(428)),
        // 9.5
        (Get, "\"2\"", "\"1\"", "\"1\"", Err(412)),
        (Put, "\"1\"", "*", "\"1\"", Err(412)),
        // what is no tag is nobody's, and what is no header's text is refused
        (Put, "1", "", "\"1\"", Err(412)),
        (Put, "\n", "", "\"1\"", Err(400)),
    ];
    for (method, if_match, if_none_match, current, expected) in cases {
        let current = some(current).map(|tag| tag.parse().expect("a tag"));
        let evaluated = evaluate(&request(method, if_match, if_none_match), current.as_ref());
        assert_eq!(evaluated, expected, "{method:?} {if_match} {if_none_match} {current:?}");
    }
}

/// 9.3: check and write are one step; 9.7: each version has a tag of its own.
#[test]
fn a_write_goes_through_at_the_tag_that_was_read_and_at_no_other() {
    let mut origin = Machine::new(Role::Origin);
    let (get, put) = (request(Method::Get, "", ""), request(Method::Put, "", "*"));
    assert_eq!(origin.status(get.clone()), (404, String::new()));
    let created = Record::Put { patient: ANN, entries: vec![entry(1)], version: 1 };
    let effects = origin.hear(Msg::Request(put));
    let answer = Msg::Response(response(1, 201, "\"1\"", None));
    assert_eq!(effects, [Effect::Force(created), Effect::Send(AGENT, answer)]);
    let two = Some(vec![entry(1), entry(2)]);
    let put = Request { entries: two.clone(), ..request(Method::Put, "\"1\"", "") };
    assert_eq!(origin.status(put), (200, "\"2\"".into()));
    let late =
        Request { entries: Some(vec![entry(1), entry(3)]), ..request(Method::Put, "\"1\"", "") };
    assert_eq!(origin.status(late), (412, "\"2\"".into()));
    let effects = origin.hear(Msg::Request(get));
    let answer = Msg::Response(response(1, 200, "\"2\"", two));
    assert_eq!(effects, [Effect::Send(AGENT, answer)]);
    assert_eq!(origin.log.len(), 2);
}

/// 9.6: a retried PUT whose change is already applied may get 2xx.
#[test]
fn a_copy_of_a_write_that_is_there_is_acknowledged() {
    let mut origin = Machine::new(Role::Origin);
    let put = request(Method::Put, "", "*");
    assert_eq!(origin.status(put.clone()), (201, "\"1\"".into()));
    assert_eq!(origin.status(put), (200, "\"1\"".into()));
    assert_eq!(origin.log.len(), 1);
}

/// An agent that has read this, and has sent its write.
fn writing(tag: &str, entries: Vec<Entry>) -> Machine {
    let mut agent = Machine::new(Role::Agent);
    agent.ask(ADD);
    agent.answer(response(1, 200, tag, Some(entries)));
    agent.ring();
    agent
}

/// 9.2: in place of what was read; where nothing was, only if nothing is.
#[test]
fn an_agent_says_what_it_has_read() {
    let put = |status, entries: Option<Vec<Entry>>, tag: &str| {
        let mut agent = Machine::new(Role::Agent);
        agent.ask(ADD);
        agent.answer(response(1, status, tag, entries));
        match &agent.ring()[0] {
            Effect::Send(ORIGIN, Msg::Request(put)) => put.clone(),
            other => panic!("{other:?}"),
        }
    };
    let there = put(200, Some(vec![entry(7)]), "\"4\"");
    assert_eq!((there.if_match, there.if_none_match), (some("\"4\""), None));
    assert_eq!(there.entries, Some(vec![entry(7), entry(1)]));
    let nothing = put(404, None, "");
    assert_eq!((nothing.if_match, nothing.if_none_match), (None, some("*")));
    assert_eq!(nothing.entries, Some(vec![entry(1)]));
}

/// That a write was refused does not say that it was not done.
#[test]
fn after_412_the_record_says_whether_it_was_done() {
    let mut agent = writing("\"4\"", vec![entry(7)]);
    agent.answer(response(2, 412, "\"6\"", None));
    agent.ring();
    let both = vec![entry(7), entry(1), entry(8)];
    let effects = agent.answer(response(3, 200, "\"6\"", Some(both)));
    let done = Effect::Reply(id(1), Answer::Ok(Ret::Added { nth: 2 }));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(id(1))), done]);
}

/// After so many conflicts, and a read without the entry, it fails.
#[test]
fn an_agent_gives_up_after_conflicts() {
    let mut agent = writing("\"4\"", vec![]);
    agent.answer(response(2, 412, "\"5\"", None));
    agent.ring();
    agent.answer(response(3, 200, "\"5\"", Some(vec![entry(7)])));
    agent.ring();
    agent.answer(response(4, 412, "\"6\"", None));
    agent.ring();
    let effects = agent.answer(response(5, 200, "\"6\"", Some(vec![entry(7), entry(8)])));
    let failed = Effect::Reply(id(1), Answer::Fail("too many conflicts".into()));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(id(1))), failed]);
}

/// 9.1: 304 means that the copy of that tag is good, and no other one.
#[test]
fn a_copy_is_taken_for_the_tag_that_it_has() {
    let mut agent = Machine::new(Role::Agent);
    agent.ask(LOOK);
    agent.answer(response(1, 200, "\"4\"", Some(vec![entry(7)])));
    let effects = agent.ask(LOOK);
    let get = Request {
        exchange: exchange(1, 2),
        if_none_match: some("\"4\""),
        ..request(Method::Get, "", "")
    };
    assert_eq!(effects[0], Effect::Send(ORIGIN, Msg::Request(get)));
    let effects = agent.answer(response(2, 304, "\"3\"", None));
    assert!(matches!(effects[0], Effect::Send(ORIGIN, _)), "of a copy that is gone: {effects:?}");
    let effects = agent.answer(response(3, 304, "\"4\"", None));
    let seen = Effect::Reply(id(1), Answer::Ok(Ret::Entries(vec![5])));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(id(1))), seen]);
}

/// 9.4: who does not say what it has seen is refused.
#[test]
fn an_unconditional_write_is_refused() {
    let mut agent = Machine::new(Role::Agent);
    let effects = agent.ask(Op::Overwrite { patient: ANN, dose: 5 });
    let put = request(Method::Put, "", "");
    assert_eq!(effects[0], Effect::Send(ORIGIN, Msg::Request(put)));
    let effects = agent.answer(response(1, 428, "", None));
    let failed = Effect::Reply(id(1), Answer::Fail("428 Precondition Required".into()));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(id(1))), failed]);
}
