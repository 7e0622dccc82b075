//! The producer in a node's process: starting it, waking it, and telling the node what it may
//! prune.

pub(crate) mod exex;
pub(crate) mod finished;
pub(crate) mod forwarding;
pub(crate) mod horizon;
pub(crate) mod listener;
pub(crate) mod notices;
pub(crate) mod pruning;
pub(crate) mod start;
pub(crate) mod supervisor;
pub(crate) mod wal;
