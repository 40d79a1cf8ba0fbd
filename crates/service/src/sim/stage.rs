//! What a run stands on: the case, its machines in madsim's words, and what has happened.

use super::adversary::{Act, Cut};
use crate::scenario::{Group, Name, ServiceCase, role};
use crate::trial::{Life, Lines, Workload};
use checkers::Verdict;
use history::What;
use madsim::runtime::Handle;
use madsim::task::NodeId as Task;
use madsim::time::{Instant, TimeHandle};
use node::NodeId;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use world::case::{MAX_NODES, Network};
use world::parts::{Trace, nanos};
use world::{Faults, Happening, Origin, TraceEvent};

/// Where every node listens.
const PORT: u16 = 7000;

/// A machine for a node, and where its process stands.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) task: Option<Task>,
    pub(super) life: Option<Life>,
    pub(super) up: bool,
    pub(super) incarnation: u32,
    /// Counts starts that were planned and made void.
    pub(super) token: u32,
    /// Until when it is paused.
    pub(super) paused: Option<u64>,
    /// How many calls had begun when it started.
    pub(super) begun: u64,
    /// What its start goes back to.
    pub(super) origin: Option<Origin>,
}

/// Everything of one run.
pub(super) struct State {
    /// The case; none while the test's body is only asked what it declares.
    pub(super) case: Option<ServiceCase>,
    pub(super) groups: Vec<Group>,
    pub(super) names: Vec<Name>,
    pub(super) machines: Vec<Machine>,
    /// The machines of clients, in madsim's words.
    pub(super) clients: Vec<Task>,
    pub(super) workload: Option<Workload>,
    /// Clients that have not ended.
    pub(super) working: usize,
    pub(super) lines: Lines,
    /// Operations, and those that ended ok.
    pub(super) operations: (u32, u32),
    /// Calls that are open, and those that have ever begun.
    pub(super) open: u32,
    pub(super) begun: u64,
    pub(super) next_process: u32,
    pub(super) agenda: BTreeMap<(u64, u64), Act>,
    pub(super) planned: u64,
    pub(super) cuts: Vec<Cut>,
    pub(super) healed: bool,
    /// Faults that have struck.
    pub(super) struck: Vec<bool>,
    pub(super) effective: Faults,
    /// What the engine itself has found wrong.
    pub(super) wrong: Option<Verdict>,
    pub(super) trace: Trace,
    pub(super) steps: u64,
    start: Instant,
    folder: PathBuf,
    waiting: Vec<Waker>,
}

/// What a run's tasks have in common.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Mutex<State>>);

/// The address of a machine: nodes first, then clients.
pub(super) fn ip(machine: usize) -> IpAddr {
    let [high, low] = (machine as u16).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
}

/// madsim's network with the case's delays. One of its milliseconds is the least that it knows.
/// Where messages may be late, each takes its own time, up to the tail; all links are alike.
pub(super) fn config(network: &Network) -> madsim::Config {
    let mut config = madsim::Config::default();
    let fastest = network.fastest.max(Duration::from_millis(1));
    let slowest = if network.delay > 0 { network.tail } else { network.slowest };
    config.net.send_latency = fastest..slowest.max(fastest) + Duration::from_nanos(1);
    config
}

impl Stage {
    /// Before anything has happened, on a runtime that has begun.
    pub(super) fn new(case: Option<&ServiceCase>, folder: &Path, recording: bool) -> Self {
        let mut state = State {
            case: case.cloned(),
            groups: Vec::new(),
            names: case.map_or_else(Vec::new, |case| case.nodes.clone()),
            machines: Vec::new(),
            clients: Vec::new(),
            workload: None,
            working: 0,
            lines: Vec::new(),
            operations: (0, 0),
            open: 0,
            begun: 0,
            next_process: case.map_or(0, |case| case.clients.count.into()),
            agenda: BTreeMap::new(),
            planned: 0,
            cuts: Vec::new(),
            healed: false,
            struck: Vec::new(),
            effective: Faults::NONE,
            wrong: None,
            trace: Trace { events: recording.then(Vec::new), ..Trace::default() },
            steps: 0,
            start: TimeHandle::current().now_instant(),
            folder: folder.to_owned(),
            waiting: Vec::new(),
        };
        state.machines.resize_with(state.names.len(), Machine::default);
        state.plan_all();
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn machines(&self, name: &str, count: RangeInclusive<u16>) -> Vec<NodeId> {
        self.state().named(name, count)
    }

    pub(crate) fn address(&self, id: NodeId) -> SocketAddr {
        SocketAddr::new(ip(id.index()), PORT)
    }

    /// Made here: a file system of madsim's would forget no write, and would know no folders.
    pub(crate) fn folder(&self, id: NodeId) -> PathBuf {
        let state = self.state();
        let folder = state.folder.join(role(&state.names, id));
        if let Err(error) = std::fs::create_dir_all(&folder) {
            panic!("{}: {error}", folder.display());
        }
        folder
    }

    pub(crate) fn serve(&self, id: NodeId, life: Life) {
        self.state().machines[id.index()].life = Some(life);
        self.boot(id);
    }

    /// A process starts, for the first time or again.
    pub(super) fn boot(&self, id: NodeId) {
        let (task, name) = {
            let mut state = self.state();
            let begun = state.begun;
            let machine = &mut state.machines[id.index()];
            if machine.up || machine.life.is_none() {
                return;
            }
            machine.up = true;
            machine.begun = begun;
            machine.token += 1;
            machine.incarnation += 1;
            let (task, incarnation) = (machine.task, machine.incarnation);
            let origin = machine.origin.unwrap_or(Origin::Boot(id.0));
            let text = format!("incarnation {incarnation}");
            state.note(Happening::Boot, id, Some(origin), &incarnation, || text);
            (task, role(&state.names, id))
        };
        let handle = Handle::current();
        if let Some(task) = task {
            return handle.restart(task);
        }
        let stage = self.clone();
        let life = move || stage.clone().live(id);
        let node = handle.create_node().name(name).ip(ip(id.index())).init(life).build();
        self.state().machines[id.index()].task = Some(node.id());
    }

    /// One life of a node. That it ends by itself is a finding.
    async fn live(self, id: NodeId) {
        let life = self.state().machines[id.index()].life.clone();
        let Some(life) = life else { return };
        let why = life().await;
        let mut state = self.state();
        let name = role(&state.names, id);
        state.found(Verdict::violated("service", "ended", format!("{name} ends by itself: {why}")));
    }

    pub(crate) async fn healed(&self) {
        self.until(|state| state.healed && state.machines.iter().all(Machine::is_started)).await;
    }

    /// Lets a task look again when something has happened.
    pub(super) fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        let waiting = &mut self.state().waiting;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until something is true of the run.
    pub(super) async fn until(&self, done: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let done = done(&self.state());
            if done { Poll::Ready(()) } else { self.wait(cx) }
        })
        .await;
    }
}

impl Machine {
    /// Its process runs, if it has any.
    fn is_started(&self) -> bool {
        self.up || self.life.is_none()
    }
}

impl State {
    /// The machines of that name: those of the case, or as many as there may be.
    fn named(&mut self, name: &str, count: RangeInclusive<u16>) -> Vec<NodeId> {
        let known = self.groups.iter().any(|group| group.name == name);
        if !known {
            assert!(self.workload.is_none(), "{name}: expected every machine before clients begin");
            if self.case.is_none() {
                for _ in 0..*count.end() {
                    self.names.push(Name(name.to_owned()));
                    self.machines.push(Machine::default());
                }
            }
            assert!(self.names.len() <= MAX_NODES, "{name}: expected at most {MAX_NODES} machines");
            self.groups.push(Group { name: name.to_owned(), count });
        }
        let ids = (0..).map(NodeId).zip(&self.names).filter(|(_, there)| there.0 == name);
        let ids: Vec<NodeId> = ids.map(|(id, _)| id).collect();
        assert!(!ids.is_empty(), "the case has no machine {name:?}");
        ids
    }

    /// Nanoseconds since the start of the run.
    pub(super) fn now(&self) -> u64 {
        nanos(TimeHandle::current().now_instant().saturating_duration_since(self.start))
    }

    pub(super) fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_nanos(at)
    }

    /// Lets everybody look again who waits for something.
    pub(super) fn stir(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// The engine has found something wrong by itself: the first thing counts.
    pub(super) fn found(&mut self, verdict: Verdict) {
        self.wrong.get_or_insert(verdict);
        self.stir();
    }

    /// Adds an event to the digest and, when recording, to the trace.
    pub(super) fn note(
        &mut self,
        what: Happening,
        node: NodeId,
        origin: Option<Origin>,
        about: &impl Hash,
        text: impl FnOnce() -> String,
    ) {
        let at = self.now();
        self.steps += 1;
        self.trace.hash(at, what, node, about);
        let digest = self.trace.digest.value();
        let incarnation = self.machines.get(node.index()).map_or(0, |m| m.incarnation);
        if let Some(events) = &mut self.trace.events {
            let (peer, nth, source, text) = (None, 0, None, text());
            events.push(TraceEvent {
                at,
                node,
                incarnation,
                origin,
                what,
                peer,
                nth,
                text,
                digest,
                source,
            });
        }
    }

    /// The machine of a client.
    pub(super) fn client(&self, client: u16) -> NodeId {
        NodeId(self.names.len() as u16 + client)
    }
}

/// How an operation has ended, in the words of traces.
pub(super) fn happening<Op, Ret>(what: &What<Op, Ret>) -> Happening {
    match what {
        What::Invoke(_) => Happening::Invoke,
        What::Ok(_) => Happening::Ok,
        What::Fail(_) => Happening::Fail,
        What::Info => Happening::Info,
    }
}
