//! The engine's own findings: each has a planted bug that it finds, and none is found without.

use super::medium::Lie;
use super::port::Heard;
use super::run::{run, run_after};
use super::stage::{About, Stage};
use checkers::Verdict;
use explorer::{CaseFor, Narrow, Run, Scenario, case_of_seed, seed_of};
use madsim::runtime::Runtime;
use node::{Cx, Node, NodeId, RequestId};
use proptest::prelude::*;
use scenarios::two_phase_commit::two_phase_commit;
use std::collections::BTreeSet;
use world::parts::OriginId;

fn case<S: Scenario>(scenario: &S, index: u64) -> CaseFor<S> {
    case_of_seed(scenario, seed_of(3, index), &Narrow::default())
}

/// The signatures of what is found when this is done to the stage of every case.
fn found<S: Scenario>(scenario: &S, prepare: impl Fn(&mut Stage<S::Node>)) -> BTreeSet<String> {
    let outcomes = (0..1_000)
        .map(|index| run_after(scenario, &case(scenario, index), false, false, &prepare).0);
    outcomes.filter_map(|outcome| Some(outcome.verdict.anomaly()?.signature())).collect()
}

fn lying<S: Scenario>(scenario: &S, lie: Option<Lie>) -> BTreeSet<String> {
    found(scenario, |stage| stage.machines.iter_mut().for_each(|m| m.files.lie = lie))
}

#[test]
fn a_disk_that_lies_is_found_and_an_honest_one_is_not() {
    let scenario = two_phase_commit();
    assert_eq!(lying(&scenario, None), BTreeSet::new());
    let syncs = lying(&scenario, Some(Lie::Sync));
    assert!(syncs.contains("log / durable record lost"), "{syncs:?}");
    let reads = lying(&scenario, Some(Lie::Read));
    assert!(reads.contains("log / refused for nothing"), "{reads:?}");
}

#[test]
fn a_frame_that_nobody_has_damaged_must_not_be_refused() {
    let scenario = Trouble(Misdeed::Panics);
    for (corrupt, wrong) in [(true, false), (false, true)] {
        let runtime = Runtime::new();
        let stage = Stage::<Misfit>::new(&case(&scenario, 1), false, runtime.handle().clone());
        let mut stage = stage.borrow_mut();
        let (origin, about) = (OriginId(0), About::Peer);
        stage.heard[0] = Some(Heard { origin, nth: 1, epoch: 0, corrupt, about });
        stage.distrusted(NodeId(0), NodeId(1));
        assert_eq!(stage.wrong.is_some(), wrong);
    }
}

#[test]
fn a_case_runs_the_same_whatever_ran_before_and_whoever_looks_on() {
    let scenario = two_phase_commit();
    let digest = |index, recording| run(&scenario, &case(&scenario, index), false, recording).0;
    let first: Vec<_> = (0..30).map(|index| digest(index, false)).collect();
    for index in (0..30).rev() {
        assert_eq!(digest(index, true), first[index as usize], "case {index}");
    }
}

/// A node that does on request what no node should.
struct Misfit(Misdeed);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
enum Misdeed {
    Panics,
    TalksToItself,
    SpeaksToNobody,
}

impl Node for Misfit {
    type Config = Misdeed;
    type Op = u8;
    type Ret = u8;
    type Msg = u8;
    type Record = u8;
    type Timer = u8;

    fn new(_: NodeId, config: &Misdeed) -> Self {
        Self(*config)
    }

    fn on_start(&mut self, _: &[u8], _: &mut Cx<Self>) {}

    fn on_request(&mut self, _: RequestId, _: u8, cx: &mut Cx<Self>) {
        match self.0 {
            Misdeed::Panics => panic!("as planned"),
            Misdeed::TalksToItself => cx.send(cx.me(), 1),
            Misdeed::SpeaksToNobody => cx.send(NodeId(999), 1),
        }
    }

    fn on_message(&mut self, _: NodeId, msg: u8, cx: &mut Cx<Self>) {
        cx.send(cx.me(), msg);
    }

    fn on_timer(&mut self, _: u8, _: &mut Cx<Self>) {}
}

struct Trouble(Misdeed);

impl Scenario for Trouble {
    type Node = Misfit;

    fn name(&self) -> String {
        "trouble".to_owned()
    }

    fn op(&self) -> impl Strategy<Value = u8> {
        any::<u8>()
    }

    fn cluster(&self, _: &explorer::Shape) -> impl Strategy<Value = Vec<Misdeed>> {
        Just(vec![self.0; 2])
    }

    fn check(&self, _: &Run<Misfit>) -> Verdict {
        Verdict::Holds
    }
}

/// What no run survives is a finding, and the next run is as if nothing had been.
#[test]
fn misfits_are_findings_and_leave_nothing_behind() {
    for (misdeed, expected) in [
        (Misdeed::Panics, "panic / panic"),
        (Misdeed::TalksToItself, "progress / livelock"),
        (Misdeed::SpeaksToNobody, "engine / no such way"),
    ] {
        let scenario = Trouble(misdeed);
        let calm = Narrow { faults: Some(world::Faults::NONE), ..Narrow::default() };
        let case = case_of_seed(&scenario, seed_of(1, 1), &calm);
        let outcome = run(&scenario, &case, false, false).0;
        let signature = outcome.verdict.anomaly().map(checkers::Anomaly::signature);
        let signature = signature.unwrap_or_default();
        assert!(signature.starts_with(expected), "{misdeed:?}: {signature}");
        assert_eq!(run(&scenario, &case, false, false).0.digest, outcome.digest);
    }
}
