//! What the log says of a run at its start and at its end.

use super::{parts, pins};
use crate::{
    config::{AgentConfig, ProofConfig, SourceConfig},
    pipeline::PipelineStatus,
};
use bsp_common::secret::url_shown;
use std::time::Duration;

/// Says what is configured, before anything of it is used.
pub(super) fn configured(config: &AgentConfig) {
    let segments = &config.segments;
    let (source, group) = source(config);
    let folder = segments.binary_file_path.clone();
    let folder = folder.unwrap_or_else(|| segments.data_dir.join("segments"));
    let pinners = pins::shown(&config.pins.targets);
    tracing::info!(
        source,
        group,
        block_divisor = segments.block_divisor,
        verify = segments.verify.as_str(),
        pinner = pinners,
        segments = %folder.display(),
        data = %segments.data_dir.display(),
        "The agent takes block replicas from its source"
    );
    match &config.proof {
        ProofConfig::Ledger => {
            let ledger = segments.data_dir.join(parts::LEDGER);
            tracing::info!(ledger = %ledger.display(), "The agent records proofs in a ledger and sends none");
        }
        ProofConfig::Chain(chain) => tracing::info!(
            contract = %chain.contract,
            rpc = url_shown(chain.rpc_url.expose()),
            confirmations = %chain.confirmations,
            "The agent sends proofs to the proof-chain contract"
        ),
    }
}

/// The source and its consumer group, without a password.
fn source(config: &AgentConfig) -> (String, Option<String>) {
    match &config.source {
        SourceConfig::Folder { path: folder, .. } => (format!("file://{}", folder.display()), None),
        SourceConfig::Redis { url, password } => match parts::redis_url(url, password.as_ref()) {
            Ok(url) => (url.to_string(), Some(url.group)),
            // The start ends with what is wrong with it.
            Err(_) => ("redis".to_owned(), None),
        },
    }
}

/// Says that it is over, and what was done.
pub(super) fn ended(status: &PipelineStatus, uptime: Duration) {
    let count = |outcome| status.finished.get(outcome).copied().unwrap_or(0);
    tracing::info!(
        acknowledged = count("acknowledged"),
        skipped = count("skipped"),
        refused = count("refused"),
        unselected = count("unselected"),
        dead_letters = count("dead"),
        held = status.held,
        alarms = status.alarms.len(),
        uptime_seconds = uptime.as_secs(),
        "The agent has ended; the next start continues what is unfinished"
    );
}
