//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};
use std::time::Duration;

type Effects = Vec<Effect<VersionedCache>>;

const DATABASE: NodeId = NodeId(0);
const CACHE: NodeId = NodeId(1);
const ASKER: NodeId = NodeId(5);
const CLIENT: NodeId = NodeId(9);
const PAGE: Page = Page(0);
const READ: Op = Op::Read { page: PAGE };
const WRITE: Op = Op::Write { page: PAGE, price: 7 };
const LEASE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(5);
const LAG: Duration = Duration::from_millis(10);

fn config(role: Role) -> Config {
    Config {
        role,
        database: DATABASE,
        caches: 1,
        capacity: 2,
        lease: LEASE,
        lag: LAG,
        patience: PATIENCE,
        pause: PAUSE,
    }
}

fn request(call: u32) -> RequestId {
    RequestId { client: CLIENT, call }
}

fn task(call: u32, life: Incarnation) -> Task {
    Task { request: request(call), life }
}

fn content(version: Version) -> Content {
    Content { version, price: 7 }
}

/// A node and the log that it writes.
struct Machine {
    node: VersionedCache,
    role: Role,
    life: Incarnation,
    now: Duration,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        let node = VersionedCache::new(CACHE, &config(role));
        Self { node, role, life: 1, now: Duration::ZERO, log: Vec::new() }
    }

    fn run(&mut self, f: impl FnOnce(&mut VersionedCache, &mut Context)) -> Effects {
        let now_nanos = self.now.as_nanos() as u64;
        let mut cx = Cx::new(Here { incarnation: self.life, now_nanos, ..Here::default() });
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) | Effect::Persist(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Mark(_))).collect()
    }

    fn restart(&mut self) -> Effects {
        self.node = VersionedCache::new(CACHE, &config(self.role));
        self.life += 1;
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx))
    }

    fn ask(&mut self, call: u32, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(ASKER, msg, cx))
    }

    fn ring(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }

    /// A cache is asked for a page, and says this.
    fn get(&mut self, page: Page, minimum: Version) -> Msg {
        let effects = self.hear(Msg::Get { task: task(1, 1), page, minimum });
        let [Effect::Send(ASKER, answer)] = &effects[..] else { panic!("{effects:?}") };
        answer.clone()
    }

    /// A cache is asked for a page that it does not have, and gives a lease.
    fn miss(&mut self, page: Page) -> Lease {
        match self.get(page, 0) {
            Msg::Miss { lease, .. } => lease,
            other => panic!("{other:?}"),
        }
    }

    fn fill(&mut self, lease: Lease, version: Version) {
        let effects = self.hear(Msg::Fill { page: PAGE, lease, content: content(version) });
        assert_eq!(effects, []);
    }

    fn invalidate(&mut self, version: Version) {
        let effects = self.hear(Msg::Invalidate { page: PAGE, version });
        assert_eq!(effects, [Effect::Send(ASKER, Msg::Heard { page: PAGE, version })]);
    }

    /// The version that a cache has of the page.
    fn cached(&self) -> Option<Version> {
        self.node.view().cached.get(&PAGE).map(|content| content.version)
    }
}

fn told(msg: Msg) -> Effect<VersionedCache> {
    Effect::Send(ASKER, msg)
}

fn next(after: Duration, call: u32) -> Effect<VersionedCache> {
    Effect::SetTimer { after, timer: Timer::Next(request(call)), background: false }
}

fn replied(call: u32, ret: Ret) -> [Effect<VersionedCache>; 2] {
    let reply = Effect::Reply(request(call), Answer::Ok(ret));
    [Effect::CancelTimer(Timer::Next(request(call))), reply]
}

/// 10.1: a miss gives a lease, and with it the page is filled.
#[test]
fn a_page_is_filled_under_a_lease() {
    let mut cache = Machine::new(Role::Cache);
    let lease = cache.miss(PAGE);
    cache.fill(lease, 3);
    assert_eq!(cache.get(PAGE, 3), Msg::Hit { task: task(1, 1), content: content(3) });
    cache.fill(lease, 2);
    assert_eq!(cache.cached(), Some(3), "a lease is good for once");
}

/// 10.1: an invalidation keeps out who has read what was there before it.
#[test]
fn who_has_read_an_older_version_is_refused() {
    let mut cache = Machine::new(Role::Cache);
    let lease = cache.miss(PAGE);
    cache.invalidate(4);
    cache.fill(lease, 3);
    assert_eq!(cache.cached(), None);
    let lease = cache.miss(PAGE);
    cache.invalidate(5);
    cache.fill(lease, 5);
    assert_eq!(cache.cached(), Some(5), "who has read the new version need not go again");
}

/// 10.2: one filler at a time; when its time is over, another one.
#[test]
fn others_wait_while_a_lease_lasts() {
    let mut cache = Machine::new(Role::Cache);
    let slow = cache.miss(PAGE);
    assert_eq!(cache.get(PAGE, 0), Msg::Wait { task: task(1, 1) });
    cache.now = LEASE;
    let lease = cache.miss(PAGE);
    assert_ne!(lease, slow);
    cache.fill(slow, 1);
    assert_eq!(cache.cached(), None, "there is a new lease");
    cache.fill(lease, 1);
    assert_eq!(cache.cached(), Some(1));
}

/// 10.3: an invalidation that comes late or twice harms nothing newer.
#[test]
fn an_old_invalidation_leaves_a_newer_entry() {
    let mut cache = Machine::new(Role::Cache);
    let lease = cache.miss(PAGE);
    cache.fill(lease, 5);
    cache.invalidate(4);
    cache.invalidate(5);
    assert_eq!(cache.cached(), Some(5));
    cache.invalidate(6);
    assert_eq!(cache.cached(), None);
}

/// With a tombstone its lease is forgotten, and with the cache's memory every lease.
#[test]
fn a_lease_is_gone_with_the_tombstone() {
    let mut cache = Machine::new(Role::Cache);
    let lease = cache.miss(PAGE);
    cache.miss(Page(1));
    cache.miss(Page(2));
    cache.fill(lease, 1);
    assert_eq!(cache.cached(), None, "forgotten for two others");

    let mut cache = Machine::new(Role::Cache);
    let before = cache.miss(PAGE);
    cache.restart();
    assert_ne!(cache.miss(PAGE), before);
    cache.fill(before, 1);
    assert_eq!(cache.cached(), None, "of another life");
}

/// 10.5: a cache entry below what the client has seen is a miss.
#[test]
fn an_entry_below_the_minimum_is_a_miss() {
    let mut cache = Machine::new(Role::Cache);
    let lease = cache.miss(PAGE);
    cache.fill(lease, 3);
    let Msg::Miss { lease, .. } = cache.get(PAGE, 4) else { panic!("no miss") };
    assert_eq!(cache.cached(), None);
    cache.fill(lease, 3);
    assert_eq!(cache.cached(), None, "nor is it taken again");
}

/// 10.4: what is to be invalidated is what the log says.
#[test]
fn the_log_says_what_is_to_be_invalidated() {
    let mut database = Machine::new(Role::Database);
    let write = Msg::Write { request: request(1), page: PAGE, price: 7 };
    let committed = Record::Committed { operation: request(1), page: PAGE, content: content(1) };
    let wait = |after| {
        let timer = Timer::Invalidate(PAGE);
        Effect::SetTimer { after, timer, background: false }
    };
    let invalidate =
        [Effect::Send(CACHE, Msg::Invalidate { page: PAGE, version: 1 }), wait(PATIENCE)];
    let written = told(Msg::Written { request: request(1), version: 1 });
    let effects = database.hear(write.clone());
    assert_eq!(effects, [wait(LAG), Effect::Force(committed), written.clone()]);
    assert_eq!(database.ring(Timer::Invalidate(PAGE)), invalidate);
    assert_eq!(database.ring(Timer::Invalidate(PAGE)), invalidate, "no answer");
    assert_eq!(database.restart(), invalidate, "another life");
    assert_eq!(database.hear(write), [written], "which knows what is done");

    let heard = Record::Heard { page: PAGE, version: 1 };
    let cancel = Effect::CancelTimer(Timer::Invalidate(PAGE));
    let effects = database.hear(Msg::Heard { page: PAGE, version: 1 });
    assert_eq!(effects, [Effect::Persist(heard), cancel]);
    assert_eq!(database.hear(Msg::Heard { page: PAGE, version: 1 }), [], "told twice");
    assert_eq!(database.restart(), []);
}

/// 10.4: a cache that has heard of an older version has not heard of this one.
#[test]
fn an_older_answer_does_not_count() {
    let mut database = Machine::new(Role::Database);
    database.hear(Msg::Write { request: request(1), page: PAGE, price: 7 });
    database.ring(Timer::Invalidate(PAGE));
    database.hear(Msg::Write { request: request(2), page: PAGE, price: 8 });
    let heard = Record::Heard { page: PAGE, version: 1 };
    let effects = database.hear(Msg::Heard { page: PAGE, version: 1 });
    assert_eq!(effects, [Effect::Persist(heard)], "and the timer stays");
    assert_eq!(database.node.view().unheard, [PAGE]);
    let invalidate = Effect::Send(CACHE, Msg::Invalidate { page: PAGE, version: 2 });
    assert_eq!(database.ring(Timer::Invalidate(PAGE))[0], invalidate);
}

/// A read goes to the cache, from there to the database, and back with the lease.
#[test]
fn a_reader_that_misses_fills_the_cache() {
    let mut front = Machine::new(Role::Front);
    let get = Msg::Get { task: task(1, 1), page: PAGE, minimum: 0 };
    assert_eq!(front.ask(1, READ), [Effect::Send(CACHE, get), next(PATIENCE, 1)]);
    assert_eq!(front.ask(1, READ), [], "a copy");
    let lease = Lease { life: 1, nth: 1 };
    let effects = front.hear(Msg::Miss { task: task(1, 1), lease });
    let read = Msg::Read { task: task(1, 1), page: PAGE, lease: Some(lease) };
    assert_eq!(effects, [Effect::Send(DATABASE, read), next(PATIENCE, 1)]);
    let row = Msg::Row { task: task(1, 1), content: content(3), lease: Some(lease) };
    let fill = Msg::Fill { page: PAGE, lease, content: content(3) };
    let reply = replied(1, Ret::Page(content(3)));
    assert_eq!(front.hear(row), [&[Effect::Send(CACHE, fill)], &reply[..]].concat());
}

/// Who is told to wait asks again; who is told nothing asks the database, and fills nothing.
#[test]
fn a_reader_waits_for_the_cache_but_not_for_ever() {
    let mut front = Machine::new(Role::Front);
    let asked = front.ask(1, READ);
    assert_eq!(front.hear(Msg::Wait { task: task(1, 1) }), [next(PAUSE, 1)]);
    assert_eq!(front.ring(Timer::Next(request(1))), asked);
    let read = Msg::Read { task: task(1, 1), page: PAGE, lease: None };
    let read = [Effect::Send(DATABASE, read), next(PATIENCE, 1)];
    assert_eq!(front.ring(Timer::Next(request(1))), read);
    assert_eq!(front.hear(Msg::Hit { task: task(1, 1), content: content(3) }), [], "too late");
    let row = Msg::Row { task: task(1, 1), content: content(3), lease: None };
    assert_eq!(front.hear(row), replied(1, Ret::Page(content(3))));
}

/// 10.5: the client carries the highest version that it has seen.
#[test]
fn a_client_asks_for_what_it_has_seen_or_newer() {
    let mut front = Machine::new(Role::Front);
    front.ask(1, WRITE);
    let effects = front.hear(Msg::Written { request: request(1), version: 4 });
    assert_eq!(effects, replied(1, Ret::Written { version: 4 }));
    let get = Msg::Get { task: task(2, 1), page: PAGE, minimum: 4 };
    assert_eq!(front.ask(2, READ)[0], Effect::Send(CACHE, get));
    front.hear(Msg::Hit { task: task(2, 1), content: content(6) });
    let get = Msg::Get { task: task(3, 1), page: PAGE, minimum: 6 };
    assert_eq!(front.ask(3, READ)[0], Effect::Send(CACHE, get));
}

/// 10.5: what is forgotten is asked of the database, and nothing that is older than that counts.
#[test]
fn a_later_life_does_not_know_what_its_clients_have_seen() {
    let mut front = Machine::new(Role::Front);
    front.ask(1, READ);
    front.restart();
    let read = Msg::Read { task: task(2, 2), page: PAGE, lease: None };
    assert_eq!(front.ask(2, READ)[0], Effect::Send(DATABASE, read));
    let late = Msg::Row { task: task(2, 1), content: content(3), lease: None };
    assert_eq!(front.hear(late), [], "read for an earlier life");
    // A write may be one of long ago, which is only answered again.
    front.ask(3, WRITE);
    front.hear(Msg::Written { request: request(3), version: 2 });
    let read = Msg::Read { task: task(4, 2), page: PAGE, lease: None };
    assert_eq!(front.ask(4, READ)[0], Effect::Send(DATABASE, read));
    front.hear(Msg::Row { task: task(4, 2), content: content(5), lease: None });
    let get = Msg::Get { task: task(5, 2), page: PAGE, minimum: 5 };
    assert_eq!(front.ask(5, READ)[0], Effect::Send(CACHE, get));
}

/// 10.5: a row that was read before the client's own write does not hide it.
#[test]
fn a_later_life_knows_what_its_clients_wrote_since() {
    let mut front = Machine::new(Role::Front);
    front.restart();
    front.ask(1, READ);
    front.ask(2, WRITE);
    front.hear(Msg::Written { request: request(2), version: 4 });
    front.hear(Msg::Row { task: task(1, 2), content: content(3), lease: None });
    let get = Msg::Get { task: task(3, 2), page: PAGE, minimum: 4 };
    assert_eq!(front.ask(3, READ)[0], Effect::Send(CACHE, get));
}
