//! What the procedures of the models are held against: histories of every kind, every permutation,
//! and a validator of orders.

use checkers::{Decision, Model};
use history::{Actor, Event, History, Operation, Outcome, What};
use std::fmt::Debug;
use std::mem::discriminant;

/// Numbers that look random and are the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// An object, what to ask of it, and what it might answer.
pub struct Object<M: Model> {
    pub model: M,
    /// An operation, for a client; the number is new each time, from 1.
    pub op: fn(&mut Dice, u64, u64) -> M::Op,
    /// Every answer that the operation might get, where so many numbers were used.
    pub rets: fn(&M::Op, u64) -> Vec<M::Ret>,
}

/// How large and how wild histories are.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub operations: u64,
    pub clients: u64,
    /// In how many of a hundred the outcome stays unknown.
    pub unknown: u64,
    /// How many changes are made to a right history.
    pub wrong: u64,
}

struct Call<Op, Ret> {
    op: Op,
    ret: Option<Ret>,
    client: u64,
}

/// The calls of a history, and its events: which call, and whether it ends.
struct Draft<M: Model> {
    calls: Vec<Call<M::Op, M::Ret>>,
    events: Vec<(usize, bool)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Idle,
    Called(usize),
    Done(usize),
}

/// A history: right, but for as many changes as the shape says.
pub fn history<M>(object: &Object<M>, shape: Shape, dice: &mut Dice) -> History<M::Op, M::Ret>
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let mut draft = right(object, shape, dice);
    for _ in 0..shape.wrong {
        spoil(object, &mut draft, dice);
    }
    finish(draft)
}

fn right<M>(object: &Object<M>, shape: Shape, dice: &mut Dice) -> Draft<M>
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let model = &object.model;
    let mut draft: Draft<M> = Draft { calls: Vec::new(), events: Vec::new() };
    let mut phases = vec![Phase::Idle; shape.clients as usize];
    let mut ghosts: Vec<usize> = Vec::new();
    let mut states: Vec<(M::Key, M::State)> = Vec::new();
    // Those that wait for a lock may wait for ever.
    let mut patience = 20 * (shape.operations + shape.clients);
    loop {
        let begun = draft.calls.len() as u64;
        patience -= 1;
        let idle = phases.iter().all(|phase| *phase == Phase::Idle);
        if patience == 0 || begun == shape.operations && idle {
            return draft;
        }
        let mut take = |draft: &Draft<M>, call: usize, answers: bool, dice: &mut Dice| {
            let op = &draft.calls[call].op;
            let key = model.key(op);
            let at = states.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
                let initial = model.initial(&key);
                states.push((model.key(op), initial));
                states.len() - 1
            });
            let state = &mut states[at].1;
            if !answers {
                *state = model.step(state, op, None)?;
                return None;
            }
            let step = |ret: M::Ret| model.step(state, op, Some(&ret)).map(|after| (ret, after));
            let rets = (object.rets)(op, shape.operations);
            let fitting: Vec<_> = rets.into_iter().filter_map(step).collect();
            if fitting.is_empty() {
                return None;
            }
            let (ret, after) = fitting[dice.below(fitting.len() as u64) as usize].clone();
            *state = after;
            Some(ret)
        };
        if !ghosts.is_empty() && dice.below(8) == 0 {
            let ghost = ghosts.swap_remove(dice.below(ghosts.len() as u64) as usize);
            take(&draft, ghost, false, dice);
        }
        let who = dice.below(shape.clients);
        let phase = &mut phases[who as usize];
        match *phase {
            Phase::Idle if begun == shape.operations => {}
            Phase::Idle => {
                let op = (object.op)(dice, who, begun + 1);
                draft.events.push((draft.calls.len(), false));
                *phase = Phase::Called(draft.calls.len());
                draft.calls.push(Call { op, ret: None, client: who });
            }
            Phase::Called(call) => {
                if dice.below(100) < shape.unknown {
                    match dice.below(3) {
                        0 => {}
                        1 => ghosts.push(call),
                        _ => drop(take(&draft, call, false, dice)),
                    }
                    *phase = Phase::Idle;
                } else if let Some(ret) = take(&draft, call, true, dice) {
                    draft.calls[call].ret = Some(ret);
                    *phase = Phase::Done(call);
                }
            }
            Phase::Done(call) => {
                draft.events.push((call, true));
                *phase = Phase::Idle;
            }
        }
    }
}

/// Changes an answer, exchanges two, or makes an operation shorter.
fn spoil<M>(object: &Object<M>, draft: &mut Draft<M>, dice: &mut Dice)
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let ends: Vec<usize> =
        draft.events.iter().filter(|(_, ends)| *ends).map(|(call, _)| *call).collect();
    if ends.is_empty() {
        return;
    }
    let one = ends[dice.below(ends.len() as u64) as usize];
    let other = ends[dice.below(ends.len() as u64) as usize];
    match dice.below(4) {
        0 => {
            let rets = (object.rets)(&draft.calls[one].op, draft.calls.len() as u64);
            draft.calls[one].ret = Some(rets[dice.below(rets.len() as u64) as usize].clone());
        }
        1 if discriminant(&draft.calls[one].op) == discriminant(&draft.calls[other].op) => {
            let ret = draft.calls[one].ret.clone();
            draft.calls[one].ret = draft.calls[other].ret.clone();
            draft.calls[other].ret = ret;
        }
        way => {
            let find = |ends| draft.events.iter().position(|event| *event == (one, ends));
            let (Some(begin), Some(end)) = (find(false), find(true)) else { return };
            let between = begin + 1 + dice.below((end - begin) as u64) as usize;
            let (from, to) = if way == 2 { (end, between) } else { (begin, between - 1) };
            let event = draft.events.remove(from);
            draft.events.insert(to, event);
        }
    }
}

fn finish<M: Model>(draft: Draft<M>) -> History<M::Op, M::Ret> {
    let Draft { calls, events } = draft;
    let clients: Vec<u64> = calls.iter().map(|call| call.client).collect();
    let (mut ops, mut rets): (Vec<_>, Vec<_>) =
        calls.into_iter().map(|call| (Some(call.op), call.ret)).unzip();
    let mut numbers = vec![0; ops.len()];
    let mut next = 0;
    let line = |(at, (call, ends)): (usize, (usize, bool))| {
        let what = if ends {
            rets[call].take().map_or(What::Info, What::Ok)
        } else {
            numbers[call] = next;
            next += 1;
            What::Invoke(ops[call].take().expect("one invocation a call"))
        };
        let (op, actor) = (numbers[call], Actor::Client(clients[call] as u16));
        Event { at: at as u64, op, actor, process: op, call: op, what }
    };
    History { events: events.into_iter().enumerate().map(line).collect() }
}

/// The operations of one object, as they are handed to a procedure.
pub type Operations<'a, M> = Vec<Operation<'a, <M as Model>::Op, <M as Model>::Ret>>;

fn ret<'a, Op, Ret>(operation: &Operation<'a, Op, Ret>) -> Option<&'a Ret> {
    match operation.outcome {
        Outcome::Ok(ret) => Some(ret),
        Outcome::Fail | Outcome::Info => None,
    }
}

/// The same operation again; deriving it would ask for operations that can be copied.
pub fn copy<'a, Op, Ret>(operation: &Operation<'a, Op, Ret>) -> Operation<'a, Op, Ret> {
    let Operation { id, actor, call, op, ref outcome, invoked, completed } = *operation;
    let outcome = match outcome {
        Outcome::Ok(ret) => Outcome::Ok(*ret),
        Outcome::Fail => Outcome::Fail,
        Outcome::Info => Outcome::Info,
    };
    Operation { id, actor, call, op, outcome, invoked, completed }
}

/// Whether some order of all completed operations, and of any others, fits the model.
pub fn brute_force<M: Model>(model: &M, state: &M::State, rest: &mut Operations<'_, M>) -> bool {
    if rest.iter().all(|operation| ret(operation).is_none()) {
        return true;
    }
    let first_end = rest.iter().map(|operation| operation.completed).min().unwrap_or(usize::MAX);
    for i in 0..rest.len() {
        if rest[i].invoked > first_end {
            break;
        }
        let Some(after) = model.step(state, rest[i].op, ret(&rest[i])) else { continue };
        let next = rest.remove(i);
        let fits = brute_force(model, &after, rest);
        rest.insert(i, next);
        if fits {
            return true;
        }
    }
    false
}

/// Replays an order: every completed operation once, others at most once, in real time, with the
/// answers that were seen.
pub fn validate<M: Model>(
    model: &M,
    initial: M::State,
    operations: &Operations<'_, M>,
    order: &[u32],
) -> Result<(), String> {
    let mut named = vec![false; operations.len()];
    let (mut state, mut latest) = (initial, 0);
    for &place in order {
        let operation = operations.get(place as usize).ok_or("no such operation")?;
        if std::mem::replace(&mut named[place as usize], true) {
            return Err(format!("operation {place} twice"));
        }
        if operation.completed < latest {
            return Err(format!("operation {place} after one that was invoked later"));
        }
        latest = latest.max(operation.invoked);
        state = model
            .step(&state, operation.op, ret(operation))
            .ok_or_else(|| format!("operation {place} in {state:?}"))?;
    }
    let missing = (0..operations.len()).find(|&i| ret(&operations[i]).is_some() && !named[i]);
    missing.map_or(Ok(()), |place| Err(format!("operation {place} is missing")))
}

/// What a procedure said, in numbers: orders, conflicts, no answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub orders: u64,
    pub conflicts: u64,
    pub neither: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.orders += other.orders;
        self.conflicts += other.conflicts;
        self.neither += other.neither;
    }
}

/// Holds what the model's procedure says of a history against `truth`, and each order and each
/// conflict against what it claims.
pub fn judge<M: Model>(
    model: &M,
    history: &History<M::Op, M::Ret>,
    truth: impl Fn(&M, &Operations<'_, M>) -> bool,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut keys: Vec<M::Key> = Vec::new();
    let all: Operations<'_, M> = history.operations();
    for operation in &all {
        let key = model.key(operation.op);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for key in keys {
        let operations: Operations<'_, M> =
            all.iter().filter(|operation| model.key(operation.op) == key).map(copy).collect();
        match model.decide(&key, operations.iter().map(copy)) {
            None => tally.neither += 1,
            Some(Decision::Order(order)) => {
                tally.orders += 1;
                validate(model, model.initial(&key), &operations, &order)
                    .map_err(|error| format!("a wrong order {order:?}: {error}"))?;
            }
            Some(Decision::Conflict(conflict)) => {
                tally.conflicts += 1;
                if truth(model, &operations) {
                    return Err(format!("refused, but there is an order: {conflict:?}"));
                }
                let few = |&place: &u32| copy(&operations[place as usize]);
                let few: Operations<'_, M> = conflict.operations.iter().map(few).collect();
                if few.len() <= 12 && truth(model, &few) {
                    return Err(format!("no conflict of these alone: {conflict:?}"));
                }
            }
        }
    }
    Ok(tally)
}

/// A history as lines to read.
pub fn show<Op: Debug, Ret: Debug>(history: &History<Op, Ret>) -> String {
    history
        .operations()
        .iter()
        .enumerate()
        .map(|(nth, operation)| {
            let Operation { op, outcome, invoked, completed, .. } = operation;
            let end =
                if *completed == usize::MAX { "…".to_owned() } else { completed.to_string() };
            format!("{nth}: {invoked}..{end} {op:?} {outcome:?}\n")
        })
        .collect()
}

/// Judges so many small histories by the procedure and by every permutation.
pub fn differ<M>(object: &Object<M>, seed: u64, histories: u64) -> Tally
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let mut tally = Tally::default();
    for nth in 0..histories {
        let mut dice = Dice(seed.wrapping_add(nth).wrapping_mul(0x2545_F491_4F6C_DD1D));
        let shape = Shape {
            operations: 2 + dice.below(6),
            clients: 2 + dice.below(4),
            unknown: [0, 0, 15, 40][dice.below(4) as usize],
            wrong: dice.below(4),
        };
        let history = history(object, shape, &mut dice);
        let truth = |model: &M, operations: &Operations<'_, M>| {
            let Some(first) = operations.first() else { return true };
            let initial = model.initial(&model.key(first.op));
            brute_force(model, &initial, &mut operations.iter().map(copy).collect())
        };
        match judge(&object.model, &history, truth) {
            Ok(of_one) => tally += of_one,
            Err(error) => panic!("seed {seed}, history {nth}: {error}\n{}", show(&history)),
        }
    }
    tally
}
