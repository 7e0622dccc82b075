//! Work that waits, away from the runtime's threads.

use tokio::task::{JoinError, spawn_blocking};

/// Runs something that waits for a disk, or computes for a moment. A panic continues in the caller.
pub(crate) async fn on_disk<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    join(spawn_blocking(run).await)
}

/// A panic in a thread continues in the task that waits for it.
fn join<T>(outcome: Result<T, JoinError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
