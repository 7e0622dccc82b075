//! Proofs: who says which specimen a block has, and where it is.
//!
//! A prover answers for a claim with its final outcome. It is given the attempts of earlier runs,
//! and records each new one before it leaves the machine, so that a crash never hides a transaction
//! that may still be mined.

pub mod amount;
pub mod contract;
mod decimal;
pub mod divisor;
pub mod fees;
pub mod key;
mod keystore;
pub mod ledger;
pub mod outcome;
pub mod preflight;
pub mod rpc;
mod sender;
pub mod transaction;
mod window;

pub use ledger::LedgerProver;
pub use sender::{
    ChainProver, ChainProverConfig, Confirmations, DEPTH_WITHOUT_FINALITY, InvalidConfirmations,
};

use crate::block::{BlockId, SegmentName};
use alloy_primitives::B256;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// What is proved: the arguments of `submitBlockSpecimenProof`. Its content is stored and pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Chain id, height and block hash.
    pub block: BlockId,
    /// For logs.
    pub segment: SegmentName,
    /// The specimen hash, see [`bsp_codec::digest::specimen_hash`].
    pub specimen_hash: B256,
    /// `ipfs://<cid>`.
    pub url: String,
}

/// One nonce spent, or about to be, on a claim, and all transactions signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The sender's nonce. All transactions of an attempt have it, so at most one of them is mined.
    pub nonce: u64,
    /// Everything that was signed with it, oldest first.
    pub transactions: Vec<SentTransaction>,
}

/// A signed transaction. It may have been broadcast or not: that is unknown after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTransaction {
    /// Its hash.
    pub hash: B256,
    /// Fee cap, or gas price of a legacy transaction, in wei for each gas.
    #[serde(with = "decimal")]
    pub max_fee_per_gas: u128,
    /// Tip cap, or gas price of a legacy transaction, in wei for each gas.
    #[serde(with = "decimal")]
    pub max_priority_fee_per_gas: u128,
    /// When it was signed, in milliseconds since 1970.
    pub signed_ms: u64,
    /// The signed transaction as `eth_sendRawTransaction` takes it, to send the same again.
    pub raw: alloy_primitives::Bytes,
}

/// A claim that is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The transaction's hash, or that of the ledger's entry.
    pub id: B256,
    /// The proof chain's block that holds the transaction, with its number.
    pub mined_in: Option<(u64, B256)>,
}

/// The final outcome of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ProofOutcome {
    /// It is on record, as deep as was asked for.
    Proved(Proof),
    /// The contract will never take it. Its data stays stored and pinned.
    Skipped {
        /// Why, in the contract's words where it has some.
        reason: String,
    },
    /// It can't be proved now, and trying again on its own would not help or would cost gas: the
    /// operator has to look. The entry stays unacknowledged; another start tries again.
    Held {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What can be expected of a claim's proof, before its content is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing speaks against it, as far as is known.
    Open,
    /// It will never be taken, so that there is nothing to upload for.
    Closed {
        /// Why, in the contract's words where it has some.
        reason: String,
    },
    /// It is not taken before the operator has done something.
    Held {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// A prover that stops before the outcome is known: it was told to, or its task died. What was
/// recorded resumes at the next start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proof is parked: {0}")]
pub struct Parked(pub String);

/// Where attempts are recorded, durably, before they are broadcast.
#[async_trait]
pub trait AttemptLog: Send + Sync {
    /// Records all attempts of a claim so far, in place of what was recorded before. On return they
    /// survive a crash.
    async fn record(&self, attempts: &[Attempt]) -> Result<(), AttemptLogError>;
}

/// An attempt that could not be recorded must not be broadcast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attempt can't be recorded: {0}")]
pub struct AttemptLogError(pub String);

/// Puts claims on record.
#[async_trait]
pub trait Prover: Send + Sync + fmt::Debug {
    /// For logs: which chain and contract, or which ledger.
    fn name(&self) -> String;

    /// Whether it records claims in a ledger of its own, so that the contract knows nothing of
    /// them.
    fn is_ledger(&self) -> bool {
        false
    }

    /// What can be expected of a claim's proof, asked before its content is uploaded. Costs next to
    /// nothing for a claim that is likely to be taken, and does not wait for what is down.
    async fn outlook(&self, _claim: &Claim) -> Outlook {
        Outlook::Open
    }

    /// Sees a claim through. Many may be under way at once, the prover bounds how many it sends. It
    /// waits and retries for as long as the trouble may pass (with an [alarm](crate::alarm)), and
    /// ends early only when it is stopped.
    ///
    /// `attempts` are those recorded for this claim before, oldest first.
    async fn prove(
        &self,
        claim: Claim,
        attempts: Vec<Attempt>,
        log: Arc<dyn AttemptLog>,
    ) -> Result<ProofOutcome, Parked>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A claim of a made-up block.
    pub(crate) fn claim(number: u64) -> Claim {
        let [.., low] = number.to_be_bytes();
        let block = BlockId { network_id: 1, number, hash: B256::repeat_byte(low) };
        Claim {
            block,
            segment: SegmentName::new(&block, bsp_codec::ReplicaKind::Replica),
            specimen_hash: B256::with_last_byte(low),
            url: format!("ipfs://cid-{number}"),
        }
    }
}
