//! One run of one case: its processes, its proxies, its clients, and the verdict on what they did.

use crate::clients::{Caller, Moments};
use crate::clock::RunClock;
use crate::cluster::Cluster;
use crate::deployment::{Deployment, DeploymentOf, FileError};
use crate::journal::{self, nanos};
use crate::links::Links;
use crate::process::StartError;
use crate::proxy::Proxy;
use crate::replay::{Mismatch, Moment, Stage};
use checkers::Verdict;
use explorer::judge::{catch, conclude};
use explorer::{CaseFor, Outcome, Record, Run, Scenario};
use node::{Node, NodeId, RequestId};
use shell::Clock as _;
use shell::log::{LOG, format};
use std::borrow::Cow;
use std::cell::RefCell;
use std::convert::identity;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::LocalSet;
use world::{CaseOf, FaultKind, Faults, Mutant, Place, Scene as _, Seed};

/// Nothing has happened for so long: the run may be over.
const QUIET: Duration = Duration::from_millis(200);

/// What a message or a sync may take longer here than the case says, on a busy machine: what a
/// scenario expects to be done in a certain time is judged with as much patience.
const GRACE: Duration = Duration::from_millis(200);

/// Why a run came to no history.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A process did what none should: a finding.
    Died(String),
    /// The machine lets us down: nothing is known.
    Broken(String),
}

impl From<StartError> for Trouble {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Ended { .. } => Self::Died(error.to_string()),
            StartError::Spawn { .. } => Self::Broken(error.to_string()),
        }
    }
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// How often faults have had an effect, each time counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Processes killed that had done something in this life.
    pub kills: u64,
    /// Cuts that something ran into.
    pub cuts: u64,
    /// Processes stopped while something reached them.
    pub stops: u64,
}

/// What a run has left.
struct Remains<N: Node> {
    moments: Vec<(u64, Moment<N>)>,
    links: Links,
    struck: std::collections::BTreeSet<usize>,
    /// Each node's log as it stands on the disk; none of those that are lost for good.
    logs: Vec<Option<Vec<N::Record>>>,
    /// When the case began.
    zero: Duration,
}

/// Runs a case with processes of this program, in this folder, and judges it.
pub(crate) fn run<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    (program, folder): (&Path, &Path),
    recording: bool,
) -> (Outcome, Record, Tally) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let remains = match runtime {
        Ok(runtime) => {
            LocalSet::new().block_on(&runtime, perform::<S::Node>(case, program, folder))
        }
        Err(error) => Err(error.into()),
    };
    match remains {
        Ok(remains) => judge(scenario, case, remains, recording),
        Err(Trouble::Died(what)) => {
            (Outcome::violated("process", "died", what), Record::default(), Tally::default())
        }
        Err(Trouble::Broken(what)) => {
            let mut outcome = Outcome::violated("process", "broken", "");
            outcome.verdict = Verdict::Unknown(what);
            (outcome, Record::default(), Tally::default())
        }
    }
}

async fn perform<N: Node>(
    case: &CaseOf<N>,
    program: &Path,
    folder: &Path,
) -> Result<Remains<N>, Trouble> {
    let clock = RunClock::begin();
    let servers = case.nodes.len() as u16;
    let links = Links::new(&case.network, case.seed.0, servers, clock);
    let moments: Moments<N> = RefCell::new(Vec::new());
    let deployments = deploy::<N>(case, &links, folder).await?;
    let place = (program, folder);
    let mut cluster = Cluster::start(case, &deployments, place, &links, &moments).await?;
    let zero = clock.now();
    let mut callers = Vec::new();
    for number in 0..case.clients.count {
        let me = case.client_node(number);
        let mut ways = Vec::new();
        for node in (0..servers).map(NodeId) {
            ways.push(Proxy::new(&links, me, node).listen().await?);
        }
        let identity = deployments[0].identity(me);
        let (links, moments) = (&links, &moments);
        callers.push(Caller { case, number, identity, ways, links, moments, zero }.run());
    }
    let suffered = async {
        let suffered = cluster.suffer(zero).await;
        suffered.map(|()| cluster)
    };
    let mut cluster = all(suffered, callers).await?;
    settle(case, &mut cluster, &links, &moments, zero).await?;
    cluster.stop_all().await?;
    let mut logs = Vec::new();
    for (node, deployment) in (0..).map(NodeId).zip(&deployments) {
        logs.push(log_of::<N>(deployment, node)?);
    }
    let struck = std::mem::take(&mut cluster.struck);
    let timeline = timeline(&cluster, servers, &moments)?;
    Ok(Remains { moments: timeline, links: links.clone(), struck, logs, zero })
}

/// The faults and all clients, to the end of each; the faults' trouble ends everything at once.
async fn all<T>(
    faults: impl Future<Output = Result<T, Trouble>>,
    callers: Vec<impl Future<Output = ()>>,
) -> Result<T, Trouble> {
    use std::pin::pin;
    let mut callers: Vec<_> = callers.into_iter().map(Box::pin).map(Some).collect();
    let called = std::future::poll_fn(|cx| {
        for caller in &mut callers {
            if caller.as_mut().is_some_and(|caller| caller.as_mut().poll(cx).is_ready()) {
                *caller = None;
            }
        }
        match callers.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    });
    let (mut faults, mut called) = (pin!(faults), pin!(called));
    let mut suffered = None;
    let mut answered = false;
    while !answered || suffered.is_none() {
        tokio::select! {
            done = &mut faults, if suffered.is_none() => suffered = Some(done?),
            () = &mut called, if !answered => answered = true,
        }
    }
    suffered.ok_or_else(|| Trouble::Broken("the faults made no end".to_owned()))
}

/// What each node's operator writes down: the others are called at their proxies.
async fn deploy<N: Node>(
    case: &CaseOf<N>,
    links: &Links,
    folder: &Path,
) -> io::Result<Vec<DeploymentOf<N>>> {
    let servers = case.nodes.len() as u16;
    let mut deployments = Vec::new();
    for me in (0..servers).map(NodeId) {
        let mut addresses = Vec::new();
        for to in (0..servers).map(NodeId) {
            addresses.push(match me == to {
                true => SocketAddr::from(([127, 0, 0, 1], 0)),
                false => Proxy::new(links, me, to).listen().await?,
            });
        }
        deployments.push(Deployment {
            scenario: case.scenario.clone(),
            cluster: Seed(links.clock.start().as_nanos() as u64),
            seed: case.seed,
            mutant: case.mutant.as_ref().and_then(Mutant::generic).cloned(),
            start: nanos(links.clock.start()),
            data: folder.to_owned(),
            addresses,
            nodes: case.nodes.clone(),
        });
    }
    Ok(deployments)
}

/// Waits until nothing moves and no node waits for a timer, or the case ends.
async fn settle<N: Node>(
    case: &CaseOf<N>,
    cluster: &mut Cluster<'_, N>,
    links: &Links,
    moments: &Moments<N>,
    zero: Duration,
) -> Result<(), Trouble> {
    let servers = case.nodes.len() as u16;
    let mut before = None;
    while links.clock.now() < zero + case.end_at {
        tokio::time::sleep(QUIET).await;
        cluster.look()?;
        let written = (0..servers).flat_map(|node| cluster.journals(NodeId(node)));
        let written: u64 = written.map(|path| fs::metadata(path).map_or(0, |m| m.len())).sum();
        let still = before.replace(written) == Some(written) && !links.is_busy();
        if still && !is_waiting(case, cluster, moments)? {
            break;
        }
    }
    Ok(())
}

/// Whether a node waits for a timer. A replay that does not work is for the judge to find.
fn is_waiting<N: Node>(
    case: &CaseOf<N>,
    cluster: &Cluster<'_, N>,
    moments: &Moments<N>,
) -> Result<bool, Trouble> {
    let timeline = timeline(cluster, case.nodes.len() as u16, moments)?;
    let waiting = catch(|| {
        let mut stage = Stage::new(case, false);
        let done = timeline.iter().try_for_each(|(at, moment)| stage.step(*at, moment));
        done.is_ok() && stage.is_waiting()
    });
    Ok(waiting.unwrap_or(false))
}

/// Everything that has happened, in the order of its time.
fn timeline<N: Node>(
    cluster: &Cluster<'_, N>,
    servers: u16,
    moments: &Moments<N>,
) -> Result<Vec<(u64, Moment<N>)>, Trouble> {
    let mut timeline = moments.borrow().clone();
    for node in (0..servers).map(NodeId) {
        for path in cluster.journals(node) {
            // A process that was killed at once has begun none.
            let Ok(bytes) = fs::read(&path) else { continue };
            let entries = journal::read(&bytes)
                .map_err(|error| Trouble::Broken(format!("{}: {error}", path.display())))?;
            timeline.extend(entries.into_iter().map(|e| (e.at(), Moment::Entry(node, e))));
        }
    }
    timeline.sort_by_key(|(at, _)| *at);
    Ok(timeline)
}

/// The records of a node that has stopped, as they stand on the disk.
fn log_of<N: Node>(
    deployment: &DeploymentOf<N>,
    node: NodeId,
) -> Result<Option<Vec<N::Record>>, Trouble> {
    let path = deployment.folder(node).join(LOG);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        // A node that is lost for good may have been lost before its first start was done.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let wrong = |what: String| Trouble::Died(format!("{}: {what}", path.display()));
    let found = format::recover(&bytes).map_err(|damage| wrong(format!("{damage:?}")))?;
    let records = found.records.iter().map(|(_, content)| codec::decode(content));
    records.collect::<Result<_, _>>().map(Some).map_err(|error| wrong(error.to_string()))
}

fn judge<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    remains: Remains<S::Node>,
    recording: bool,
) -> (Outcome, Record, Tally) {
    let Remains { moments, links, struck, logs, zero } = remains;
    let as_run = as_it_was(case, &moments, zero);
    let mut stage = Stage::new(&as_run, recording);
    let judged = catch(|| {
        let mut invariant = scenario.invariant();
        for (at, moment) in &moments {
            if let Err(Mismatch { class, message }) = stage.step(*at, moment) {
                return (Verdict::violated("process", class, message), Vec::new());
            }
            let verdict = invariant(&stage);
            if verdict.is_violated() {
                return (verdict, Vec::new());
            }
        }
        conclude(scenario, &Run { case: &as_run, scene: &stage }, kept(&stage, &logs), identity)
    });
    let (verdict, samples) = judged.unwrap_or_else(|panic| (panic.verdict(None), Vec::new()));
    let (effective, tally) = effects(case, &links, &stage);
    let run = Run { case: &as_run, scene: &stage };
    let outcome = Outcome {
        verdict,
        digest: 0,
        ended_at: stage.now(),
        steps: moments.len() as u64,
        deliveries: links.arrived(),
        operations: run.counts(),
        effective,
        marks: stage.marks.iter().map(|(mark, n)| (Cow::Borrowed(*mark), *n)).collect(),
        uses: stage.uses,
        samples,
    };
    let on_call = |place: &Place| matches!(place, Place::Call(_));
    let missed = case.faults.iter().enumerate();
    let missed = missed.filter(|(index, f)| !struck.contains(index) && !on_call(&f.place));
    let missed = missed.map(|(_, fault)| fault.clone()).collect();
    let events = stage.events.take().unwrap_or_default();
    (outcome, Record { events, drawn: Vec::new(), missed }, tally)
}

/// The case as it was run: it healed and ended when it did, and this machine's messages and syncs
/// may have taken as long as they like.
fn as_it_was<N: Node>(case: &CaseOf<N>, moments: &[(u64, Moment<N>)], zero: Duration) -> CaseOf<N> {
    let mut judged = case.clone();
    let healed = moments.iter().find(|(_, moment)| matches!(moment, Moment::Heal));
    judged.heal_at = healed.map_or(zero + case.heal_at, |(at, _)| Duration::from_nanos(*at));
    let last = moments.last().map_or(0, |(at, _)| *at);
    judged.end_at = Duration::from_nanos(last).max(judged.heal_at);
    judged.sync += GRACE;
    judged.network.slowest += GRACE;
    judged
}

/// What processes have written stands in their logs, all of it and nothing else.
fn kept<N: Node>(stage: &Stage<'_, N>, logs: &[Option<Vec<N::Record>>]) -> Verdict {
    for (node, log) in (0..).map(NodeId).zip(logs) {
        let Some(log) = log.as_ref().filter(|_| !stage.is_retired(node)) else { continue };
        let written = stage.written(node);
        if *log != written {
            let (found, told) = (log.len(), written.len());
            let message = format!("{node} wrote {told} records, and its log holds {found} others");
            return Verdict::violated("process", "log lost", message);
        }
    }
    Verdict::Holds
}

/// The kinds that have changed something, and how often those did that are counted.
fn effects<N: Node>(case: &CaseOf<N>, links: &Links, stage: &Stage<'_, N>) -> (Faults, Tally) {
    let (struck, mut kinds) = links.effects();
    let kind = |index: &usize| case.faults[*index].kind.kind();
    for index in struck.iter().chain(&stage.deaths) {
        kinds.add(kind(index));
    }
    for fault in &case.faults {
        let Place::Call(id) = fault.place else { continue };
        let kind = fault.kind.kind();
        let again = matches!(kind, FaultKind::Retry | FaultKind::DuplicateRequest);
        let Some(call) = case.calls.iter().find(|call| call.id == id) else { continue };
        let request = RequestId { client: case.client_node(call.client), call: id };
        if again && stage.handled.get(&request).is_some_and(|times| *times > 1) {
            kinds.add(kind);
        }
    }
    let count = |of: FaultKind| struck.iter().filter(|index| kind(index) == of).count() as u64;
    let tally = Tally {
        kills: stage.deaths.len() as u64,
        cuts: count(FaultKind::Cut),
        stops: count(FaultKind::Pause),
    };
    (kinds, tally)
}
