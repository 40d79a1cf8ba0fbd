//! Conservation: what is moved is neither made nor lost.
//!
//! - [`Ledger`]: balances never fall below a floor, every snapshot sums to what there was at the
//!   start, and each balance ends as its changes make it. Money, stock.
//! - [`Reservations`]: what was reserved is sold or released in the end, and never more than that.
//!   Read as charges and refunds: a refund is the charge, once.
//! - [`bank`]: Jepsen's workload of the same name, over a recorded history of transfers and reads.
//! - [`counter`]: Jepsen's counter: a read lies between what must have been added and what may.
//!
//! It takes no look at who saw what when: a snapshot that is old, but whole, is conserved.

mod bank;
mod counter;
#[cfg(test)]
mod tests;

pub use bank::{Bank, BankOp, BankRet};
pub use counter::counter;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// Accounts `A`, fed with each change as it becomes durable. An account's `Debug` is its name in
/// messages.
///
/// ```
/// use checkers::conservation::Ledger;
///
/// let mut ledger = Ledger::new([("ann", 10), ("bob", 0)]);
/// ledger.change("ann", -7).unwrap();
/// ledger.change("bob", 7).unwrap();
/// ledger.snapshot("call 3", [("ann", 3), ("bob", 7)]).unwrap();
/// let torn = ledger.snapshot("call 4", [("ann", 10), ("bob", 7)]);
/// assert_eq!(torn.unwrap_err().message, "call 4 read a sum of 17, expected 10");
/// ```
#[derive(Clone, Debug)]
pub struct Ledger<A> {
    /// The smallest balance allowed; none where an account may go as low as it likes.
    pub floor: Option<i64>,
    balances: BTreeMap<A, i64>,
    accounts: usize,
    total: i128,
    snapshots: u64,
}

impl<A: Ord + Debug> Ledger<A> {
    /// Accounts with these balances; every other one begins at 0. The floor is 0.
    pub fn new(opening: impl IntoIterator<Item = (A, i64)>) -> Self {
        let balances: BTreeMap<A, i64> = opening.into_iter().collect();
        let total = balances.values().map(|balance| i128::from(*balance)).sum();
        Self { floor: Some(0), accounts: balances.len(), balances, total, snapshots: 0 }
    }

    /// What all accounts hold together: at the start, and ever after.
    pub fn total(&self) -> i128 {
        self.total
    }

    /// An account has durably changed by so much.
    ///
    /// # Errors
    ///
    /// `negative balance` if it falls below the floor.
    pub fn change(&mut self, account: A, amount: i64) -> Judged {
        if let Some(balance) = self.balances.get_mut(&account) {
            *balance = balance.saturating_add(amount);
            let balance = *balance;
            return self.balance(&account, balance);
        }
        let judged = self.balance(&account, amount);
        self.balances.insert(account, amount);
        judged
    }

    /// An account has this balance, as far as its keeper's record goes.
    ///
    /// # Errors
    ///
    /// `negative balance` if that is below the floor.
    pub fn balance(&self, account: &A, balance: i64) -> Judged {
        if self.floor.is_some_and(|floor| balance < floor) {
            return Err(anomaly("negative balance", format!("{account:?} falls to {balance}")));
        }
        Ok(())
    }

    /// An account ends with this balance.
    ///
    /// # Errors
    ///
    /// `lost update` if its changes make another one.
    pub fn ends(&self, account: &A, balance: i64) -> Judged {
        let expected = self.balances.get(account).copied().unwrap_or(0);
        if balance != expected {
            let message = format!("{account:?} is {balance}, expected {expected}");
            return Err(anomaly("lost update", message));
        }
        Ok(())
    }

    /// Somebody read every account there was at the start, at one moment.
    ///
    /// # Errors
    ///
    /// `read_all` if their sum is not the total, or one of them is missing.
    pub fn snapshot<B>(
        &mut self,
        who: impl fmt::Display,
        balances: impl IntoIterator<Item = (B, i64)>,
    ) -> Judged {
        let (mut accounts, mut sum) = (0, 0i128);
        for (_, balance) in balances {
            accounts += 1;
            sum += i128::from(balance);
        }
        self.snapshots += 1;
        if accounts == self.accounts && sum == self.total {
            return Ok(());
        }
        let expected = self.total;
        let message = if sum == self.total {
            format!("{who} read {accounts} accounts, expected {}", self.accounts)
        } else {
            format!("{who} read a sum of {sum}, expected {expected}")
        };
        Err(anomaly("read_all", message))
    }

    /// Whether the facts prove anything: `Unknown` if no snapshot was taken.
    pub fn verdict(&self) -> Verdict {
        match self.snapshots {
            0 => Verdict::Unknown("conservation: nobody read all accounts".into()),
            _ => Verdict::Holds,
        }
    }
}

/// Something set aside under a name, to be kept or given back: stock for an order, money for a
/// charge. In every state kept + given back ≤ reserved, and at the end they are equal.
#[derive(Clone, Debug, Default)]
pub struct Reservations<I> {
    open: BTreeMap<I, Reservation>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reservation {
    reserved: i64,
    kept: i64,
    given_back: i64,
}

impl<I: Ord + Debug> Reservations<I> {
    /// Nothing is set aside.
    pub fn new() -> Self {
        Self { open: BTreeMap::new() }
    }

    /// So much is set aside, or charged, under this name.
    ///
    /// # Errors
    ///
    /// `reserved twice` if it was before.
    pub fn reserved(&mut self, id: I, amount: i64) -> Judged {
        if let Some(old) = self.open.get_mut(&id) {
            let before = old.reserved;
            old.reserved = before.saturating_add(amount);
            if before != 0 {
                let message = format!("{id:?} reserved {before}, and {amount} once more");
                return Err(anomaly("reserved twice", message));
            }
            return Ok(());
        }
        self.open.insert(id, Reservation { reserved: amount, ..Reservation::default() });
        Ok(())
    }

    /// So much of it is kept for good: sold, earned.
    ///
    /// # Errors
    ///
    /// `more than reserved` if that and what went before is more than was set aside.
    pub fn kept(&mut self, id: I, amount: i64) -> Judged {
        self.settle(id, amount, 0)
    }

    /// So much of it goes back: released, refunded.
    ///
    /// # Errors
    ///
    /// `more than reserved`, as for [`kept`](Self::kept).
    pub fn given_back(&mut self, id: I, amount: i64) -> Judged {
        self.settle(id, 0, amount)
    }

    fn settle(&mut self, id: I, kept: i64, given_back: i64) -> Judged {
        let Some(open) = self.open.get_mut(&id) else {
            let settled = kept.saturating_add(given_back);
            let message = format!("{id:?} settles {settled}, and nothing was set aside");
            return Err(anomaly("more than reserved", message));
        };
        open.kept = open.kept.saturating_add(kept);
        open.given_back = open.given_back.saturating_add(given_back);
        let Reservation { reserved, kept, given_back } = *open;
        if kept.saturating_add(given_back) > reserved {
            let message =
                format!("{id:?} reserved {reserved}, kept {kept} and gave back {given_back}");
            return Err(anomaly("more than reserved", message));
        }
        Ok(())
    }

    /// Everything is over.
    ///
    /// # Errors
    ///
    /// `leaked reservation` if something is set aside still.
    pub fn end(&self) -> Judged {
        for (id, Reservation { reserved, kept, given_back }) in &self.open {
            let left = reserved.saturating_sub(*kept).saturating_sub(*given_back);
            if left != 0 {
                let message = format!(
                    "{id:?} reserved {reserved}, kept {kept} and gave back {given_back}: \
                     {left} are left"
                );
                return Err(anomaly("leaked reservation", message));
            }
        }
        Ok(())
    }

    /// [`end`](Self::end), and `Unknown` if nothing was ever set aside.
    pub fn verdict(&self) -> Verdict {
        if self.open.is_empty() {
            return Verdict::Unknown("conservation: nothing was reserved".into());
        }
        Verdict::from(self.end())
    }
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("conservation", class, message))
}
