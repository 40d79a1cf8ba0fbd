//! What is tried with each replicated machine, and the sequential object that it must be like.

use checkers::Model;
use node::NodeId;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use protocols::commit::{Outcome, TxId};
use protocols::replicated::{
    DecisionAnswer, DecisionCommand, DecisionLog, Grant, INITIAL, LockAnswer, LockCommand, Locks,
    Machine, RegisterAnswer, RegisterCommand, Registers,
};

/// A machine on trial.
pub trait Workload: Machine {
    /// What it must be like.
    type Model: Model<Op = Self::Command, Ret = Self::Answer>;

    /// What clients ask.
    fn command() -> BoxedStrategy<Self::Command>;

    /// What it must be like.
    fn model() -> Self::Model;
}

fn mostly_one() -> impl Strategy<Value = u8> + Clone {
    prop_oneof![4 => Just(0u8), 1 => Just(1u8)]
}

impl Workload for Registers {
    type Model = RegisterModel;

    fn command() -> BoxedStrategy<RegisterCommand> {
        let read = mostly_one().prop_map(|key| RegisterCommand::Read { key });
        let write = (mostly_one(), 1..=i32::MAX as u32)
            .prop_map(|(key, value)| RegisterCommand::Write { key, value });
        let add =
            (mostly_one(), 1..=9u32).prop_map(|(key, amount)| RegisterCommand::Add { key, amount });
        prop_oneof![4 => read, 2 => write, 3 => add].boxed()
    }

    fn model() -> RegisterModel {
        RegisterModel
    }
}

/// A register holds what was written last, with what has been added since.
pub struct RegisterModel;

impl Model for RegisterModel {
    type Op = RegisterCommand;
    type Ret = RegisterAnswer;
    type State = u32;
    type Key = u8;

    fn key(&self, op: &RegisterCommand) -> u8 {
        match *op {
            RegisterCommand::Read { key }
            | RegisterCommand::Write { key, .. }
            | RegisterCommand::Add { key, .. } => key,
        }
    }

    fn initial(&self, _: &u8) -> u32 {
        INITIAL
    }

    fn step(&self, value: &u32, op: &RegisterCommand, ret: Option<&RegisterAnswer>) -> Option<u32> {
        let (after, answer) = match *op {
            RegisterCommand::Read { .. } => (*value, RegisterAnswer::Value(*value)),
            RegisterCommand::Write { value, .. } => (value, RegisterAnswer::Written),
            RegisterCommand::Add { amount, .. } => {
                let sum = value.wrapping_add(amount);
                (sum, RegisterAnswer::Value(sum))
            }
        };
        ret.is_none_or(|ret| *ret == answer).then_some(after)
    }

    fn observes(&self, op: &RegisterCommand, _: Option<&RegisterAnswer>) -> bool {
        matches!(op, RegisterCommand::Read { .. })
    }
}

impl Workload for Locks {
    type Model = LockModel;

    fn command() -> BoxedStrategy<LockCommand> {
        let owner = 1..=3u8;
        let holder = mostly_one().prop_map(|lock| LockCommand::Holder { lock });
        let acquire = (mostly_one(), owner.clone())
            .prop_map(|(lock, owner)| LockCommand::Acquire { lock, owner });
        let release =
            (mostly_one(), owner).prop_map(|(lock, owner)| LockCommand::Release { lock, owner });
        prop_oneof![2 => holder, 3 => acquire, 3 => release].boxed()
    }

    fn model() -> LockModel {
        LockModel
    }
}

/// A lock has one holder at a time, and each grant the next fence.
pub struct LockModel;

impl Model for LockModel {
    type Op = LockCommand;
    type Ret = LockAnswer;
    type State = (Option<u8>, u64);
    type Key = u8;

    fn key(&self, op: &LockCommand) -> u8 {
        match *op {
            LockCommand::Holder { lock }
            | LockCommand::Acquire { lock, .. }
            | LockCommand::Release { lock, .. } => lock,
        }
    }

    fn initial(&self, _: &u8) -> (Option<u8>, u64) {
        (None, 0)
    }

    fn step(
        &self,
        &(holder, fence): &(Option<u8>, u64),
        op: &LockCommand,
        ret: Option<&LockAnswer>,
    ) -> Option<(Option<u8>, u64)> {
        let (holder, fence, ours) = match (*op, holder) {
            (LockCommand::Acquire { owner, .. }, None) => (Some(owner), fence + 1, true),
            (LockCommand::Release { owner, .. }, Some(held)) if held == owner => {
                (None, fence, true)
            }
            (LockCommand::Release { .. }, _) => (holder, fence, false),
            (LockCommand::Holder { .. } | LockCommand::Acquire { .. }, _) => (holder, fence, true),
        };
        let answer = match holder {
            _ if !ours => LockAnswer::NotYours,
            Some(owner) => LockAnswer::Held(Grant { owner, fence }),
            None => LockAnswer::Free,
        };
        ret.is_none_or(|ret| *ret == answer).then_some((holder, fence))
    }

    fn observes(&self, op: &LockCommand, ret: Option<&LockAnswer>) -> bool {
        matches!(op, LockCommand::Holder { .. }) || ret == Some(&LockAnswer::NotYours)
    }

    fn show(&self, (holder, fence): &(Option<u8>, u64)) -> String {
        match holder {
            None => format!("free after fence {fence}"),
            Some(owner) => format!("held by {owner} under fence {fence}"),
        }
    }
}

impl Workload for DecisionLog {
    type Model = DecisionModel;

    fn command() -> BoxedStrategy<DecisionCommand> {
        let transaction =
            || (0..3u32).prop_map(|seq| TxId { coordinator: NodeId(0), incarnation: 1, seq });
        let outcome = prop_oneof![Just(Outcome::Commit), Just(Outcome::Abort)];
        let inquire =
            transaction().prop_map(|transaction| DecisionCommand::Inquire { transaction });
        let decide = (transaction(), outcome)
            .prop_map(|(transaction, outcome)| DecisionCommand::Decide { transaction, outcome });
        prop_oneof![1 => inquire, 1 => decide].boxed()
    }

    fn model() -> DecisionModel {
        DecisionModel
    }
}

/// The first decision on a transaction stands.
pub struct DecisionModel;

impl Model for DecisionModel {
    type Op = DecisionCommand;
    type Ret = DecisionAnswer;
    type State = Option<Outcome>;
    type Key = TxId;

    fn key(&self, op: &DecisionCommand) -> TxId {
        match *op {
            DecisionCommand::Inquire { transaction }
            | DecisionCommand::Decide { transaction, .. } => transaction,
        }
    }

    fn initial(&self, _: &TxId) -> Option<Outcome> {
        None
    }

    fn step(
        &self,
        decided: &Option<Outcome>,
        op: &DecisionCommand,
        ret: Option<&DecisionAnswer>,
    ) -> Option<Option<Outcome>> {
        let after = match *op {
            DecisionCommand::Inquire { .. } => *decided,
            DecisionCommand::Decide { outcome, .. } => decided.or(Some(outcome)),
        };
        let answer = after.map_or(DecisionAnswer::Undecided, DecisionAnswer::Decided);
        ret.is_none_or(|ret| *ret == answer).then_some(after)
    }

    fn observes(&self, op: &DecisionCommand, _: Option<&DecisionAnswer>) -> bool {
        matches!(op, DecisionCommand::Inquire { .. })
    }
}
