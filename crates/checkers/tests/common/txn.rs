//! Transactions as tests write them, and a generator of histories good and bad.
#![allow(dead_code)]

use checkers::isolation::{ListHistory, ListOp, RwHistory, RwOp};
use history::{Actor, Event, History, What};

/// What a micro-operation does, in either kind of history: `Read` holds all versions up to the one
/// that was read, oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mop {
    Write(char, u32),
    Read(char, Vec<u32>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Ok,
    Fail,
    Info,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Txn {
    pub process: u32,
    pub begin: u32,
    pub end: u32,
    pub fate: Fate,
    pub mops: Vec<Mop>,
}

/// One transaction a line: `process begin-end fate: mops`. `wx1` writes 1 to x or appends it,
/// `rx1.2` reads `[1, 2]` in a list and 2 in a register, `rx` reads what was there initially.
pub fn parse(text: &str) -> Vec<Txn> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(line).collect()
}

fn line(line: &str) -> Txn {
    let (head, mops) = line.split_once(':').expect("a colon");
    let mut head = head.split_whitespace();
    let process = head.next().expect("a process").parse().expect("a number");
    let (begin, end) = head.next().expect("a time").split_once('-').expect("two times");
    let fate = match head.next().unwrap_or("ok") {
        "ok" => Fate::Ok,
        "fail" => Fate::Fail,
        "info" => Fate::Info,
        other => panic!("no fate {other}"),
    };
    let mops = mops.split_whitespace().map(|mop| {
        let mut letters = mop.chars();
        let (kind, key) = (letters.next(), letters.next().expect("a key"));
        let values = letters.as_str().split('.').filter(|value| !value.is_empty());
        let mut values = values.map(|value| value.parse().expect("a value"));
        match kind {
            Some('w') => Mop::Write(key, values.next().expect("a value")),
            _ => Mop::Read(key, values.collect()),
        }
    });
    let (begin, end) = (begin.parse().expect("a time"), end.parse().expect("a time"));
    Txn { process, begin, end, fate, mops: mops.collect() }
}

/// The text that [`parse`] reads.
pub fn show(txns: &[Txn]) -> String {
    let mop = |mop: &Mop| match mop {
        Mop::Write(key, value) => format!(" w{key}{value}"),
        Mop::Read(key, values) => {
            let values: Vec<String> = values.iter().map(u32::to_string).collect();
            format!(" r{key}{}", values.join("."))
        }
    };
    let lines = txns.iter().map(|txn| {
        let fate = format!("{:?}", txn.fate).to_lowercase();
        let mops: String = txn.mops.iter().map(mop).collect();
        format!("{} {}-{} {fate}:{mops}\n", txn.process, txn.begin, txn.end)
    });
    lines.collect()
}

pub fn lists(txns: &[Txn]) -> ListHistory<char, u32> {
    history(txns, |mop, known| match mop {
        Mop::Write(key, value) => ListOp::Append(*key, *value),
        Mop::Read(key, values) => ListOp::Read(*key, known.then(|| values.clone())),
    })
}

pub fn registers(txns: &[Txn]) -> RwHistory<char, u32> {
    history(txns, |mop, known| match mop {
        Mop::Write(key, value) => RwOp::Write(*key, *value),
        Mop::Read(key, values) => RwOp::Read(*key, values.last().copied().filter(|_| known)),
    })
}

/// Operations are numbered by invocation, so [`sorted`] must have been applied for their numbers to
/// be places in `txns`.
fn history<M>(txns: &[Txn], mop: impl Fn(&Mop, bool) -> M) -> History<Vec<M>, Vec<M>> {
    let mut lines: Vec<(u32, usize, bool)> = Vec::new();
    for (number, txn) in txns.iter().enumerate() {
        lines.push((txn.begin, number, true));
        lines.push((txn.end, number, false));
    }
    lines.sort_by_key(|(at, number, begin)| (*at, !begin, *number));
    let mut ops = vec![0; txns.len()];
    let mut begun = 0;
    let mut events = Vec::new();
    for (at, number, begin) in lines {
        let txn = &txns[number];
        let mops = |known| txn.mops.iter().map(|m| mop(m, known)).collect();
        let what = match (begin, txn.fate) {
            (true, _) => {
                ops[number] = begun;
                begun += 1;
                What::Invoke(mops(false))
            }
            (false, Fate::Ok) => What::Ok(mops(true)),
            (false, Fate::Fail) => What::Fail("aborted".into()),
            (false, Fate::Info) => What::Info,
        };
        let (op, process) = (ops[number], txn.process);
        let actor = Actor::Client(process as u16);
        events.push(Event { at: at.into(), op, actor, process, call: op, what });
    }
    History { events }
}

/// By invocation, as histories number operations.
pub fn sorted(mut txns: Vec<Txn>) -> Vec<Txn> {
    txns.sort_by_key(|txn| txn.begin);
    txns
}

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u32
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}

/// How many transactions a small history has at most.
pub const SMALL: u32 = 5;

/// A history of at most so many transactions, for comparisons that cost little.
pub fn medium(dice: &mut Dice) -> Vec<Txn> {
    let most = 6 + dice.below(50);
    random(dice, most)
}

/// A history that brute force can judge.
pub fn small(dice: &mut Dice) -> Vec<Txn> {
    random(dice, SMALL)
}

/// A history of at most so many transactions: some run on a store that is serializable, some on
/// snapshots that may be stale, some read anything, and some of each are spoilt afterwards. Sorted
/// by invocation.
fn random(dice: &mut Dice, most: u32) -> Vec<Txn> {
    let mut txns = shapes(dice, most);
    let unseen = |txn: &Txn, dice: &mut Dice| match txn.fate {
        Fate::Ok => false,
        Fate::Info => dice.one_in(2),
        Fate::Fail => !dice.one_in(12),
    };
    let hidden: Vec<bool> = txns.iter().map(|txn| unseen(txn, dice)).collect();
    let style = if most > SMALL { dice.below(2) * dice.below(4) } else { dice.below(4) };
    let mut order: Vec<usize> = (0..txns.len()).collect();
    order.sort_by_cached_key(|txn| {
        let Txn { begin, end, .. } = txns[*txn];
        if style == 3 { dice.below(99) } else { begin + dice.below(end - begin) }
    });
    let mut states: Vec<Vec<(char, u32)>> = vec![Vec::new()];
    for &number in &order {
        let newest = states.len() as u32 - 1;
        let back = if style == 0 { 0 } else { dice.below(3).min(newest) };
        let mut snapshot = states[(newest - back) as usize].clone();
        let mut state = states[newest as usize].clone();
        for mop in &mut txns[number].mops {
            match mop {
                Mop::Write(key, value) => {
                    snapshot.push((*key, *value));
                    state.push((*key, *value));
                }
                Mop::Read(key, values) => {
                    let of_key = snapshot.iter().filter(|(other, _)| other == key);
                    *values = of_key.map(|(_, value)| *value).collect();
                    if style == 2 && dice.one_in(2) {
                        values.truncate(dice.below(values.len() as u32 + 1) as usize);
                    }
                }
            }
        }
        if !hidden[number] {
            states.push(state);
        }
    }
    if dice.one_in(4) {
        spoil(&mut txns, dice);
    }
    sorted(txns)
}

fn shapes(dice: &mut Dice, most: u32) -> Vec<Txn> {
    let count = 2 + dice.below(most - 1);
    let processes = 1 + dice.below(4);
    let mut next = 0;
    let mut written = 0;
    let mut free = vec![0; processes as usize];
    let mut number: Vec<u32> = (0..processes).collect();
    let mut txns = Vec::new();
    for _ in 0..count {
        let process = dice.below(processes) as usize;
        next += 2;
        let begin = free[process].max(next) + dice.below(4);
        let end = begin + 1 + dice.below(14);
        free[process] = end + 1;
        let fate = match dice.below(12) {
            0 => Fate::Fail,
            1 => Fate::Info,
            _ => Fate::Ok,
        };
        let mops = (0..1 + dice.below(3)).map(|_| {
            let key = if dice.one_in(2) { 'x' } else { 'y' };
            if dice.one_in(2) {
                written += 1;
                Mop::Write(key, written)
            } else {
                Mop::Read(key, Vec::new())
            }
        });
        txns.push(Txn { process: number[process], begin, end, fate, mops: mops.collect() });
        if fate == Fate::Info {
            number[process] += processes;
        }
    }
    // Two lines at one time would make the order of the history depend on the numbering.
    for (at, txn) in txns.iter_mut().enumerate() {
        (txn.begin, txn.end) = (txn.begin * 64 + at as u32, txn.end * 64 + at as u32);
    }
    txns
}

fn spoil(txns: &mut [Txn], dice: &mut Dice) {
    let number = dice.below(txns.len() as u32) as usize;
    let nonsense = if dice.one_in(8) { 99 } else { 1 + dice.below(8) };
    for mop in &mut txns[number].mops {
        if let Mop::Read(_, values) = mop {
            match dice.below(3) {
                0 => drop(values.pop()),
                1 => values.push(nonsense),
                _ => values.truncate(dice.below(values.len() as u32 + 1) as usize),
            }
            return;
        }
    }
}
