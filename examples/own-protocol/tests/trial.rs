//! The bank on trial.

use protocol::Transfers;
use tribunal::prelude::*;

/// Change a line of `src/lib.rs`, and see whether this notices: `careful: false`, or no timer.
#[test]
fn no_money_is_made_or_lost() {
    explore(&Transfers { careful: true }, Budget::seeds(2_000)).assert_holds();
}

/// The bank that does not know money again is found broken, by one transfer and one fault.
#[test]
fn a_careless_bank_makes_money() {
    let trial = explore(&Transfers { careful: false }, Budget::seeds(2_000));
    let found = trial.assert_violated();
    assert_eq!(found.anomaly.class, "money made");
    assert_eq!(found.after, (1, 1), "transfers and faults of the smallest case");
    println!("{}", found.story.join("\n")); // cargo test careless -- --nocapture
}

/// A test that cannot fail proves nothing: without its forced writes the careful bank fails too.
#[test]
fn a_forgotten_write_is_noticed() {
    let narrow = Narrow { mutant: Some(MutationKind::DropForce.into()), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(2_000) };
    explore(&Transfers { careful: true }, budget).assert_violated();
}
