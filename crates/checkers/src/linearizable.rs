//! Linearizability: whether every operation can have taken effect at one moment between its
//! invocation and its completion, so that the answers are those of a sequential [`Model`].
//!
//! The history is cut into one part per object, and each part is judged by the cheapest method
//! that can ([`judge`]). An operation of unknown outcome may have taken effect at any time after
//! its invocation, or never; one that failed did not.

mod configs;
mod explain;
mod frontier;
mod judge;
mod lineage;
mod online;
mod order;
mod part;
mod report;
mod search;
mod sequential;
mod sweep;
mod taken;
mod used;
mod validate;

pub use explain::{Explanation, Told};
pub use online::Online;
pub use report::{Budget, Consistency, Method, Options, PartReport, Report};
pub use validate::validate;

use crate::{Model, Verdict};
use history::History;
use judge::{Judged, Outcome};
use part::{Part, Span};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many steps of the model [`linearizable`] takes, whatever the history; what is remembered
/// of a dead end counts as [`DEAD_END`] of them. That is half a second or so; with many operations
/// of unknown outcome it can be a few, for then each step is compared with more that is kept.
pub const STEPS: u64 = 10_000_000;

/// How many steps a dead end counts as, for remembering and looking it up.
pub const DEAD_END: u64 = 16;

/// How many steps more for every operation, so that a long and easy history is judged to its end.
const STEPS_PER_OPERATION: u64 = 256;

/// Judges a history against a model: the short way to [`check`].
///
/// `Holds` if an order exists, `Violated` if none does: then the message names the first operation
/// to complete with an answer that no order explains. `Unknown` if neither was found within
/// [`STEPS`]: the search is exponential in how many operations overlap.
pub fn linearizable<M: Model>(model: &M, history: &History<M::Op, M::Ret>) -> Verdict {
    linearizable_within(steps(history), model, history)
}

/// As [`linearizable`], in at most so many steps, counted as for [`STEPS`].
pub fn linearizable_within<M: Model>(
    steps: u64,
    model: &M,
    history: &History<M::Op, M::Ret>,
) -> Verdict {
    let budget = Budget { steps: Some(steps), ..Budget::default() };
    let options = Options { budget, ..Options::default() };
    let spans = part::cut(model, history);
    let mut verdict = Verdict::Holds;
    each(parts(model, history, &spans), steps, &options, |part, judged| {
        verdict =
            std::mem::replace(&mut verdict, Verdict::Holds).and(verdict_of(part, judged, steps));
        !verdict.is_violated()
    });
    verdict
}

/// Judges a history against a model and says how that was done, within a budget, on as many
/// threads as wanted, with orders and explanations if wanted: see [`Options`].
pub fn check<M>(model: &M, history: &History<M::Op, M::Ret>, options: &Options) -> Report
where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    let steps = options.budget.steps.unwrap_or_else(|| steps(history));
    let spans = part::cut(model, history);
    let parts: Vec<_> = parts(model, history, &spans).collect();
    let mut report = Report::default();
    if options.consistency == Consistency::Sequential {
        let (verdict, steps, peak) = sequential::judge(&parts, steps, options);
        report.verdict = verdict;
        report.parts.extend(parts.first().map(|part| PartReport {
            first: part.id(0),
            operations: spans.len(),
            unknown: spans.iter().filter(|(_, span)| span.completed == part::OPEN).count(),
            methods: vec![Method::DepthFirst],
            steps,
            peak,
        }));
        return report;
    }
    let mut add = |part: &Part<'_, M>, judged: Judged| {
        report.add(part, &judged);
        let verdict = verdict_of(part, judged, steps);
        report.verdict = std::mem::replace(&mut report.verdict, Verdict::Holds).and(verdict);
        !report.verdict.is_violated()
    };
    match options.threads {
        0 | 1 => each(parts.iter().copied(), steps, options, add),
        threads => each_on(threads, &parts, steps, options, &mut add),
    }
    report
}

fn steps<Op, Ret>(history: &History<Op, Ret>) -> u64 {
    STEPS + STEPS_PER_OPERATION * (history.events.len() as u64 / 2)
}

/// One part per object.
fn parts<'a, M: Model>(
    model: &'a M,
    history: &'a History<M::Op, M::Ret>,
    spans: &'a [(M::Key, Span)],
) -> impl Iterator<Item = Part<'a, M>> {
    let events = history.events.as_slice();
    spans.chunk_by(|(a, _), (b, _)| a == b).map(move |spans| Part { model, events, spans })
}

/// Judges part after part, until `next` says that this is enough.
fn each<'a, M: Model<Key: 'a> + 'a>(
    parts: impl Iterator<Item = Part<'a, M>>,
    mut steps: u64,
    options: &Options,
    mut next: impl FnMut(&Part<'a, M>, Judged) -> bool,
) {
    for part in parts {
        let judged = judge::judge(&part, steps, options);
        steps = steps.saturating_sub(judged.steps);
        if !next(&part, judged) {
            return;
        }
    }
}

/// How many parts are judged at once before their findings are looked at.
const ROUND: usize = 1024;

/// As [`each`], with the same findings, on some threads: each part is judged as if it were the
/// first of its round, and once more if those before it did not leave as many steps.
fn each_on<'a, M>(
    threads: usize,
    parts: &[Part<'a, M>],
    mut steps: u64,
    options: &Options,
    next: &mut impl FnMut(&Part<'a, M>, Judged) -> bool,
) where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    for round in parts.chunks(ROUND) {
        let first = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let nth = first.fetch_add(1, Ordering::Relaxed);
                let Some(part) = round.get(nth) else { return done };
                done.push((nth, judge::judge(part, steps, options)));
            }
        };
        let mut done: Vec<(usize, Judged)> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (1..threads.min(round.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for worker in workers {
                done.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(nth, _)| *nth);
        for ((_, mut judged), part) in done.into_iter().zip(round) {
            if judged.steps > steps {
                judged = judge::judge(part, steps, options);
            }
            steps = steps.saturating_sub(judged.steps);
            if !next(part, judged) {
                return;
            }
        }
    }
}

/// What a part's findings mean, where `steps` is what all parts together may take.
fn verdict_of<M: Model>(part: &Part<'_, M>, judged: Judged, steps: u64) -> Verdict {
    match judged.outcome {
        Outcome::Holds => Verdict::Holds,
        Outcome::Violated(anomaly, _) => Verdict::Violated(anomaly),
        Outcome::Unknown(end) => Verdict::Unknown(format!(
            "linearizable: {} operations on one object, and {}",
            part.len(),
            end.why(steps)
        )),
    }
}
