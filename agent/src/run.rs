//! The agent from start to end.

use crate::config::AgentConfig;
use tokio_util::sync::CancellationToken;

/// Why the agent does not start, or stops by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The HTTP server can't listen.
    #[error(transparent)]
    Server(#[from] crate::server::ServerError),
}

/// Runs until `shutdown` is cancelled.
pub async fn run(_config: AgentConfig, shutdown: CancellationToken) -> Result<(), RunError> {
    shutdown.cancelled().await;
    Ok(())
}
