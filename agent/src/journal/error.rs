//! What can go wrong with a journal.

use std::path::PathBuf;

/// A journal that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has it open.
    #[error(
        "{} is in use by another process: two agents can't share a data folder, give this one its own with --data-dir",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Its content is not what was written.
    #[error(
        "{} is damaged ({reason}): move it away and start again. Nothing is lost by that: what is not acknowledged is \
         still in the stream, and the contract knows what is proved",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// It was written by another version of the agent.
    #[error(
        "{} has format {found}, this agent reads format {expected}: use the agent that wrote it, or move it away",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// The disk or its file system refuses.
    #[error("{}: {reason}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The thread that writes is gone: the process is about to end.
    #[error("the journal is closed")]
    Closed,
}
