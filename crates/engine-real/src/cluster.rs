//! The processes of a run, and what the faults of its case do to them.

use crate::clients::Moments;
use crate::deployment::DeploymentOf;
use crate::journal::nanos;
use crate::links::Links;
use crate::process::{Process, StartError};
use crate::replay::Moment;
use crate::run::Trouble;
use node::{Node, NodeId};
use shell::Clock as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use world::{CaseOf, Happening, Kind, Place};

/// How often somebody looks whether a process has ended by itself.
const LOOK: Duration = Duration::from_millis(50);

/// How long a process may take to stop in good order.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is still to be done.
#[derive(Clone, Copy, Debug)]
enum Act {
    Strike(usize),
    Lift(usize),
    /// Unless the node has gone down again since.
    Boot(NodeId, u32),
    /// Unless a longer pause is under way.
    Resume(NodeId, Duration),
    CrashAgain(usize, u32),
}

#[derive(Default)]
struct Machine {
    process: Option<Process>,
    /// A process was started and cannot be called yet.
    starting: bool,
    /// How often it was started.
    starts: u32,
    /// How often it has gone down.
    downs: u32,
    stopped_until: Option<Duration>,
    retired: bool,
}

/// A process that can be called, and where.
type Started = Result<(NodeId, Process, SocketAddr), StartError>;

/// A cluster of processes.
pub(crate) struct Cluster<'a, N: Node> {
    case: &'a CaseOf<N>,
    program: &'a Path,
    folder: &'a Path,
    links: &'a Links,
    moments: &'a Moments<N>,
    machines: Vec<Machine>,
    acts: BTreeMap<(Duration, u32), Act>,
    planned: u32,
    /// Those that start, while faults go on.
    starting: JoinSet<Started>,
    /// Faults that have found their place.
    pub(crate) struck: BTreeSet<usize>,
}

impl<'a, N: Node> Cluster<'a, N> {
    /// Writes each node's deployment down and starts every process.
    pub(crate) async fn start(
        case: &'a CaseOf<N>,
        deployments: &[DeploymentOf<N>],
        (program, folder): (&'a Path, &'a Path),
        links: &'a Links,
        moments: &'a Moments<N>,
    ) -> Result<Self, Trouble> {
        let mut cluster = Self {
            case,
            program,
            folder,
            links,
            moments,
            machines: case.nodes.iter().map(|_| Machine::default()).collect(),
            acts: BTreeMap::new(),
            planned: 0,
            starting: JoinSet::new(),
            struck: BTreeSet::new(),
        };
        for (node, deployment) in cluster.nodes().zip(deployments) {
            deployment.write(&cluster.file(node, "toml"))?;
        }
        for node in cluster.nodes() {
            cluster.boot(node)?;
        }
        cluster.all_started().await?;
        Ok(cluster)
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + use<N> {
        (0..self.case.nodes.len() as u16).map(NodeId)
    }

    fn file(&self, node: NodeId, ending: &str) -> PathBuf {
        self.folder.join(format!("{node}.{ending}"))
    }

    /// The journals of a node's lives, in their order.
    pub(crate) fn journals(&self, node: NodeId) -> impl Iterator<Item = PathBuf> {
        let starts = 1..=self.machines[node.index()].starts;
        starts.map(move |start| self.file(node, &format!("journal.{start}")))
    }

    fn spawn(&mut self, node: NodeId) -> Result<Process, StartError> {
        self.machines[node.index()].starts += 1;
        let start = self.machines[node.index()].starts;
        let arguments: [OsString; 8] = [
            (&self.case.scenario).into(),
            "--node".into(),
            node.0.to_string().into(),
            "--config".into(),
            self.file(node, "toml").into(),
            "--journal".into(),
            self.file(node, &format!("journal.{start}")).into(),
            "--leashed".into(),
        ];
        Process::start(self.program, arguments, self.file(node, "errors"))
    }

    /// Does to the cluster what the case says, from `zero` to its heal, and heals it.
    pub(crate) async fn suffer(&mut self, zero: Duration) -> Result<(), Trouble> {
        for (index, fault) in self.case.faults.iter().enumerate() {
            if let Place::At(at) = fault.place
                && at < self.case.heal_at
            {
                self.plan(zero + at, Act::Strike(index));
            }
        }
        let end = zero + self.case.heal_at;
        loop {
            let next = self.acts.first_key_value().map_or(end, |((at, _), _)| *at).min(end);
            while self.links.clock.now() < next {
                self.look()?;
                let soon = next.min(self.links.clock.now() + LOOK);
                tokio::select! {
                    () = self.links.clock.sleep_until(soon) => {}
                    Some(started) = self.starting.join_next() => self.welcome(started)?,
                }
            }
            if next == end {
                return self.heal().await;
            }
            if let Some((_, act)) = self.acts.pop_first() {
                self.act(act)?;
            }
        }
    }

    fn plan(&mut self, at: Duration, act: Act) {
        self.planned += 1;
        self.acts.insert((at, self.planned), act);
    }

    fn plan_in(&mut self, after: Duration, act: Act) {
        self.plan(self.links.clock.now().saturating_add(after), act);
    }

    fn act(&mut self, act: Act) -> Result<(), Trouble> {
        match act {
            Act::Strike(fault) => self.strike(fault),
            Act::Lift(fault) => {
                self.links.lift(fault);
                self.tell_fault(Happening::Lifted, fault);
            }
            Act::Boot(node, downs) => {
                if self.machines[node.index()].downs == downs {
                    self.boot(node)?;
                }
            }
            Act::Resume(node, until) => {
                if self.machines[node.index()].stopped_until == Some(until) {
                    self.resume(node);
                }
            }
            Act::CrashAgain(fault, left) => self.crash_again(fault, left),
        }
        Ok(())
    }

    fn strike(&mut self, fault: usize) {
        self.struck.insert(fault);
        self.tell_fault(Happening::Fault, fault);
        match self.case.faults[fault].kind.clone() {
            Kind::Cut { nodes, direction, lasts } => {
                self.links.cut(fault, nodes, direction);
                self.plan_in(lasts, Act::Lift(fault));
            }
            Kind::SlowLink { from, to, by, lasts } => {
                self.links.slow(fault, from, to, by);
                self.plan_in(lasts, Act::Lift(fault));
            }
            Kind::Crash { node, down } => self.crash(node, fault, down),
            Kind::Restart { node } => self.crash(node, fault, Duration::ZERO),
            Kind::CrashLoop { times, .. } => self.crash_again(fault, times),
            Kind::Pause { node, lasts } => self.stop(node, fault, lasts),
            Kind::Retire { node } => self.retire(node, fault),
            // Kinds that this engine does not have.
            _ => {}
        }
    }

    fn crash_again(&mut self, fault: usize, left: u32) {
        let Kind::CrashLoop { node, every, .. } = self.case.faults[fault].kind else { return };
        if left > 0 {
            self.crash(node, fault, every);
            let pause = every.max(Duration::from_millis(1)) * 2;
            self.plan_in(pause, Act::CrashAgain(fault, left - 1));
        }
    }

    /// A process ends and starts again later. One that does not run cannot end.
    fn crash(&mut self, node: NodeId, fault: usize, down: Duration) {
        if self.kill(node, fault) {
            let downs = self.machines[node.index()].downs;
            self.plan_in(down, Act::Boot(node, downs));
        }
    }

    /// SIGKILL; says whether there was a process.
    fn kill(&mut self, node: NodeId, fault: usize) -> bool {
        let machine = &mut self.machines[node.index()];
        let Some(mut process) = machine.process.take() else { return false };
        process.kill();
        machine.downs += 1;
        machine.stopped_until = None;
        self.links.place(node, None);
        self.links.stopped(node, None);
        self.tell(Moment::Ended(node, Some(fault)));
        true
    }

    /// A process ends, and none follows it.
    fn retire(&mut self, node: NodeId, fault: usize) {
        if self.kill(node, fault) {
            self.machines[node.index()].retired = true;
            self.tell(Moment::Retired(node));
        }
    }

    fn boot(&mut self, node: NodeId) -> Result<(), Trouble> {
        let machine = &self.machines[node.index()];
        if machine.process.is_some() || machine.starting || machine.retired {
            return Ok(());
        }
        let mut process = self.spawn(node)?;
        self.machines[node.index()].starting = true;
        let ready = move || process.ready(node).map(|address| (node, process, address));
        self.starting.spawn_blocking(ready);
        Ok(())
    }

    /// A process can be called from now on.
    fn welcome(&mut self, started: Result<Started, JoinError>) -> Result<(), Trouble> {
        let started = started.map_err(|error| Trouble::Broken(error.to_string()))?;
        let (node, process, address) = started?;
        self.links.place(node, Some(address));
        let machine = &mut self.machines[node.index()];
        machine.starting = false;
        machine.process = Some(process);
        Ok(())
    }

    async fn all_started(&mut self) -> Result<(), Trouble> {
        while let Some(started) = self.starting.join_next().await {
            self.welcome(started)?;
        }
        Ok(())
    }

    /// SIGSTOP, unless a longer pause is under way.
    fn stop(&mut self, node: NodeId, fault: usize, lasts: Duration) {
        let until = self.links.clock.now().saturating_add(lasts);
        let machine = &mut self.machines[node.index()];
        let Some(process) = &mut machine.process else { return };
        if machine.stopped_until.is_some_and(|before| before >= until) || !process.stop() {
            return;
        }
        machine.stopped_until = Some(until);
        self.links.stopped(node, Some(fault));
        self.plan(until, Act::Resume(node, until));
    }

    /// SIGCONT.
    fn resume(&mut self, node: NodeId) {
        let machine = &mut self.machines[node.index()];
        machine.stopped_until = None;
        if let Some(process) = &mut machine.process {
            process.go_on();
        }
        self.links.stopped(node, None);
    }

    /// The end of all faults: links work, processes that are down start, stopped ones go on.
    async fn heal(&mut self) -> Result<(), Trouble> {
        self.acts.clear();
        self.links.heal();
        self.tell(Moment::Heal);
        for node in self.nodes() {
            if self.machines[node.index()].stopped_until.is_some() {
                self.resume(node);
            }
            self.boot(node)?;
        }
        self.all_started().await
    }

    /// Whether every process that should run does.
    pub(crate) fn look(&mut self) -> Result<(), Trouble> {
        for (node, machine) in (0..).map(NodeId).zip(&mut self.machines) {
            let Some(process) = &mut machine.process else { continue };
            if let Some(status) = process.ended() {
                let said = process.last_words();
                return Err(Trouble::Died(format!("{node} ended by itself ({status}): {said}")));
            }
        }
        Ok(())
    }

    /// Asks every process to stop, and waits until all have.
    pub(crate) async fn stop_all(&mut self) -> Result<(), Trouble> {
        self.look()?;
        for machine in &mut self.machines {
            if let Some(process) = &mut machine.process {
                process.terminate();
            }
        }
        let end = self.links.clock.now() + PATIENCE;
        for (node, machine) in (0..).map(NodeId).zip(&mut self.machines) {
            let Some(process) = &mut machine.process else { continue };
            let status = loop {
                match process.ended() {
                    Some(status) => break status,
                    None if self.links.clock.now() >= end => {
                        return Err(Trouble::Died(format!("{node} does not stop on SIGTERM")));
                    }
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            if !status.success() {
                let said = process.last_words();
                return Err(Trouble::Died(format!("{node} did not stop well ({status}): {said}")));
            }
        }
        Ok(())
    }

    fn tell_fault(&self, what: Happening, fault: usize) {
        let fault = &self.case.faults[fault];
        let node = fault.kind.clone().nodes_mut().first().map_or(NodeId(0), |node| **node);
        let text = world::describe(&fault.kind);
        self.tell(Moment::Fault(what, node, fault.id, text));
    }

    fn tell(&self, moment: Moment<N>) {
        self.moments.borrow_mut().push((nanos(self.links.clock.now()), moment));
    }
}
