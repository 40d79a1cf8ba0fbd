//! Scenarios that no honest registry has, and the exit codes that they lead to. With `as-tribunal`
//! as its first argument this test is a command line over them.

mod common;

use checkers::Verdict;
use common::{Ran, command, folder, run};
use explorer::serde::{Deserialize, Serialize};
use explorer::{AnyScenario, Run, Scenario, Shape};
use libtest_mimic::{Arguments, Trial};
use node::{Cx, Node, NodeId, RequestId};
use proptest::prelude::*;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(crate = "explorer::serde")]
enum Misfit {
    /// Nodes share a counter behind the engine's back.
    Shares,
    /// A part of the operation does not go into its file.
    Forgets,
    /// A node panics.
    Panics,
    /// The scenario panics while it makes operations.
    Refuses,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(crate = "explorer::serde")]
struct Ask {
    key: u8,
    #[serde(skip)]
    note: u8,
}

struct Odd(Misfit);

static SHARED: AtomicU64 = AtomicU64::new(0);

impl Node for Odd {
    type Config = Misfit;
    type Op = Ask;
    type Ret = u64;
    type Msg = ();
    type Record = ();
    type Timer = ();

    fn new(_: NodeId, config: &Misfit) -> Self {
        Self(*config)
    }

    fn on_start(&mut self, _: &[()], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, op: Ask, cx: &mut Cx<Self>) {
        assert!(self.0 != Misfit::Panics || op.key != 7, "seven is too much");
        let shares = self.0 == Misfit::Shares;
        cx.reply(request, if shares { SHARED.fetch_add(1, Ordering::Relaxed) } else { 0 });
    }

    fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Scenario for Odd {
    type Node = Self;

    fn name(&self) -> String {
        format!("{:?}", self.0).to_lowercase()
    }

    fn op(&self) -> impl Strategy<Value = Ask> {
        let misfit = self.0;
        (0..10u8, 1..10u8).prop_map(move |(key, note)| {
            assert!(misfit != Misfit::Refuses, "this scenario makes no operations");
            Ask { key, note: if misfit == Misfit::Forgets { note } else { 0 } }
        })
    }

    fn cluster(&self, shape: &Shape) -> impl Strategy<Value = Vec<Misfit>> {
        Just(vec![self.0; shape.nodes.into()])
    }

    fn check(&self, _: &Run<Self>) -> Verdict {
        Verdict::Holds
    }
}

fn registry() -> Vec<Box<dyn AnyScenario>> {
    let all = [Misfit::Shares, Misfit::Forgets, Misfit::Panics, Misfit::Refuses];
    all.map(|misfit| Box::new(Odd(misfit)) as _).into()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == "as-tribunal") {
        let arguments = std::iter::once("tribunal".into()).chain(arguments);
        return ExitCode::from(cli::run_from(&registry(), arguments));
    }
    let trials: [(&str, fn()); 4] = [
        ("two_runs_that_differ_end_75", two_runs_that_differ_end_75),
        ("an_op_that_its_file_changes_ends_64", an_op_that_its_file_changes_ends_64),
        ("a_panic_in_a_node_is_a_finding", a_panic_in_a_node_is_a_finding),
        ("a_panic_outside_of_nodes_ends_70", a_panic_outside_of_nodes_ends_70),
    ];
    let trials = trials.map(|(name, trial)| {
        Trial::test(name, move || {
            trial();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn tribunal(name: &str, arguments: &[&str]) -> Ran {
    let this = std::env::current_exe().expect("this test");
    let arguments: Vec<&str> = ["as-tribunal"].iter().chain(arguments).copied().collect();
    run(command(this, &arguments).current_dir(folder(name)))
}

fn two_runs_that_differ_end_75() {
    tribunal("shares", &["explore", "shares", "--seeds", "50"])
        .ends(75)
        .complains(&["shares: seed 0x", "runs differently when run again: event "]);
    let json = tribunal("shares_json", &["explore", "shares", "--seeds", "50", "--json"]).ends(75);
    assert!(json.out.contains("\"broken\":\"seed 0x"), "{}", json.out);
}

fn an_op_that_its_file_changes_ends_64() {
    tribunal("forgets", &["explore", "forgets", "--seeds", "50"]).ends(64).complains(&[
        "forgets: seed 0x",
        "does not survive its file: calls: id ",
        "note: 0",
    ]);
}

fn a_panic_in_a_node_is_a_finding() {
    let ran = tribunal("panics", &["explore", "panics", "--seeds", "50"]).ends(1);
    assert_eq!(ran.err, "", "a panic that is a finding is told as one");
    let place = format!("panics at {}:", "misfits.rs");
    assert!(ran.out.contains(&place) && ran.out.contains("seven is too much"), "{}", ran.out);
    assert!(ran.out.contains("1 op, 0 faults"), "{}", ran.out);
}

/// Also when it happens on another thread, while the progress is watched.
fn a_panic_outside_of_nodes_ends_70() {
    for jobs in ["1", "2"] {
        let arguments = ["explore", "refuses", "--seeds", "200", "--jobs", jobs];
        tribunal("refuses", &arguments)
            .ends(70)
            .mentions(&["this scenario makes no operations", "tribunal: a bug of "]);
    }
}
