//! How the sorted set of losses names what a group has lost.

use super::id::StreamId;

/// The member that counts the group's entries that were trimmed before any delivery.
pub(super) fn undelivered_member(group: &str) -> String {
    format!("{group}/undelivered")
}

/// The member of an entry that was trimmed after it was delivered.
pub(super) fn entry_member(group: &str, id: StreamId) -> String {
    format!("{group}/{id}")
}
