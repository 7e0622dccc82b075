//! Work that would hold up the tasks, on threads that may block.

use super::Pipeline;
use crate::prepare::Defect;

impl Pipeline {
    /// Runs something that takes processor time, on a thread that may block, as many at once as allowed. A panic in there
    /// concerns one message, and must not stop the others.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Defect> {
        let _core = self.cpu.acquire().await;
        tokio::task::spawn_blocking(run).await.map_err(|error| Defect(error.to_string()))
    }

    /// Runs something that waits for a disk.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        join(tokio::task::spawn_blocking(run).await)
    }
}

/// A panic in a thread goes on in the task that waits for it.
fn join<T>(outcome: Result<T, tokio::task::JoinError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
