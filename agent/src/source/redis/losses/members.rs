//! How the sorted set of losses names what a group has lost, and what it knows of it besides.

use bsp_stream::StreamId;

/// The member that counts the group's entries that were trimmed before any delivery.
pub(crate) fn undelivered_member(group: &str) -> String {
    format!("{group}/undelivered")
}

/// The member of an entry that was trimmed after it was delivered.
pub(crate) fn entry_member(group: &str, id: StreamId) -> String {
    format!("{group}/{id}")
}

/// The member that says that the group was given every entry from the stream's first one on. While
/// it is not there, entries may lie before the group's beginning that nobody has read.
pub(crate) fn complete_member(group: &str) -> String {
    format!("{group}/complete")
}
