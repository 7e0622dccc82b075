//! Sessions, by the contract's events.

use super::connection::Contract;
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use bsp_agent::proof::{
    contract::{BlockSpecimenQuorum, QuorumNotReached, SessionStarted},
    rpc::{FoundLog, RpcError, is_about_the_question},
};
use std::collections::BTreeMap;

/// Blocks in one question for logs at the most.
const CHUNK: u64 = 1000;

/// A height of a network.
pub(super) type Height = (u64, u64);

/// A session, as events tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// The last block that takes submissions; `None` if it began before what was looked at.
    pub(super) deadline: Option<u64>,
    pub(super) end: Option<End>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Quorum { block_hash: B256, specimen_hash: B256, validators: Vec<u8> },
    None,
}

impl Session {
    /// Whether it waits for somebody to finalize it. Nodes estimate a call as of the latest block,
    /// so that one has to be past the deadline as well.
    pub(super) fn is_due(&self, head: u64) -> bool {
        self.end.is_none() && self.deadline.is_some_and(|deadline| head > deadline)
    }
}

/// The validators whose bits are set, the lowest first.
pub(super) fn validators(map: U256) -> Vec<u8> {
    (0..=255).filter(|id| map.bit(255 - usize::from(*id))).collect()
}

/// The sessions that began or ended in the last blocks, up to a head.
pub(super) async fn sessions(
    contract: &Contract,
    head: u64,
    blocks: u64,
) -> Result<BTreeMap<Height, Session>, RpcError> {
    let oldest = head.saturating_sub(blocks);
    let mut sessions: BTreeMap<Height, Session> = BTreeMap::new();
    for log in logs(contract, SessionStarted::SIGNATURE_HASH, oldest, head).await? {
        if let Ok(started) = SessionStarted::decode_log_data_validate(&log.data) {
            let session = Session { deadline: Some(started.deadline), end: None };
            sessions.insert((started.chainId, started.blockHeight), session);
        }
    }
    let mut ended = |height: Height, end: End| {
        let session = Session { deadline: None, end: None };
        sessions.entry(height).or_insert(session).end = Some(end);
    };
    for log in logs(contract, BlockSpecimenQuorum::SIGNATURE_HASH, oldest, head).await? {
        if let Ok(quorum) = BlockSpecimenQuorum::decode_log_data_validate(&log.data) {
            let end = End::Quorum {
                block_hash: quorum.blockHash,
                specimen_hash: quorum.specimenHash,
                validators: validators(quorum.validatorBitMap),
            };
            ended((quorum.chainId, quorum.blockHeight), end);
        }
    }
    for log in logs(contract, QuorumNotReached::SIGNATURE_HASH, oldest, head).await? {
        if let Ok(none) = QuorumNotReached::decode_log_data_validate(&log.data) {
            ended((none.chainId, none.blockHeight), End::None);
        }
    }
    Ok(sessions)
}

/// The contract's events of one kind, in as few questions as the RPC takes.
async fn logs(
    contract: &Contract,
    topic: B256,
    oldest: u64,
    newest: u64,
) -> Result<Vec<FoundLog>, RpcError> {
    let (mut found, mut start, mut chunk) = (Vec::new(), oldest, CHUNK);
    while start <= newest {
        let end = newest.min(start.saturating_add(chunk - 1));
        match contract.chain.rpc.logs(contract.address, topic, start..=end).await {
            Ok(logs) => {
                found.extend(logs);
                start = end + 1;
            }
            // Too many blocks, or too many logs in them.
            Err(error) if chunk > 1 && is_about_the_question(&error) => chunk /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_a_bit_for_each_validator() {
        let map = (U256::ONE << 255) | (U256::ONE << 254) | U256::ONE;
        assert_eq!(validators(map), [0, 1, 255]);
    }

    #[test]
    fn a_session_is_due_once_no_block_takes_submissions() {
        let session = Session { deadline: Some(10), end: None };
        assert!(!session.is_due(10) && session.is_due(11));
        let ended = Session { end: Some(End::None), ..session };
        assert!(!ended.is_due(11));
    }
}
