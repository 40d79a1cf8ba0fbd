//! RFC 9110, section 13: whether a request's conditions hold. Parsing and comparing entity tags is
//! the `headers` crate's.

use super::{Method, Request};
use headers::{ETag, Header, HeaderValue, IfMatch, IfNoneMatch};
use std::iter;

/// 304 Not Modified: the copy that the request names is still good.
pub const NOT_MODIFIED: u16 = 304;
/// 400 Bad Request: a condition that cannot be read.
pub const BAD_REQUEST: u16 = 400;
/// 412 Precondition Failed: nothing was done.
pub const PRECONDITION_FAILED: u16 = 412;
/// 428 Precondition Required (RFC 6585): who writes says what it has seen (9.4).
pub const PRECONDITION_REQUIRED: u16 = 428;

/// Whether the request is to be done, given the tag of what is there; if not, what it is answered.
///
/// # Errors
/// The status of a request that is not done.
pub fn evaluate(request: &Request, current: Option<&ETag>) -> Result<(), u16> {
    let Request { method, if_match, if_none_match, .. } = request;
    if *method == Method::Put && if_match.is_none() && if_none_match.is_none() {
        return Err(PRECONDITION_REQUIRED);
    }
    // 9.5: If-Match comes first. 9.2: strong comparison; and `*` is whatever is there.
    if let Some(condition) = if_match {
        let condition: IfMatch = decode(condition)?;
        if !current.is_some_and(|tag| condition.precondition_passes(tag)) {
            return Err(PRECONDITION_FAILED);
        }
    }
    // 9.1: weak comparison; and `*` is whatever is there.
    if let Some(condition) = if_none_match {
        let condition: IfNoneMatch = decode(condition)?;
        if !current.is_none_or(|tag| condition.precondition_passes(tag)) {
            return Err(match method {
                Method::Get => NOT_MODIFIED,
                Method::Put => PRECONDITION_FAILED,
            });
        }
    }
    Ok(())
}

fn decode<H: Header>(value: &str) -> Result<H, u16> {
    let value = HeaderValue::from_str(value).map_err(|_| BAD_REQUEST)?;
    H::decode(&mut iter::once(&value)).map_err(|_| BAD_REQUEST)
}
