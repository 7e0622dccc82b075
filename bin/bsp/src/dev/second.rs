//! The second operator of `bsp dev --contract`: an agent with a key and folders of its own, which
//! takes the same replicas.

use super::{agent::DevAgent, folder::DevFolder, services::ServiceArgs};
use crate::proof_chain::OperatorAccess;
use bsp_agent::journal::Stage;
use eyre::{Context, bail};
use std::{fs, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long it may be without a finished block while it is behind the first.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent beside the one that is shown.
#[derive(Debug)]
pub(crate) struct SecondOperator(DevAgent);

impl SecondOperator {
    /// Starts it.
    pub(crate) async fn start(
        services: &ServiceArgs,
        access: OperatorAccess,
        folder: &DevFolder,
    ) -> eyre::Result<Self> {
        let mut config = services.with_chain(access).agent_config(folder)?;
        let data = folder.second_agent();
        let segments = data.join("segments");
        fs::create_dir_all(&segments)
            .wrap_err_with(|| format!("cannot make the folder {}", segments.display()))?;
        config.segments.data_dir = data;
        config.segments.binary_file_path = Some(segments);
        Ok(Self(DevAgent::start(config, CancellationToken::new()).await?))
    }

    /// Waits until it has proved so many blocks, and stops it.
    pub(crate) async fn finish(mut self, blocks: u64) -> eyre::Result<()> {
        let proved = self.prove(blocks).await;
        self.0.stop().await;
        proved
    }

    async fn prove(&mut self, blocks: u64) -> eyre::Result<()> {
        for _ in 0..blocks {
            let Ok(record) = timeout(PATIENCE, self.0.next_finished()).await else {
                bail!("the second operator has finished no block for {} s", PATIENCE.as_secs());
            };
            let record = record?;
            if !matches!(record.stage, Stage::Acknowledged { .. }) {
                bail!("the second operator has not proved block {}", record.block);
            }
        }
        Ok(())
    }
}
