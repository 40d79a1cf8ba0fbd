//! Jepsen's operation maps in JSON, as elle-cli takes them: objects one after the other, or in one
//! array. Words are strings, and keys that spell an integer are integers.

use crate::forms::Forms;
use crate::recorded::{Misread, Problem, Recorded, operation};
use crate::value::Value;

/// The operations of a text.
pub(crate) fn recorded(text: &str) -> impl Iterator<Item = Result<Recorded<'_>, Misread>> {
    Forms::new(text, false).map(|form| {
        let form = form?;
        let map: Value<'_> = serde_json::from_str(form.text).map_err(|error| Misread {
            line: form.line + error.line().max(1) - 1,
            problem: Problem::Text { found: error.to_string(), expected: "JSON" },
        })?;
        operation(map, form)
    })
}
