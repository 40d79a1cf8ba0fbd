//! The provider: somebody else's system, which takes a key for each charge.

use super::{Context, Msg, Outcome, Record};
use crate::payment::{Config, Key};
use node::NodeId;
use std::collections::BTreeSet;

/// Charges cards.
#[derive(Debug)]
pub struct Provider {
    limit: u32,
    trouble: u8,
    charged: BTreeSet<Key>,
}

impl Provider {
    pub(super) fn new(config: &Config) -> Self {
        Self { limit: config.limit, trouble: config.trouble, charged: BTreeSet::new() }
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        self.charged.extend(log.iter().filter_map(|record| match record {
            Record::Charged { derived, .. } => Some(*derived),
            _ => None,
        }));
    }

    /// Charges once for each key. It remembers its keys for ever.
    pub(super) fn on_charge(&mut self, from: NodeId, derived: Key, amount: u32, cx: &mut Context) {
        if cx.dice().below(100) < self.trouble.into() {
            cx.mark("the provider was out of order");
            return cx.send(from, Msg::Unavailable);
        }
        let outcome = if amount > self.limit { Outcome::Declined } else { Outcome::Charged };
        if outcome == Outcome::Charged {
            if self.charged.insert(derived) {
                cx.force(Record::Charged { derived, amount });
            } else {
                cx.mark("a charge came again");
            }
        }
        cx.send(from, Msg::Settled { derived, outcome });
    }
}
