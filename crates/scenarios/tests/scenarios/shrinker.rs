//! What shrinking may cost: candidates whose runs are long, or make no end, are known by a part.

use checkers::Verdict;
use explorer::{Narrow, Run, Scenario, Shape, case_of_seed, judge, seed_of, shrink};
use node::{Cx, Node, NodeId, RequestId};
use proptest::prelude::*;
use std::time::Duration;
use world::parts::STEP_LIMIT;

/// A node that winds a clock of its own, for ever, once it is asked for so much.
struct Restless;

const TOO_MUCH: u8 = 7;

impl Node for Restless {
    type Config = ();
    type Op = u8;
    type Ret = ();
    type Msg = ();
    type Record = ();
    type Timer = ();

    fn new(_: NodeId, (): &()) -> Self {
        Self
    }

    fn on_start(&mut self, _: &[()], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, op: u8, cx: &mut Cx<Self>) {
        cx.reply(request, ());
        if op >= TOO_MUCH {
            cx.set_timer(Duration::ZERO, ());
        }
    }

    fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}

    fn on_timer(&mut self, (): (), cx: &mut Cx<Self>) {
        cx.set_timer(Duration::ZERO, ());
    }
}

impl Scenario for Restless {
    type Node = Self;

    fn name(&self) -> String {
        "restless".to_owned()
    }

    fn op(&self) -> impl Strategy<Value = u8> {
        0..=TOO_MUCH
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<()>> {
        Just(vec![()])
    }

    fn check(&self, _: &Run<Self>) -> Verdict {
        Verdict::Holds
    }
}

#[test]
fn a_run_without_an_end_is_made_smaller_by_parts_of_runs() {
    const LIVELOCK: &str = "progress / livelock";
    let mut cases = (0..).map(|index| {
        let case = case_of_seed(&Restless, seed_of(1, index), &Narrow::default());
        let verdict = judge(&Restless, &case).verdict;
        (case, verdict)
    });
    let (case, _) = cases
        .find(|(case, verdict)| {
            let signature = verdict.anomaly().map(|anomaly| anomaly.signature());
            case.calls.len() > 3 && signature.is_some_and(|signature| signature == LIVELOCK)
        })
        .expect("a case that makes no end");
    let shrunk = shrink(&Restless, case, LIVELOCK);
    let left: Vec<u8> = shrunk.case.calls.iter().map(|call| call.op).collect();
    assert_eq!((left, shrunk.after), (vec![TOO_MUCH], (1, 0)));
    // The result alone is run to the limit.
    let parts = STEP_LIMIT / 16 * shrunk.runs;
    assert!(shrunk.runs > 3 && shrunk.steps <= STEP_LIMIT + parts, "{} steps", shrunk.steps);
}
