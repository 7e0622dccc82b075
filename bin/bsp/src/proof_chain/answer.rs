//! Answers as text or as JSON.

use crate::output;
use serde_json::Value;

/// Prints a JSON object in a line, or a text.
pub(super) fn print(json: bool, object: &Value, text: &str) -> eyre::Result<()> {
    let answer = if json { format!("{object}\n") } else { text.to_owned() };
    output::print(answer.as_bytes())
}

/// A line of a table: a name, and what there is to say.
pub(super) fn line(name: &str, value: impl std::fmt::Display) -> String {
    format!("  {name:<14}{value}\n")
}
