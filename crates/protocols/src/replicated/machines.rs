//! Three machines to replicate: registers under keys, locks with fences, and a log of decisions.

use super::Machine;
use crate::commit::{Outcome, TxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a register holds before anyone writes. Workloads write unique values above it.
pub const INITIAL: u32 = 0;

/// A register under each key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Registers(BTreeMap<u8, u32>);

/// What is asked of a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterCommand {
    /// What does it hold?
    Read {
        /// The register.
        key: u8,
    },
    /// Let it hold this.
    Write {
        /// The register.
        key: u8,
        /// What it is to hold.
        value: u32,
    },
    /// Let it hold so much more, modulo 2³².
    Add {
        /// The register.
        key: u8,
        /// How much.
        amount: u32,
    },
}

/// What a register answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterAnswer {
    /// To a read and to an addition: it holds this now.
    Value(u32),
    /// To a write: it is done.
    Written,
}

impl Machine for Registers {
    type Command = RegisterCommand;
    type Answer = RegisterAnswer;

    fn is_query(command: &RegisterCommand) -> bool {
        matches!(command, RegisterCommand::Read { .. })
    }

    fn apply(&mut self, command: &RegisterCommand) -> RegisterAnswer {
        match *command {
            RegisterCommand::Read { key } => {
                RegisterAnswer::Value(self.0.get(&key).copied().unwrap_or(INITIAL))
            }
            RegisterCommand::Write { key, value } => {
                self.0.insert(key, value);
                RegisterAnswer::Written
            }
            RegisterCommand::Add { key, amount } => {
                let value = self.0.entry(key).or_insert(INITIAL);
                *value = value.wrapping_add(amount);
                RegisterAnswer::Value(*value)
            }
        }
    }
}

/// Locks under their names. A grant never runs out: its owner or an operator releases it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Locks(BTreeMap<u8, Lock>);

/// A lock.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Lock {
    owner: Option<u8>,
    /// Of the last grant.
    fence: u64,
}

/// A hold of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Who holds it.
    pub owner: u8,
    /// Greater than that of every grant of this lock before it: a resource refuses smaller ones.
    pub fence: u64,
}

impl Lock {
    fn state(&self) -> LockAnswer {
        let held = |owner| LockAnswer::Held(Grant { owner, fence: self.fence });
        self.owner.map_or(LockAnswer::Free, held)
    }
}

/// What is asked of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LockCommand {
    /// Who holds it?
    Holder {
        /// The lock.
        lock: u8,
    },
    /// Let this owner hold it, if nobody does.
    Acquire {
        /// The lock.
        lock: u8,
        /// Who asks.
        owner: u8,
    },
    /// Let this owner hold it no longer.
    Release {
        /// The lock.
        lock: u8,
        /// Whose hold.
        owner: u8,
    },
}

/// What a lock answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LockAnswer {
    /// Held so: by who asked for it just now, or by who held it before.
    Held(Grant),
    /// Nobody holds it.
    Free,
    /// To a release: it was not this owner's.
    NotYours,
}

impl Machine for Locks {
    type Command = LockCommand;
    type Answer = LockAnswer;

    fn is_query(command: &LockCommand) -> bool {
        matches!(command, LockCommand::Holder { .. })
    }

    fn apply(&mut self, command: &LockCommand) -> LockAnswer {
        match *command {
            LockCommand::Holder { lock } => self.0.get(&lock).map_or(LockAnswer::Free, Lock::state),
            LockCommand::Acquire { lock, owner } => {
                let lock = self.0.entry(lock).or_default();
                if lock.owner.is_none() {
                    *lock = Lock { owner: Some(owner), fence: lock.fence + 1 };
                }
                lock.state()
            }
            LockCommand::Release { lock, owner } => match self.0.get_mut(&lock) {
                Some(lock) if lock.owner == Some(owner) => {
                    lock.owner = None;
                    LockAnswer::Free
                }
                _ => LockAnswer::NotYours,
            },
        }
    }
}

/// What the coordinators of a commit protocol decide on: the first decision on a transaction
/// stands, whoever asks for another one later.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DecisionLog(BTreeMap<TxId, Outcome>);

/// What is asked of the log of decisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DecisionCommand {
    /// Has it been decided?
    Inquire {
        /// The transaction.
        transaction: TxId,
    },
    /// Let this be the decision, if there is none yet.
    Decide {
        /// The transaction.
        transaction: TxId,
        /// What its coordinator proposes.
        outcome: Outcome,
    },
}

/// What the log of decisions answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DecisionAnswer {
    /// This is the decision, for ever.
    Decided(Outcome),
    /// There is none yet.
    Undecided,
}

impl Machine for DecisionLog {
    type Command = DecisionCommand;
    type Answer = DecisionAnswer;

    fn is_query(command: &DecisionCommand) -> bool {
        matches!(command, DecisionCommand::Inquire { .. })
    }

    fn apply(&mut self, command: &DecisionCommand) -> DecisionAnswer {
        match *command {
            DecisionCommand::Inquire { transaction } => self
                .0
                .get(&transaction)
                .map_or(DecisionAnswer::Undecided, |outcome| DecisionAnswer::Decided(*outcome)),
            DecisionCommand::Decide { transaction, outcome } => {
                DecisionAnswer::Decided(*self.0.entry(transaction).or_insert(outcome))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::NodeId;

    #[test]
    fn registers_hold_what_was_written_last() {
        let mut registers = Registers::default();
        let [a, b] = [1, 2].map(|key| RegisterCommand::Read { key });
        assert_eq!(registers.apply(&a), RegisterAnswer::Value(INITIAL));
        let write = RegisterCommand::Write { key: 1, value: 5 };
        assert_eq!(registers.apply(&write), RegisterAnswer::Written);
        let add = RegisterCommand::Add { key: 1, amount: u32::MAX };
        assert_eq!(registers.apply(&add), RegisterAnswer::Value(4));
        assert_eq!(registers.apply(&a), RegisterAnswer::Value(4));
        assert_eq!(registers.apply(&b), RegisterAnswer::Value(INITIAL));
        assert!(Registers::is_query(&a) && !Registers::is_query(&add));
    }

    #[test]
    fn a_lock_has_one_holder_and_every_grant_a_greater_fence() {
        let mut locks = Locks::default();
        let acquire = |lock, owner| LockCommand::Acquire { lock, owner };
        let release = |lock, owner| LockCommand::Release { lock, owner };
        let held = |owner, fence| LockAnswer::Held(Grant { owner, fence });
        assert_eq!(locks.apply(&acquire(0, 7)), held(7, 1));
        assert_eq!(locks.apply(&acquire(0, 8)), held(7, 1));
        assert_eq!(locks.apply(&acquire(1, 8)), held(8, 1));
        assert_eq!(locks.apply(&release(0, 8)), LockAnswer::NotYours);
        assert_eq!(locks.apply(&release(0, 7)), LockAnswer::Free);
        assert_eq!(locks.apply(&LockCommand::Holder { lock: 0 }), LockAnswer::Free);
        assert_eq!(locks.apply(&acquire(0, 8)), held(8, 2));
        assert_eq!(locks.apply(&LockCommand::Holder { lock: 0 }), held(8, 2));
    }

    #[test]
    fn the_first_decision_stands() {
        let mut log = DecisionLog::default();
        let transaction = TxId { coordinator: NodeId(0), incarnation: 1, seq: 1 };
        let inquire = DecisionCommand::Inquire { transaction };
        let decide = |outcome| DecisionCommand::Decide { transaction, outcome };
        assert_eq!(log.apply(&inquire), DecisionAnswer::Undecided);
        let committed = DecisionAnswer::Decided(Outcome::Commit);
        assert_eq!(log.apply(&decide(Outcome::Commit)), committed);
        assert_eq!(log.apply(&decide(Outcome::Abort)), committed);
        assert_eq!(log.apply(&inquire), committed);
    }
}
