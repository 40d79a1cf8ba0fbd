//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};

const U: Account = Account(0);
const A: NodeId = NodeId(2);
const B: NodeId = NodeId(3);
const SERVER: NodeId = NodeId(0);
const RESOURCE: NodeId = NodeId(1);

/// A node, started, and the log it writes.
struct Machine {
    node: Sessions,
    role: Role,
    incarnation: Incarnation,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        let node = Sessions::new(A, &Config { role, ..Config::default() });
        let mut machine = Self { node, role, incarnation: 0, log: Vec::new() };
        machine.restart();
        machine
    }

    fn restart(&mut self) -> Vec<Effect<Sessions>> {
        self.incarnation += 1;
        self.node = Sessions::new(A, &Config { role: self.role, ..Config::default() });
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn run(&mut self, handler: impl FnOnce(&mut Sessions, &mut Context)) -> Vec<Effect<Sessions>> {
        let mut cx = Cx::new(Here { me: A, incarnation: self.incarnation, ..Here::default() });
        handler(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Persist(record) | Effect::Force(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects
    }

    fn tell(&mut self, from: NodeId, msg: Msg) -> Vec<Effect<Sessions>> {
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    fn ask(&mut self, call: u32, op: Op) -> Vec<Effect<Sessions>> {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn sessions(&self) -> Vec<u64> {
        match self.node.view() {
            View::Device { sessions, .. } => sessions.into_values().collect(),
            View::Durable => Vec::new(),
        }
    }

    /// A device with session 1.
    fn device() -> Self {
        let mut device = Self::new(Role::Device);
        device.ask(1, Op::Login(U));
        device.tell(SERVER, granted(1, 1));
        assert_eq!(device.sessions(), [1]);
        device
    }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn login(call: u32, life: Incarnation) -> Msg {
    Msg::Login { account: U, request: request(call), life }
}

fn granted(call: u32, epoch: u64) -> Msg {
    Msg::Granted { account: U, request: request(call), life: 1, epoch }
}

fn act(call: u32, epoch: u64) -> Msg {
    Msg::Act { account: U, request: request(call), epoch }
}

fn out(epoch: u64) -> Msg {
    Msg::Out { account: U, epoch }
}

fn logout(call: u32, epoch: u64) -> Msg {
    Msg::Logout { account: U, request: request(call), epoch }
}

fn sent(effects: &[Effect<Sessions>]) -> Vec<(NodeId, Msg)> {
    let msg = |effect: &Effect<Sessions>| match effect {
        Effect::Send(to, msg) => Some((*to, msg.clone())),
        _ => None,
    };
    effects.iter().filter_map(msg).collect()
}

fn forces(effects: &[Effect<Sessions>]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Force(_))).count()
}

fn told(effects: &[Effect<Sessions>]) -> Option<Answer<Ret>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(_, answer) => Some(answer.clone()),
        _ => None,
    })
}

#[test]
fn l1_an_epoch_is_forced_before_it_leaves() {
    let mut server = Machine::new(Role::Server);
    let effects = server.tell(A, login(1, 1));
    assert!(matches!(&effects[..], [Effect::Force(_), Effect::Send(A, _)]), "{effects:?}");
    assert_eq!(sent(&effects), [(A, granted(1, 1))]);
    server.restart();
    assert_eq!(sent(&server.tell(B, login(2, 1)))[0], (B, granted(2, 2)));
}

#[test]
fn l2_a_copy_of_a_login_gets_the_same_epoch() {
    let mut server = Machine::new(Role::Server);
    server.tell(A, login(1, 1));
    let copy = server.tell(A, login(1, 1));
    assert_eq!((forces(&copy), sent(&copy)), (0, vec![(A, granted(1, 1))]));
    assert_eq!(sent(&server.tell(B, login(1, 1)))[0], (B, granted(1, 2)), "another device");
    let later = Msg::Granted { account: U, request: request(1), life: 2, epoch: 3 };
    assert_eq!(sent(&server.tell(A, login(1, 2)))[0], (A, later), "a later life");
    server.tell(A, login(4, 2));
    let stale = Msg::Stale { request: request(3) };
    assert_eq!(sent(&server.tell(A, login(3, 2))), [(A, stale)]);
}

#[test]
fn l3_a_logout_is_compared() {
    let mut server = Machine::new(Role::Server);
    server.tell(A, login(1, 1));
    server.tell(B, login(2, 1));
    let ended = |call, epoch| vec![(A, Msg::Ended { request: request(call), epoch })];
    let late = server.tell(A, logout(3, 1));
    assert_eq!((forces(&late), sent(&late)), (0, ended(3, 1)));
    let own = server.tell(A, logout(4, 2));
    assert_eq!((forces(&own), sent(&own)), (1, ended(4, 2)));
}

#[test]
fn l4_who_is_out_is_told_until_it_knows() {
    let mut server = Machine::new(Role::Server);
    server.tell(A, login(1, 1));
    assert_eq!(sent(&server.tell(B, login(2, 1))), [(B, granted(2, 2)), (A, out(1))]);
    let tell =
        |server: &mut Machine| sent(&server.run(|node, cx| node.on_timer(Timer::Tell(U, A), cx)));
    assert_eq!(tell(&mut server), [(A, out(1))]);
    assert_eq!(sent(&server.restart()), [(A, out(1))]);
    server.tell(A, Msg::Known { account: U, epoch: 1 });
    assert_eq!(tell(&mut server), []);
    assert_eq!(sent(&server.restart()), []);
}

#[test]
fn l5_a_session_that_has_ended_never_begins() {
    let mut device = Machine::new(Role::Device);
    device.ask(1, Op::Login(U));
    assert_eq!(sent(&device.tell(SERVER, out(1))), [(SERVER, Msg::Known { account: U, epoch: 1 })]);
    assert!(told(&device.tell(SERVER, granted(1, 1))).is_some(), "it was granted");
    assert_eq!(device.sessions(), []);
    let mut device = Machine::device();
    device.ask(2, Op::Logout(U));
    device.ask(1, Op::Login(U));
    device.tell(SERVER, granted(1, 1));
    assert_eq!(device.sessions(), [], "a copy of the login, behind the logout");
}

/// What a session's end was is forgotten in a crash, and so is what it began with.
#[test]
fn l5_a_later_life_hears_no_granted_to_an_earlier_one() {
    let mut device = Machine::device();
    device.ask(2, Op::Logout(U));
    device.restart();
    device.ask(1, Op::Login(U));
    assert_eq!(told(&device.tell(SERVER, granted(1, 1))), None);
    assert_eq!(device.sessions(), []);
    device.tell(SERVER, Msg::Granted { account: U, request: request(1), life: 2, epoch: 2 });
    assert_eq!(device.sessions(), [2]);
}

#[test]
fn l5_it_ends_with_the_news_of_a_later_one() {
    let mut device = Machine::device();
    device.tell(SERVER, out(1));
    assert_eq!(device.sessions(), []);
    let mut device = Machine::device();
    device.ask(2, Op::Act(U));
    let refused = |epoch| Msg::Refused { request: request(2), epoch };
    assert_eq!(told(&device.tell(RESOURCE, refused(0))), None, "a copy of it, in an earlier one");
    let refused = device.tell(RESOURCE, refused(1));
    assert!(matches!(told(&refused), Some(Answer::Fail(_))));
    assert_eq!(device.sessions(), []);
    let mut device = Machine::device();
    device.ask(2, Op::Login(U));
    device.tell(SERVER, granted(2, 2));
    device.tell(SERVER, out(1));
    assert_eq!(device.sessions(), [2], "of an earlier one: it stays");
}

#[test]
fn l6_an_act_needs_a_session() {
    let mut device = Machine::device();
    assert_eq!(sent(&device.ask(2, Op::Act(U))), [(RESOURCE, act(2, 1))]);
    let mut stranger = Machine::new(Role::Device);
    let effects = stranger.ask(2, Op::Act(U));
    assert!(matches!(told(&effects), Some(Answer::Fail(_))) && sent(&effects).is_empty());
}

#[test]
fn l7_an_act_of_an_earlier_session_is_refused() {
    let mut resource = Machine::new(Role::Resource);
    let done = |call, epoch| vec![(A, Msg::Done { request: request(call), epoch })];
    let first = resource.tell(A, act(1, 2));
    assert_eq!((forces(&first), sent(&first)), (1, done(1, 2)));
    resource.restart();
    let late = resource.tell(A, act(2, 1));
    let refused = Msg::Refused { request: request(2), epoch: 1 };
    assert_eq!((forces(&late), sent(&late)), (0, vec![(A, refused)]));
    assert_eq!(sent(&resource.tell(A, act(3, 2))), done(3, 2), "of the same: done");
}

#[test]
fn l8_a_copy_of_an_act_is_answered_and_not_done_again() {
    let mut resource = Machine::new(Role::Resource);
    resource.tell(A, act(2, 1));
    for epoch in [1, 3] {
        let copy = resource.tell(B, act(2, epoch));
        let done = Msg::Done { request: request(2), epoch: 1 };
        assert_eq!((forces(&copy), sent(&copy)), (0, vec![(B, done)]));
    }
    let older = resource.tell(A, act(1, 1));
    assert_eq!(sent(&older), [(A, Msg::Stale { request: request(1) })]);
}
