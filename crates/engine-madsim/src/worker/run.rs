//! One run of one case, from the first event to the verdict.
//!
//! The supervisor takes the next event, does what it says, lets every task run that was woken by
//! it, and asks the judges. So time is ours, and events come in the order of their times and then
//! of their scheduling; madsim's own clock follows. What is left to madsim's dice is the order of
//! tasks that are ready at once.

use super::clients;
use super::life::start;
use super::port::Wire;
use super::scene::View;
use super::stage::{Event, Shared, Stage};
use super::streams::{config, ip, stirred};
use checkers::Verdict;
use explorer::judge::{catch, conclude, ended};
use explorer::{CaseFor, Outcome, Record, Run, Scenario};
use madsim::runtime::Runtime;
use madsim::time::{Instant, Sleep, TimeHandle};
use node::{Node, NodeId};
use std::borrow::Cow;
use std::convert::identity;
use std::future::{Future, Ready, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use world::parts::QUEUE_LIMIT;
use world::{CaseOf, End, Scene};

/// The longest that madsim's clock takes for one task to run.
const TURN: Duration = Duration::from_nanos(100);

/// No tasks but those of nodes and clients.
const NOBODY: Vec<Ready<()>> = Vec::new();

/// Runs a case and judges it. A panic in a node or in the scenario is a finding.
pub(super) fn run<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    streams: bool,
    recording: bool,
) -> (Outcome, Record) {
    run_after(scenario, case, streams, recording, |_| {})
}

/// As [`run`], with something done to the stage before anything happens.
pub(super) fn run_after<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    streams: bool,
    recording: bool,
    prepare: impl FnOnce(&mut Stage<S::Node>),
) -> (Outcome, Record) {
    let runtime = Runtime::with_seed_and_config(case.seed.0, config(&case.network));
    let stage = Stage::<S::Node>::new(case, recording, runtime.handle().clone());
    prepare(&mut stage.borrow_mut());
    if streams {
        runtime.block_on(async { stage.borrow_mut().take_streams() });
    }
    let mut invariant = scenario.invariant();
    let verdict = play(&runtime, &stage, NOBODY, |stage| judge(stage, &mut invariant));
    let stage = &mut *stage.borrow_mut();
    let (verdict, samples) = {
        let view = View::new(stage, None);
        let run = Run { case, scene: &view };
        let judged = || conclude(scenario, &run, verdict.and_then(|| ended(stage.end)), identity);
        catch(judged).unwrap_or_else(|panic| (panic.verdict(None), Vec::new()))
    };
    let operations = Run { case, scene: &View::new(stage, None) }.counts();
    let marks = stage.marks.iter().map(|(mark, times)| (Cow::Borrowed(*mark), *times)).collect();
    let outcome = Outcome {
        verdict,
        digest: stage.trace.digest.value(),
        ended_at: stage.now,
        steps: stage.steps,
        deliveries: stage.deliveries,
        operations,
        effective: stage.plan.effects(),
        marks,
        uses: stage.uses,
        samples,
    };
    let record = Record {
        events: stage.trace.events.take().unwrap_or_default(),
        drawn: stage.drawn.take().unwrap_or_default(),
        missed: if recording { stage.plan.missed().cloned().collect() } else { Vec::new() },
    };
    (outcome, record)
}

/// Runs the nodes of a case by the shell and its calls by the shell's clients, judged by nobody.
/// Says how many frames have arrived.
pub fn serve<N: Node>(case: &CaseOf<N>) -> u64 {
    let runtime = Runtime::with_seed_and_config(case.seed.0, config(&case.network));
    let stage = Stage::<N>::new(case, false, runtime.handle().clone());
    play(&runtime, &stage, NOBODY, |_| Verdict::Holds);
    stage.borrow().deliveries
}

/// Runs these tasks in place of the nodes of a case, each on its machine's end of the network. Says
/// how many frames have arrived.
pub fn carry<N: Node, F: Future<Output = ()> + 'static>(
    case: &CaseOf<N>,
    task: impl Fn(NodeId, Wire<N>) -> F,
) -> u64 {
    let runtime = Runtime::with_seed_and_config(case.seed.0, config(&case.network));
    let stage = Stage::<N>::new(case, false, runtime.handle().clone());
    let machines = (0..case.nodes.len() as u16).map(NodeId);
    // Their machines are up, so that no node starts there.
    stage.borrow_mut().machines.iter_mut().for_each(|machine| machine.up = true);
    let tasks = machines.map(|me| task(me, Wire { stage: stage.clone(), me, tcp: None })).collect();
    play(&runtime, &stage, tasks, |_| Verdict::Holds);
    stage.borrow().deliveries
}

/// Lets a run come to its end, with its clients and these tasks, and clears the stage.
fn play<N: Node, F: Future<Output = ()> + 'static>(
    runtime: &Runtime,
    stage: &Shared<N>,
    tasks: Vec<F>,
    judge: impl FnMut(&Shared<N>) -> Verdict,
) -> Verdict {
    runtime.block_on(async {
        let mut tasks: Vec<_> = tasks.into_iter().map(madsim::task::spawn_local).collect();
        let (servers, clients) = (stage.borrow().servers(), stage.borrow().calls.clients());
        for client in 0..clients {
            let machine = NodeId(servers + client);
            let client = clients::client(stage.clone(), client);
            let mut stage = stage.borrow_mut();
            let handle = stage.handle.clone();
            match &mut stage.streams {
                // Connections are made from a machine of its own.
                Some(streams) => {
                    let started = start(&handle, None, ip(machine), client);
                    streams.tasks[machine.index()] = Some(started);
                }
                None => tasks.push(madsim::task::spawn_local(client)),
            }
        }
        let verdict = drive(stage, tasks.len() as u32, judge).await;
        // What is not killed and given the time to go is never freed.
        tasks.iter().for_each(|task| task.abort());
        let mut nodes: Vec<_> = stage.borrow().machines.iter().filter_map(|m| m.task).collect();
        if let Some(streams) = &stage.borrow().streams {
            nodes.extend(streams.tasks[usize::from(servers)..].iter().flatten());
        }
        let handle = stage.borrow().handle.clone();
        nodes.into_iter().for_each(|node| handle.kill(node));
        madsim::time::sleep(Duration::from_millis(1)).await;
        verdict
    })
}

/// Takes one event after the other until the run has ended or a judge has seen enough.
async fn drive<N: Node>(
    stage: &Shared<N>,
    tasks: u32,
    mut judge: impl FnMut(&Shared<N>) -> Verdict,
) -> Verdict {
    let mut pace = Pace::new();
    pace.let_run(0, tasks).await;
    loop {
        let verdict = judge(stage);
        if verdict.is_violated() {
            return verdict;
        }
        let streams = stage.borrow().streams.is_some();
        if streams && !pace.reach_next(stage).await {
            continue;
        }
        let Some((at, event)) = stage.borrow_mut().next() else { return Verdict::Holds };
        let woken = {
            let mut stage = stage.borrow_mut();
            stage.now = stage.now.max(at);
            stage.step(event);
            std::mem::take(&mut stage.woken)
        };
        if woken > 0 {
            pace.let_run(at, woken).await;
        }
    }
}

/// What the engine has found by itself, and what the invariant says: once for every node whose
/// durable log may have changed.
fn judge<N: Node>(
    stage: &Shared<N>,
    invariant: &mut impl FnMut(&dyn Scene<N>) -> Verdict,
) -> Verdict {
    let changed = {
        let mut stage = stage.borrow_mut();
        if let Some(wrong) = stage.wrong.take() {
            return wrong;
        }
        std::mem::take(&mut stage.changed)
    };
    let stage = &*stage.borrow();
    let mut look = |changed: Option<NodeId>| {
        let view = View::new(stage, changed);
        catch(|| invariant(&view)).unwrap_or_else(|panic| panic.verdict(None))
    };
    if changed.is_empty() {
        return look(None);
    }
    changed.into_iter().fold(Verdict::Holds, |verdict, node| verdict.and_then(|| look(Some(node))))
}

impl<N: Node> Stage<N> {
    fn next(&mut self) -> Option<(u64, Event)> {
        if self.end != End::Running {
            return None;
        }
        // Connections go on by themselves: what they bring is not in the queue.
        if self.streams.is_some() && self.queue.next_at().is_none_or(|at| at > self.end_at) {
            self.end = End::Time;
            return None;
        }
        let Some((at, event)) = self.queue.pop() else {
            self.end = End::Quiet;
            return None;
        };
        if at > self.end_at {
            self.end = End::Time;
            return None;
        }
        if self.queue.len() >= QUEUE_LIMIT {
            self.end = End::Steps;
            return None;
        }
        Some((at, event))
    }
}

/// madsim's clock, which goes on while tasks run, and follows ours.
struct Pace {
    time: TimeHandle,
    start: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Pace {
    fn new() -> Self {
        let time = TimeHandle::current();
        let start = time.now_instant();
        let sleep = Box::pin(time.sleep_until(start));
        Self { time, start, sleep }
    }

    /// Waits until the next event is due by madsim's clock; false if tasks did something first.
    async fn reach_next<N: Node>(&mut self, stage: &Shared<N>) -> bool {
        let at = stage.borrow().queue.next_at();
        let at = at.unwrap_or(u64::MAX).min(stage.borrow().end_at.saturating_add(1));
        self.sleep.as_mut().reset(self.start + Duration::from_nanos(at));
        let mut stirred = pin!(stirred(stage));
        poll_fn(|cx| match self.sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => stirred.as_mut().poll(cx).map(|()| false),
        })
        .await
    }

    /// Lets so many tasks run that are ready, at a time of ours.
    async fn let_run(&mut self, at: u64, tasks: u32) {
        let done = self.time.now_instant() + TURN * (tasks + 2);
        let until = done.max(self.start + Duration::from_nanos(at));
        self.sleep.as_mut().reset(until);
        self.sleep.as_mut().await;
    }
}
