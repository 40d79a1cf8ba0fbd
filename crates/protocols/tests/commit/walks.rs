//! Random walks over deliveries, copies, losses, timers, crashes and power losses, judged at every
//! step: AC1, AC2, AC3, operations applied once, sums that never change; and AC5 after a heal.

use crate::net::{Commit, Net, call, key};
use node::{Answer, Dice, NodeId};
use protocols::commit::{Action, Config, Item, Locking, Op, Outcome, Ret, TxId};
use protocols::two_phase_commit::TwoPhaseCommit;
use std::collections::{BTreeMap, BTreeSet};

const PARTICIPANTS: u16 = 3;
const CALLS: u32 = 6;

/// What was ever seen, because nodes may forget.
#[derive(Default)]
struct Seen {
    committed: BTreeSet<TxId>,
    aborted: BTreeSet<TxId>,
    applied: BTreeMap<(NodeId, u32), u32>,
}

fn judge<N: Commit>(net: &Net<N>, seen: &mut Seen) -> Result<(), String> {
    for id in net.ids() {
        let (durable, view) = (net.durable(id), net.view(id));
        seen.committed.extend(&durable.committed);
        seen.aborted.extend(&durable.aborted);
        for (tx, outcome) in &view.decisions {
            match outcome {
                Outcome::Commit => seen.committed.insert(*tx),
                Outcome::Abort => seen.aborted.insert(*tx),
            };
        }
        for decided in &durable.decided {
            seen.committed.insert(decided.tx);
            for writer in decided.writers.iter().filter(|_| !decided.ended) {
                if !net.durable(*writer).stands_by(decided.tx) {
                    return Err(format!("AC2: {:?} without {writer}", decided.tx));
                }
            }
        }
        for (request, times) in &durable.applied {
            seen.applied.insert((id, request.call), *times);
            if *times > 1 {
                return Err(format!("{request:?} applied {times} times at {id}"));
            }
        }
        if durable.balances.iter().any(|(_, balance)| *balance < 0) {
            return Err(format!("negative balance at {id}"));
        }
    }
    if let Some(tx) = seen.committed.intersection(&seen.aborted).next() {
        return Err(format!("AC1: {tx:?} committed and aborted"));
    }
    for (request, answer) in &net.answers {
        if let Answer::Ok(Ret::Committed { values }) = answer {
            let sum: i64 = values.iter().map(|reading| reading.balance).sum();
            if values.len() == 2 * usize::from(PARTICIPANTS) && sum != 20 * i64::from(PARTICIPANTS)
            {
                return Err(format!("{request:?} read a sum of {sum}"));
            }
        }
    }
    Ok(())
}

fn op(dice: &mut Dice) -> Op {
    let account =
        |dice: &mut Dice| (dice.below(u64::from(PARTICIPANTS)) as u16, key(dice.below(2) as u16));
    if dice.below(3) == 0 {
        let accounts = (0..PARTICIPANTS).flat_map(|at| [(at, key(0)), (at, key(1))]);
        return Op::read_all(accounts);
    }
    let (from, to) = (account(dice), account(dice));
    let mut op = Op::transfer(from, to, 1 + dice.below(9) as i64);
    if dice.below(3) == 0 {
        let (at, key) = account(dice);
        op.items.push(Item { at, key, action: Action::Read });
    }
    op
}

fn walk<N: Commit>(
    seed: u64,
    locking: Locking,
    marks: &mut BTreeMap<&'static str, u32>,
) -> Result<u32, String> {
    let dice = &mut Dice::new(seed);
    let timing = Config {
        compact_after: [1, 2, 1000][dice.below(3) as usize],
        ask_peers: dice.below(2) == 0,
        locking,
        ..Config::default()
    };
    let coordinators = 1 + dice.below(2) as u16;
    let mut net: Net<N> = Net::with(coordinators, PARTICIPANTS, &timing);
    let mut ops: Vec<Op> = Vec::new();
    let mut seen = Seen::default();
    // Faults are rare or frequent, or of one kind only.
    let (losses, copies, crashes, timers) = match dice.below(4) {
        0 => (0, 30, 10, 20),
        1 => (30, 30, 30, 30),
        2 => (0, 100, 0, 60),
        _ => (60, 0, 15, 60),
    };
    for _ in 0..40 + dice.below(160) {
        let id = NodeId(dice.below(net.machines.len() as u64) as u16);
        let coordinator = NodeId(dice.below(u64::from(coordinators)) as u16);
        let roll = dice.below(1000);
        if dice.below(12) == 0 && ops.len() < CALLS as usize {
            ops.push(op(dice));
            net.request_at(coordinator, ops.len() as u32 - 1, &ops[ops.len() - 1]);
        } else if dice.below(40) == 0 && !ops.is_empty() {
            let number = dice.below(ops.len() as u64) as usize;
            net.request_at(coordinator, number as u32, &ops[number]);
        } else if roll < crashes {
            if dice.below(2) == 0 {
                net.crash(id, dice.below(3) as usize);
            } else {
                net.crash_after = Some(dice.below(4) as usize);
            }
        } else if net.machines[id.index()].node.is_none() && dice.below(4) == 0 {
            net.start(id);
        } else if roll < crashes + timers && !net.machines[id.index()].timers.is_empty() {
            let place = dice.below(net.machines[id.index()].timers.len() as u64) as usize;
            net.fire(id, place);
        } else if !net.wire.is_empty() {
            let place = dice.below(net.wire.len() as u64) as usize;
            if dice.per_mille(copies) {
                let copy = net.wire[place].clone();
                net.wire.push(copy);
            }
            if dice.per_mille(losses) {
                net.wire.remove(place);
            } else {
                net.deliver(place);
            }
        }
        judge(&net, &mut seen)?;
    }
    net.crash_after = None;
    let idle = net.heal();
    judge(&net, &mut seen)?;
    if !idle {
        return Err("AC5: something waits after heal".to_owned());
    }
    net.marks.iter().for_each(|label| *marks.entry(label).or_default() += 1);
    ledger(&net, coordinators, &ops, &seen)?;
    Ok(net.answers.iter().filter(|(_, answer)| matches!(answer, Answer::Ok(_))).count() as u32)
}

/// Balances are what the applied operations make of the opening ones; what was told ok is applied.
fn ledger<N: Commit>(
    net: &Net<N>,
    coordinators: u16,
    ops: &[Op],
    seen: &Seen,
) -> Result<(), String> {
    for at in 0..PARTICIPANTS {
        let id = NodeId(coordinators + at);
        let mut balances: BTreeMap<_, i64> = (0..4).map(|number| (key(number), 10)).collect();
        for (number, op) in ops.iter().enumerate() {
            let request = call(number as u32);
            let told = |(to, answer): &(_, _)| *to == request && matches!(answer, Answer::Ok(_));
            let applied = seen.applied.contains_key(&(id, number as u32));
            if op.writers().contains(&at) && net.answers.iter().any(told) && !applied {
                return Err(format!("{request:?} is not applied at {id}"));
            }
            for (key, action) in op.work_at(at).into_iter().filter(|_| applied) {
                if let Action::Add(amount) = action {
                    *balances.entry(key).or_default() += amount;
                }
            }
        }
        let expected: Vec<_> = balances.into_iter().collect();
        if net.durable(id).balances != expected {
            return Err(format!("lost update at {id}"));
        }
    }
    Ok(())
}

fn holds_on_every_walk(locking: Locking, labels: &[&str]) {
    let (mut marks, mut told) = (BTreeMap::new(), 0);
    for seed in 0..20_000 {
        match walk::<TwoPhaseCommit>(seed, locking, &mut marks) {
            Ok(ok) => told += ok,
            Err(why) => panic!("walk {seed}: {why}"),
        }
    }
    assert!(told > 20_000, "only {told} operations succeeded");
    for label in [
        "coordinator restarted with a commit to finish",
        "in-doubt participant inquired",
        "in-doubt participant restarted",
        "participant compacted its log",
        "peer ended a doubt",
        "retry found its operation applied",
    ]
    .iter()
    .chain(labels)
    {
        assert!(marks.get(label).is_some_and(|times| *times > 100), "{label}: {marks:?}");
    }
}

#[test]
fn presumed_abort_holds_on_every_walk() {
    holds_on_every_walk(Locking::NoWait, &[]);
}

#[test]
fn wound_wait_holds_on_every_walk() {
    let labels = [
        "a wounded transaction began again",
        "a younger transaction waited",
        "an older transaction waited for a prepared one",
        "an older transaction wounded a younger one",
    ];
    holds_on_every_walk(Locking::WoundWait, &labels);
}

/// The walks are no evidence unless they find something.
#[test]
fn the_exhibits_do_not_survive() {
    use protocols::naive::{
        two_phase_commit_a::TwoPhaseCommitA, two_phase_commit_b::TwoPhaseCommitB,
        two_phase_commit_c::TwoPhaseCommitC, two_phase_commit_d::TwoPhaseCommitD,
        two_phase_commit_e::TwoPhaseCommitE,
    };
    fn breaks<N: Commit>() -> bool {
        let walk = |seed| walk::<N>(seed, Locking::NoWait, &mut BTreeMap::new());
        (0..200).filter(|seed| walk(*seed).is_err()).count() > 20
    }
    assert!(breaks::<TwoPhaseCommitA>());
    assert!(breaks::<TwoPhaseCommitB>());
    assert!(breaks::<TwoPhaseCommitC>());
    assert!(breaks::<TwoPhaseCommitD>());
    assert!(breaks::<TwoPhaseCommitE>());
}
