//! Small generated histories of transactions, judged by the checker and by brute force; and, one
//! to a hundred of these, longer ones judged as lists, as registers and with a recorded order.
//!
//! `cargo run --release -p checkers --example isolation_differential -- [COUNT [SEED]]`

#[path = "../tests/common/compare.rs"]
mod compare;
#[path = "../tests/common/replay.rs"]
mod replay;
#[path = "../tests/common/txn.rs"]
mod txn;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let count = numbers.next().and_then(Result::ok).unwrap_or(1_000_000);
    let seed = numbers.next().and_then(Result::ok).unwrap_or(1);
    println!("{count} histories of lists and as many of registers, seed {seed}");
    let mut tally = compare::Tally::default();
    for number in 0..count {
        let txns = txn::small(&mut txn::Dice(seed.wrapping_mul(1 << 40) + number));
        if let Err(disagreement) = tally.compare(&txns) {
            println!("history {number}: {disagreement}\n{}", txn::show(&txns));
            return ExitCode::FAILURE;
        }
        if number % 100 == 0 {
            let txns = txn::medium(&mut txn::Dice(!number ^ seed));
            if let Err(disagreement) = compare::registers_like_lists(&txns) {
                println!("long history {number}: {disagreement}\n{}", txn::show(&txns));
                return ExitCode::FAILURE;
            }
        }
    }
    println!("no disagreement: {tally:?}");
    ExitCode::SUCCESS
}
