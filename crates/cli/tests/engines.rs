//! The same cases on every engine: what holds on the heap holds in the shell on madsim, and in real
//! processes. The cases are the real engine's, whose faults strike at times: only such faults mean
//! the same everywhere.

use engine_madsim::{Madsim, Profile};
use engine_real::Real;
use explorer::{
    Anomaly, AnyScenario, Budget, Engine, Expected, Narrow, Outcome, Progress, Record, Report,
    Repro, Shape,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use world::Faults;

/// Cases of each scenario. They mostly wait, on the real engine, and do so side by side.
const CASES: u64 = 8;

fn main() -> ExitCode {
    let holding = scenarios::registry().into_iter();
    let holding = holding.filter(|scenario| {
        let shape = scenario.shape();
        shape.expected == Expected::Holds && !shape.synchronous
    });
    let trial = |scenario: Box<dyn AnyScenario>| {
        let name = format!("engines::{}", scenario.name());
        Trial::test(name, move || holds_everywhere(&*scenario))
    };
    libtest_mimic::run(&Arguments::from_args(), holding.map(trial).collect()).exit_code()
}

fn holds_everywhere(scenario: &dyn AnyScenario) -> Result<(), Failed> {
    let program = env!("CARGO_BIN_EXE_tribunal");
    let real: Arc<dyn Engine> = Arc::new(Real::new(program, env!("CARGO_TARGET_TMPDIR")));
    let as_real = |runs| -> Arc<dyn Engine> { Arc::new(Guest { of: Arc::clone(&real), runs }) };
    for engine in [as_real(Arc::new(Heap)), as_real(madsim()?), Arc::clone(&real)] {
        let name = engine.name();
        let report = explore(scenario, engine);
        if let Some(found) = report.findings.first() {
            return Err(format!("{name}: seed {}: {}", found.seed, found.anomaly).into());
        }
        if let Some(why) = report.reason {
            return Err(format!("{name}: {why}").into());
        }
        if report.cases != CASES || report.operations.1 == 0 {
            let (cases, (_, ok)) = (report.cases, report.operations);
            return Err(format!("{name}: {cases} cases, {ok} operations took effect").into());
        }
    }
    Ok(())
}

fn explore(scenario: &dyn AnyScenario, engine: Arc<dyn Engine>) -> Report {
    let narrow = Narrow { engine: Some(engine), ..Narrow::default() };
    scenario.explore(&Budget { narrow, ..Budget::seeds(CASES) }, &Progress::default())
}

/// Its worker is built by the first who needs it.
fn madsim() -> Result<Arc<dyn Engine>, Failed> {
    static ENGINE: OnceLock<Result<Arc<dyn Engine>, String>> = OnceLock::new();
    let start = || Madsim::start(Profile::Network).map_err(|error| error.to_string());
    Ok(ENGINE.get_or_init(start).clone()?)
}

/// Runs the cases that are made for another engine.
#[derive(Debug)]
struct Guest {
    of: Arc<dyn Engine>,
    runs: Arc<dyn Engine>,
}

impl Engine for Guest {
    fn name(&self) -> &'static str {
        self.runs.name()
    }

    fn kinds(&self) -> Faults {
        self.of.kinds()
    }

    fn is_deterministic(&self) -> bool {
        self.runs.is_deterministic()
    }

    fn sees_effects(&self) -> bool {
        self.of.sees_effects()
    }

    fn shape(&self, shape: Shape) -> Shape {
        self.of.shape(shape)
    }

    fn jobs(&self) -> Option<NonZero<usize>> {
        self.runs.jobs()
    }

    fn judge(&self, scenario: &str, case: &str, recording: bool) -> (Outcome, Record) {
        self.runs.judge(scenario, case, recording)
    }
}

/// The heap engine, as one that is handed text: it replays what might be a repro.
#[derive(Debug)]
struct Heap;

impl Engine for Heap {
    fn name(&self) -> &'static str {
        "heap"
    }

    fn kinds(&self) -> Faults {
        Faults::ALL
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn judge(&self, scenario: &str, case: &str, _: bool) -> (Outcome, Record) {
        let case: toml::Table = case.parse().expect("a case is TOML");
        let repro = Repro::open(&Anomaly::new("", "", ""), 0, case);
        let text = repro.to_text().expect("TOML again");
        let registry = scenarios::registry();
        let scenario = registry.iter().find(|known| known.name() == scenario).expect("its name");
        let replay = scenario.replay(Path::new("case"), &text).expect("a case of it");
        (replay.outcome, Record { events: replay.events, ..Record::default() })
    }
}
