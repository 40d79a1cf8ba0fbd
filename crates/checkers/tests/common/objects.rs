//! The models that have a procedure of their own, with what to ask of them.

use crate::truth::{Dice, Object};
use checkers::models::{
    Counter, CounterOp, CounterRet, FencedMutex, FencedOp, FencedRet, FetchAndAdd, FetchAndAddOp,
    Fetched, Mutex, MutexOp, MutexRet, Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet,
    Set, SetOp, SetRet, Stack, StackOp, StackRet,
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

/// Owners that are the clients, or a few more.
pub fn mutex() -> Object<Mutex> {
    fn op(dice: &mut Dice, client: u64, _: u64) -> MutexOp {
        let owner = if dice.below(10) == 0 { dice.below(4) } else { client };
        if dice.below(2) == 0 { MutexOp::Acquire(owner) } else { MutexOp::Release(owner) }
    }
    fn rets(_: &MutexOp, _: u64) -> Vec<MutexRet> {
        vec![MutexRet::Done, MutexRet::Done, MutexRet::Done, MutexRet::Refused]
    }
    Object { model: Mutex, op, rets }
}

/// The same with fences up to the number of operations.
pub fn fenced_mutex() -> Object<FencedMutex> {
    fn op(dice: &mut Dice, client: u64, new: u64) -> FencedOp {
        let owner = if dice.below(10) == 0 { dice.below(4) } else { client };
        if dice.below(2) == 0 {
            FencedOp::Acquire { owner }
        } else {
            FencedOp::Release { owner, fence: 1 + dice.below(new.min(3)) }
        }
    }
    fn rets(op: &FencedOp, _: u64) -> Vec<FencedRet> {
        match op {
            FencedOp::Acquire { .. } => {
                (1..4).map(FencedRet::Granted).chain([FencedRet::Refused]).collect()
            }
            FencedOp::Release { .. } => {
                vec![FencedRet::Released, FencedRet::Released, FencedRet::Refused]
            }
        }
    }
    Object { model: FencedMutex, op, rets }
}

/// One element or two; all say whether they changed anything.
pub fn set() -> Object<Set> {
    fn op(dice: &mut Dice, _: u64, _: u64) -> SetOp {
        let element = dice.below(8) / 7;
        match dice.below(3) {
            0 => SetOp::Add(element),
            1 => SetOp::Remove(element),
            _ => SetOp::Contains(element),
        }
    }
    Object { model: Set::new(), op, rets: |_, _| vec![SetRet::Yes, SetRet::No] }
}

/// Amounts that differ.
pub fn fetch_and_add() -> Object<FetchAndAdd> {
    fn op(dice: &mut Dice, _: u64, _: u64) -> FetchAndAddOp {
        let amount = [0, 1, 1, 2, 3][dice.below(5) as usize];
        if dice.below(3) == 0 { FetchAndAddOp::Read } else { FetchAndAddOp::FetchAndAdd(amount) }
    }
    fn rets(_: &FetchAndAddOp, additions: u64) -> Vec<Fetched> {
        (-1..=3 * additions as i64).map(Fetched).collect()
    }
    Object { model: FetchAndAdd(0), op, rets }
}

/// The same amount each time, and additions that do not say what they came to.
pub fn counter() -> Object<Counter> {
    fn op(dice: &mut Dice, _: u64, _: u64) -> CounterOp {
        if dice.below(2) == 0 { CounterOp::Read } else { CounterOp::Add(2) }
    }
    fn rets(op: &CounterOp, additions: u64) -> Vec<CounterRet> {
        match op {
            CounterOp::Add(_) => vec![CounterRet::Done],
            CounterOp::Read => (0..=2 * additions as i64).map(CounterRet::Total).collect(),
        }
    }
    Object { model: Counter(0), op, rets }
}

/// Amounts that differ, and additions that do not say what they came to: there are only bounds.
pub fn bounded_counter() -> Object<Counter> {
    fn op(dice: &mut Dice, _: u64, _: u64) -> CounterOp {
        match dice.below(2) {
            0 => CounterOp::Read,
            _ => CounterOp::Add([1, 1, 2, 5][dice.below(4) as usize]),
        }
    }
    fn rets(op: &CounterOp, additions: u64) -> Vec<CounterRet> {
        match op {
            CounterOp::Add(_) => vec![CounterRet::Done],
            CounterOp::Read => (0..=3 * additions as i64).map(CounterRet::Total).collect(),
        }
    }
    Object { model: Counter(0), op, rets }
}

/// Additions that say what they came to.
pub fn told_counter() -> Object<Counter> {
    fn op(dice: &mut Dice, _: u64, _: u64) -> CounterOp {
        let amount = 1 + dice.below(3) as i64;
        if dice.below(3) == 0 { CounterOp::Read } else { CounterOp::Add(amount) }
    }
    fn rets(_: &CounterOp, additions: u64) -> Vec<CounterRet> {
        (0..=3 * additions as i64).map(CounterRet::Total).collect()
    }
    Object { model: Counter(0), op, rets }
}
