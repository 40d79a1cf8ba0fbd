//! Operations whose order is given by what they answered: whether it respects real time.

use super::Span;

/// Two operations that stand in this order though the second had completed before the first was
/// invoked: the first such second one, and of those before it the one invoked last.
pub(crate) fn turned<'a>(order: impl Iterator<Item = &'a Span>) -> Option<(&'a Span, &'a Span)> {
    let mut latest: Option<&Span> = None;
    for span in order {
        match latest {
            Some(last) if span.completed < last.invoked => return Some((last, span)),
            Some(last) if span.invoked < last.invoked => {}
            _ => latest = Some(span),
        }
    }
    None
}
