//! What `bsp_status` answers, as far as tests look at it.

use serde::Deserialize;

/// The extension's own account of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BspStatus {
    /// Why nothing is produced, if nothing is.
    pub not_running: Option<String>,
    /// Forks that the extension can't export.
    pub unknown_forks: Vec<StatusFork>,
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

/// A fork in a status.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusFork {
    /// Its name.
    pub name: String,
    /// When it begins, in Unix seconds, if it has a time.
    pub time: Option<u64>,
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
