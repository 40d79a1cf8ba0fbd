//! The resource: rules 5.8 and 5.9.

use super::*;

/// An object of the store.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Cell {
    value: u64,
    /// The highest token seen (5.8, 5.9).
    maxtoken: u64,
    /// The number of the last write under `maxtoken`; 0 if there is none.
    written: u32,
    /// How many writes were applied.
    count: u64,
    /// Each client's last applied request.
    done: BTreeMap<NodeId, Outcome>,
    /// The last writes, which a snapshot carries on for those who audit the log.
    recent: Vec<Applied>,
}

/// How many writes a snapshot carries on. Whoever audits the log may look at it only now and then:
/// a store that has been paused can go through several snapshots in one moment.
const CARRIED: usize = 32;

/// An applied request: under which token, and what it wrote.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Outcome {
    call: u32,
    token: u64,
    value: u64,
}

impl Cell {
    /// To a read: what became of the request, or `otherwise` if it has not been applied.
    fn answer(&self, request: RequestId, token: u64, nth: u32, otherwise: Msg) -> Msg {
        match self.done.get(&request.client) {
            Some(done) if done.call == request.call => Msg::Done { token, nth, value: done.value },
            Some(done) if done.call > request.call => Msg::Stale { token, nth },
            _ => otherwise,
        }
    }

    /// To a write that is not applied now: what became of it earlier. `Done` is for this very
    /// write, not for another holder's of the same request, so that its step ends as it should.
    fn verdict(&self, request: RequestId, token: u64, nth: u32) -> Msg {
        match self.done.get(&request.client) {
            Some(done) if done.call > request.call => Msg::Stale { token, nth },
            Some(done) if done.call == request.call && done.token == token => {
                Msg::Done { token, nth, value: done.value }
            }
            _ => Msg::Refused { token, nth },
        }
    }
}

/// Keeps the objects: 5.8, 5.9.
#[derive(Default, Debug)]
pub struct Store {
    compact: u32,
    /// Records since the last snapshot.
    logged: u32,
    cells: BTreeMap<Object, Cell>,
}

impl Store {
    pub(super) fn new(config: &Config) -> Self {
        Self { compact: config.compact, ..Self::default() }
    }

    /// The objects that a log describes.
    pub(super) fn durable(log: &[Record]) -> BTreeMap<Object, Stored> {
        let mut store = Self::default();
        store.on_start(log);
        let stored = |Cell { value, maxtoken, count, recent: writes, .. }| Stored {
            value,
            maxtoken,
            count,
            writes,
        };
        store.cells.into_iter().map(|(object, cell)| (object, stored(cell))).collect()
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        for record in log {
            self.apply(record);
        }
    }

    fn apply(&mut self, record: &Record) {
        self.logged += 1;
        match record {
            Record::Token { object, token } => {
                let cell = self.cells.entry(*object).or_default();
                cell.maxtoken = *token;
                cell.written = 0;
            }
            Record::Write { object, token, nth, request, value } => {
                let cell = self.cells.entry(*object).or_default();
                let (token, nth, request, from, to) = (*token, *nth, *request, cell.value, *value);
                cell.recent.push(Applied { token, nth, request, from, to });
                cell.value = to;
                cell.maxtoken = token;
                cell.written = nth;
                cell.count += 1;
                let outcome = Outcome { call: request.call, token, value: to };
                cell.done.insert(request.client, outcome);
            }
            Record::Object(object, cell) => {
                self.cells.insert(*object, cell.clone());
            }
            Record::Grant(_) | Record::Ended { .. } => {}
        }
    }

    pub(super) fn on_read(
        &mut self,
        from: NodeId,
        object: Object,
        token: u64,
        nth: u32,
        request: RequestId,
        cx: &mut Context,
    ) {
        self.compact(cx);
        let cell = self.cells.entry(object).or_default();
        // 5.8
        if token < cell.maxtoken {
            cx.mark("a smaller token was refused");
            cx.send(from, cell.answer(request, token, nth, Msg::Refused { token, nth }));
            return;
        }
        let value = Msg::Value { token, nth, value: cell.value };
        let answer = cell.answer(request, token, nth, value);
        // 5.9
        if token > cell.maxtoken {
            let record = Record::Token { object, token };
            self.apply(&record);
            cx.force(record);
        }
        cx.send(from, answer);
    }

    pub(super) fn on_write(&mut self, from: NodeId, record: Record, cx: &mut Context) {
        let Record::Write { object, token, nth, request, value } = record else { return };
        self.compact(cx);
        let cell = self.cells.entry(object).or_default();
        // 5.8: a smaller token is rejected, ...
        if token < cell.maxtoken {
            cx.mark("a smaller token was refused");
            cx.send(from, cell.verdict(request, token, nth));
            return;
        }
        // ... and a copy of an older write is not applied again.
        if token == cell.maxtoken && nth <= cell.written {
            cx.send(from, cell.verdict(request, token, nth));
            return;
        }
        self.apply(&record);
        cx.force(record);
        cx.send(from, Msg::Done { token, nth, value });
    }

    fn compact(&mut self, cx: &mut Context) {
        if self.logged > self.compact {
            for cell in self.cells.values_mut() {
                cell.recent.drain(..cell.recent.len().saturating_sub(CARRIED));
            }
            let records = self.cells.iter().map(|(o, cell)| Record::Object(*o, cell.clone()));
            cx.snapshot(records.collect());
            self.logged = 0;
        }
    }
}
