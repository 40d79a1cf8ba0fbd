//! A history cut into one part per object, eight bytes an operation.

use crate::Model;
use derive_where::derive_where;
use history::{Event, History, Operation, Outcome, What};

/// [`Span::completed`] of an operation of unknown outcome.
pub(crate) const OPEN: u32 = u32::MAX;

/// [`Span::completed`] of one that failed, until it is dropped.
const FAILED: u32 = u32::MAX - 1;

/// Where an operation's two lines stand among the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub invoked: u32,
    /// [`OPEN`] while its outcome is unknown.
    pub completed: u32,
}

/// An operation that is not known to have failed, ready for a model's step.
#[derive_where(Clone, Copy)]
pub(crate) struct Call<'a, M: Model> {
    pub op: &'a M::Op,
    pub ret: Option<&'a M::Ret>,
    pub span: Span,
}

/// The operations of one object, in the order of their invocations.
#[derive_where(Clone, Copy)]
pub(crate) struct Part<'a, M: Model> {
    pub model: &'a M,
    pub events: &'a [Event<M::Op, M::Ret>],
    pub spans: &'a [(M::Key, Span)],
}

/// Every operation that did not fail, object by object.
///
/// # Panics
///
/// If there are 2³² - 2 events or more.
pub(crate) fn cut<M: Model>(model: &M, history: &History<M::Op, M::Ret>) -> Vec<(M::Key, Span)> {
    assert!(history.events.len() < FAILED as usize, "a history of 4,294,967,294 events or more");
    let mut failed = false;
    let mut spans: Vec<(M::Key, Span)> = Vec::with_capacity(history.events.len() / 2);
    for (index, event) in (0_u32..).zip(&history.events) {
        let completed = match &event.what {
            What::Invoke(op) => {
                spans.push((model.key(op), Span { invoked: index, completed: OPEN }));
                continue;
            }
            What::Ok(_) => index,
            What::Fail(_) => FAILED,
            What::Info => continue,
        };
        failed |= completed == FAILED;
        if let Some((_, span)) = spans.get_mut(event.op as usize) {
            span.completed = completed;
        }
    }
    if failed {
        spans.retain(|(_, span)| span.completed != FAILED);
    }
    if !spans.is_sorted_by(|(a, _), (b, _)| a <= b) {
        spans.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    spans
}

impl<'a, M: Model> Part<'a, M> {
    /// The object's state before anything happened.
    pub fn initial(&self) -> M::State {
        self.model.initial(&self.spans[0].0)
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The operation of number `nth` in this part.
    pub fn call(&self, nth: usize) -> Call<'a, M> {
        call(self.events, self.spans[nth].1)
    }

    /// Every operation, in the order of invocation.
    pub fn calls(self) -> impl ExactSizeIterator<Item = Call<'a, M>> + Clone {
        self.spans.iter().map(move |(_, span)| call(self.events, *span))
    }

    /// The number in the history of this part's operation `nth`.
    pub fn id(&self, nth: usize) -> u32 {
        self.events[self.spans[nth].1.invoked as usize].op
    }

    /// Operations as [`Model::decide`] takes them.
    pub fn operations(self) -> impl ExactSizeIterator<Item = Operation<'a, M::Op, M::Ret>> + Clone {
        let operation = move |call: Call<'a, M>| {
            let Event { op: id, actor, call: number, .. } = self.events[call.span.invoked as usize];
            Operation {
                id,
                actor,
                call: number,
                op: call.op,
                outcome: call.ret.map_or(Outcome::Info, Outcome::Ok),
                invoked: call.span.invoked as usize,
                completed: match call.span.completed {
                    OPEN => usize::MAX,
                    index => index as usize,
                },
            }
        };
        self.calls().map(operation)
    }
}

fn call<M: Model>(events: &[Event<M::Op, M::Ret>], span: Span) -> Call<'_, M> {
    let What::Invoke(op) = &events[span.invoked as usize].what else {
        unreachable!("a span begins with an invocation");
    };
    let ret = match events.get(span.completed as usize).map(|event| &event.what) {
        Some(What::Ok(ret)) => Some(ret),
        _ => None,
    };
    Call { op, ret, span }
}
