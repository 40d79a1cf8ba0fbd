//! The server on trial: what it has acknowledged is there.

use own_service::{Writes, ask, serve};
use tribunal::checkers::models::{Register, RegisterOp, RegisterRet};
use tribunal::checkers::{Keyed, Verdict, linearizable};
use tribunal::prelude::{Deserialize, Serialize, Strategy, prop_oneof};
use tribunal::{Client, Failure, Trial};

/// What clients ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
enum Op {
    Get(String),
    Put(String, u32),
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof!["[ab]".prop_map(Op::Get), ("[ab]", 1..1000u32).prop_map(|(k, n)| Op::Put(k, n))]
}

/// The server that answers last.
#[tribunal::test(seeds = 200, faults = "crash,restart,cut,pause")]
async fn what_is_acknowledged_is_there(trial: Trial) -> Verdict {
    acknowledged(trial, Writes::First).await
}

/// The server that answers first is found out, by one crash.
#[tribunal::test(seeds = 200, faults = "crash,restart,cut,pause", expected = "violated")]
async fn an_early_answer_is_found_out(trial: Trial) -> Verdict {
    acknowledged(trial, Writes::Later).await
}

async fn acknowledged(trial: Trial, writes: Writes) -> Verdict {
    let machine = trial.node("server");
    let folder = machine.folder();
    machine.serve(move |address| {
        let folder = folder.clone();
        async move { serve(address, &folder, writes).await }
    });
    let history = trial.clients(3, ops, request).await;
    trial.heal().await;
    // What was asked and answered, in the words of a register under each name.
    let registers = history.project(
        |op| match op.clone() {
            Op::Get(name) => Some((name, RegisterOp::Read)),
            Op::Put(name, number) => Some((name, RegisterOp::Write(Some(number)))),
        },
        |_, answer| Some(answer.clone()),
    );
    linearizable(&Keyed::new(Register(None)), &registers)
}

/// What fails on the way may have been done: `?` says so.
async fn request(client: Client, op: Op) -> Result<RegisterRet<Option<u32>>, Failure> {
    Ok(match op {
        Op::Get(name) => {
            let number = ask(client.server, &format!("get {name}")).await?;
            RegisterRet::Value(number.parse().ok())
        }
        Op::Put(name, number) => match &*ask(client.server, &format!("put {name} {number}")).await?
        {
            "done" => RegisterRet::Done,
            other => return Err(Failure::Info(other.to_owned())),
        },
    })
}
