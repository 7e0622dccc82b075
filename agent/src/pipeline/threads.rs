//! Work that would hold up the tasks, on threads that may block.

use super::suspects::Watched;
use crate::prepare::Defect;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bounds how many computations run at once. Clones share the bound.
#[derive(Debug, Clone)]
pub(super) struct CpuTasks {
    permits: Arc<Semaphore>,
    count: usize,
}

impl CpuTasks {
    /// So many at once, and at least one.
    pub(super) fn new(count: usize) -> Self {
        let count = count.max(1);
        Self { permits: Arc::new(Semaphore::new(count)), count }
    }

    /// Runs something that takes processor time, on a thread that may block, as many at once as
    /// allowed. A panic in there concerns one message, and must not stop the others.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Defect> {
        let _core = self.permits.acquire().await;
        Self::computed(run).await
    }

    /// The same on a message's bytes, which may be what ends the process.
    pub(super) async fn run_watched<T: Send + 'static>(
        &self,
        watched: Option<&Watched>,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Defect> {
        let Some(watched) = watched else { return self.run(run).await };
        let cores = if watched.is_alone() { self.count } else { 1 };
        let _cores = self.permits.acquire_many(u32::try_from(cores).unwrap_or(u32::MAX)).await;
        watched.begin().await;
        let computed = Self::computed(run).await;
        watched.end().await;
        computed
    }

    async fn computed<T: Send + 'static>(
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Defect> {
        tokio::task::spawn_blocking(run).await.map_err(|error| Defect(error.to_string()))
    }
}
