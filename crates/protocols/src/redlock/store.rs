//! What holders work on: a store that looks at no token.

use super::*;

/// Keeps the objects, and what each request wrote.
#[derive(Default, Debug)]
pub struct Store {
    values: BTreeMap<Object, u64>,
    done: BTreeMap<(Object, RequestId), u64>,
}

impl Store {
    pub(super) fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for Record::Write { object, token, request, value } in log {
            let writes = durable.objects.entry(*object).or_default();
            let from = writes.last().map_or(0, |write| write.to);
            writes.push(Applied { token: *token, request: *request, from, to: *value });
        }
        durable
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        log.iter().for_each(|record| self.apply(record));
    }

    fn apply(&mut self, record: &Record) {
        let Record::Write { object, request, value, .. } = *record;
        self.values.insert(object, value);
        self.done.insert((object, request), value);
    }

    pub(super) fn on_read(
        &mut self,
        from: NodeId,
        object: Object,
        token: Token,
        request: RequestId,
        cx: &mut Context,
    ) {
        let answer = match self.done.get(&(object, request)) {
            Some(value) => Msg::Done { token, value: *value },
            None => {
                let value = self.values.get(&object).copied().unwrap_or(0);
                Msg::Value { token, value }
            }
        };
        cx.send(from, answer);
    }

    pub(super) fn on_write(&mut self, from: NodeId, record: Record, cx: &mut Context) {
        let Record::Write { object, token, request, value } = record;
        let wrote = self.done.get(&(object, request)).copied();
        if wrote.is_none() {
            self.apply(&record);
            cx.force(record);
        }
        cx.send(from, Msg::Done { token, value: wrote.unwrap_or(value) });
    }
}
