//! Jobs through a durable queue on trial: what is accepted is done once, in order, or is dead.
//!
//! Jobs of all clients share a few accounts; some clients wait for the reply, the others only for
//! the job to be accepted; now and then a job is poison, which no worker can do. What is judged:
//!
//! - **at every step**: no job is done twice, or done after it was told to be dead, or with another
//!   amount or on another account than asked; jobs of one account are done in the order in which
//!   the broker has them; a reply is that to the client's own request;
//! - **at the end**: what was told to be accepted is done or among the dead letters; queues, outbox
//!   and tasks are empty, and nobody waits.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::delivery::Delivery;
use checkers::{Anomaly, Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::DurableQueue;
use protocols::job::{Config, Durable, Job, Op, Ret, Role, View};
use protocols::naive::{QueueAcknowledgeFirst, QueuePopThenProcess};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use world::Scene;

const BROKER: NodeId = NodeId(0);
const STORE: NodeId = NodeId(1);

/// Jobs through fronts, one broker and workers, done at one store.
pub struct Jobs<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// A durable queue (protocols.md P7).
pub fn queue() -> Jobs<DurableQueue> {
    let about = "jobs through a durable queue: what is accepted is done once and in order, or dead";
    let marks = &[
        "a job was done and given up, and the first one stands",
        "a job was given back",
        "a job was given up",
        "a job waited for an older one of its account",
        "a lease ran out",
        "a message after a gap was not taken",
        "a message was published again",
        "a reply found nobody",
        "a restarted broker found messages",
        "a restarted store found replies to publish",
        "an old receipt was refused",
        "an older life of a producer was not heard",
        "the inbox forgot a job",
        "the inbox knew a job",
    ];
    Jobs { trial: Trial::new("queue", about, Shape { marks, ..shape() }) }
}

impl<N: Node> Jobs<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit whose workers pop a job, and then process it.
pub fn pop_then_process() -> Jobs<QueuePopThenProcess> {
    let about = "a job is popped and then processed: a crash between loses it";
    Jobs::exhibit("naive::queue_pop_then_process", about)
}

/// The exhibit whose workers acknowledge a job, and then process it.
pub fn acknowledge_first() -> Jobs<QueueAcknowledgeFirst> {
    let about = "a job is acknowledged and then processed: a crash between loses it";
    Jobs::exhibit("naive::queue_acknowledge_first", about)
}

/// A worker may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for Jobs<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    fn op(&self) -> impl Strategy<Value = Op> {
        let poison = prop_oneof![15 => Just(false), 1 => Just(true)];
        (0..3u16, 1..100u32, poison, any::<bool>()).prop_map(|(account, amount, poison, wait)| Op {
            job: Job { account, amount, poison },
            wait,
        })
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let roles = (1..=2usize, 2..=3usize);
        let tries = prop_oneof![1 => 1..=2u32, 1 => Just(4)];
        let trouble = prop_oneof![1 => Just(0u8), 1 => Just(30)];
        // No copy comes later than this after the effect: faults end within 2 s, and what is leased
        // then is leased for 3.2 s at most.
        let retention = 8_000..=12_000u64;
        (roles, 10..=100u64, 10..=100u64, 50..=400u64, tries, trouble, retention, 2..=20u32)
            .prop_map(|(roles, lease, resend, poll, tries, trouble, retention, compact_after)| {
                let config = Config {
                    role: Role::Worker,
                    broker: BROKER,
                    store: STORE,
                    lease: Duration::from_millis(lease),
                    resend: Duration::from_millis(resend),
                    poll: Duration::from_millis(poll),
                    tries,
                    trouble,
                    retention: Duration::from_millis(retention),
                    compact_after,
                };
                let (fronts, workers) = roles;
                let fronts = vec![Role::Front; fronts];
                let workers = vec![Role::Worker; workers];
                [vec![Role::Broker, Role::Store], fronts, workers]
                    .concat()
                    .into_iter()
                    .map(|role| Config { role, ..config.clone() })
                    .collect()
            })
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        with_role(nodes, Role::Front).collect()
    }

    /// A worker knows nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        with_role(nodes, Role::Worker).collect()
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let mut fewer = nodes.to_vec();
        let role = (node.index() < fewer.len()).then(|| fewer.remove(node.index()).role)?;
        fewer.iter().any(|config| config.role == role).then_some(fewer)
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        let Some(role) = nodes.get(node.index()).map(|config| config.role) else {
            return node.to_string();
        };
        let nth = with_role(nodes, role).take_while(|other| *other <= node).count();
        match role {
            Role::Broker => "broker".to_owned(),
            Role::Store => "store".to_owned(),
            Role::Front => format!("front {nth}"),
            Role::Worker => format!("worker {nth}"),
        }
    }

    /// One of several workers may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let fronts: Vec<NodeId> = with_role(&case.nodes, Role::Front).collect();
        is_drawn(case, &fronts, |node, first| {
            let role = match node {
                BROKER => Role::Broker,
                STORE => Role::Store,
                _ if fronts.contains(&node) => Role::Front,
                _ => Role::Worker,
            };
            Config { role, broker: BROKER, store: STORE, ..first }
        }) && match with_role(&case.nodes, Role::Worker).count() {
            0 => false,
            1 => case.lost().next().is_none(),
            _ => true,
        }
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        let mut order = Order::default();
        move |scene: &dyn Scene<N>| {
            let events = &scene.history().events;
            seen.ask(events);
            let durable = scene.changed().map(|node| N::durable(scene.durable(node)));
            let judged = durable.map_or(Ok(()), |durable| {
                order.queued(&durable);
                let new = seen.look(&durable)?;
                new.into_iter().try_for_each(|call| order.done(call))
            });
            Verdict::from(judged.and_then(|()| seen.hear(events)))
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids() {
            let open = run.state(node).map(|state| state.view().open).unwrap_or_default();
            if let Some(id) = open.first() {
                let role = self.role(&run.case.nodes, node);
                let message = format!("{:?} is still open at {role}", Call(id.call));
                return Verdict::violated("progress", "queue not drained", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        let events = &run.history().events;
        seen.ask(events);
        let mut durable = run.ids().map(|node| N::durable(run.durable(node)));
        let judged = durable.try_for_each(|durable| seen.look(&durable).map(|_| ()));
        let judged = judged.and_then(|()| seen.hear(events)).and_then(|()| seen.jobs.end());
        Verdict::from(judged)
    }
}

fn with_role(nodes: &[Config], role: Role) -> impl Iterator<Item = NodeId> {
    let ids = (0..).map(NodeId).zip(nodes);
    ids.filter(move |(_, config)| config.role == role).map(|(id, _)| id)
}

/// A job, as the case numbers its call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call(u32);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.0)
    }
}

/// What was asked, done and told.
struct Seen {
    /// A delivery is a line on a statement.
    jobs: Delivery<Call, ()>,
    asked: BTreeMap<Call, Job>,
    lines: BTreeMap<u16, Vec<Call>>,
    /// How many events have been looked at for what is asked, and for what is told.
    events: [usize; 2],
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            jobs: Delivery::exactly_once(),
            asked: BTreeMap::new(),
            lines: BTreeMap::new(),
            events: [0; 2],
        }
    }
}

impl Seen {
    fn ask(&mut self, events: &[Event<Op, Ret>]) {
        for event in &events[self.events[0]..] {
            if let What::Invoke(op) = event.what {
                self.jobs.sent(Call(event.call), None);
                self.asked.insert(Call(event.call), op.job);
            }
        }
        self.events[0] = events.len();
    }

    /// The jobs whose effects have come since it was last called.
    fn look(&mut self, durable: &Durable) -> Result<Vec<Call>, Box<Anomaly>> {
        let mut new = Vec::new();
        for (account, lines) in &durable.done {
            let known = self.lines.entry(*account).or_default();
            for (request, amount) in lines.iter().skip(known.len()) {
                let call = Call(request.call);
                self.jobs.delivered(call)?;
                known.push(call);
                new.push(call);
                let asked = self.asked.get(&call).map(|job| (job.account, job.amount));
                if asked != Some((*account, *amount)) {
                    let message = format!("{call:?} has credited {amount} to a{account}");
                    return Err(Box::new(Anomaly::new("delivery", "altered", message)));
                }
            }
        }
        for request in &durable.dead {
            self.jobs.buried(Call(request.call));
        }
        Ok(new)
    }

    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        let new = &events[self.events[1]..];
        self.events[1] = events.len();
        for event in new {
            let call = Call(event.call);
            match event.what {
                What::Ok(Ret::Accepted) => self.jobs.acknowledged(call),
                What::Ok(Ret::Done { account, line }) => {
                    let lines = self.lines.get(&account);
                    let made_for = lines.and_then(|lines| lines.get(line as usize - 1));
                    self.jobs.replied(call, made_for.copied().unwrap_or(call))?;
                }
                What::Ok(Ret::Dead) | What::Fail(_) => self.jobs.failed(call)?,
                What::Invoke(_) | What::Info => {}
            }
        }
        Ok(())
    }
}

/// The order of each account's jobs: that in which the broker first had them.
struct Order {
    jobs: Delivery<Call, u16>,
    queued: BTreeSet<Call>,
}

impl Default for Order {
    fn default() -> Self {
        Self { jobs: Delivery::at_least_once(), queued: BTreeSet::new() }
    }
}

impl Order {
    fn queued(&mut self, durable: &Durable) {
        for (request, job) in &durable.queued {
            let call = Call(request.call);
            if self.queued.insert(call) {
                self.jobs.sent(call, Some(job.account));
            }
        }
    }

    fn done(&mut self, call: Call) -> Judged {
        match self.queued.contains(&call) {
            true => self.jobs.delivered(call),
            false => Ok(()), // the broker keeps nothing, or not yet
        }
    }
}
