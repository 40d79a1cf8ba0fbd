//! The database: the pages with their versions, and what their caches have not heard of yet.

use super::{Config, Content, Context, Msg, Page, Record, Timer, Version, View};
use node::{NodeId, RequestId};
use std::collections::BTreeMap;

/// Pages, requests that are done, and what is to be invalidated: all of it out of the log.
#[derive(Debug)]
pub struct Database {
    config: Config,
    pages: BTreeMap<Page, Content>,
    done: BTreeMap<RequestId, Version>,
    /// Up to which version a page's cache has said that it has heard of it (10.4).
    heard: BTreeMap<Page, Version>,
}

impl Database {
    pub(super) fn new(config: &Config) -> Self {
        let (config, pages, done) = (config.clone(), BTreeMap::new(), BTreeMap::new());
        Self { config, pages, done, heard: BTreeMap::new() }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        log.iter().for_each(|record| self.apply(record));
        let unheard: Vec<Page> = self.unheard().collect();
        if !unheard.is_empty() {
            cx.mark("a restarted database found what to invalidate");
        }
        unheard.into_iter().for_each(|page| self.invalidate(page, cx));
    }

    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Committed { operation, page, content } => {
                self.pages.insert(page, content);
                self.done.insert(operation, content.version);
            }
            Record::Heard { page, version } => {
                self.heard.insert(page, version);
            }
        }
    }

    /// Pages of which the cache may have an older version.
    fn unheard(&self) -> impl Iterator<Item = Page> {
        let heard = |page| self.heard.get(page).copied().unwrap_or(0);
        let unheard =
            self.pages.iter().filter(move |(page, content)| content.version > heard(page));
        unheard.map(|(page, _)| *page)
    }

    pub(super) fn content(&self, page: Page) -> Content {
        self.pages.get(&page).copied().unwrap_or_default()
    }

    pub(super) fn on_write(
        &mut self,
        from: NodeId,
        operation: RequestId,
        page: Page,
        price: u32,
        cx: &mut Context,
    ) {
        if let Some(&version) = self.done.get(&operation) {
            cx.mark("a write was done already");
            return cx.send(from, Msg::Written { request: operation, version });
        }
        let version = self.content(page).version + 1;
        let record = Record::Committed { operation, page, content: Content { version, price } };
        if !self.unheard().any(|unheard| unheard == page) {
            cx.set_timer(self.config.lag, Timer::Invalidate(page));
        }
        self.apply(&record);
        cx.force(record);
        cx.send(from, Msg::Written { request: operation, version });
    }

    /// Tells the page's cache, at first, and again until it has heard (10.4).
    pub(super) fn invalidate(&mut self, page: Page, cx: &mut Context) {
        let version = self.content(page).version;
        cx.send(self.config.cache_of(page), Msg::Invalidate { page, version });
        cx.set_timer(self.config.patience, Timer::Invalidate(page));
    }

    pub(super) fn on_heard(&mut self, page: Page, version: Version, cx: &mut Context) {
        if self.heard.get(&page).is_some_and(|heard| *heard >= version) {
            return; // told twice
        }
        let record = Record::Heard { page, version };
        self.apply(&record);
        cx.persist(record);
        if self.content(page).version == version {
            cx.cancel_timer(Timer::Invalidate(page));
        }
    }

    pub(super) fn view(&self) -> View {
        let heard = self.heard.clone();
        View { heard, unheard: self.unheard().collect(), ..View::default() }
    }
}
