//! Jepsen's bank: every read of all accounts sees the same sum.

use super::anomaly;
use crate::{Judged, Verdict};
use history::{History, Outcome};
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// What clients of the bank ask.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BankOp<A> {
    /// What is in every account, at one moment?
    Read,
    /// Move money.
    Transfer {
        /// Out of this account.
        from: A,
        /// Into this one.
        to: A,
        /// So much.
        amount: i64,
    },
}

/// What the bank answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BankRet<A> {
    /// To a read: each account with its balance; one that was not found has none.
    Balances(Vec<(A, Option<i64>)>),
    /// To a transfer: done.
    Done,
}

/// What is promised beforehand, as far as it is known.
///
/// ```
/// use checkers::conservation::{Bank, BankOp, BankRet};
/// use history::{Actor, Event, History, What};
///
/// let line = |op, what| Event { at: 0, op, actor: Actor::Client(1), process: 0, call: op, what };
/// let read = |a, b| BankRet::Balances(vec![("ann", Some(a)), ("bob", Some(b))]);
/// let history = History { events: vec![
///     line(0, What::Invoke(BankOp::Read)),
///     line(0, What::Ok(read(10, 0))),
///     line(1, What::Invoke(BankOp::Read)),
///     line(1, What::Ok(read(3, 0))),
/// ] };
/// assert_eq!(
///     Bank::default().check(&history).anomaly().unwrap().message,
///     "client 1 (call 1) read a sum of 3, expected 10",
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    /// The sum of all balances; unknown, it is that of the first read.
    pub total: Option<i64>,
    /// The smallest balance allowed, if there is one.
    pub floor: Option<i64>,
}

impl Default for Bank {
    /// Nobody said what the sum is; no balance below 0.
    fn default() -> Self {
        Self { total: None, floor: Some(0) }
    }
}

impl Bank {
    /// Judges reads that completed ok, in the order of their invocation; linear in what they read.
    /// Accounts are those of the first read. `Unknown` if no read constrains anything: there is
    /// none, or one and the sum is not known.
    pub fn check<A: Ord + Debug>(&self, history: &History<BankOp<A>, BankRet<A>>) -> Verdict {
        let mut accounts: Option<Vec<&A>> = None;
        let mut total = self.total.map(i128::from);
        let mut constrained = 0;
        for operation in history.operations() {
            let (BankOp::Read, Outcome::Ok(BankRet::Balances(balances))) =
                (operation.op, operation.outcome)
            else {
                continue;
            };
            // Of an account named twice in one read the last balance counts, as in a map.
            let balances: BTreeMap<&A, Option<i64>> =
                balances.iter().map(|(account, balance)| (account, *balance)).collect();
            let accounts = accounts.get_or_insert_with(|| balances.keys().copied().collect());
            constrained += u64::from(total.is_some());
            let who = format_args!("{} (call {})", operation.actor, operation.call);
            if let Err(anomaly) = self.read(who, accounts, &balances, &mut total) {
                return Verdict::Violated(*anomaly);
            }
        }
        if accounts.is_none() {
            return Verdict::Unknown("conservation: no read completed".into());
        }
        match constrained {
            0 => Verdict::Unknown(
                "conservation: one read, and nobody said what the sum should be".into(),
            ),
            _ => Verdict::Holds,
        }
    }

    fn read<A: Ord + Debug>(
        &self,
        who: fmt::Arguments<'_>,
        accounts: &[&A],
        balances: &BTreeMap<&A, Option<i64>>,
        total: &mut Option<i128>,
    ) -> Judged {
        if let Some(missing) = accounts.iter().find(|account| !balances.contains_key(**account)) {
            return Err(anomaly("accounts", format!("{who} did not find {missing:?}")));
        }
        if let Some(strange) = balances.keys().find(|a| accounts.binary_search(a).is_err()) {
            let message = format!("{who} read {strange:?}, which is no account");
            return Err(anomaly("accounts", message));
        }
        let mut sum = 0i128;
        for (account, balance) in balances {
            let Some(balance) = balance else {
                return Err(anomaly(
                    "accounts",
                    format!("{who} read {account:?} without a balance"),
                ));
            };
            if self.floor.is_some_and(|floor| *balance < floor) {
                let message = format!("{who} read {account:?} at {balance}");
                return Err(anomaly("negative balance", message));
            }
            sum += i128::from(*balance);
        }
        let expected = *total.get_or_insert(sum);
        if sum != expected {
            return Err(anomaly(
                "read_all",
                format!("{who} read a sum of {sum}, expected {expected}"),
            ));
        }
        Ok(())
    }
}
