//! What `bsp_status` answers, as far as tests look at it.

use serde::Deserialize;

/// The extension's own account of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BspStatus {
    /// The highest block that may be delivered.
    pub tip: Option<StatusBlock>,
    /// Up to where every target has everything.
    pub finished: Option<StatusBlock>,
    /// Each target.
    pub targets: Vec<StatusTarget>,
}

/// A block in a status.
#[derive(Debug, Clone, Deserialize)]
pub struct StatusBlock {
    /// Its number.
    pub number: u64,
}

/// A target in a status.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusTarget {
    /// The target's URL.
    pub target: String,
    /// What is happening to it, in camel case.
    pub state: String,
    /// What keeps it from going on.
    pub trouble: Option<String>,
    /// Up to where it has everything.
    pub cursor: Option<StatusBlock>,
    /// Entries that it had already.
    pub already_delivered: u64,
    /// Blocks left out because their state was pruned.
    pub skipped: u64,
}
