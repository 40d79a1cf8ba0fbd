//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};

type Effects = Vec<Effect<AntiEntropy>>;

const ANN: NodeId = NodeId(0);
const BOB: NodeId = NodeId(1);
const CAROL: NodeId = NodeId(2);
const CLIENT: NodeId = NodeId(9);
const KEY: Key = Key(0);
const INTERVAL: Duration = Duration::from_millis(50);
const THOUGHT: Duration = Duration::from_millis(5);

fn config() -> Config {
    let unit = Duration::from_millis(10);
    Config { replicas: 3, unit, interval: INTERVAL, thought: THOUGHT }
}

fn request(call: u32) -> RequestId {
    RequestId { client: CLIENT, call }
}

fn dot(node: NodeId, nth: u64) -> Dot {
    Dot { node, nth }
}

fn seen(dots: &[Dot]) -> Seen {
    let mut seen = Seen::default();
    dots.iter().for_each(|dot| seen.add(*dot));
    seen
}

/// A replica, its clock in units of stamps, and the log that it writes.
struct Machine {
    node: AntiEntropy,
    life: node::Incarnation,
    wall: u64,
    log: Vec<Record>,
}

impl Machine {
    fn new(me: NodeId) -> Self {
        let node = AntiEntropy::new(me, &config());
        let mut machine = Self { node, life: 0, wall: 1_000, log: Vec::new() };
        machine.restart();
        machine
    }

    fn run(&mut self, f: impl FnOnce(&mut AntiEntropy, &mut Context)) -> Effects {
        let wall_nanos = self.wall * 10_000_000;
        let mut cx = Cx::new(Here { incarnation: self.life, wall_nanos, ..Here::default() });
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) | Effect::Persist(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Mark(_))).collect()
    }

    fn restart(&mut self) {
        self.node = AntiEntropy::new(self.node.me, &config());
        self.life += 1;
        let log = self.log.clone();
        let round = Effect::SetTimer { after: INTERVAL, timer: Timer::Round, background: true };
        assert_eq!(self.run(|node, cx| node.on_start(&log, cx)), [round]);
    }

    fn ask(&mut self, call: u32, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn hear(&mut self, from: NodeId, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(from, msg, cx))
    }

    /// What it sends upon a message, which is at most one.
    fn answer(&mut self, from: NodeId, msg: Msg) -> Option<Msg> {
        let effects = self.hear(from, msg);
        let sent = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send(to, msg) => Some((to, msg)),
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        assert!(sent.len() <= 1 && sent.iter().all(|(to, _)| *to == from), "{sent:?}");
        sent.into_iter().next().map(|(_, msg)| msg)
    }

    fn write(&mut self, call: u32, value: u32) {
        self.ask(call, Op::Write { key: KEY, value });
    }

    fn edit(&mut self, call: u32, value: u32) {
        assert_eq!(self.ask(call, Op::Edit { key: KEY, value }), [thinks(call)]);
        self.save(call);
    }

    fn save(&mut self, call: u32) -> Effects {
        self.run(|node, cx| node.on_timer(Timer::Save(request(call)), cx))
    }

    fn digest(&mut self) -> (NodeId, Msg) {
        let effects = self.run(|node, cx| node.on_timer(Timer::Round, cx));
        let mut sent = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send(to, msg) => Some((to, msg)),
            _ => None,
        });
        sent.next().expect("a round tells somebody")
    }

    /// The values that stand there.
    fn values(&mut self) -> Vec<u32> {
        let effects = self.ask(99, Op::Read { key: KEY });
        let [Effect::Reply(_, Answer::Ok(Ret::Siblings(siblings)))] = &effects[..] else {
            panic!("{effects:?}");
        };
        siblings.iter().map(|sibling| sibling.value).collect()
    }
}

fn thinks(call: u32) -> Effect<AntiEntropy> {
    Effect::SetTimer { after: THOUGHT, timer: Timer::Save(request(call)), background: false }
}

/// The other one turns to this one, until nobody has anything to say.
fn sync(here: &mut Machine, there: &mut Machine) -> Vec<&'static str> {
    let (me, other) = (here.node.me, there.node.me);
    let mut cx = Cx::new(Here { wall_nanos: here.wall * 10_000_000, ..Here::default() });
    let stamp = here.node.tick(&mut cx);
    let mut msg = Some(Msg::Digest { stamp, seen: here.node.store.seen.clone() });
    let mut said = Vec::new();
    while let Some(next) = msg.take() {
        said.push(if matches!(next, Msg::Digest { .. }) { "digest" } else { "delta" });
        msg = match said.len() % 2 {
            1 => there.answer(me, next),
            _ => here.answer(other, next),
        };
    }
    said
}

/// Upon a write: force it, and say so. The bound of its stamp is forced before it.
#[test]
fn a_write_is_on_disk_before_it_is_acknowledged() {
    let mut ann = Machine::new(ANN);
    let version = |nth, stamp, value| Version {
        key: KEY,
        dot: dot(ANN, nth),
        context: Seen::default(),
        stamp,
        value,
    };
    let first = version(1, (1_000, 0, 0), 7);
    let written =
        |call, version| Record::Written { operation: request(call), read: vec![], version };
    let told = |call, nth| Effect::Reply(request(call), Answer::Ok(Ret::Written(dot(ANN, nth))));
    let effects = ann.ask(1, Op::Write { key: KEY, value: 7 });
    let bound = Effect::Force(Record::Reserved(1_100));
    assert_eq!(effects, [bound, Effect::Force(written(1, first)), told(1, 1)]);
    let second = version(2, (1_000, 1, 0), 8);
    let effects = ann.ask(2, Op::Write { key: KEY, value: 8 });
    assert_eq!(effects, [Effect::Force(written(2, second)), told(2, 2)]);
    assert_eq!(ann.ask(1, Op::Write { key: KEY, value: 7 }), [told(1, 1)], "it is done");
    ann.restart();
    assert_eq!(ann.ask(2, Op::Write { key: KEY, value: 8 }), [told(2, 2)], "and stays so");
    assert_eq!(ann.values(), [7, 8]);
}

/// Upon an edit: keep in mind what has been seen; that is what the version takes the place of.
#[test]
fn an_edit_replaces_what_its_editor_has_read() {
    let mut ann = Machine::new(ANN);
    ann.write(1, 1);
    ann.write(2, 2);
    assert_eq!(ann.ask(3, Op::Edit { key: KEY, value: 3 }), [thinks(3)]);
    assert_eq!(ann.ask(3, Op::Edit { key: KEY, value: 3 }), [], "a copy");
    ann.write(4, 4);
    ann.save(3);
    assert_eq!(ann.values(), [4, 3]);
    assert_eq!(ann.save(3), []);
    ann.edit(5, 5);
    assert_eq!(ann.values(), [5]);
}

/// Upon `Digest`: `Delta` if the other one lacks something, `Digest` back if something is missing
/// here. Upon `Delta`: take it, and `Delta` back if the other one lacks something.
#[test]
fn replicas_tell_each_other_what_they_have_missed() {
    let (mut ann, mut bob) = (Machine::new(ANN), Machine::new(BOB));
    assert_eq!(sync(&mut ann, &mut bob), ["digest"], "nothing new");
    ann.write(1, 1);
    assert_eq!(sync(&mut bob, &mut ann), ["digest", "delta"], "turned to its writer");
    assert_eq!(bob.values(), [1]);
    bob.edit(2, 2);
    assert_eq!(sync(&mut bob, &mut ann), ["digest", "digest", "delta"], "its writer turns");
    assert_eq!(ann.values(), [2]);
    ann.edit(3, 3);
    bob.edit(4, 4);
    assert_eq!(sync(&mut ann, &mut bob), ["digest", "delta", "delta"]);
    assert_eq!(ann.values(), bob.values(), "in one order");
    assert_eq!(ann.values().len(), 2);
    bob.edit(5, 5);
    sync(&mut ann, &mut bob);
    assert_eq!((ann.values(), bob.values()), (vec![5], vec![5]));
}

/// What was replaced does not come back, and what comes twice is not taken again.
#[test]
fn an_old_delta_brings_nothing_back() {
    let (mut ann, mut bob) = (Machine::new(ANN), Machine::new(BOB));
    ann.write(1, 1);
    let empty = Msg::Digest { stamp: (1_000, 0, 1), seen: Seen::default() };
    let old = ann.answer(BOB, empty).expect("a delta");
    bob.hear(ANN, old.clone());
    bob.edit(2, 2);
    let forced = bob.log.len();
    bob.hear(ANN, old);
    assert_eq!(bob.values(), [2]);
    assert_eq!(bob.log.len(), forced);
}

/// Upon `Delta`: force it before anything else leaves.
#[test]
fn what_has_come_is_on_disk_before_it_is_told_of() {
    let (mut ann, mut bob) = (Machine::new(ANN), Machine::new(BOB));
    ann.write(1, 1);
    bob.write(1, 2);
    let empty = Msg::Digest { stamp: (1_000, 0, 1), seen: Seen::default() };
    let delta = ann.answer(BOB, empty).expect("a delta");
    let effects = bob.hear(ANN, delta);
    let [Effect::Force(Record::Merged { seen: merged, .. }), Effect::Send(ANN, Msg::Delta { .. })] =
        &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(*merged, seen(&[dot(ANN, 1)]));
    bob.restart();
    assert_eq!(bob.node.store.seen, seen(&[dot(ANN, 1), dot(BOB, 1)]));
    assert_eq!(bob.values().len(), 2);
    bob.write(2, 3);
    assert_eq!(bob.node.store.seen.of(BOB), 2, "its own writes go on from where they were");
}

/// From time to time, to one of the others after another.
#[test]
fn rounds_go_round() {
    let mut bob = Machine::new(BOB);
    let told: Vec<NodeId> = (0..4).map(|_| bob.digest().0).collect();
    assert!(told == [ANN, CAROL, ANN, CAROL] || told == [CAROL, ANN, CAROL, ANN], "{told:?}");
}

/// A message whose stamp is more than 500 units ahead of the wall clock here is refused.
#[test]
fn who_is_too_far_ahead_is_refused() {
    let (mut ann, mut bob) = (Machine::new(ANN), Machine::new(BOB));
    bob.wall = 1_501;
    bob.write(1, 1);
    assert_eq!(sync(&mut bob, &mut ann), ["digest"]);
    assert_eq!((ann.node.store.seen.of(BOB), ann.node.view.refused), (0, Some(Duration::ZERO)));
    ann.wall = 1_002;
    assert_eq!(sync(&mut bob, &mut ann), ["digest", "digest", "delta"]);
    assert_eq!(ann.values(), [1]);
}

/// The bound below which a life's stamps stay is forced before a stamp goes out.
#[test]
fn a_later_life_stamps_later() {
    let mut ann = Machine::new(ANN);
    let stamp = |ann: &mut Machine| match ann.digest().1 {
        Msg::Digest { stamp, .. } | Msg::Delta { stamp, .. } => stamp,
    };
    assert_eq!(stamp(&mut ann), (1_000, 0, 0));
    ann.wall = 20;
    assert_eq!(stamp(&mut ann), (1_000, 1, 0));
    ann.restart();
    assert_eq!(stamp(&mut ann), (1_100, 1, 0));
    ann.restart();
    assert_eq!(stamp(&mut ann), (1_200, 1, 0));
}
