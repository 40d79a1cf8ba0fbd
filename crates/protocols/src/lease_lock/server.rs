//! The lock server: rules 5.1 to 5.6.

use super::*;

/// Grants leases: 5.1–5.6.
#[derive(Default, Debug)]
pub struct LockServer {
    compact: u32,
    /// Records since the last snapshot.
    logged: u32,
    /// The highest fence ever granted.
    fence: u64,
    leases: BTreeMap<Object, Grant>,
    /// Each owner's last grant: what a snapshot must keep for 5.2 and 5.3.
    last: BTreeMap<NodeId, Grant>,
    /// Each owner's highest `req_id`.
    seen: BTreeMap<NodeId, ReqId>,
    /// At most one request of each owner.
    line: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    object: Object,
    owner: NodeId,
    req: ReqId,
    ttl: Duration,
    /// When the last copy of it arrived.
    heard: Duration,
}

impl LockServer {
    pub(super) fn new(config: &Config) -> Self {
        Self { compact: config.compact, ..Self::default() }
    }

    /// Leases that a log says run, and the highest fence.
    pub(super) fn durable(log: &[Record]) -> (Vec<Lease>, u64) {
        let mut server = Self::default();
        server.replay(log);
        (server.leases(), server.fence)
    }

    pub(super) fn view(&self) -> View {
        let waiter = |w: &Waiting| Waiter {
            object: w.object,
            owner: w.owner,
            attempt: (w.req.incarnation, w.req.seq),
        };
        View::LockServer { leases: self.leases(), line: self.line.iter().map(waiter).collect() }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        self.replay(log);
        for grant in self.leases.values() {
            // 5.6: nobody knows how much of it has passed.
            cx.mark("restarted lock server extended a lease");
            let Grant { object, fence, ttl, .. } = *grant;
            cx.set_timer(ttl, Timer::Expire { object, fence });
        }
    }

    fn replay(&mut self, log: &[Record]) {
        for record in log {
            self.logged += 1;
            match record {
                Record::Grant(grant) => self.note(*grant),
                Record::Ended { fence, .. } => self.leases.retain(|_, g| g.fence != *fence),
                _ => {} // the store's
            }
        }
    }

    fn note(&mut self, grant: Grant) {
        self.fence = self.fence.max(grant.fence);
        self.leases.insert(grant.object, grant);
        self.last.insert(grant.owner, grant);
        self.seen.insert(grant.owner, grant.req);
    }

    pub(super) fn on_acquire(
        &mut self,
        owner: NodeId,
        object: Object,
        req: ReqId,
        ttl: Duration,
        cx: &mut Context,
    ) {
        self.compact(cx);
        match self.leases.get(&object) {
            // 5.3: a copy, while its grant lasts.
            Some(grant) if grant.owner == owner && grant.req == req => {
                cx.mark("a retried Acquire got the same grant");
                cx.send(owner, Msg::Granted { object, req, fence: grant.fence });
            }
            // 5.3: a copy of what waits, has ended, or was given up.
            _ if self.seen.get(&owner).is_some_and(|seen| req <= *seen) => {
                let now = cx.now();
                let waits = self.line.iter_mut().filter(|w| w.owner == owner && w.req == req);
                waits.for_each(|waiting| waiting.heard = now);
            }
            // 5.1
            _ => {
                self.seen.insert(owner, req);
                let entry = Waiting { object, owner, req, ttl, heard: cx.now() };
                self.wait(entry);
                self.serve(object, cx);
            }
        }
    }

    /// An owner that asks anew for the lock it waits for keeps its place.
    fn wait(&mut self, entry: Waiting) {
        match self.line.iter().position(|waiting| waiting.owner == entry.owner) {
            Some(place) if self.line[place].object == entry.object => self.line[place] = entry,
            Some(place) => {
                self.line.remove(place);
                self.line.push(entry);
            }
            None => self.line.push(entry),
        }
    }

    /// Grants a free lock to the first in line.
    fn serve(&mut self, object: Object, cx: &mut Context) {
        let now = cx.now();
        // Who has been silent for so long is gone, and would block the lock for a TTL.
        self.line.retain(|waiting| now.saturating_sub(waiting.heard) < waiting.ttl);
        let first = self.line.iter().position(|waiting| waiting.object == object);
        if let Some(place) = first
            && !self.leases.contains_key(&object)
        {
            let Waiting { owner, req, ttl, .. } = self.line.remove(place);
            let fence = self.fence + 1;
            let grant = Grant { object, owner, req, fence, ttl };
            // 5.2
            cx.force(Record::Grant(grant));
            cx.send(owner, Msg::Granted { object, req, fence });
            // 5.5
            cx.set_timer(ttl, Timer::Expire { object, fence });
            self.logged += 1;
            self.note(grant);
        }
    }

    pub(super) fn on_release(
        &mut self,
        owner: NodeId,
        object: Object,
        fence: u64,
        cx: &mut Context,
    ) {
        // 5.4
        if self.leases.get(&object).is_some_and(|l| l.owner == owner && l.fence == fence) {
            self.compact(cx);
            cx.cancel_timer(Timer::Expire { object, fence });
            self.end(object, fence, cx);
        }
    }

    pub(super) fn on_expire(&mut self, object: Object, fence: u64, cx: &mut Context) {
        // 5.5
        if self.leases.get(&object).is_some_and(|grant| grant.fence == fence) {
            self.compact(cx);
            cx.mark("a lease ran out at the lock server");
            self.end(object, fence, cx);
        }
    }

    fn end(&mut self, object: Object, fence: u64, cx: &mut Context) {
        // Lazy: if it is lost, 5.6 makes the lease last longer than it need.
        cx.persist(Record::Ended { object, fence });
        self.logged += 1;
        self.leases.remove(&object);
        self.serve(object, cx);
    }

    /// Keeps the leases that run and each owner's last grant, from which the fence counter and the
    /// highest `req_id`s follow.
    fn compact(&mut self, cx: &mut Context) {
        if self.logged <= self.compact {
            return;
        }
        let kept = self.last.values().chain(self.leases.values());
        let grants: BTreeMap<u64, Grant> = kept.map(|grant| (grant.fence, *grant)).collect();
        let ended = grants.values().filter(|g| self.leases.get(&g.object) != Some(*g));
        let ended = ended.map(|g| Record::Ended { object: g.object, fence: g.fence });
        cx.snapshot(grants.values().map(|grant| Record::Grant(*grant)).chain(ended).collect());
        self.logged = 0;
    }

    fn leases(&self) -> Vec<Lease> {
        let lease = |g: &Grant| Lease { object: g.object, owner: g.owner, fence: g.fence };
        self.leases.values().map(lease).collect()
    }
}
