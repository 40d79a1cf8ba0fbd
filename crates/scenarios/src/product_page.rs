//! A cache beside a database on trial: what is read may be old, but never wrong, never going back,
//! and not for ever.
//!
//! Clients read and write a few product pages; caches have room for fewer, and are restarted. What
//! is judged:
//!
//! - **at every step**: what a cache has was committed, and is not older than what it has said to
//!   have heard of; a client reads nothing that was not committed, and nothing older than it has
//!   read or written; no write takes effect twice;
//! - **at the end**: caches have the newest versions or nothing; what was told to be written is
//!   there; nothing that was begun is left undone.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::cache::Cache;
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Anomaly, Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Actor, Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::VersionedCache;
use protocols::naive::{CacheDeleteThenWrite, CacheDoubleDelete};
use protocols::page::{Config, Content, Durable, Op, Page, Ret, Role, Version, View};
use std::collections::BTreeMap;
use std::time::Duration;
use world::Scene;

const DATABASE: NodeId = NodeId(0);

/// Reads and writes through fronts, over caches and one database.
pub struct ProductPages<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Leases, tombstones, invalidation from the commit log (protocols.md P10).
pub fn product_page() -> ProductPages<VersionedCache> {
    let about = "a cache beside a database: leases, tombstones, invalidation from the commit log";
    let marks = &[
        "a cache did not answer",
        "a lease ran out",
        "a page was forgotten",
        "a reader waited for another one to fill the cache",
        "a restarted database found what to invalidate",
        "a restarted front asked the database",
        "a tombstone was forgotten",
        "a write was done already",
        "an entry was invalidated",
        "an entry was older than what its reader has seen",
        "who had been to the database too early was refused",
        "who had no lease any more was refused",
    ];
    ProductPages { trial: Trial::new("product_page", about, Shape { marks, ..shape() }) }
}

impl<N: Node> ProductPages<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit that deletes the entry, and then writes.
pub fn delete_then_write() -> ProductPages<CacheDeleteThenWrite> {
    let about = "the entry is deleted, then the page written: who reads between puts it back";
    ProductPages::exhibit("naive::cache_delete_then_write", about)
}

/// The exhibit that deletes it once more a while later.
pub fn double_delete() -> ProductPages<CacheDoubleDelete> {
    let about = "the entry is deleted before the write and a while after: a reader may be slower";
    ProductPages::exhibit("naive::cache_double_delete", about)
}

/// Everything but the database may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for ProductPages<N>
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

    /// Most are about one page; the others are there to push it out of the cache.
    fn op(&self) -> impl Strategy<Value = Op> {
        let page = prop_oneof![4 => Just(Page(0)), 1 => Just(Page(1)), 1 => Just(Page(2))];
        let write = (page.clone(), 1..1_000u32).prop_map(|(page, price)| Op::Write { page, price });
        prop_oneof![3 => page.prop_map(|page| Op::Read { page }), 2 => write]
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let sizes = (1..=2u16, 1..=3usize, 1..=3u16);
        let lag = prop_oneof![1 => Just(0u64), 2 => 1..=100u64];
        (sizes, 20..=200u64, lag, 20..=200u64, 1..=20u64).prop_map(
            |((caches, fronts, capacity), lease, lag, patience, pause)| {
                let config = Config {
                    role: Role::Database,
                    database: DATABASE,
                    caches,
                    capacity,
                    lease: Duration::from_millis(lease),
                    lag: Duration::from_millis(lag),
                    patience: Duration::from_millis(patience),
                    pause: Duration::from_millis(pause),
                };
                let caches = vec![Role::Cache; usize::from(caches)];
                let roles = [vec![Role::Database], caches, vec![Role::Front; fronts]].concat();
                roles.into_iter().map(|role| Config { role, ..config.clone() }).collect()
            },
        )
    }

    /// A client keeps to its front, which knows what it has seen.
    fn entries(&self, nodes: &[Config], client: u16) -> Vec<NodeId> {
        let fronts: Vec<NodeId> = with_role(nodes, Role::Front).collect();
        vec![fronts[usize::from(client) % fronts.len()]]
    }

    /// Caches and fronts know nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        (1..nodes.len() as u16).map(NodeId).collect()
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let mut fewer = nodes.to_vec();
        let role = (node.index() < fewer.len()).then(|| fewer.remove(node.index()).role)?;
        let caches = with_role(&fewer, Role::Cache).count() as u16;
        fewer.iter_mut().for_each(|config| config.caches = caches);
        fewer.iter().any(|config| config.role == role).then_some(fewer)
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        let Some(role) = nodes.get(node.index()).map(|config| config.role) else {
            return node.to_string();
        };
        let nth = with_role(nodes, role).take_while(|other| *other <= node).count();
        match role {
            Role::Database => "database".to_owned(),
            Role::Cache => format!("cache {nth}"),
            Role::Front => format!("front {nth}"),
        }
    }

    /// A client keeps to its front, and one of several fronts may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let mut asked = BTreeMap::new();
        let lost: Vec<NodeId> = case.lost().collect();
        let fronts: Vec<NodeId> = with_role(&case.nodes, Role::Front).collect();
        let caches = (case.nodes.len() - fronts.len()).saturating_sub(1) as u16;
        is_drawn(case, &fronts, |node, first| {
            let role = match node {
                DATABASE => Role::Database,
                NodeId(at) if at <= caches => Role::Cache,
                _ => Role::Front,
            };
            Config { role, database: DATABASE, caches, ..first }
        }) && caches > 0
            && fronts.iter().any(|front| !lost.contains(front))
            && case.calls.iter().all(|call| *asked.entry(call.client).or_insert(call.to) == call.to)
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let events = &scene.history().events;
            seen.ask(events);
            let judged = match scene.changed() {
                Some(DATABASE) => seen.look(&N::durable(scene.durable(DATABASE)), scene.now()),
                _ => Ok(()),
            };
            if let Some(database) = scene.state(DATABASE) {
                seen.heard.extend(database.view().heard);
            }
            let mut cached = caches(scene).flat_map(|(_, view)| view.cached);
            let judged = judged
                .and_then(|()| cached.try_for_each(|(page, content)| seen.cached(page, content)));
            Verdict::from(judged.and_then(|()| seen.hear(events)))
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        seen.ask(&run.history().events);
        let judged = seen.look(&N::durable(run.durable(DATABASE)), run.now());
        let mut cached = caches(run.scene).flat_map(|(_, view)| view.cached);
        let judged = judged.and_then(|()| {
            cached.try_for_each(|(page, content)| seen.pages.at_rest(&page, Some(content.version)))
        });
        Verdict::from(judged).and_then(|| nothing_is_open(run))
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        let events = &run.history().events;
        seen.ask(events);
        let judged = seen.look(&N::durable(run.durable(DATABASE)), run.now());
        let judged = judged.and_then(|()| seen.hear(events));
        Verdict::from(judged.and_then(|()| seen.operations.end()))
    }
}

fn with_role(nodes: &[Config], role: Role) -> impl Iterator<Item = NodeId> {
    let ids = (0..).map(NodeId).zip(nodes);
    ids.filter(move |(_, config)| config.role == role).map(|(id, _)| id)
}

/// What running caches have.
fn caches<N>(scene: &dyn Scene<N>) -> impl Iterator<Item = (NodeId, View)>
where
    N: Node<Config = Config> + Observe<View = View>,
{
    let is_cache = |id: &NodeId| scene.config(*id).is_some_and(|c| c.role == Role::Cache);
    let view = |id| scene.state(id).map(|state| (id, state.view()));
    scene.ids().filter(is_cache).filter_map(view)
}

/// No request runs any more, and every cache that is left has heard of every write.
fn nothing_is_open<N>(run: &Run<N>) -> Verdict
where
    N: Node<Config = Config> + Observe<View = View>,
{
    for node in run.ids() {
        let Some((state, config)) = run.state(node).zip(run.config(node)) else { continue };
        let View { running, unheard, .. } = state.view();
        if let Some(request) = running.first() {
            let message = format!("{node} still runs {request:?} at the end");
            return Verdict::violated("progress", "operation never ends", message);
        }
        if let Some(page) = unheard.iter().find(|page| !run.is_retired(config.cache_of(**page))) {
            let message = format!("the cache of {page:?} has not heard of its last write");
            return Verdict::violated("progress", "invalidation not delivered", message);
        }
    }
    Verdict::Holds
}

/// What was asked, committed and told.
struct Seen {
    /// What each client read and wrote.
    pages: Cache<Actor, Page>,
    /// By call, which is unique in a case.
    operations: Idempotency<u32, Op, Ret>,
    /// By its number in the history, with when it began.
    asked: BTreeMap<u32, (Op, u64)>,
    committed: BTreeMap<(Page, Version), u32>,
    /// What the database knows that its caches have heard of.
    heard: BTreeMap<Page, Version>,
    commits: usize,
    /// How many events have been looked at for what is asked, and for what is told.
    events: [usize; 2],
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            pages: Cache::new(),
            operations: Idempotency::new(),
            asked: BTreeMap::new(),
            committed: BTreeMap::new(),
            heard: BTreeMap::new(),
            commits: 0,
            events: [0; 2],
        }
    }
}

impl Seen {
    fn ask(&mut self, events: &[Event<Op, Ret>]) {
        for event in &events[self.events[0]..] {
            if let What::Invoke(op) = event.what {
                self.asked.insert(event.op, (op, event.at));
                self.operations.asked(event.call, op);
            }
        }
        self.events[0] = events.len();
    }

    /// What was committed since it was last called, by now.
    fn look(&mut self, durable: &Durable, now: u64) -> Judged {
        for commit in &durable.commits[self.commits..] {
            let Content { version, price } = commit.content;
            self.operations.effect(commit.operation.call)?;
            self.pages.committed(commit.page, version, Duration::from_nanos(now));
            self.committed.insert((commit.page, version), price);
        }
        self.commits = durable.commits.len();
        Ok(())
    }

    /// What a cache has was committed, and it has said of nothing newer that it has heard of it.
    fn cached(&self, page: Page, content: Content) -> Judged {
        self.was_committed(page, content)?;
        match self.heard.get(&page).filter(|heard| **heard > content.version) {
            None => Ok(()),
            Some(heard) => {
                let message = format!(
                    "a cache that has heard of version {heard} of {page:?} has {content:?}"
                );
                Err(Box::new(Anomaly::new("cache", "stale after its invalidation", message)))
            }
        }
    }

    /// Or it is what was there at the start.
    fn was_committed(&self, page: Page, content: Content) -> Judged {
        let committed = match content.version {
            0 => Some(0),
            version => self.committed.get(&(page, version)).copied(),
        };
        if committed == Some(content.price) {
            return Ok(());
        }
        let message = format!("{content:?} of {page:?} was never committed");
        Err(Box::new(Anomaly::new("cache", "not committed", message)))
    }

    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        let new = &events[self.events[1]..];
        self.events[1] = events.len();
        for event in new {
            let Some(&(op, began)) = self.asked.get(&event.op) else { continue };
            let page = op.page();
            match event.what {
                What::Ok(Ret::Page(content)) => {
                    let began = Duration::from_nanos(began);
                    self.pages.read(event.actor, page, content.version, began)?;
                    self.was_committed(page, content)?;
                }
                What::Ok(ret @ Ret::Written { version }) => {
                    self.operations.answered(event.call, op, Answer::Done(ret))?;
                    self.pages.wrote(event.actor, page, version);
                }
                What::Fail(_) => self.operations.answered(event.call, op, Answer::Failed)?,
                What::Invoke(_) | What::Info => {}
            }
        }
        Ok(())
    }
}
