//! The proofs on record: events of the proof chain, or lines of ledgers.

use crate::rpc::{JsonRpc, Log};
use alloy_primitives::{Address, B256, U256, b256};
use eyre::{Context, OptionExt};
use serde::Deserialize;
use std::{fs, path::PathBuf, sync::Arc};
use tokio::sync::RwLock;

/// Topic of `BlockSpecimenProductionProofSubmitted(uint64,uint64,bytes32,bytes32,string)`.
const PROOF_SUBMITTED: B256 =
    b256!("d79027d5232050798063d67d05f9e1545ea5b954e2334b09db548e63823fa1b1");

/// A proof on record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProofRecord {
    /// Whose block it is.
    pub chain_id: u64,
    /// The block's number.
    pub height: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The specimen hash.
    pub specimen_hash: B256,
    /// The storage URL.
    pub url: String,
    /// The transaction, or the ledger entry.
    pub id: B256,
    /// The proof chain's block that holds it; 0 in a ledger.
    #[serde(skip)]
    pub mined_in: u64,
}

/// Where proofs are on record.
#[derive(Debug, Clone)]
pub enum ProofBook {
    /// A contract's events.
    Chain {
        /// The proof chain, without faults in between.
        rpc: JsonRpc,
        /// The contract.
        contract: Address,
        /// How many blocks, its own included, have to hold a proof before an entry is acknowledged.
        confirmations: u64,
        /// Held while the chain is being reorganised, see
        /// [`Anvil::reorganising`](crate::servers::anvil::Anvil::reorganising).
        reorganising: Arc<RwLock<()>>,
    },
    /// The agents' ledgers.
    Ledgers(Vec<PathBuf>),
}

impl ProofBook {
    /// All proofs.
    ///
    /// # Errors
    ///
    /// Where the chain does not answer or a record can't be read.
    pub async fn all(&self) -> eyre::Result<Vec<ProofRecord>> {
        match self {
            Self::Chain { rpc, contract, .. } => {
                let logs = rpc.logs(*contract, PROOF_SUBMITTED).await?;
                logs.iter().map(decode).collect()
            }
            Self::Ledgers(files) => {
                let lists: eyre::Result<Vec<_>> = files.iter().map(ledger).collect();
                Ok(lists?.concat())
            }
        }
    }

    /// The proofs that one transaction or ledger entry holds, if it is as deep in the chain as it
    /// has to be.
    ///
    /// # Errors
    ///
    /// As [`Self::all`].
    pub async fn settled(&self, id: B256) -> eyre::Result<Vec<ProofRecord>> {
        let Self::Chain { rpc, contract, confirmations, reorganising } = self else {
            let mut all = self.all().await?;
            all.retain(|proof| proof.id == id);
            return Ok(all);
        };
        let _standstill = reorganising.read().await;
        let Some(receipt) = rpc.receipt(id).await? else { return Ok(Vec::new()) };
        let head = rpc.block_number().await?;
        if receipt.status.to::<u64>() != 1
            || head + 1 < receipt.block_number.to::<u64>() + confirmations
        {
            return Ok(Vec::new());
        }
        let ours = |log: &&Log| log.address == *contract && log.topics == [PROOF_SUBMITTED];
        receipt.logs.iter().filter(ours).map(decode).collect()
    }
}

/// Five words: chain id, height, block hash, specimen hash, offset of the URL; there its length and
/// bytes.
fn decode(log: &Log) -> eyre::Result<ProofRecord> {
    let word = |at: usize| -> eyre::Result<B256> {
        let bytes =
            log.data.get(32 * at..32 * at + 32).ok_or_eyre("the event's data is cut off")?;
        Ok(B256::from_slice(bytes))
    };
    let number = |at| -> eyre::Result<u64> { Ok(U256::from_be_bytes(word(at)?.0).try_into()?) };
    let offset: usize = number(4)?.try_into()?;
    eyre::ensure!(offset.is_multiple_of(32), "the URL's offset is {offset}");
    let length: usize = number(offset / 32)?.try_into()?;
    let url = log.data.get(offset + 32..offset + 32 + length).ok_or_eyre("the URL is cut off")?;
    Ok(ProofRecord {
        chain_id: number(0)?,
        height: number(1)?,
        block_hash: word(2)?,
        specimen_hash: word(3)?,
        url: String::from_utf8(url.to_vec())?,
        id: log.transaction_hash,
        mined_in: log.block_number.to(),
    })
}

/// The whole lines of a ledger. The last may be in the making.
fn ledger(file: &PathBuf) -> eyre::Result<Vec<ProofRecord>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(file)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line =
        |line| serde_json::from_str(line).wrap_err_with(|| format!("{}: {line}", file.display()));
    whole.lines().map(line).collect()
}
