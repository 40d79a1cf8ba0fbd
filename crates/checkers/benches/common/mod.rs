//! Histories of the shapes that the speed table names, right or with one thing wrong.
//!
//! At every step a client is picked at random and moves on by one of invoke, effect, return, so an
//! operation lasts about two steps for every client.

#[path = "numbers.rs"]
mod numbers;

use checkers::models::{MutexOp, MutexRet, QueueOp, QueueRet, RegisterOp, RegisterRet};
use history::{Actor, Event, History, What};
pub use numbers::Numbers;
use std::collections::VecDeque;

/// What a history looks like.
#[derive(Clone, Debug)]
pub struct Shape {
    pub operations: usize,
    pub clients: usize,
    pub keys: u64,
    /// How many values there are; 0 if every write has its own.
    pub values: u64,
    /// Of a thousand operations so many lose their answer before they take effect, and as many
    /// after.
    pub lost: u64,
    /// After so many in a hundred lines a read is stale, or a lock is acquired twice.
    pub wrong_at: Option<usize>,
    /// Reads, writes and compare-and-sets in a hundred.
    pub mix: [u64; 3],
    pub seed: u64,
}

impl Shape {
    pub fn new(operations: usize, clients: usize) -> Self {
        let (keys, values, lost, wrong_at) = (1, 0, 0, None);
        Self { operations, clients, keys, values, lost, wrong_at, mix: [50, 35, 15], seed: 1 }
    }
}

/// Lines on their way into a history.
struct Recorder<Op, Ret> {
    events: Vec<Event<Op, Ret>>,
    begun: u32,
    /// The process of each client, and the next new one.
    processes: Vec<u32>,
    next: u32,
}

impl<Op, Ret> Recorder<Op, Ret> {
    fn new(shape: &Shape) -> Self {
        let events = Vec::with_capacity(2 * shape.operations);
        let processes = (0..shape.clients as u32).collect();
        Self { events, begun: 0, processes, next: shape.clients as u32 }
    }

    fn line(&mut self, client: usize, op: u32, what: What<Op, Ret>) {
        let (at, process) = (self.events.len() as u64, self.processes[client]);
        if matches!(what, What::Info) {
            self.processes[client] = self.next;
            self.next += 1;
        }
        let actor = Actor::Client(client as u16);
        self.events.push(Event { at, op, actor, process, call: op, what });
    }

    fn invoke(&mut self, client: usize, op: Op) -> u32 {
        self.begun += 1;
        self.line(client, self.begun - 1, What::Invoke(op));
        self.begun - 1
    }
}

#[derive(Clone)]
enum Phase<Op, Ret> {
    Idle,
    Invoked(u32, Op),
    Done(u32, Ret),
}

pub type Registers = History<(u64, RegisterOp), RegisterRet>;

/// Registers that begin at 0, which nobody writes.
pub fn registers(shape: &Shape) -> Registers {
    let mut numbers = Numbers(shape.seed);
    let mut recorder = Recorder::new(shape);
    let mut clients = vec![Phase::Idle; shape.clients];
    let mut values = vec![0_u64; shape.keys as usize];
    let mut ghosts: Vec<(u64, RegisterOp)> = Vec::new();
    let mut unique = 0;
    let apply = |values: &mut [u64], (key, op): &(u64, RegisterOp)| {
        let value = &mut values[*key as usize];
        match op {
            RegisterOp::Read => RegisterRet::Value(*value),
            RegisterOp::Write(new) => {
                *value = *new;
                RegisterRet::Done
            }
            RegisterOp::CompareAndSet(old, new) if value == old => {
                *value = *new;
                RegisterRet::Done
            }
            RegisterOp::CompareAndSet(..) => RegisterRet::Refused,
        }
    };
    let mut idle = shape.clients;
    while (recorder.begun as usize) < shape.operations || idle < shape.clients {
        let who = numbers.below(shape.clients as u64) as usize;
        let lost = |numbers: &mut Numbers| shape.lost > 0 && numbers.below(1000) < shape.lost;
        clients[who] = match std::mem::replace(&mut clients[who], Phase::Idle) {
            Phase::Idle if recorder.begun as usize >= shape.operations => Phase::Idle,
            Phase::Idle => {
                let key = numbers.below(shape.keys);
                let mut new = |numbers: &mut Numbers| {
                    unique += 1;
                    if shape.values > 0 { 1 + numbers.below(shape.values) } else { unique }
                };
                let draw = numbers.below(100);
                let op = if draw < shape.mix[0] {
                    RegisterOp::Read
                } else if draw < shape.mix[0] + shape.mix[1] {
                    RegisterOp::Write(new(&mut numbers))
                } else {
                    let old = match shape.values {
                        0 => values[key as usize],
                        some => 1 + numbers.below(some),
                    };
                    RegisterOp::CompareAndSet(old, new(&mut numbers))
                };
                idle -= 1;
                Phase::Invoked(recorder.invoke(who, (key, op.clone())), (key, op))
            }
            Phase::Invoked(number, op) if lost(&mut numbers) => {
                recorder.line(who, number, What::Info);
                if numbers.below(2) == 0 {
                    ghosts.push(op);
                }
                idle += 1;
                Phase::Idle
            }
            Phase::Invoked(number, op) => {
                let ret = apply(&mut values, &op);
                if lost(&mut numbers) {
                    recorder.line(who, number, What::Info);
                    idle += 1;
                    Phase::Idle
                } else {
                    Phase::Done(number, ret)
                }
            }
            Phase::Done(number, ret) => {
                recorder.line(who, number, What::Ok(ret));
                idle += 1;
                Phase::Idle
            }
        };
        if !ghosts.is_empty() && numbers.below(200) == 0 {
            let which = numbers.below(ghosts.len() as u64) as usize;
            apply(&mut values, &ghosts.swap_remove(which));
        }
    }
    let mut history = History { events: recorder.events };
    if let Some(percent) = shape.wrong_at {
        make_stale(&mut history, percent);
    }
    history
}

/// Has a read answer what a write wrote that another one had overwritten before the read began:
/// the first that can, after so many in a hundred lines.
fn make_stale(history: &mut Registers, percent: usize) {
    let operations = history.operations();
    let from = history.events.len() * percent / 100;
    let written = |it: &history::Operation<'_, (u64, RegisterOp), RegisterRet>| match it.op.1 {
        RegisterOp::Write(value) if it.completed != usize::MAX => Some(value),
        _ => None,
    };
    for (nth, read) in operations.iter().enumerate() {
        let is_read = read.op.1 == RegisterOp::Read && read.completed != usize::MAX;
        if read.invoked < from || !is_read {
            continue;
        }
        let before = || operations[..nth].iter().rev().take(400).filter(|it| it.op.0 == read.op.0);
        let last = before().find(|it| written(it).is_some() && it.completed < read.invoked);
        let stale = last
            .and_then(|last| before().filter(|it| it.completed < last.invoked).find_map(written));
        if let Some(stale) = stale {
            let completed = read.completed;
            history.events[completed].what = What::Ok(RegisterRet::Value(stale));
            return;
        }
    }
    panic!("no read can be stale");
}

/// One register of them.
pub fn register(shape: &Shape) -> History<RegisterOp, RegisterRet> {
    registers(shape).project(|(_, op)| Some(op.clone()), |_, ret| Some(ret.clone()))
}

/// A lock. Who waits for it waits, and at the end some may wait for ever.
pub fn lock(shape: &Shape) -> History<MutexOp, MutexRet> {
    let mut numbers = Numbers(shape.seed);
    let mut recorder = Recorder::new(shape);
    let mut clients = vec![Phase::Idle; shape.clients];
    let mut holds = vec![false; shape.clients];
    let mut holder: Option<usize> = None;
    let mut wrong_after = shape.wrong_at.map(|percent| shape.operations * percent / 100);
    loop {
        let over = recorder.begun as usize >= shape.operations;
        let stuck = |(who, phase): (usize, &Phase<MutexOp, MutexRet>)| match phase {
            Phase::Idle => true,
            Phase::Invoked(_, MutexOp::Acquire(_)) => holder.is_some_and(|other| other != who),
            _ => false,
        };
        if over && clients.iter().enumerate().all(stuck) {
            return History { events: recorder.events };
        }
        let who = numbers.below(shape.clients as u64) as usize;
        let owner = who as u64;
        clients[who] = match std::mem::replace(&mut clients[who], Phase::Idle) {
            Phase::Idle if over => Phase::Idle,
            Phase::Idle => {
                let op = if holds[who] { MutexOp::Release(owner) } else { MutexOp::Acquire(owner) };
                Phase::Invoked(recorder.invoke(who, op), op)
            }
            Phase::Invoked(number, op @ MutexOp::Acquire(_)) if holder.is_some() => {
                // Somebody holds it for certain, and will not have let go before this returns.
                let certain = holder
                    .is_some_and(|other| holds[other] && matches!(clients[other], Phase::Idle));
                if certain && wrong_after.is_some_and(|after| recorder.begun as usize >= after) {
                    wrong_after = None;
                    recorder.line(who, number, What::Ok(MutexRet::Done));
                    holds[who] = true;
                    Phase::Idle
                } else {
                    Phase::Invoked(number, op)
                }
            }
            Phase::Invoked(number, op) => {
                holder = matches!(op, MutexOp::Acquire(_)).then_some(who);
                Phase::Done(number, MutexRet::Done)
            }
            Phase::Done(number, ret) => {
                recorder.line(who, number, What::Ok(ret));
                holds[who] = holder == Some(who);
                Phase::Idle
            }
        };
    }
}

/// A queue of unique values, half of the operations enqueues.
pub fn queue(shape: &Shape) -> History<QueueOp, QueueRet> {
    let mut numbers = Numbers(shape.seed);
    let mut recorder = Recorder::new(shape);
    let mut clients = vec![Phase::Idle; shape.clients];
    let mut queue = VecDeque::new();
    let mut idle = shape.clients;
    while (recorder.begun as usize) < shape.operations || idle < shape.clients {
        let who = numbers.below(shape.clients as u64) as usize;
        clients[who] = match std::mem::replace(&mut clients[who], Phase::Idle) {
            Phase::Idle if recorder.begun as usize >= shape.operations => Phase::Idle,
            Phase::Idle => {
                let new = u64::from(recorder.begun);
                let enqueue = numbers.below(2) == 0;
                let op = if enqueue { QueueOp::Enqueue(new) } else { QueueOp::Dequeue };
                idle -= 1;
                Phase::Invoked(recorder.invoke(who, op.clone()), op)
            }
            Phase::Invoked(number, QueueOp::Enqueue(value)) => {
                queue.push_back(value);
                Phase::Done(number, QueueRet::Done)
            }
            Phase::Invoked(number, QueueOp::Dequeue) => {
                Phase::Done(number, queue.pop_front().map_or(QueueRet::Empty, QueueRet::Value))
            }
            Phase::Done(number, ret) => {
                recorder.line(who, number, What::Ok(ret));
                idle += 1;
                Phase::Idle
            }
        };
    }
    History { events: recorder.events }
}
