//! Which method judges an object.
//!
//! - A short part goes through the depth-first search first, with few steps: most end at once.
//! - The model's own procedure, where it has one for these operations.
//! - Just-in-time linearization, whose cost follows how many operations overlap. With operations
//!   of unknown outcome it may have to leave configurations out. Then an order that it finds is an
//!   order; that it finds none proves nothing until it finds none either with any number of them.
//! - Depth-first search with what is left of the budget.

use super::explain::{self, Explanation};
use super::frontier::Stop;
use super::part::Part;
use super::report::{Method, Options};
use super::search::{End, Search};
use super::sweep::Sweep;
use super::taken::{Taken, Words};
use crate::{Anomaly, Conflict, Decision, Model};
use std::mem::size_of;

/// What was found about an object.
pub(super) struct Judged {
    pub outcome: Outcome,
    pub methods: Vec<Method>,
    pub steps: u64,
    pub peak: usize,
    /// Numbers of operations in the history, if wanted.
    pub order: Option<Vec<u32>>,
}

pub(super) enum Outcome {
    Holds,
    Violated(Anomaly, Option<Box<Explanation>>),
    Unknown(GaveUp),
}

/// Why a verdict is unknown.
#[derive(Clone, Copy)]
pub(super) enum GaveUp {
    Steps,
    Memory,
    /// The one method that was asked for cannot judge this.
    Method(Method),
}

impl GaveUp {
    /// In words, where `steps` is how many there were.
    pub fn why(self, steps: u64) -> String {
        match self {
            Self::Steps => format!("the search ended at its bound of {steps} steps"),
            Self::Memory => "the search ended at its bound of memory".to_owned(),
            Self::Method(method) => format!("{method:?} cannot judge them"),
        }
    }
}

/// What a method found.
enum Found {
    Order(Vec<usize>),
    /// The operation whose completion shows that there is none.
    Culprit(usize),
    Conflict(Conflict),
    GaveUp(GaveUp),
}

/// How many operations a part has at most that is searched depth-first before anything else, and
/// how many steps for each.
const SHORT: usize = 64;
const FIRST_TRY: u64 = 64;

/// How many configurations are kept that differ in nothing but the operations of unknown outcome
/// that they used: few at first, and more if too many were left out.
const VARIANTS: [usize; 3] = [2, 16, 128];

/// How many configurations there may be while any number of operations may stand in for one of
/// unknown outcome: a counter would come to any state.
const WIDTH_RELAXED: usize = 4096;

/// What [`Model::decide`] needs for each operation, about.
const BYTES_TO_DECIDE: usize = 128;

/// How many operations a model is shown first, so that it can say no at once.
const PROBE: usize = 64;

/// Judges an object in at most so many steps.
pub(super) fn judge<M: Model>(part: &Part<'_, M>, steps: u64, options: &Options) -> Judged {
    let mut work = Work { part: *part, options, left: steps, methods: Vec::new(), peak: 0 };
    let found = work.find();
    let Work { left, methods, peak, .. } = work;
    let mut judged =
        Judged { outcome: Outcome::Holds, methods, steps: steps - left, peak, order: None };
    judged.outcome = match found {
        Found::Order(order) => {
            if options.orders {
                judged.order = Some(order.into_iter().map(|nth| part.id(nth)).collect());
            }
            Outcome::Holds
        }
        Found::GaveUp(why) => Outcome::Unknown(why),
        Found::Culprit(culprit) => explain::violated(part, culprit, steps, options),
        Found::Conflict(conflict) => explain::conflict(part, conflict, options),
    };
    judged
}

struct Work<'a, 'o, M: Model> {
    part: Part<'a, M>,
    options: &'o Options,
    left: u64,
    methods: Vec<Method>,
    peak: usize,
}

impl<M: Model> Work<'_, '_, M> {
    fn find(&mut self) -> Found {
        match self.options.method {
            Some(Method::DepthFirst) => return self.depth_first(self.left),
            Some(method @ Method::Decision) => {
                return self.decide().unwrap_or(Found::GaveUp(GaveUp::Method(method)));
            }
            Some(method @ Method::JustInTime) => {
                return self.just_in_time().unwrap_or(Found::GaveUp(GaveUp::Method(method)));
            }
            None => {}
        }
        if self.part.len() <= SHORT {
            let few = FIRST_TRY * self.part.len() as u64;
            let found = self.depth_first(few.min(self.left));
            if !matches!(found, Found::GaveUp(_)) || self.left == 0 {
                return found;
            }
        }
        if let Some(found) = self.decide() {
            return found;
        }
        if let Some(found) = self.just_in_time() {
            return found;
        }
        self.depth_first(self.left)
    }

    fn decide(&mut self) -> Option<Found> {
        if self.part.len().saturating_mul(BYTES_TO_DECIDE) > self.options.budget.memory {
            return None;
        }
        let (model, key) = (self.part.model, &self.part.spans[0].0);
        if self.part.len() > PROBE {
            let beginning = Part { spans: &self.part.spans[..PROBE], ..self.part };
            model.decide(key, &beginning.operations())?;
        }
        let decision = model.decide(key, &self.part.operations())?;
        self.methods.push(Method::Decision);
        Some(match decision {
            Decision::Order(order) => {
                Found::Order(order.into_iter().map(|nth| nth as usize).collect())
            }
            Decision::Conflict(conflict) => Found::Conflict(conflict),
        })
    }

    /// `None` if it cannot tell, for there are too many configurations.
    fn just_in_time(&mut self) -> Option<Found> {
        self.methods.push(Method::JustInTime);
        for variants in VARIANTS {
            let found = self.sweep(variants, false);
            let Err((culprit, stop, lossy)) = found else { return found.ok() };
            if stop != Stop::Impossible {
                return None;
            }
            if !lossy {
                return Some(Found::Culprit(culprit));
            }
            if variants == VARIANTS[0]
                && let Err((culprit, Stop::Impossible, false)) = self.sweep(variants, true)
            {
                return Some(Found::Culprit(culprit));
            }
        }
        None
    }

    fn sweep(&mut self, variants: usize, relaxed: bool) -> Result<Found, (usize, Stop, bool)> {
        // A set holds the configurations, two more those on their way.
        let most = self.options.budget.memory / 3 / (size_of::<M::State>() + 64 + 24);
        let most = if relaxed { most.min(WIDTH_RELAXED) } else { most };
        // Half of the steps are left for the search that comes after.
        let steps = if self.options.method.is_none() { self.left / 2 } else { self.left };
        let mut sweep = Sweep::new(self.part, steps, most);
        if self.options.orders && !relaxed {
            sweep = sweep.with_order();
        }
        sweep.frontier.keep_variants(variants);
        sweep.frontier.relaxed = relaxed;
        let end = sweep.run();
        self.left -= steps - sweep.frontier.steps;
        self.peak = self.peak.max(sweep.frontier.peak);
        match end {
            Ok(()) if self.options.orders => {
                Ok(Found::Order(super::order::complete(&self.part, &sweep.order())))
            }
            Ok(()) => Ok(Found::Order(Vec::new())),
            Err((culprit, stop)) => Err((culprit, stop, sweep.frontier.is_lossy())),
        }
    }

    fn depth_first(&mut self, steps: u64) -> Found {
        self.methods.push(Method::DepthFirst);
        if self.part.len() <= u128::BITS as usize {
            self.search::<u128>(steps)
        } else {
            self.search::<Words>(steps)
        }
    }

    fn search<T: Taken>(&mut self, steps: u64) -> Found {
        let Part { model, .. } = self.part;
        let mut search = Search::<M, T>::new(model, self.part.initial(), self.part.calls());
        search.memory = self.options.budget.memory;
        let mut left = steps;
        let end = search.run(&mut left);
        self.left -= steps - left;
        self.peak = self.peak.max(search.dead_ends());
        match end {
            End::Placed if self.options.orders => Found::Order(search.order().collect()),
            End::Placed => Found::Order(Vec::new()),
            End::OutOfSteps => Found::GaveUp(GaveUp::Steps),
            End::OutOfMemory => Found::GaveUp(GaveUp::Memory),
            End::Impossible { culprit } => {
                let completes = |call: super::part::Call<'_, M>| call.span.completed as usize;
                let culprit = self.part.calls().position(|call| completes(call) == culprit);
                Found::Culprit(culprit.unwrap_or_default())
            }
        }
    }
}
