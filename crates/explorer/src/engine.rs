//! Where cases run: on the heap engine, in this process, or on another engine, which is handed a
//! case as text and says what came of it.

use crate::generate::Narrow;
use crate::judge::{Outcome, Record, Watch, watched};
use crate::scenario::{CaseFor, Scenario, Shape};
use std::fmt::Debug;
use std::num::NonZero;
use std::sync::Arc;
use world::{Faults, Mutant};

/// An engine other than the heap. Everything that it is told and tells is data, for it may stand in
/// another process.
pub trait Engine: Debug + Send + Sync {
    /// Its name in commands and repros: `madsim`, `real`.
    fn name(&self) -> &'static str;

    /// The kinds of faults that it has.
    fn kinds(&self) -> Faults;

    /// Whether one case always runs the same there.
    fn is_deterministic(&self) -> bool;

    /// Whether faults can be placed at an effect, or on a message, there. Where they cannot, cases
    /// have them at a time.
    fn sees_effects(&self) -> bool {
        true
    }

    /// What a scenario's shape becomes there: where a fault meets something less often, there may
    /// be more of them.
    fn shape(&self, shape: Shape) -> Shape {
        shape
    }

    /// How many cases are best run side by side, if that is not one a core.
    fn jobs(&self) -> Option<NonZero<usize>> {
        None
    }

    /// What its faults have come to since it was started, for tables: those that had an effect,
    /// each counted.
    fn totals(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Runs and judges a case, which is TOML, of the scenario of that name. Only when `recording`
    /// need the record hold anything. Whatever goes wrong with the run is a verdict on it.
    fn judge(&self, scenario: &str, case: &str, recording: bool) -> (Outcome, Record);
}

/// Runs the cases of one scenario on one engine.
pub(crate) struct Runner<'a, S> {
    scenario: &'a S,
    engine: Option<&'a dyn Engine>,
    deaf_to: Option<&'a str>,
    steps: Option<u64>,
}

impl<S> Clone for Runner<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Runner<'_, S> {}

impl<'a, S: Scenario> Runner<'a, S> {
    /// On the heap engine, unless another one is named.
    pub(crate) fn new(scenario: &'a S, engine: Option<&'a Arc<dyn Engine>>) -> Self {
        let engine = engine.map(|engine| &**engine);
        Self { scenario, engine, deaf_to: None, steps: None }
    }

    /// As a campaign's cases are narrowed down.
    pub(crate) fn narrowed(scenario: &'a S, narrow: &'a Narrow) -> Self {
        Self { deaf_to: narrow.deaf_to.as_deref(), ..Self::new(scenario, narrow.engine.as_ref()) }
    }

    /// The same with another bound on the steps of a run, on the heap engine.
    pub(crate) fn within(self, steps: u64) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// Whose cases they are.
    pub(crate) fn scenario(&self) -> &'a S {
        self.scenario
    }

    /// Runs a case and judges it.
    pub(crate) fn judge(&self, case: &CaseFor<S>) -> Outcome {
        match self.engine {
            None => watched(self.scenario, case, self.watch(false)).0,
            Some(engine) => self.elsewhere(engine, case, false).0,
        }
    }

    /// As [`Runner::judge`], and keeps every event.
    pub(crate) fn record(&self, case: &CaseFor<S>) -> (Outcome, Record) {
        match self.engine {
            None => watched(self.scenario, case, self.watch(true)),
            Some(engine) => self.elsewhere(engine, case, true),
        }
    }

    /// The engine's name, if it is not the heap engine.
    pub(crate) fn engine_name(&self) -> Option<&'static str> {
        self.engine.map(Engine::name)
    }

    /// The kinds of faults that it has.
    pub(crate) fn kinds(&self) -> Faults {
        self.engine.map_or(Faults::ALL, Engine::kinds)
    }

    /// Whether one case always runs the same.
    pub(crate) fn is_deterministic(&self) -> bool {
        self.engine.is_none_or(Engine::is_deterministic)
    }

    fn watch(&self, record: bool) -> Watch<'a> {
        Watch { record, steps: self.steps, deaf_to: self.deaf_to }
    }

    fn elsewhere(
        &self,
        engine: &dyn Engine,
        case: &CaseFor<S>,
        recording: bool,
    ) -> (Outcome, Record) {
        // Another engine knows no copies: it would run the right protocol instead.
        if let Some(Mutant::Own(id)) = &case.mutant {
            let reason = format!("{} has no mutant {id:?}: the heap engine has", engine.name());
            return (Outcome::unknown(reason), Record::default());
        }
        match toml::to_string(case) {
            Ok(text) => engine.judge(&self.scenario.name(), &text, recording),
            Err(error) => {
                let message = format!("the case cannot be written: {error}");
                (Outcome::violated("engine", "no such case", message), Record::default())
            }
        }
    }
}
