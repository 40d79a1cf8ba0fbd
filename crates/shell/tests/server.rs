//! One life of a node, step by step: what happens, in which order, and what a crash leaves.

#[path = "common/memory.rs"]
mod memory;
#[path = "common/script.rs"]
mod script;

use memory::{Failure, Memory, now};
use node::{Answer, Context, Effect, Incarnation, MutationKind, NodeId, RequestId, Step, StepId};
use proptest::prelude::*;
use script::{Do, Jumping, Puppet, Said, Script, Timer};
use shell::log::{self, Log};
use shell::{Clock, Disk, Edge, End, Error, Event, Identity, Observer, Refused, Server};
use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn identity() -> Identity {
    Identity { scenario: "puppet".to_owned(), cluster: 0, node: NodeId(0) }
}

/// A cluster of three; clients from 3 on.
fn server<D, O>(net: &Script, disk: D, observer: O) -> Server<Puppet, Script, D, Jumping, O> {
    Server {
        identity: identity(),
        config: vec![],
        servers: 3,
        seed: 9,
        mutant: None,
        transport: net.clone(),
        disk,
        clock: net.clock.clone(),
        observer,
    }
}

/// Runs a life until a time.
fn live<D: Disk, O: Observer<Puppet>>(
    server: Server<Puppet, Script, D, Jumping, O>,
    until: u64,
) -> Result<End, Error> {
    let clock = server.clock.clone();
    let waiting = clock.clone();
    clock.run(server.run(async move { waiting.sleep_until(MS(until)).await }))
}

/// What the next life would find.
fn records(disk: &Memory) -> Vec<u8> {
    now(Log::open(disk.clone(), &identity())).expect("a log").1.records
}

/// Writes down all that it sees, and breaks the life off after so many edges.
#[derive(Clone)]
struct Diary {
    lines: Rc<RefCell<Vec<String>>>,
    left: Option<usize>,
}

impl Diary {
    fn new(left: Option<usize>) -> Self {
        Self { lines: Rc::default(), left }
    }

    fn note(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}

impl Observer<Puppet> for Diary {
    fn booted(&mut self, incarnation: Incarnation, log: &[u8]) {
        self.note(format!("life {incarnation} with {log:?}"));
    }

    fn event(&mut self, event: &Event<Puppet>) {
        self.note(match event {
            Event::Request(request, _) => format!("{request:?}"),
            Event::Message(from, _) => format!("from {from}"),
            Event::Timer(_) => "timer".to_owned(),
        });
    }

    fn handled(&mut self, _: &Puppet, context: &Context) {
        self.note(format!("handled at {} ms", context.now_nanos / 1_000_000));
    }

    async fn effect(
        &mut self,
        edge: Edge,
        effect: &Effect<Puppet>,
        place: &'static Location<'static>,
    ) -> ControlFlow<()> {
        assert!(place.file().ends_with("script.rs"), "{place}");
        self.note(format!("{edge:?} {:?}", effect.kind()));
        match &mut self.left {
            None => {}
            Some(0) => return ControlFlow::Break(()),
            Some(left) => *left -= 1,
        }
        ControlFlow::Continue(())
    }

    fn refused(&mut self, from: NodeId, why: &Refused) {
        self.note(format!("refused {from}: {why}"));
    }
}

#[test]
fn effects_happen_one_by_one_in_their_order() {
    let (net, disk, diary) = (Script::default(), Memory::new(), Diary::new(None));
    let acts = [
        Do::Persist(1),
        Do::Send(1, vec![]),
        Do::Force(2),
        Do::Step(7),
        Do::Reply(3),
        Do::Snapshot(vec![4, 5]),
    ];
    net.ask(5, 3, 8, &acts);
    assert_eq!(
        live(server(&net, disk.clone(), diary.clone()), 10).expect("no failure"),
        End::Stopped
    );
    let expected = "\
        life 1 with [] | handled at 0 ms | n3#8 | handled at 5 ms | \
        Before Persist | After Persist | Before Send | After Send | \
        Before Force | During Force | After Force | \
        Before Invoke | After Invoke | Before Complete | After Complete | \
        Before Mark | After Mark | \
        Before Reply | After Reply | \
        Before Snapshot | During Snapshot | After Snapshot";
    assert_eq!(diary.lines.borrow().join(" | "), expected);
    let answer = Said::Answer { call: 8, answer: Answer::Ok(3), life: 1, nth: 0 };
    assert_eq!(net.said(), [(5, 1, Said::Peer(vec![])), (5, 3, answer)]);
    assert_eq!(records(&disk), [4, 5]);
}

#[test]
fn steps_are_numbered_through_a_life() {
    type Seen = Vec<(StepId, Option<Step<u8>>)>;
    struct Steps(Rc<RefCell<Seen>>);
    impl Observer<Puppet> for Steps {
        async fn effect(
            &mut self,
            edge: Edge,
            effect: &Effect<Puppet>,
            _: &'static Location<'static>,
        ) -> ControlFlow<()> {
            match effect {
                Effect::Invoke(step, _) if edge == Edge::After => {
                    self.0.borrow_mut().push((*step, None));
                }
                Effect::Complete(step, outcome) if edge == Edge::After => {
                    self.0.borrow_mut().push((*step, Some(outcome.clone())));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let (net, seen) = (Script::default(), Rc::default());
    net.tell(1, 1, &[Do::Step(1), Do::Step(2)]);
    net.tell(2, 1, &[Do::Step(3)]);
    live(server(&net, Memory::new(), Steps(Rc::clone(&seen))), 5).expect("no failure");
    let step = |nth| StepId { incarnation: 1, nth };
    let expected = (0..3).flat_map(|n| [(step(n), None), (step(n), Some(Step::Ok(n as u8 + 1)))]);
    assert_eq!(*seen.borrow(), expected.collect::<Vec<_>>());
}

/// Broken off at each edge in turn: what came before it has happened, and nothing after.
#[test]
fn a_life_ends_at_any_edge() {
    let acts = [
        Do::Persist(1),
        Do::Send(1, vec![]),
        Do::Force(2),
        Do::Send(2, vec![]),
        Do::Snapshot(vec![3]),
        Do::Send(1, vec![]),
    ];
    // Edges: Persist 0–1, Send 2–3, Force 4–6, Send 7–8, Snapshot 9–11, Send 12–13.
    for edge in 0..14 {
        let (net, disk) = (Script::default(), Memory::new());
        net.tell(1, 1, &acts);
        let end = live(server(&net, disk.clone(), Diary::new(Some(edge))), 5);
        assert_eq!(end.expect("no failure"), End::Broken);
        let sent = [2, 7, 12].iter().filter(|before| edge > **before).count();
        assert_eq!(net.said().len(), sent, "edge {edge}");
        // The process is dead, the machine goes on.
        let log: &[u8] = match edge {
            0 => &[],
            1..=4 => &[1],
            5..=10 => &[1, 2],
            _ => &[3],
        };
        assert_eq!(records(&disk), log, "edge {edge}");
        // And now the machine as well: what was not synced may be gone.
        let (net, disk) = (Script::default(), Memory::new());
        net.tell(1, 1, &acts);
        live(server(&net, disk.clone(), Diary::new(Some(edge))), 5).expect("no failure");
        disk.lose_power(&mut node::Dice::new(edge as u64));
        let found = records(&disk);
        let synced: &[u8] = match edge {
            0..=5 => &[],
            6..=10 => &[1, 2],
            _ => &[3],
        };
        assert!(found.starts_with(synced) && log.starts_with(&found), "edge {edge}: {found:?}");
    }
}

#[test]
fn a_sync_that_fails_ends_the_life_before_anything_else() {
    for failure in [Failure::Lost, Failure::Kept, Failure::Vanishing] {
        for forced in [Do::Force(2), Do::Snapshot(vec![2])] {
            let (net, disk) = (Script::default(), Memory::new());
            net.tell(1, 1, &[Do::Force(1)]);
            live(server(&net, disk.clone(), ()), 2).expect("no failure");
            net.tell(3, 1, &[Do::Send(1, vec![]), forced.clone(), Do::Send(2, vec![])]);
            let failing = Failing(disk.clone(), failure);
            let error = live(server(&net, disk.clone(), failing), 5).expect_err("a failed sync");
            assert!(matches!(error, Error::Log(log::Error::Io { doing: "sync", .. })), "{error}");
            assert_eq!(net.said().len(), 1, "nothing leaves after it");
            disk.lose_power(&mut node::Dice::new(1));
            let found = records(&disk);
            assert!(found.starts_with(&[1]) || found == [2], "{found:?}");
        }
    }
}

/// Lets the sync fail when it is about to begin.
struct Failing(Memory, Failure);

impl Observer<Puppet> for Failing {
    async fn effect(
        &mut self,
        edge: Edge,
        _: &Effect<Puppet>,
        _: &'static Location<'static>,
    ) -> ControlFlow<()> {
        if edge == Edge::During {
            self.0.fail_sync(self.1);
        }
        ControlFlow::Continue(())
    }
}

/// A disk that takes its time.
struct Slow(Memory, Jumping);

impl Disk for Slow {
    fn place(&self, name: &str) -> String {
        self.0.place(name)
    }

    async fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(name).await
    }

    async fn create(&mut self, name: &str) -> io::Result<()> {
        self.0.create(name).await
    }

    async fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append(name, bytes).await
    }

    async fn sync(&mut self, name: &str) -> io::Result<()> {
        self.1.sleep_until(self.1.now() + MS(100)).await;
        self.0.sync(name).await
    }

    async fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to).await
    }

    async fn sync_names(&mut self) -> io::Result<()> {
        self.0.sync_names().await
    }
}

#[test]
fn while_a_sync_is_slow_the_next_event_waits() {
    let (net, disk, diary) = (Script::default(), Memory::new(), Diary::new(None));
    let slow = Slow(disk, net.clock.clone());
    // The start takes 100 ms: it forces the number of the life.
    net.tell(110, 1, &[Do::SetTimer(20, Timer(vec![])), Do::Force(1), Do::Send(1, vec![])]);
    net.tell(120, 2, &[Do::CancelTimer(Timer(vec![]))]);
    live(server(&net, slow, diary.clone()), 400).expect("no failure");
    assert_eq!(net.said()[0].0, 210);
    let lines = diary.lines.borrow().join(" | ");
    assert!(
        lines.contains("During Force | After Force | Before Send | After Send | timer"),
        "{lines}"
    );
    assert!(
        lines.ends_with("from n2 | handled at 210 ms | Before CancelTimer | After CancelTimer")
    );
}

#[test]
fn timers_are_keyed_by_value_and_go_with_their_life() {
    let (net, disk) = (Script::default(), Memory::new());
    let timer = |to| Timer(vec![Do::Send(to, vec![])]);
    net.tell(0, 1, &[Do::SetTimer(10, timer(1)), Do::SetTimer(20, timer(2))]);
    // Set again before it rings, and cancelled.
    net.tell(5, 1, &[Do::SetTimer(10, timer(1)), Do::CancelTimer(timer(2))]);
    net.tell(30, 1, &[Do::SetTimer(50, timer(1))]);
    live(server(&net, disk.clone(), ()), 60).expect("no failure");
    live(server(&net, disk, ()), 200).expect("no failure");
    assert_eq!(net.said(), [(15, 1, Said::Peer(vec![]))]);
}

/// A timer that sets itself again at once, and a node that tells itself things for ever, keep
/// nobody else from being heard.
#[test]
fn nobody_starves() {
    fn for_ever(depth: u32) -> Vec<Do> {
        let mut acts = vec![];
        for _ in 0..depth {
            acts = vec![Do::SetTimer(0, Timer(acts.clone())), Do::Send(0, acts)];
        }
        acts
    }
    let (net, diary) = (Script::default(), Diary::new(None));
    net.tell(0, 1, &for_ever(8));
    net.tell(0, 2, &[Do::Send(1, vec![])]);
    live(server(&net, Memory::new(), diary.clone()), 1).expect("no failure");
    let lines = diary.lines.borrow();
    let heard = lines.iter().position(|line| line == "from n2").expect("it is heard");
    let events = lines[..heard].iter().filter(|line| line.starts_with("handled")).count();
    assert!(events < 6, "{events} events before it");
}

#[test]
fn a_life_has_a_number_and_dice_of_its_own() {
    let draw = |seed, lives: usize| {
        let (net, disk) = (Script::default(), Memory::new());
        for life in 1..=lives {
            net.tell(life as u64 * 10, 1, &[Do::Draw(1)]);
            net.tell(life as u64 * 10, 1, &[Do::Draw(1), Do::Draw(1)]);
            let mut server = server(&net, disk.clone(), Diary::new(None));
            server.seed = seed;
            let diary = server.observer.clone();
            live(server, life as u64 * 10 + 5).expect("no failure");
            assert!(diary.lines.borrow()[0].starts_with(&format!("life {life} with")));
        }
        net.said().into_iter().map(|(_, _, said)| said).collect::<Vec<_>>()
    };
    let drawn = draw(1, 3);
    assert_eq!(drawn, draw(1, 3));
    assert_ne!(drawn, draw(2, 3));
    assert_eq!(drawn.len(), 9);
    assert!(drawn[..3] != drawn[3..6] && drawn[3..6] != drawn[6..], "{drawn:?}");
    assert!(drawn[0] != drawn[1] || drawn[1] != drawn[2], "{drawn:?}");
}

#[test]
fn frames_that_say_nothing_here_are_refused() {
    let (net, diary) = (Script::default(), Diary::new(None));
    net.arrive(1, 1, b"garbage".as_slice());
    net.arrive(2, 1, script::answer(1, Answer::Ok(1), 1, 1));
    net.ask(3, 1, 0, &[Do::Reply(1)]);
    net.tell(4, 3, &[Do::Force(1)]);
    let mut flipped = Said::Peer(vec![Do::Force(1)]).encode().to_vec();
    flipped[2] ^= 8;
    net.arrive(5, 2, flipped);
    // A first frame, where a later one is expected.
    let mut hello = b"TRIB\x01\x00".to_vec();
    codec::encode_into(&(identity(), NodeId(0)), &mut hello);
    net.arrive(6, 2, hello);
    live(server(&net, Memory::new(), diary.clone()), 10).expect("no failure");
    let lines = diary.lines.borrow();
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert!(lines[2].starts_with("refused n1: version 103, expected 1"));
    assert_eq!(lines[3], "refused n1: an answer: nodes ask nothing");
    assert_eq!(lines[4], "refused n1: a client's request, from a node");
    assert_eq!(lines[5], "refused n3: a message between nodes, from a client");
    assert!(lines[6].starts_with("refused n2: checksum"));
    assert!(lines[7].starts_with("refused n2: version 84, expected 1"));
    assert_eq!(*net.distrusted.borrow(), [1, 1, 1, 3, 2, 2].map(NodeId));
    assert_eq!(net.said(), []);
}

#[test]
fn a_node_that_speaks_to_nobody_is_a_bug_of_its_protocol() {
    for (acts, why) in [
        (Do::Send(3, vec![]), "n0 sends to n3, the cluster has 3 nodes"),
        (
            Do::Answer(RequestId { client: NodeId(2), call: 4 }, 1),
            "n0 answers n2#4, which no client has asked",
        ),
    ] {
        let net = Script::default();
        net.tell(1, 1, &[acts]);
        let error = live(server(&net, Memory::new(), ()), 5).expect_err("a bug");
        assert_eq!(error.to_string(), format!("a bug in the protocol: {why}"));
    }
}

#[test]
fn a_planted_bug_has_its_way() {
    let run = |kind: Option<MutationKind>| {
        let (net, disk) = (Script::default(), Memory::new());
        net.tell(1, 1, &[Do::Force(1), Do::Send(1, vec![])]);
        let mut server = server(&net, disk.clone(), Diary::new(None));
        server.mutant = kind.map(Into::into);
        let diary = server.observer.clone();
        live(server, 5).expect("no failure");
        let lines = diary.lines.borrow();
        let effects = lines.iter().filter_map(|line| line.strip_prefix("Before "));
        effects.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run(None), "Force Send");
    assert_eq!(run(Some(MutationKind::DropForce)), "Send");
    assert_eq!(run(Some(MutationKind::PersistInsteadOfForce)), "Persist Send");
    assert_eq!(run(Some(MutationKind::SendBeforeForce)), "Send Force");
    assert_eq!(run(Some(MutationKind::HandleTwice)), "Force Send Force Send");
}

#[test]
fn a_node_that_is_asked_to_stop_syncs_what_it_has_written() {
    let (net, disk) = (Script::default(), Memory::new());
    net.tell(1, 1, &[Do::Persist(1), Do::Persist(2)]);
    assert_eq!(live(server(&net, disk.clone(), ()), 5).expect("no failure"), End::Stopped);
    disk.lose_power(&mut node::Dice::new(3));
    assert_eq!(records(&disk), [1, 2]);
}

fn write() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => any::<u8>().prop_map(Do::Persist),
        2 => any::<u8>().prop_map(Do::Force),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Do::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Random writes, a life that ends at a random edge, and power that may go with it: the next
    /// life finds what was synced, and of the rest a prefix.
    #[test]
    fn the_next_life_finds_what_was_synced(
        acts in prop::collection::vec(write(), 1..12), edge in 0..24usize, power: bool, key: u64,
    ) {
        let (net, disk, diary) = (Script::default(), Memory::new(), Diary::new(Some(edge)));
        net.tell(1, 1, &acts);
        live(server(&net, disk.clone(), diary.clone()), 5).expect("no failure");
        if power {
            disk.lose_power(&mut node::Dice::new(key));
        }
        let (mut written, mut synced) = (Vec::new(), 0);
        let lines = diary.lines.borrow();
        let words = lines.iter().filter_map(|line| line.split_once(' ')).map(|(word, _)| word);
        let edges = words.filter(|word| ["Before", "During", "After"].contains(word));
        let mut edges = edges.take(edge).peekable();
        for act in &acts {
            if edges.next().is_none() {
                break;
            }
            let during = edges.next_if_eq(&"During").is_some();
            let after = edges.next_if_eq(&"After").is_some();
            // An effect begins as soon as its observer lets it.
            match act {
                Do::Persist(record) | Do::Force(record) => written.push(*record),
                Do::Snapshot(records) if during => written.clone_from(records),
                _ => {}
            }
            if during && matches!(act, Do::Force(_) | Do::Snapshot(_)) {
                synced = written.len();
            }
            if !after {
                break;
            }
        }
        let found = records(&disk);
        prop_assert!(written.starts_with(&found), "{found:?} of {written:?}");
        let least = if power { synced } else { written.len() };
        prop_assert!(found.len() >= least, "{found:?} of {written:?}, {synced} synced");
    }
}
