//! From the node's stream to the proof chain: the entries that a node has put there, as the agent's
//! auditor wants them, and the segments that the agent makes of them.

use super::block::EngineBlock;
use crate::{
    audit::{AgentFolders, BlockRef, Expect, FedEntry, fed::sha256},
    scene::Scene,
};
use alloy_primitives::B256;
use bsp_capture::{CheckName, CheckResult, VerifyOptions, verify_segment};
use bsp_codec::{ReplicaKind, avro, limits::MAX_INPUT_BYTES, rlp, snappy};
use eyre::{Context, OptionExt};
use redis::streams::StreamRangeReply;
use std::{collections::HashMap, fs, sync::Arc};

/// Tells a scene of everything that a node has put into its stream, and returns those blocks.
///
/// # Errors
///
/// Where an entry is no block replica.
pub async fn adopt_stream(scene: &mut Scene) -> eyre::Result<Vec<BlockRef>> {
    let mut connection = scene.redis.connect().await?;
    let entries: StreamRangeReply = redis::cmd("XRANGE")
        .arg(&scene.stream.topic)
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await?;
    let mut blocks = Vec::new();
    for entry in &entries.ids {
        let data: Vec<u8> = entry.get("data").ok_or_eyre("an entry without data")?;
        let replica = rlp::decode_replica(&snappy::decompress(&data, MAX_INPUT_BYTES)?)?;
        eyre::ensure!(replica.kind == ReplicaKind::Replica, "an entry of another kind");
        let block = crate::messages::block_of(&replica);
        blocks.push(block.clone());
        scene.adopt(FedEntry {
            id: entry.id.clone(),
            payload: Some(sha256(&data)),
            expect: Expect::Proved(block),
        });
    }
    Ok(blocks)
}

/// How the segments of an agent did on their own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reexecuted {
    /// Every check was made, and is good.
    pub fully: usize,
    /// Executed with authorization lists that the network's format leaves out (EIP-7702). Without
    /// their signatures the transactions' root, and that a sender has signed, can't be checked;
    /// everything else is good.
    pub with_authorizations: usize,
}

/// Executes each segment of an agent again from nothing but its bytes, and the authorization lists
/// of `blocks`.
///
/// # Errors
///
/// Where a segment does not give what it says.
pub fn reexecute(
    folders: &AgentFolders,
    blocks: &HashMap<B256, Arc<EngineBlock>>,
) -> eyre::Result<Reexecuted> {
    let mut reexecuted = Reexecuted::default();
    let mut files = Vec::new();
    for sub_folder in fs::read_dir(&folders.segments)? {
        for entry in fs::read_dir(sub_folder?.path())? {
            files.push(entry?.path());
        }
    }
    for path in files {
        let bytes = fs::read(&path)?;
        let segment = avro::decode_segment(&bytes).wrap_err_with(|| path.display().to_string())?;
        let block = blocks.get(&segment.replica.hash).ok_or_eyre("a segment of no block")?;
        let authorizations = Some(&block.authorizations);
        let options = VerifyOptions { authorizations, ..VerifyOptions::default() };
        let verdict = verify_segment(&segment, &bytes, options);
        let not_ok: Vec<_> = verdict
            .checks()
            .filter(|(_, result)| !matches!(result, CheckResult::Ok { .. }))
            .collect();
        if not_ok.is_empty() {
            reexecuted.fully += 1;
        } else if block.types.contains_key(&4) && not_ok.iter().all(needs_signatures) {
            reexecuted.with_authorizations += 1;
        } else {
            eyre::bail!("{}: {not_ok:?}", path.display());
        }
    }
    Ok(reexecuted)
}

/// What can't be checked of a transaction whose authorizations have no signatures.
fn needs_signatures((name, result): &(CheckName, &CheckResult)) -> bool {
    matches!(name, CheckName::TransactionsRoot | CheckName::Senders)
        && matches!(result, CheckResult::Impossible { .. })
}
