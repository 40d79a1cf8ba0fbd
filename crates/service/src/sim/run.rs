//! One run, from the first event to the verdict.

use super::adversary::drive;
use super::stage::{Stage, config, ip};
use crate::scenario::{Service, ServiceCase};
use crate::trial::{Judgement, Trial};
use checkers::{Anomaly, Verdict};
use explorer::judge::{Panic, catch};
use explorer::{Expected, Outcome, Record};
use madsim::net::NetSim;
use madsim::runtime::Runtime;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use world::{Faults, Network, Uses};

/// The number of the machine on which a test's body stands: beyond all others, where no fault is.
const BODY: usize = u16::MAX as usize;

/// Asks a test's body what it declares: it runs, calm, until it hands operations to clients.
///
/// # Errors
/// If it does not come that far.
pub(crate) fn declare<F, Fut>(name: &str, body: &F, folder: &Path) -> Result<Service, String>
where
    F: Fn(Trial) -> Fut,
    Fut: Future<Output: Judgement>,
{
    let runtime = Runtime::with_seed_and_config(0, config(&Network::default()));
    let played = catch(|| {
        runtime.block_on(async {
            let stage = Stage::new(None, folder, false);
            let verdict = play(&stage, body, |stage| stage.state().workload.is_some()).await;
            (stage, verdict)
        })
    });
    let (stage, verdict) = played.map_err(|panic| panicked(&panic).to_string())?;
    let mut state = stage.state();
    let groups = std::mem::take(&mut state.groups);
    match (state.workload.take(), verdict) {
        (Some(workload), _) => {
            let (faults, calls, expected) = (Faults::NONE, 0, Expected::Holds);
            Ok(Service { name: name.to_owned(), groups, workload, faults, calls, expected })
        }
        (None, Verdict::Violated(anomaly)) => Err(anomaly.to_string()),
        (None, _) => Err("it ends without clients: expected `trial.clients(…)`".into()),
    }
}

/// Runs a case and judges it. Node folders are made below `folder`.
pub(crate) fn run<F, Fut>(
    body: &F,
    case: &ServiceCase,
    folder: &Path,
    recording: bool,
) -> (Outcome, Record)
where
    F: Fn(Trial) -> Fut,
    Fut: Future<Output: Judgement>,
{
    let runtime = Runtime::with_seed_and_config(case.seed.0, config(&case.network));
    let staged = runtime.block_on(async { Stage::new(Some(case), folder, recording) });
    let stage = &staged;
    let played = catch(|| {
        runtime.block_on(async {
            let verdict = play(stage, body, |stage| stage.state().wrong.is_some()).await;
            (verdict, NetSim::current().stat().msg_count, stage.state().now())
        })
    });
    let (verdict, deliveries, ended_at) =
        played.unwrap_or_else(|panic| (Verdict::Violated(panicked(&panic)), 0, 0));
    let effective = stage.effects();
    let state = &mut *stage.state();
    let verdict = state.wrong.take().unwrap_or(verdict);
    let outcome = Outcome {
        verdict,
        digest: state.trace.digest.value(),
        ended_at,
        steps: state.steps,
        deliveries,
        operations: state.operations,
        effective,
        marks: Vec::new(),
        uses: Uses::default(),
        samples: Vec::new(),
    };
    let faults = case.faults.iter().zip(&state.struck);
    let record = Record {
        events: state.trace.events.take().unwrap_or_default(),
        drawn: Vec::new(),
        missed: faults.filter(|(_, struck)| !**struck).map(|(fault, _)| fault.clone()).collect(),
    };
    (outcome, record)
}

/// Lets the test's body and the adversary run until the body has ended, or enough is known.
async fn play<F, Fut>(stage: &Stage, body: &F, enough: impl Fn(&Stage) -> bool) -> Verdict
where
    F: Fn(Trial) -> Fut,
    Fut: Future<Output: Judgement>,
{
    NetSim::current().set_ip(madsim::plugin::node(), ip(BODY));
    let mut body = pin!(async { body(Trial::on(stage.clone())).await.verdict() });
    let mut drive = pin!(drive(stage));
    poll_fn(|cx| {
        if let Poll::Ready(verdict) = body.as_mut().poll(cx) {
            return Poll::Ready(verdict);
        }
        let _goes_on = drive.as_mut().poll(cx);
        let enough = enough(stage);
        if enough { Poll::Ready(Verdict::Holds) } else { stage.wait(cx) }
    })
    .await
}

/// A panic is a finding, whoever it was: the test's body, a client or a node.
fn panicked(panic: &Panic) -> Anomaly {
    let message = format!("panics at {}: {}", panic.place, panic.message);
    Anomaly { place: panic.place.clone().into(), ..Anomaly::new("panic", "panic", message) }
}
