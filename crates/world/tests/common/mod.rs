//! A node that does what it is told, and the cases that tell it: every message and operation
//! carries a script, so a test spells out its own protocol in one line.

#![allow(dead_code, reason = "each test file uses its own part")]

use node::{Cx, EffectKind, Node, NodeId, RequestId, Step, StepId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use world::case::{CASE_VERSION, Clients};
use world::{
    Call, CaseOf, Edge, EffectPattern, Fault, FaultKind, Happening, Kind, Network, Place, Scene,
    Seed, World,
};

/// One line of a script.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Do {
    Persist(u32),
    Force(u32),
    Snapshot(Vec<u32>),
    /// A message to a node, and what it does there.
    Send(u16, Vec<Do>),
    /// After so many milliseconds on the node's own clock; the name makes the timer's value.
    Timer(u64, u8, Vec<Do>),
    Background(u64, u8, Vec<Do>),
    Cancel(u8, Vec<Do>),
    Ok(u32),
    Fail,
    Retry(Option<u16>),
    /// Remembers the number, until the process ends.
    Note(u32),
    /// Remembers what the clock shows, in milliseconds.
    Now,
    Wall,
    /// Remembers a draw.
    Roll,
    /// Begins a step of a role's own.
    Invoke,
    /// Ends the steps that are open.
    Complete(Ending),
    Mark,
    /// Answers a request that was never made.
    Lie(u16, u32),
    /// What only that node does.
    Only(u16, Vec<Do>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ending {
    Ok,
    Fail,
    Info,
}

/// What travels between nodes: a script, and the request that it belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tell(pub Option<RequestId>, pub Vec<Do>);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Alarm(pub u8, pub Option<RequestId>, pub Vec<Do>);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rec(pub u32);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Script(pub Vec<Do>);

/// A node that runs scripts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Puppet {
    start: Vec<Do>,
    /// What it read from its log when it started.
    pub log: Vec<u32>,
    pub incarnation: u32,
    /// When (on its own clock, in milliseconds), and what it noted.
    pub notes: Vec<(u64, u64)>,
    open: Vec<StepId>,
}

impl Puppet {
    fn play(&mut self, request: Option<RequestId>, script: Vec<Do>, cx: &mut Cx<Self>) {
        let at = cx.context.now_nanos / 1_000_000;
        for line in script {
            match line {
                Do::Persist(n) => cx.persist(Rec(n)),
                Do::Force(n) => cx.force(Rec(n)),
                Do::Snapshot(all) => cx.snapshot(all.into_iter().map(Rec).collect()),
                Do::Send(to, then) => cx.send(NodeId(to), Tell(request, then)),
                Do::Timer(after, name, then) => {
                    cx.set_timer(Duration::from_millis(after), Alarm(name, request, then));
                }
                Do::Background(after, name, then) => {
                    let after = Duration::from_millis(after);
                    cx.set_background_timer(after, Alarm(name, request, then));
                }
                Do::Cancel(name, then) => cx.cancel_timer(Alarm(name, request, then)),
                Do::Ok(ret) => request.into_iter().for_each(|r| cx.reply(r, ret)),
                Do::Fail => request.into_iter().for_each(|r| cx.fail(r, "no")),
                Do::Retry(hint) => {
                    request.into_iter().for_each(|r| cx.retry(r, hint.map(NodeId)));
                }
                Do::Note(n) => self.notes.push((at, n.into())),
                Do::Now => self.notes.push((at, cx.now().as_millis() as u64)),
                Do::Wall => self.notes.push((at, cx.wall().as_millis() as u64)),
                Do::Roll => self.notes.push((at, cx.dice().bits())),
                Do::Invoke => self.open.push(cx.invoke(Script(Vec::new()))),
                Do::Complete(ending) => {
                    for step in self.open.drain(..) {
                        let outcome = match ending {
                            Ending::Ok => Step::Ok(0),
                            Ending::Fail => Step::Fail("no".into()),
                            Ending::Info => Step::Info,
                        };
                        cx.complete(step, outcome);
                    }
                }
                Do::Mark => cx.mark("reached"),
                Do::Only(node, then) if cx.me() == NodeId(node) => self.play(request, then, cx),
                Do::Only(..) => {}
                Do::Lie(client, call) => cx.reply(RequestId { client: NodeId(client), call }, 0),
            }
        }
    }

    /// What it noted, without the times.
    pub fn noted(&self) -> Vec<u64> {
        self.notes.iter().map(|(_, note)| *note).collect()
    }
}

impl Node for Puppet {
    /// What the node does at every start.
    type Config = Vec<Do>;
    type Op = Script;
    type Ret = u32;
    type Msg = Tell;
    type Record = Rec;
    type Timer = Alarm;

    fn new(_: NodeId, start: &Vec<Do>) -> Self {
        let (log, notes, open) = Default::default();
        Self { start: start.clone(), log, incarnation: 0, notes, open }
    }

    fn on_start(&mut self, log: &[Rec], cx: &mut Cx<Self>) {
        self.log = log.iter().map(|Rec(n)| *n).collect();
        self.incarnation = cx.incarnation();
        self.play(None, self.start.clone(), cx);
    }

    fn on_request(&mut self, request: RequestId, op: Script, cx: &mut Cx<Self>) {
        self.play(Some(request), op.0, cx);
    }

    fn on_message(&mut self, _: NodeId, msg: Tell, cx: &mut Cx<Self>) {
        self.play(msg.0, msg.1, cx);
    }

    fn on_timer(&mut self, timer: Alarm, cx: &mut Cx<Self>) {
        self.play(timer.1, timer.2, cx);
    }
}

pub type PuppetCase = CaseOf<Puppet>;

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Every message takes exactly 1 ms, and syncs take no time. All faults end at 1 s, the run at 2 s.
/// One client a call, so that no call waits for another.
pub fn case(starts: Vec<Vec<Do>>, calls: Vec<(u64, u16, Vec<Do>)>) -> PuppetCase {
    let calls: Vec<_> = calls
        .into_iter()
        .enumerate()
        .map(|(id, (at, to, script))| Call {
            id: id as u32,
            at: ms(at),
            client: id as u16,
            to: NodeId(to),
            op: Script(script),
        })
        .collect();
    PuppetCase {
        version: CASE_VERSION,
        scenario: "puppets".into(),
        mutant: None,
        seed: Seed(0x29),
        heal_at: ms(1000),
        end_at: ms(2000),
        sync: Duration::ZERO,
        clients: Clients { count: calls.len() as u16, give_up: ms(400), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: starts,
        calls,
        faults: Vec::new(),
    }
}

/// Nodes that do nothing at their start.
pub fn still(nodes: usize, calls: Vec<(u64, u16, Vec<Do>)>) -> PuppetCase {
    case(vec![Vec::new(); nodes], calls)
}

pub trait With {
    fn with(self, place: Place, kind: Kind) -> Self;
}

impl With for PuppetCase {
    fn with(mut self, place: Place, kind: Kind) -> Self {
        let id = 10 + self.faults.len() as u32;
        self.faults.push(Fault { id, place, kind });
        self
    }
}

pub fn at(n: u64) -> Place {
    Place::At(ms(n))
}

/// At the `nth` effect of that kind.
pub fn effect(edge: Edge, node: u16, kind: EffectKind, nth: u32) -> Place {
    let effect = EffectPattern { kind: Some(kind), variant: None };
    Place::Effect { edge, node: NodeId(node), effect, origin: None, nth }
}

pub fn n(node: u16) -> NodeId {
    NodeId(node)
}

/// Runs a case with its trace, checks that the case makes sense and that the digest is the same
/// without a trace.
pub fn run(case: &PuppetCase) -> World<Puppet> {
    case.check().unwrap_or_else(|why| panic!("{why}"));
    run_anyhow(case)
}

fn run_anyhow(case: &PuppetCase) -> World<Puppet> {
    let mut bare: World<Puppet> = World::new(case);
    bare.run();
    let mut world: World<Puppet> = World::new(case);
    world.record();
    world.run();
    assert_eq!(world.digest(), bare.digest(), "recording changes the digest");
    assert_eq!(world.history(), bare.history(), "recording changes the history");
    assert_eq!(world.effective(), bare.effective());
    world
}

/// Runs until that moment.
pub fn run_to(case: &PuppetCase, until: u64) -> World<Puppet> {
    case.check().unwrap_or_else(|why| panic!("{why}"));
    run_anyhow(&PuppetCase { end_at: ms(until), ..case.clone() })
}

/// When (in milliseconds) such events happened on a node.
pub fn times(world: &World<Puppet>, node: u16, what: Happening) -> Vec<u64> {
    let events = world.events().iter().filter(|e| e.node == n(node) && e.what == what);
    events.map(|event| event.at / 1_000_000).collect()
}

pub fn texts(world: &World<Puppet>, node: u16, what: Happening) -> Vec<String> {
    let events = world.events().iter().filter(|e| e.node == n(node) && e.what == what);
    events.map(|event| event.text.clone()).collect()
}

pub fn notes(world: &World<Puppet>, node: u16) -> Vec<u64> {
    world.state(n(node)).map(Puppet::noted).unwrap_or_default()
}

pub fn timed_notes(world: &World<Puppet>, node: u16) -> Vec<(u64, u64)> {
    world.state(n(node)).map(|puppet| puppet.notes.clone()).unwrap_or_default()
}

pub fn log(world: &World<Puppet>, node: u16) -> Vec<u32> {
    world.durable(n(node)).iter().map(|Rec(n)| *n).collect()
}

#[track_caller]
pub fn acts(case: &PuppetCase, kind: FaultKind) -> World<Puppet> {
    let world = run(case);
    assert!(world.effective().has(kind), "{kind} counts as without effect");
    world
}

#[track_caller]
pub fn idles(case: &PuppetCase, kind: FaultKind) -> World<Puppet> {
    let world = run(case);
    assert!(!world.effective().has(kind), "{kind} counts as having had an effect");
    world
}

/// The history in short: "0 invoke", "0 ok 7".
pub fn history(world: &World<Puppet>) -> Vec<String> {
    let events = &world.history().events;
    let line = |event: &history::Event<Script, u32>| match &event.what {
        history::What::Invoke(_) => format!("{} invoke", event.op),
        history::What::Ok(ret) => format!("{} ok {ret}", event.op),
        history::What::Fail(_) => format!("{} fail", event.op),
        history::What::Info => format!("{} info", event.op),
    };
    events.iter().map(line).collect()
}
