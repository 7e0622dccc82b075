//! What a consensus client says to a node.

use super::{JwtSecret, block::EngineBlock};
use crate::rpc::JsonRpc;
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};

/// What reth v2.5.1 answers to a block now and then, with extensions or without, while it moves
/// others from memory to disk.
const MOVING: &str = "no header found for Number(";

/// How often a block is given to a node that answers so. A consensus client never gives up.
const TRIES: u64 = 20;

/// A node's engine API.
#[derive(Debug, Clone)]
pub struct EngineApi(JsonRpc);

/// Which blocks the consensus client stands by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForkChoice {
    /// The tip.
    pub head: B256,
    /// Safe, zero for none.
    pub safe: B256,
    /// Finalized, zero for none.
    pub finalized: B256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadStatus {
    status: String,
    validation_error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForkChoiceReply {
    payload_status: PayloadStatus,
}

impl EngineApi {
    /// The engine API at an address.
    pub fn new(address: SocketAddr, secret: JwtSecret) -> Self {
        Self(JsonRpc::with_secret(address, secret))
    }

    /// Has the node execute a block, whose parent it must know. Returns how often it had to be
    /// given again, because the node was at odds with itself.
    ///
    /// # Errors
    ///
    /// Where the node does not answer, or does not find the block valid.
    pub async fn new_payload(&self, block: &EngineBlock) -> eyre::Result<u64> {
        let mut repeated = 0;
        loop {
            match self.0.call("engine_newPayloadV4", block.payload.clone()).await {
                Err(error) if repeated < TRIES && error.to_string().contains(MOVING) => {
                    repeated += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                status => {
                    expect_valid(&format!("block {}", block.id.number), status?)?;
                    return Ok(repeated);
                }
            }
        }
    }

    /// Makes a branch canonical.
    ///
    /// # Errors
    ///
    /// Where the node does not answer, or does not follow.
    pub async fn fork_choice(&self, choice: ForkChoice) -> eyre::Result<()> {
        let status = self.send_fork_choice(choice).await?;
        expect_valid(&format!("fork choice {}", choice.head), status)
    }

    /// Names a tip whose blocks the node may have to fetch from its peers first. Whether it has
    /// them by now.
    ///
    /// # Errors
    ///
    /// Where the node does not answer, or finds the blocks invalid.
    pub async fn point_at(&self, choice: ForkChoice) -> eyre::Result<bool> {
        let status = self.send_fork_choice(choice).await?;
        if status.status == "SYNCING" {
            return Ok(false);
        }
        expect_valid(&format!("fork choice {}", choice.head), status).map(|()| true)
    }

    async fn send_fork_choice(&self, choice: ForkChoice) -> eyre::Result<PayloadStatus> {
        let ForkChoice { head, safe, finalized } = choice;
        let state = json!({
            "headBlockHash": head,
            "safeBlockHash": safe,
            "finalizedBlockHash": finalized,
        });
        let reply: ForkChoiceReply =
            self.0.call("engine_forkchoiceUpdatedV3", json!([state, null])).await?;
        Ok(reply.payload_status)
    }
}

fn expect_valid(what: &str, status: PayloadStatus) -> eyre::Result<()> {
    let PayloadStatus { status, validation_error } = status;
    let reason = validation_error.unwrap_or_default();
    eyre::ensure!(status == "VALID", "{what}: the node says {status} {reason}");
    Ok(())
}
