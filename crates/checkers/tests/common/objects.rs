//! The models that have a procedure of their own, with what to ask of them.

use crate::truth::{Dice, Object};
use checkers::models::{Register, RegisterOp, RegisterRet};

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
