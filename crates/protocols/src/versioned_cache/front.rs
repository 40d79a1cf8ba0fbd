//! A front: between clients, caches and the database. It knows what its clients have seen, and
//! when it has forgotten that.

use super::{Config, Content, Context, Lease, Msg, Op, Page, Ret, Task, Timer, Version, View};
use node::{NodeId, RequestId};
use std::collections::{BTreeMap, BTreeSet};

/// What a request waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// For the cache.
    Asking,
    /// For another reader, who fills the cache.
    Waiting,
    /// For the database's page.
    Reading { lease: Option<Lease> },
    /// For the database's word on the write.
    Writing,
}

/// Requests that it sees to.
#[derive(Debug)]
pub struct Front {
    config: Config,
    tasks: BTreeMap<RequestId, (Op, Phase)>,
    /// The highest version of a page that each client has read or written in this life (10.5).
    seen: BTreeMap<(NodeId, Page), Version>,
    /// Which pages have been read from the database in this life, and for whom.
    asked: BTreeSet<(NodeId, Page)>,
}

impl Front {
    pub(super) fn new(config: &Config) -> Self {
        let (tasks, seen, asked) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { config: config.clone(), tasks, seen, asked }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.tasks.contains_key(&request) {
            return; // a copy: one reply answers both
        }
        match op {
            Op::Read { .. } => self.ask(request, op, cx),
            Op::Write { .. } => self.go(request, op, Phase::Writing, cx),
        }
    }

    /// Asks the cache, if it is known what is new enough; else the database knows best (10.5).
    fn ask(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.minimum(request.client, op.page(), cx).is_some() {
            return self.go(request, op, Phase::Asking, cx);
        }
        cx.mark("a restarted front asked the database");
        self.go(request, op, Phase::Reading { lease: None }, cx);
    }

    /// The highest version of the page that this client has seen, if that is known. A later life
    /// does not know it before the database has been asked: what it says covers earlier lives.
    fn minimum(&self, client: NodeId, page: Page, cx: &Context) -> Option<Version> {
        let known = cx.incarnation() == 1 || self.asked.contains(&(client, page));
        known.then(|| self.seen.get(&(client, page)).copied().unwrap_or(0))
    }

    /// A request's next step, or the same one again.
    fn go(&mut self, request: RequestId, op: Op, phase: Phase, cx: &mut Context) {
        let Config { database, patience, pause, .. } = self.config;
        let (page, task) = (op.page(), Task { request, life: cx.incarnation() });
        self.tasks.insert(request, (op, phase));
        match (phase, op) {
            (Phase::Asking, _) => {
                let minimum = self.minimum(request.client, page, cx).unwrap_or(0);
                cx.send(self.config.cache_of(page), Msg::Get { task, page, minimum });
            }
            (Phase::Reading { lease }, _) => cx.send(database, Msg::Read { task, page, lease }),
            (Phase::Writing, Op::Write { price, .. }) => {
                cx.send(database, Msg::Write { request, page, price });
            }
            (Phase::Writing, Op::Read { .. }) | (Phase::Waiting, _) => {}
        }
        let after = if phase == Phase::Waiting { pause } else { patience };
        cx.set_timer(after, Timer::Next(request));
    }

    pub(super) fn on_hit(&mut self, task: Task, content: Content, cx: &mut Context) {
        if let Some((_, Phase::Asking)) = self.current(task, cx) {
            self.end(task.request, content.version, Ret::Page(content), cx);
        }
    }

    pub(super) fn on_miss(&mut self, task: Task, lease: Lease, cx: &mut Context) {
        if let Some((op, Phase::Asking)) = self.current(task, cx) {
            self.go(task.request, op, Phase::Reading { lease: Some(lease) }, cx);
        }
    }

    pub(super) fn on_wait(&mut self, task: Task, cx: &mut Context) {
        if let Some((op, Phase::Asking)) = self.current(task, cx) {
            cx.mark("a reader waited for another one to fill the cache");
            self.go(task.request, op, Phase::Waiting, cx);
        }
    }

    pub(super) fn on_row(
        &mut self,
        task: Task,
        content: Content,
        lease: Option<Lease>,
        cx: &mut Context,
    ) {
        let Some((op, Phase::Reading { .. })) = self.current(task, cx) else { return };
        let page = op.page();
        if let Some(lease) = lease {
            cx.send(self.config.cache_of(page), Msg::Fill { page, lease, content });
        }
        self.asked.insert((task.request.client, page));
        self.end(task.request, content.version, Ret::Page(content), cx);
    }

    pub(super) fn on_written(&mut self, request: RequestId, version: Version, cx: &mut Context) {
        self.end(request, version, Ret::Written { version }, cx);
    }

    pub(super) fn on_next(&mut self, request: RequestId, cx: &mut Context) {
        let Some(&(op, phase)) = self.tasks.get(&request) else { return };
        match phase {
            Phase::Asking => {
                cx.mark("a cache did not answer");
                self.go(request, op, Phase::Reading { lease: None }, cx);
            }
            Phase::Waiting => self.go(request, op, Phase::Asking, cx),
            Phase::Reading { .. } | Phase::Writing => self.go(request, op, phase, cx),
        }
    }

    /// What is asked and what it waits for, if the task is one of this life.
    fn current(&self, task: Task, cx: &Context) -> Option<(Op, Phase)> {
        let ours = task.life == cx.incarnation();
        self.tasks.get(&task.request).copied().filter(|_| ours)
    }

    fn end(&mut self, request: RequestId, version: Version, ret: Ret, cx: &mut Context) {
        let Some((op, _)) = self.tasks.remove(&request) else { return };
        let seen = self.seen.entry((request.client, op.page())).or_default();
        *seen = version.max(*seen);
        cx.cancel_timer(Timer::Next(request));
        cx.reply(request, ret);
    }

    pub(super) fn view(&self) -> View {
        View { running: self.tasks.keys().copied().collect(), ..View::default() }
    }
}
