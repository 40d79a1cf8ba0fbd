//! The tickets on trial: nobody gets a number that another one has got.

use own_service_axum::{Writes, ask, serve};
use std::collections::BTreeSet;
use tribunal::checkers::Verdict;
use tribunal::prelude::{Deserialize, Just, Outcome, Serialize};
use tribunal::{Client, Failure, Trial};

/// There is only one thing to ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
enum Op {
    Next,
}

/// Numbers that are written down before they are given.
#[tribunal::test(seeds = 200, faults = "crash,restart,cut,pause,delay")]
async fn no_ticket_is_given_twice(trial: Trial) -> Verdict {
    tickets(trial, Writes::First).await
}

/// Numbers that are written down later are given twice, after one crash.
#[tribunal::test(seeds = 200, faults = "crash,restart,cut,pause,delay", expected = "violated")]
async fn a_late_write_is_found_out(trial: Trial) -> Verdict {
    tickets(trial, Writes::Later).await
}

async fn tickets(trial: Trial, writes: Writes) -> Verdict {
    let machine = trial.node("tickets");
    let folder = machine.folder();
    machine.serve(move |address| {
        let folder = folder.clone();
        async move { serve(address, &folder, writes).await }
    });
    let history = trial
        .clients(
            3,
            || Just(Op::Next),
            async |client: Client, _| Ok::<u32, Failure>(ask(client.server).await?),
        )
        .await;
    let mut given = BTreeSet::new();
    for operation in history.operations() {
        if let Outcome::Ok(number) = operation.outcome
            && !given.insert(*number)
        {
            return Verdict::violated("tickets", "given twice", format!("number {number}"));
        }
    }
    Verdict::Holds
}
