//! The resource: rules L7 and L8.

use super::*;

/// All that a resource knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Acts {
    /// The highest epoch that has acted.
    highest: BTreeMap<Account, u64>,
    /// Each client's last act: which call, in which session.
    done: BTreeMap<NodeId, (u32, u64)>,
    count: u64,
    /// The last ones, which a snapshot carries on for those who audit the log.
    recent: Vec<Acted>,
}

/// How many acts a snapshot carries on. Whoever audits the log may look at it only now and then.
const CARRIED: usize = 32;

impl Acts {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Act(act) => {
                self.highest.insert(act.account, act.epoch);
                self.done.insert(act.request.client, (act.request.call, act.epoch));
                self.count += 1;
                self.recent.push(*act);
            }
            Record::Acts(acts) => *self = acts.clone(),
            _ => {} // the session server's
        }
    }
}

/// Does what is asked: L7, L8.
#[derive(Debug)]
pub struct Resource {
    compact: u32,
    /// Records since the last snapshot.
    logged: u32,
    acts: Acts,
}

impl Resource {
    pub(super) fn new(config: &Config) -> Self {
        Self { compact: config.compact, logged: 0, acts: Acts::default() }
    }

    /// How much a log has of acts, and the last ones.
    pub(super) fn durable(log: &[Record]) -> (u64, Vec<Acted>) {
        let mut acts = Acts::default();
        log.iter().for_each(|record| acts.apply(record));
        (acts.count, acts.recent)
    }

    pub(super) fn replay(&mut self, log: &[Record]) {
        self.logged = u32::try_from(log.len()).unwrap_or(u32::MAX);
        log.iter().for_each(|record| self.acts.apply(record));
    }

    pub(super) fn on_act(&mut self, from: NodeId, act: Acted, cx: &mut Context) {
        let Acted { account, epoch, request } = act;
        self.compact(cx);
        // L8
        match self.acts.done.get(&request.client) {
            Some(&(call, epoch)) if call == request.call => {
                cx.mark("a copy of an act was answered again");
                cx.send(from, Msg::Done { request, epoch });
                return;
            }
            Some(&(call, _)) if call > request.call => {
                cx.send(from, Msg::Stale { request });
                return;
            }
            _ => {}
        }
        // L7
        if self.acts.highest.get(&account).is_some_and(|highest| epoch < *highest) {
            cx.mark("an act of an earlier session was refused");
            cx.send(from, Msg::Refused { request, epoch });
            return;
        }
        let record = Record::Act(act);
        self.acts.apply(&record);
        self.logged += 1;
        cx.force(record);
        cx.send(from, Msg::Done { request, epoch });
    }

    fn compact(&mut self, cx: &mut Context) {
        if self.logged > self.compact {
            let recent = &mut self.acts.recent;
            recent.drain(..recent.len().saturating_sub(CARRIED));
            cx.snapshot(vec![Record::Acts(self.acts.clone())]);
            self.logged = 0;
        }
    }
}
