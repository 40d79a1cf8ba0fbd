//! A journal that is lived again, and logs that are not what was written.

use super::*;
use crate::journal;
use node::EffectKind;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Case, Clients, Network, Seed};

/// Writes each message down, forces it, and keeps the sum; a request makes a snapshot of it.
struct Summing(u64);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Ring;

impl Node for Summing {
    type Config = u8;
    type Op = u64;
    type Ret = u64;
    type Msg = u64;
    type Record = u64;
    type Timer = Ring;

    fn new(_: NodeId, _: &u8) -> Self {
        Self(0)
    }

    fn on_start(&mut self, log: &[u64], _: &mut Cx<Self>) {
        self.0 = log.iter().sum();
    }

    fn on_request(&mut self, request: RequestId, _: u64, cx: &mut Cx<Self>) {
        let step = cx.invoke(self.0);
        cx.snapshot(vec![self.0]);
        cx.complete(step, Step::Ok(self.0));
        cx.reply(request, self.0);
    }

    fn on_message(&mut self, _: NodeId, number: u64, cx: &mut Cx<Self>) {
        self.0 += number;
        cx.force(number);
        cx.set_timer(Duration::from_millis(5), Ring);
    }

    fn on_timer(&mut self, _: Ring, cx: &mut Cx<Self>) {
        cx.mark("rung");
    }
}

const ME: NodeId = NodeId(0);

fn case() -> CaseOf<Summing> {
    Case {
        version: CASE_VERSION,
        scenario: "summing".into(),
        mutant: None,
        seed: Seed(7),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(2),
        sync: Duration::ZERO,
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network::default(),
        nodes: vec![0],
        calls: Vec::new(),
        faults: Vec::new(),
    }
}

fn told(at: u64, told: ToldTo<Summing>) -> (u64, Moment<Summing>) {
    (at, Moment::Entry(ME, Entry::Told { at, wall: at, told }))
}

fn done(at: u64, kind: EffectKind) -> (u64, Moment<Summing>) {
    (at, Moment::Entry(ME, Entry::Done { at, kind }))
}

fn ask() -> ToldTo<Summing> {
    Told::Request(RequestId { client: NodeId(1), call: 0 }, 0)
}

/// The first life: a record is forced, and what comes after it is killed at some point.
fn first_life(rest: Vec<(u64, Moment<Summing>)>) -> Vec<(u64, Moment<Summing>)> {
    let begin = [
        told(1, Told::Start(1, vec![])),
        told(2, Told::Message(NodeId(0), 4)),
        done(3, EffectKind::Force),
        done(4, EffectKind::SetTimer),
    ];
    let end = (9, Moment::Ended(ME, Some(3)));
    begin.into_iter().chain(rest).chain([end]).collect()
}

/// What a second life that finds this log comes to.
fn reborn(rest: Vec<(u64, Moment<Summing>)>, log: Vec<u64>) -> Result<(u64, u32), &'static str> {
    let case = case();
    let mut stage = Stage::new(&case, false);
    for (at, moment) in &first_life(rest) {
        stage.step(*at, moment).map_err(|wrong| wrong.class)?;
    }
    assert!(stage.state(ME).is_none(), "a dead node shows nothing");
    let (at, moment) = told(10, Told::Start(2, log.clone()));
    stage.step(at, &moment).map_err(|wrong| wrong.class)?;
    assert_eq!(stage.durable(ME), log);
    assert_eq!(stage.deaths, [3]);
    Ok((stage.state(ME).map_or(0, |node| node.0), stage.rewrites(ME)))
}

#[test]
fn a_life_is_lived_again() {
    let case = case();
    let mut stage = Stage::new(&case, true);
    let life = [
        told(1, Told::Start(1, vec![])),
        told(2, Told::Message(NodeId(0), 4)),
        done(3, EffectKind::Force),
        done(4, EffectKind::SetTimer),
    ];
    for (at, moment) in &life {
        stage.step(*at, moment).expect("it fits");
    }
    assert_eq!((stage.durable(ME), stage.changed(), stage.is_waiting()), (&[4][..], None, true));
    let rest = [
        told(9, Told::Timer(Ring)),
        done(10, EffectKind::Mark),
        told(11, ask()),
        done(12, EffectKind::Invoke),
        done(13, EffectKind::Snapshot),
        done(14, EffectKind::Complete),
        done(15, EffectKind::Reply),
    ];
    for (at, moment) in &rest {
        stage.step(*at, moment).expect("it fits");
    }
    assert_eq!((stage.state(ME).map(|node| node.0), stage.rewrites(ME)), (Some(4), 1));
    assert_eq!((stage.marks["rung"], stage.is_waiting()), (1, false));
    let history = stage.history();
    let whats: Vec<_> = history.events.iter().map(|event| (event.at, &event.what)).collect();
    assert_eq!(whats, [(12, &What::Invoke(4)), (14, &What::Ok(4))]);
    assert!(stage.events.is_some_and(|events| events.len() == 11));
}

#[test]
fn a_process_that_does_otherwise_than_its_node_is_found() {
    let case = case();
    for wrong in [
        vec![told(1, Told::Message(NodeId(0), 4))],
        vec![told(1, Told::Start(1, vec![])), done(2, EffectKind::Send)],
        vec![
            told(1, Told::Start(1, vec![])),
            told(2, Told::Message(NodeId(0), 4)),
            told(3, Told::Message(NodeId(0), 5)),
        ],
    ] {
        let mut stage = Stage::new(&case, false);
        let last = wrong.iter().map(|(at, moment)| stage.step(*at, moment)).last();
        let found = last.expect("a step").expect_err("it does not fit");
        assert_eq!(found.class, "replay differs");
    }
}

#[test]
fn a_record_that_was_synced_and_is_gone_is_found() {
    assert_eq!(reborn(vec![], vec![4]), Ok((4, 0)));
    for log in [vec![], vec![5], vec![4, 4], vec![4, 5]] {
        assert_eq!(reborn(vec![], log), Err("log lost"));
    }
}

#[test]
fn what_was_being_written_is_in_the_log_or_not() {
    let forcing = || vec![told(5, Told::Message(NodeId(0), 6))];
    assert_eq!(reborn(forcing(), vec![4]), Ok((4, 0)));
    assert_eq!(reborn(forcing(), vec![4, 6]), Ok((10, 0)));
    assert_eq!(reborn(forcing(), vec![6]), Err("log lost"));
    let replacing = || {
        vec![
            told(5, Told::Message(NodeId(0), 6)),
            done(6, EffectKind::Force),
            done(7, EffectKind::SetTimer),
            told(8, ask()),
            done(8, EffectKind::Invoke),
        ]
    };
    assert_eq!(reborn(replacing(), vec![4, 6]), Ok((10, 0)));
    assert_eq!(reborn(replacing(), vec![10]), Ok((10, 1)));
    assert_eq!(reborn(replacing(), vec![4]), Err("log lost"));
}

#[test]
fn the_half_of_an_entry_is_none() {
    let entry: Entry<ToldTo<Summing>> = Entry::Told { at: 1, wall: 2, told: ask() };
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let content = codec::encode(&entry);
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&content);
    }
    for cut in 0..bytes.len() {
        let entries = journal::read(&bytes[..cut]).expect("what is whole is undamaged");
        assert_eq!(entries, vec![entry.clone(); cut * 2 / bytes.len()]);
    }
    bytes[6] ^= 1;
    assert!(journal::read::<ToldTo<Summing>>(&bytes).is_err());
}
