//! The models that have a procedure of their own, with what to ask of them.

use crate::truth::{Dice, Object};
use checkers::models::{
    Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Stack, StackOp, StackRet,
};

/// Unique writes and compare-and-sets, reads.
pub fn register() -> Object<Register> {
    fn op(dice: &mut Dice, _: u64, new: u64) -> RegisterOp {
        match dice.below(8) {
            0..4 => RegisterOp::Read,
            4..6 => RegisterOp::Write(new),
            _ => RegisterOp::CompareAndSet(dice.below(new), new),
        }
    }
    Object { model: Register(0), op, rets: register_rets }
}

/// The same without compare-and-set.
pub fn plain_register() -> Object<Register> {
    fn op(dice: &mut Dice, _: u64, new: u64) -> RegisterOp {
        if dice.below(2) == 0 { RegisterOp::Read } else { RegisterOp::Write(new) }
    }
    Object { model: Register(0), op, rets: register_rets }
}

fn register_rets(op: &RegisterOp, values: u64) -> Vec<RegisterRet> {
    match op {
        RegisterOp::Read => (0..=values).map(RegisterRet::Value).collect(),
        RegisterOp::Write(_) => vec![RegisterRet::Done],
        RegisterOp::CompareAndSet(..) => vec![RegisterRet::Done, RegisterRet::Refused],
    }
}

/// Unique enqueues.
pub fn queue() -> Object<Queue> {
    fn op(dice: &mut Dice, _: u64, new: u64) -> QueueOp {
        if dice.below(2) == 0 { QueueOp::Enqueue(new) } else { QueueOp::Dequeue }
    }
    fn rets(op: &QueueOp, values: u64) -> Vec<QueueRet> {
        match op {
            QueueOp::Enqueue(_) => vec![QueueRet::Done],
            QueueOp::Dequeue => {
                (1..=values).map(QueueRet::Value).chain([QueueRet::Empty]).collect()
            }
        }
    }
    Object { model: Queue::new(), op, rets }
}

/// Unique pushes.
pub fn stack() -> Object<Stack> {
    fn op(dice: &mut Dice, _: u64, new: u64) -> StackOp {
        if dice.below(2) == 0 { StackOp::Push(new) } else { StackOp::Pop }
    }
    fn rets(op: &StackOp, values: u64) -> Vec<StackRet> {
        match op {
            StackOp::Push(_) => vec![StackRet::Done],
            StackOp::Pop => (1..=values).map(StackRet::Value).chain([StackRet::Empty]).collect(),
        }
    }
    Object { model: Stack::new(), op, rets }
}
