//! Transactions for a node's pool: of every type, from the funded accounts of a dev chain's
//! genesis.
//!
//! The engine's load comes from [`crate::node::driver`], in whole blocks; this one goes the way
//! that users' transactions go, through `eth_sendRawTransaction`.

mod blobs;
mod kinds;

pub use kinds::Kind;

use crate::{rpc::JsonRpc, wait::wait_for};
use alloy_primitives::{Address, B256, Bytes, U64};
use bsp_devchain::{
    Key, Role,
    contracts::InitCodes,
    genesis::{AUTHORITY_COUNT, SENDER_COUNT},
};
use eyre::OptionExt;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

/// How long a transaction may wait for its block on a machine under load.
const DEADLINE: Duration = Duration::from_secs(60);

/// An account that sends.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) key: Key,
    pub(crate) nonce: u64,
}

/// Sends rounds of transactions, one of each [`Kind`] a round. The same seed gives the same
/// transactions.
#[derive(Debug)]
pub struct PoolLoad {
    rpc: JsonRpc,
    chain_id: u64,
    /// One for each kind, since a pool treats the kinds of one sender as each other's obstacles.
    senders: Vec<Sender>,
    /// Each delegates once in this many rounds: a pool takes one transaction in flight of a
    /// delegated account.
    authorities: Vec<Sender>,
    init_codes: InitCodes,
    round: u64,
}

/// What became of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mined {
    /// Which kind.
    pub kind: Kind,
    /// The transaction.
    pub hash: B256,
    /// Its block.
    pub block: u64,
    /// Whether its receipt says success.
    pub succeeded: bool,
}

impl PoolLoad {
    /// Load for a node on the dev chain of a seed.
    ///
    /// # Errors
    ///
    /// Where the node does not answer.
    pub async fn new(rpc: JsonRpc, seed: u64) -> eyre::Result<Self> {
        let chain_id: U64 = rpc.call("eth_chainId", json!([])).await?;
        let senders = accounts(&rpc, seed, Role::Sender, SENDER_COUNT).await?;
        let authorities = accounts(&rpc, seed, Role::Authority, AUTHORITY_COUNT).await?;
        let init_codes = InitCodes::assemble()?;
        Ok(Self { rpc, chain_id: chain_id.to(), senders, authorities, init_codes, round: 0 })
    }

    /// Sends one transaction of each kind, and waits until all are in blocks.
    ///
    /// # Errors
    ///
    /// Where the pool refuses one, or one is not mined in time, or did not end as its kind has to.
    pub async fn round(&mut self) -> eyre::Result<Vec<Mined>> {
        let mut sent = Vec::new();
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let raw = self.make(kind, index)?;
            let hash: B256 = self.rpc.call("eth_sendRawTransaction", json!([raw])).await?;
            sent.push((kind, hash));
        }
        self.round += 1;
        let mut mined = Vec::new();
        for (kind, hash) in sent {
            mined.push(self.mined(kind, hash).await?);
        }
        Ok(mined)
    }

    fn make(&mut self, kind: Kind, index: usize) -> eyre::Result<Bytes> {
        let round = self.round;
        let authority = usize::try_from(round)? % self.authorities.len().max(1);
        let authority = self.authorities.get_mut(authority).ok_or_eyre("no authority")?;
        let sender = self.senders.get_mut(index).ok_or_eyre("more kinds than senders")?;
        kinds::Maker {
            chain_id: self.chain_id,
            round,
            init_codes: &self.init_codes,
            authority,
            sender,
        }
        .make(kind)
    }

    async fn mined(&self, kind: Kind, hash: B256) -> eyre::Result<Mined> {
        let receipt = wait_for("a transaction is mined", DEADLINE, async || {
            self.rpc.receipt(hash).await.ok()?
        });
        let receipt = receipt.await?;
        let succeeded = receipt.status == U64::ONE;
        eyre::ensure!(
            succeeded == kind.succeeds(),
            "{kind:?} {hash}: succeeded {succeeded}, which it must not"
        );
        Ok(Mined { kind, hash, block: receipt.block_number.to(), succeeded })
    }
}

async fn accounts(rpc: &JsonRpc, seed: u64, role: Role, count: u64) -> eyre::Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for index in 0..count {
        let key = Key::derive(seed, role, index);
        let nonce: U64 =
            rpc.call("eth_getTransactionCount", json!([key.address(), "pending"])).await?;
        senders.push(Sender { key, nonce: nonce.to() });
    }
    Ok(senders)
}

impl Sender {
    pub(crate) const fn address(&self) -> Address {
        self.key.address()
    }

    pub(crate) const fn take_nonce(&mut self) -> u64 {
        let nonce = self.nonce;
        self.nonce += 1;
        nonce
    }
}

/// How many of each type there are.
pub fn count_types(mined: &[Mined]) -> BTreeMap<u8, usize> {
    let mut types = BTreeMap::new();
    for it in mined {
        *types.entry(it.kind.transaction_type()).or_default() += 1;
    }
    types
}
