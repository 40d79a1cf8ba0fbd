//! Which method judges an object.
//!
//! - A short part goes through the depth-first search first, with few steps: most end at once.
//! - A very long one through just-in-time linearization, as long as it keeps few configurations:
//!   then it needs hardly any memory beside the history.
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
    pub methods: Methods,
    pub steps: u64,
    pub peak: usize,
    /// Numbers of operations in the history, if wanted.
    pub order: Option<Vec<u32>>,
}

/// What was tried, in this order, at most: at the beginning, the model's procedure, and two
/// searches.
#[derive(Clone, Copy, Default)]
pub(super) struct Methods([Option<Method>; 4]);

impl Methods {
    fn push(&mut self, method: Method) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(method);
        }
    }

    pub fn to_vec(self) -> Vec<Method> {
        self.0.into_iter().flatten().collect()
    }
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

/// What a sweep found; or the operation at whose line it stopped, why, and whether it had left
/// configurations out.
type Swept = Result<Found, (usize, Stop, bool)>;

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
const FIRST_TRIES: [(usize, u64); 2] = [(64, 64), (4096, 3)];

/// How many operations a part has at least that is swept before anything else, how many
/// configurations there may be meanwhile, and how many steps for each operation.
const LONG: usize = 200_000;
const NARROW: usize = 128;
const SWEEP_FIRST: u64 = 24;

/// How many configurations are kept that differ in nothing but the operations of unknown outcome
/// that they used: few at first, and more if too many were left out.
const VARIANTS: [usize; 3] = [2, 16, 128];

/// How many configurations there may be for each operation, and in all, while any number of
/// operations may stand in for one of unknown outcome: a counter would come to any state.
const RELAXED: (usize, usize) = (16, 4096);

/// What [`Model::decide`] needs for each operation, about.
const BYTES_TO_DECIDE: usize = 128;

/// How many operations a model is shown first, so that it can say no at once.
const PROBE: usize = 64;

/// Judges an object in at most so many steps.
pub(super) fn judge<M: Model>(part: &Part<'_, M>, steps: u64, options: &Options) -> Judged {
    let mut work = Work { part: *part, options, left: steps, methods: Methods::default(), peak: 0 };
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
    methods: Methods,
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
        let length = self.part.len();
        if let Some((_, each)) = FIRST_TRIES.iter().find(|(most, _)| length <= *most) {
            let found = self.depth_first((each * length as u64).min(self.left));
            if !matches!(found, Found::GaveUp(_)) || self.left == 0 {
                return found;
            }
        }
        if length >= LONG
            && let Some(found) = self.sweep_first()
        {
            return found;
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
        if self.part.len() > 16 * PROBE {
            let beginning = Part { spans: &self.part.spans[..PROBE], ..self.part };
            model.decide(key, beginning.operations())?;
        }
        let decision = model.decide(key, self.part.operations())?;
        self.methods.push(Method::Decision);
        Some(match decision {
            Decision::Order(order) => {
                Found::Order(order.into_iter().map(|nth| nth as usize).collect())
            }
            Decision::Conflict(conflict) => Found::Conflict(conflict),
        })
    }

    /// `None` if it cannot tell while it keeps few configurations.
    fn sweep_first(&mut self) -> Option<Found> {
        self.methods.push(Method::JustInTime);
        let steps = (SWEEP_FIRST * self.part.len() as u64).min(self.left / 2);
        match self.sweep(VARIANTS[0], false, steps, NARROW) {
            Ok(found) => Some(found),
            Err((culprit, Stop::Impossible, false)) => Some(Found::Culprit(culprit)),
            Err(_) => None,
        }
    }

    /// `None` if it cannot tell, for there are too many configurations.
    fn just_in_time(&mut self) -> Option<Found> {
        self.methods.push(Method::JustInTime);
        for variants in VARIANTS {
            let found = self.full_sweep(variants, false);
            let Err((culprit, stop, lossy)) = found else { return found.ok() };
            if stop != Stop::Impossible {
                return None;
            }
            if !lossy {
                return Some(Found::Culprit(culprit));
            }
            if variants == VARIANTS[0]
                && let Err((culprit, Stop::Impossible, false)) = self.full_sweep(variants, true)
            {
                return Some(Found::Culprit(culprit));
            }
        }
        None
    }

    fn full_sweep(&mut self, variants: usize, relaxed: bool) -> Swept {
        // A set holds the configurations, two more those on their way.
        let most = self.options.budget.memory / 3 / (size_of::<M::State>() + 64 + 24);
        let few = (RELAXED.0 * self.part.len()).min(RELAXED.1);
        let most = if relaxed { most.min(few) } else { most };
        // Half of the steps are left for the search that comes after.
        let steps = if self.options.method.is_none() { self.left / 2 } else { self.left };
        self.sweep(variants, relaxed, steps, most)
    }

    fn sweep(&mut self, variants: usize, relaxed: bool, steps: u64, most: usize) -> Swept {
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
