//! The agent from start to end.

use crate::{
    agent::{Agent, AgentError, StartError},
    alarm::Alarms,
    config::AgentConfig,
    metrics::Metrics,
    server::{Server, ServerError, Shown},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Between two times that collected metrics are folded.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why the agent does not start, or stops on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It can't start with these settings, or not now.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The HTTP server can't listen.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It ends on its own.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Runs the agent until `shutdown` is cancelled or its source refuses, with its HTTP server if
/// there is to be one. On return nothing is in flight. `commit` is what the program was built from,
/// for its metrics.
///
/// # Errors
///
/// What ends it before it was told to.
pub async fn run(
    config: AgentConfig,
    commit: &'static str,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let server = match &config.server {
        Some(server) => Some(Server::bind(server).await?),
        None => None,
    };
    // A program that embeds the agent may have installed a recorder, which then shows the metrics.
    let metrics = Metrics::install(watched_folders(&config)).ok();
    crate::metrics::record_build(commit);
    let alarms = Alarms::default();
    // Everything ends with the agent, also when that ends on its own.
    let stop = shutdown.child_token();
    let _stop_all = stop.clone().drop_guard();
    let agent = Agent::start(config, alarms.clone(), stop.clone()).await?;
    if let Some(metrics) = metrics {
        let upkeep = run_upkeep(metrics.clone(), stop.clone());
        tokio::spawn(alarms.clone().guard("the upkeep of the metrics", upkeep));
        if let Some(server) = server {
            let status = Arc::new(agent.status());
            let serving =
                server.serve(Shown { metrics, alarms: alarms.clone(), status }, stop.clone());
            tokio::spawn(alarms.guard("the HTTP server", serving));
        }
    }
    Ok(agent.run().await?)
}

/// The folders that can get full.
fn watched_folders(config: &AgentConfig) -> Vec<(&'static str, PathBuf)> {
    let segments = &config.segments;
    let mut folders = vec![("data", segments.data_dir.clone()), ("log", config.log.folder.clone())];
    folders.extend(segments.binary_file_path.clone().map(|folder| ("segments", folder)));
    folders
}

async fn run_upkeep(metrics: Metrics, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_INTERVAL)).await.is_some() {
        metrics.upkeep();
    }
}
