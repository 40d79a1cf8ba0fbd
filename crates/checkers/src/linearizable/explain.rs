//! Why a history is not linearizable, in words and as data.

use super::frontier::Stop;
use super::judge::Outcome;
use super::part::{OPEN, Part};
use super::report::Options;
use super::search::Search;
use super::sweep::{Line, Sweep};
use super::taken::Words;
use crate::{Anomaly, Conflict, Model};
use history::Actor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why an object's operations have no order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The operation that cannot be placed: all that completed before it can be.
    pub culprit: Told,
    /// How many lines of the history are still right: those before the culprit's completion.
    pub prefix: usize,
    /// An order of all that completed within them, and of some that had not: numbers of operations.
    pub order: Vec<u32>,
    /// The states that were possible while the culprit ran; a few of them, if there are many.
    pub states: Vec<String>,
    /// The completion after which no state was left in which the culprit was possible. Without one
    /// there never was such a state.
    pub ended_by: Option<Told>,
    /// Operations that show it: if the outcome of every other one were unknown, the lines up to
    /// the culprit's completion would be just as wrong.
    pub core: Vec<Told>,
    /// The line of the history from which on operations are in the core: what went before counts
    /// as `states_before`.
    pub core_from: usize,
    /// The states that were possible there.
    pub states_before: Vec<String>,
    /// Whether those lines would be right if the outcome of any one of the core were unknown.
    pub minimal: bool,
    /// What the model's own procedure said, if that found it.
    pub reason: Option<String>,
}

/// An operation, as it is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Its number in the history.
    pub id: u32,
    /// Who ran it.
    pub actor: Actor,
    /// The number of the call in the case, or of the role's step.
    pub call: u32,
    /// What was asked.
    pub op: String,
    /// What it answered, if anything.
    pub ret: Option<String>,
    /// The line of its invocation among the events of the history, from 0.
    pub invoked: u32,
    /// The line of its completion.
    pub completed: Option<u32>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, actor, call, ret, invoked, completed, .. } = self;
        write!(f, "{op} by {actor} (call {call})")?;
        match (ret, completed) {
            (Some(ret), Some(completed)) => write!(f, " -> {ret} [{invoked}..{completed}]"),
            _ => write!(f, " -> unknown [{invoked}..]"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} has no place.", self.culprit)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "  {reason}")?;
        }
        if !self.states.is_empty() {
            writeln!(f, "  While it ran the state could only be {}.", or(&self.states))?;
        }
        if let Some(end) = &self.ended_by {
            writeln!(f, "  It was possible until this completed: {end}")?;
        } else if !self.states.is_empty() {
            writeln!(f, "  There never was a state in which it is possible.")?;
        }
        writeln!(f, "  Up to line {} the history is right.", self.prefix)?;
        if self.core_from > 0 {
            let states = or(&self.states_before);
            writeln!(f, "  At line {} the state could only be {states}; then:", self.core_from)?;
        }
        let title =
            if self.minimal { "Each of these is needed" } else { "Operations that show it" };
        writeln!(f, "  {title}, whatever the others did:")?;
        for told in &self.core {
            writeln!(f, "    {told}")?;
        }
        Ok(())
    }
}

/// How many states are listed.
const LISTED: usize = 4;

/// How many operations the core is looked for among.
const WINDOW: usize = 256;

/// How many steps looking for it takes at most, and how many configurations.
const CORE_STEPS: u64 = 1_000_000;
const WIDTH: usize = 4_000;

fn tell<M: Model>(part: &Part<'_, M>, nth: usize) -> Told {
    let call = part.call(nth);
    let event = &part.events[call.span.invoked as usize];
    Told {
        id: event.op,
        actor: event.actor,
        call: event.call,
        op: format!("{:?}", call.op),
        ret: call.ret.map(|ret| format!("{ret:?}")),
        invoked: call.span.invoked,
        completed: (call.span.completed != OPEN).then_some(call.span.completed),
    }
}

/// "a, b or c".
pub(super) fn or(states: &[String]) -> String {
    match states {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// States as a message lists them: the first few.
pub(super) fn list<M: Model>(model: &M, states: &[M::State]) -> Vec<String> {
    let mut shown: Vec<String> = states.iter().take(LISTED).map(|s| model.show(s)).collect();
    if states.len() > LISTED {
        shown.push("some other".to_owned());
    }
    shown
}

/// The finding that the operation `culprit` has no place.
pub(super) fn violated<M: Model>(
    part: &Part<'_, M>,
    culprit: usize,
    steps: u64,
    options: &Options,
) -> Outcome {
    let seen = watch(part, culprit, steps, options.explain);
    let states = match &seen {
        Some(seen) => list(part.model, &seen.states),
        None => list(part.model, &refusals(part, culprit, steps)),
    };
    let Told { op, actor, call, ret, .. } = tell(part, culprit);
    let answer = ret.as_deref().unwrap_or("nothing");
    let message = format!(
        "{op} by {actor} (call {call}) returned {answer}, but while it ran the state could only \
         be {}",
        or(&states)
    );
    let anomaly = Anomaly::new("linearizable", "not linearizable", message);
    let explanation = options.explain.then(|| {
        let mut explanation = Explanation {
            culprit: tell(part, culprit),
            prefix: part.spans[culprit].1.completed as usize,
            order: Vec::new(),
            states,
            ended_by: None,
            core: vec![tell(part, culprit)],
            core_from: 0,
            states_before: Vec::new(),
            minimal: false,
            reason: None,
        };
        if let Some(seen) = seen {
            explanation.order = prefix_order(part, culprit, steps);
            explanation.ended_by = seen.ended_by.map(|nth| tell(part, nth));
            core(part, culprit, &mut explanation);
        }
        Box::new(explanation)
    });
    Outcome::Violated(anomaly, explanation)
}

/// The finding of a model's own procedure.
pub(super) fn conflict<M: Model>(
    part: &Part<'_, M>,
    conflict: Conflict,
    options: &Options,
) -> Outcome {
    let Conflict { operations, reason } = conflict;
    let operations: Vec<usize> = operations.into_iter().map(|nth| nth as usize).collect();
    let told: Vec<Told> = operations.iter().map(|&nth| tell(part, nth)).collect();
    let list: Vec<String> = told.iter().map(Told::to_string).collect();
    let anomaly =
        Anomaly::new("linearizable", "not linearizable", format!("{reason}: {}", list.join("; ")));
    // The last of them to complete is the first line at which they cannot be placed together.
    let last = operations.iter().copied().filter(|&nth| part.spans[nth].1.completed != OPEN);
    let last = last.max_by_key(|&nth| part.spans[nth].1.completed);
    let explanation = last.filter(|_| options.explain).map(|culprit| {
        Box::new(Explanation {
            culprit: tell(part, culprit),
            prefix: part.spans[culprit].1.completed as usize,
            order: Vec::new(),
            states: Vec::new(),
            ended_by: None,
            core: told,
            core_from: 0,
            states_before: Vec::new(),
            minimal: false,
            reason: Some(reason),
        })
    });
    Outcome::Violated(anomaly, explanation)
}

/// What was seen of an operation that has no place.
struct Seen<S> {
    /// The states while it ran in which it was not possible.
    states: Vec<S>,
    /// The operation at whose completion the last state went in which it was possible.
    ended_by: Option<usize>,
}

/// Follows all that the object can have come to until `culprit` completes. `None` if that is too
/// much.
fn watch<M: Model>(
    part: &Part<'_, M>,
    culprit: usize,
    steps: u64,
    always: bool,
) -> Option<Seen<M::State>> {
    let call = part.call(culprit);
    let mut sweep = Sweep::new(*part, steps, WIDTH);
    let mut seen = Seen { states: Vec::new(), ended_by: None };
    let (mut running, mut possible) = (false, false);
    let fits = |state: &M::State| part.model.step(state, call.op, call.ret).is_some();
    loop {
        let last = matches!(sweep.peek()?, Line::Complete(nth, _) if nth == culprit);
        if last {
            // Now every state counts; a part of them is better than none.
            sweep.frontier.thorough = true;
            sweep.frontier.steps = sweep.frontier.steps.min(CORE_STEPS / 8);
        }
        let (line, outcome) = sweep.advance()?;
        running |= matches!(line, Line::Invoke(nth) if nth == culprit);
        if running {
            for state in sweep.frontier.states() {
                // Where it fits, another operation does not.
                let listed = seen.states.len() > LISTED || seen.states.contains(state);
                if !listed && !fits(state) {
                    seen.states.push(state.clone());
                }
            }
        }
        if last {
            return Some(seen);
        }
        outcome.ok()?;
        if always {
            let before = possible;
            possible = sweep.frontier.states().any(&fits);
            if let (true, false, Line::Complete(nth, _)) = (before, possible, line) {
                seen.ended_by = Some(nth);
            }
        }
    }
}

/// The states in which a depth-first search tried `culprit` in vain.
fn refusals<M: Model>(part: &Part<'_, M>, culprit: usize, mut steps: u64) -> Vec<M::State> {
    let mut search = Search::<M, Words>::new(part.model, part.initial(), part.calls());
    search.watch(part.spans[culprit].1.completed as usize, LISTED + 1);
    search.run(&mut steps);
    search.refusals().to_vec()
}

/// An order of all that completed before `culprit` did.
fn prefix_order<M: Model>(part: &Part<'_, M>, culprit: usize, steps: u64) -> Vec<u32> {
    let end = part.spans[culprit].1.completed;
    let mut sweep = Sweep::new(*part, steps, WIDTH).with_order();
    while sweep.peek().is_some_and(|line| !matches!(line, Line::Complete(_, at) if at == end)) {
        if !matches!(sweep.advance(), Some((_, Ok(())))) {
            return Vec::new();
        }
    }
    let taken = sweep.order();
    let order = super::order::complete(part, &taken);
    // What is there only because it completed later is not part of it.
    let seen = |nth: usize| taken.iter().any(|taken| taken.number as usize == nth);
    let inside = |&nth: &usize| part.spans[nth].1.completed < end || seen(nth);
    order.into_iter().filter(inside).map(|nth| part.id(nth)).collect()
}

/// Finds operations that show the violation, the fewer the better: one after the other is taken
/// for one of unknown outcome, which can only make a history right and never wrong.
fn core<M: Model>(part: &Part<'_, M>, culprit: usize, explanation: &mut Explanation) {
    let end = part.spans[culprit].1.completed;
    let involved = part.spans.partition_point(|(_, span)| span.invoked < end);
    let mut start = Sweep::new(*part, CORE_STEPS, WIDTH);
    let first = involved.saturating_sub(WINDOW).min(culprit);
    if first > 0 {
        start.frontier.steps = u64::MAX;
        let from = part.spans[first].1.invoked;
        while start.peek().is_some_and(
            |line| !matches!(line, Line::Invoke(nth) | Line::Unknown(nth) if nth == first),
        ) {
            if !matches!(start.advance(), Some((_, Ok(())))) {
                return;
            }
        }
        explanation.core_from = from as usize;
        let mut states: Vec<M::State> = Vec::new();
        for state in start.frontier.states() {
            if states.len() <= LISTED && !states.contains(state) {
                states.push(state.clone());
            }
        }
        explanation.states_before = list(part.model, &states);
    }
    let mut left = CORE_STEPS;
    let mut sure = true;
    // Of those already open at the start, and of the culprit, the outcome stays known.
    let mut weak = vec![false; involved];
    let mut wrong = |weak: &[bool]| {
        for relaxed in [false, true] {
            let mut sweep = start.clone();
            sweep.weak = weak.to_vec();
            sweep.frontier.relaxed = relaxed;
            sweep.frontier.steps = left;
            let end = sweep.run_until(end);
            left = sweep.frontier.steps;
            match end {
                Ok(()) => return false,
                Err((_, Stop::Impossible)) if relaxed || !sweep.frontier.is_lossy() => return true,
                Err((_, Stop::Impossible)) => {}
                Err(_) => {
                    sure = false;
                    return false;
                }
            }
        }
        false
    };
    // What was written tells a person more than what was read.
    let others = (first..involved).filter(|&nth| nth != culprit);
    for nth in others {
        let call = part.call(nth);
        weak[nth] = part.model.observes(call.op, call.ret);
    }
    if !wrong(&weak) {
        weak.fill(false);
    }
    let mut size = (involved - first).next_power_of_two();
    while size > 0 {
        for from in (first..involved).step_by(size) {
            let before = weak.clone();
            (from..involved.min(from + size))
                .filter(|&nth| nth != culprit)
                .for_each(|nth| weak[nth] = true);
            if weak != before && !wrong(&weak) {
                weak = before;
            }
        }
        size /= 2;
    }
    let known = |nth: &usize| {
        let completed = part.spans[*nth].1.completed;
        let open = *nth >= first || completed > part.spans[first].1.invoked;
        open && completed != OPEN && !weak[*nth]
    };
    explanation.core = (0..involved).filter(known).map(|nth| tell(part, nth)).collect();
    explanation.minimal = sure;
}
