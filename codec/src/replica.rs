//! The records of a block replica: a block, its receipts, and the state that its execution read.
//!
//! One set of types serves every form (RLP on the stream, AVRO at rest, JSON between readers). They
//! hold what the widest of those forms, the AVRO segment of codec 0.38, can say, so that reading a
//! file and writing it again loses nothing. Where a form cannot tell two values apart (RLP writes
//! an absent and a zero `v` as the same byte) its decoder documents which of the two it returns.

use alloy_consensus::Header;
use alloy_eips::{eip2930::AccessList, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a replica carries, and its `Type` field in every form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReplicaKind {
    /// `block-specimen`: the block and the state it read; no receipts.
    Specimen,
    /// `block-result`: the block and its receipts; no state, no withdrawals, signatures blanked.
    Result,
    /// `block-replica`: both.
    Replica,
}

impl ReplicaKind {
    /// The text of the `Type` field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Specimen => "block-specimen",
            Self::Result => "block-result",
            Self::Replica => "block-replica",
        }
    }

    /// The part of a segment's file name that names its kind: `1-22433670-`**`replica`**.
    pub const fn file_suffix(self) -> &'static str {
        match self {
            Self::Specimen => "specimen",
            Self::Result => "result",
            Self::Replica => "replica",
        }
    }

    /// Whether the four read lists are part of this kind.
    pub const fn has_state(self) -> bool {
        matches!(self, Self::Specimen | Self::Replica)
    }

    /// Whether receipts are part of this kind.
    pub const fn has_receipts(self) -> bool {
        matches!(self, Self::Result | Self::Replica)
    }
}

impl fmt::Display for ReplicaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A `Type` that is none of the three known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown replica type {0:?}, expected block-replica, block-specimen or block-result")]
pub struct UnknownReplicaKind(
    /// The text that was found, cut to 64 characters.
    pub String,
);

impl FromStr for ReplicaKind {
    type Err = UnknownReplicaKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "block-specimen" => Ok(Self::Specimen),
            "block-result" => Ok(Self::Result),
            "block-replica" => Ok(Self::Replica),
            other => Err(UnknownReplicaKind(other.chars().take(64).collect())),
        }
    }
}

/// Which bytes are written where the network's format and a better one differ.
///
/// The two are never mixed up: a writer is told which one to use, and what a file was written with
/// can be told from the file ([`Replica::profile`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Byte for byte what bsp-geth v2.2.0 and bsp-agent v1.9.2 write, quirks included. The only one
    /// whose specimen hash can join a quorum.
    #[default]
    Network,
    /// Adds what the network's producer leaves out although the layout has room for it: the
    /// authorization lists of EIP-7702 transactions. For local archives; **never** prove it.
    Complete,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network",
            Self::Complete => "complete",
        })
    }
}

/// A block together with its receipts, the state its execution read, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What this replica carries.
    pub kind: ReplicaKind,
    /// Chain id, cut to 64 bits as the producer does. AVRO holds only values below 2^31.
    pub network_id: u64,
    /// Block hash.
    pub hash: B256,
    /// Always zero since bsp-geth v2.2.0; older producers wrote the real total difficulty.
    pub total_difficulty: U256,
    /// The block's header.
    pub header: Header,
    /// The block's transactions, in order.
    pub transactions: Vec<ReplicaTransaction>,
    /// The block's uncles; empty since the merge.
    pub uncles: Vec<Header>,
    /// One receipt a transaction; empty in a specimen.
    pub receipts: Vec<ReplicaReceipt>,
    /// One recovered sender a transaction.
    pub senders: Vec<Address>,
    /// The state that execution read; empty lists in a result.
    pub state: StateSpecimen,
    /// The block's withdrawals. RLP cannot tell `None` from an empty list and decodes to an empty
    /// list.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Blob sidecars. Always an empty list since bsp-geth v2.2.0.
    pub blob_sidecars: Option<Vec<ReplicaSidecar>>,
}

impl Replica {
    /// The profile that this replica's content belongs to: [`Profile::Complete`] as soon as one
    /// transaction carries a field that the network's producer never writes.
    pub fn profile(&self) -> Profile {
        let extended =
            |tx: &ReplicaTransaction| tx.authorization_list.is_some() || tx.data.is_some();
        if self.transactions.iter().any(extended) { Profile::Complete } else { Profile::Network }
    }

    /// The name of this block's segment, without the proof's transaction hash:
    /// `<network id>-<block number>-<kind>`, for instance `1-22433670-replica`.
    pub fn segment_name(&self) -> String {
        format!("{}-{}-{}", self.network_id, self.header.number, self.kind.file_suffix())
    }
}

/// A transaction as the producer exports it: the fields of every type in one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaTransaction {
    /// EIP-2718 type, 0 for a legacy transaction.
    pub tx_type: u8,
    /// Access list; empty for a legacy transaction.
    pub access_list: AccessList,
    /// Chain id; for a legacy transaction derived from `v`, zero before EIP-155.
    pub chain_id: U256,
    /// Sender's nonce.
    pub nonce: u64,
    /// *Effective* gas price in wei (the value rules of the conversion from consensus types).
    pub gas_price: U256,
    /// Gas limit.
    pub gas: u64,
    /// Priority fee cap in wei; the gas price for types 0 and 1.
    pub gas_tip_cap: U256,
    /// Fee cap in wei; the gas price for types 0 and 1.
    pub gas_fee_cap: U256,
    /// Recovered sender.
    pub from: Option<Address>,
    /// Callee; `None` for a contract creation.
    pub to: Option<Address>,
    /// Value in wei.
    pub value: U256,
    /// Call data, or init code.
    pub input: Bytes,
    /// Signature `v`: 27/28 or 35 + 2·chain id + parity for legacy, parity otherwise. RLP decodes
    /// zero to `None`, as the agent does.
    pub v: Option<U256>,
    /// Signature `r`; zero decodes to `None`.
    pub r: Option<U256>,
    /// Signature `s`; zero decodes to `None`.
    pub s: Option<U256>,
    /// Blob fee cap in wei; zero for other types.
    pub blob_fee_cap: Option<U256>,
    /// Versioned blob hashes; empty for other types, `None` where an old producer left them out.
    pub blob_hashes: Option<Vec<B256>>,
    /// 131072 times the number of blob hashes.
    pub blob_gas: Option<u64>,
    /// `Data` of the AVRO layout. Nothing is known to write it.
    pub data: Option<String>,
    /// EIP-7702 authorizations. Absent in the network profile, also for type 4.
    pub authorization_list: Option<Vec<ReplicaAuthorization>>,
}

/// One signed EIP-7702 authorization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaAuthorization {
    /// Chain id, zero for any chain.
    pub chain_id: U256,
    /// The delegate.
    pub address: Address,
    /// The authority's nonce.
    pub nonce: u64,
    /// Signature parity, unchecked.
    pub y_parity: U256,
    /// Signature `r`.
    pub r: U256,
    /// Signature `s`.
    pub s: U256,
}

/// A receipt as read raw from the producer's database: derived fields are zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaReceipt {
    /// `01` for success, empty for failure, or a 32-byte state root before Byzantium.
    pub post_state_or_status: Bytes,
    /// Gas used in the block up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Zero from the network's producer.
    pub tx_hash: B256,
    /// Zero from the network's producer.
    pub contract_address: Address,
    /// The logs.
    pub logs: Vec<ReplicaLog>,
    /// Zero from the network's producer.
    pub gas_used: u64,
}

/// A log; its position fields are zero from the network's producer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaLog {
    /// Emitting contract.
    pub address: Address,
    /// Up to four topics.
    pub topics: Vec<B256>,
    /// Data.
    pub data: Bytes,
    /// Zero from the network's producer.
    pub block_number: u64,
    /// Zero from the network's producer.
    pub tx_hash: B256,
    /// Zero from the network's producer.
    pub tx_index: u64,
    /// Zero from the network's producer.
    pub block_hash: B256,
    /// Zero from the network's producer.
    pub log_index: u64,
    /// False from the network's producer.
    pub removed: bool,
}

/// The state that a block's execution read, each list in order of first read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateSpecimen {
    /// Accounts that exist in the parent state, once each.
    pub account_read: Vec<AccountRead>,
    /// Storage slots. A slot can stand twice, with value zero, where a creation was reverted and
    /// repeated.
    pub storage_read: Vec<StorageRead>,
    /// Code loads, once for each account that loaded it, so equal codes repeat.
    pub code_read: Vec<CodeRead>,
    /// `BLOCKHASH` arguments, out-of-range ones included (with hash zero).
    pub blockhash_read: Vec<BlockhashRead>,
}

/// An account of the parent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AccountRead {
    /// Address.
    pub address: Address,
    /// Nonce in the parent state.
    pub nonce: u64,
    /// Balance in the parent state, wei.
    pub balance: U256,
    /// keccak-256 of the code in the parent state.
    pub code_hash: B256,
}

/// A storage slot of the parent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StorageRead {
    /// Owner of the slot.
    pub account: Address,
    /// Slot key, unhashed.
    pub slot_key: B256,
    /// Value in the parent state.
    pub value: B256,
}

/// A code of the parent state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CodeRead {
    /// keccak-256 of `code`.
    pub hash: B256,
    /// The code.
    pub code: Bytes,
}

/// An ancestor's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BlockhashRead {
    /// The argument of `BLOCKHASH`, any 64-bit number.
    pub block_number: u64,
    /// What the opcode returned: zero outside of the window of 256.
    pub block_hash: B256,
}

/// The blobs of one transaction with their KZG commitments and proofs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaSidecar {
    /// 131072 bytes each.
    pub blobs: Vec<Bytes>,
    /// 48 bytes each.
    pub commitments: Vec<Bytes>,
    /// 48 bytes each.
    pub proofs: Vec<Bytes>,
}

/// An AVRO segment: one block on its way into the content store.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// `replicaEvent[0].hash`: the stream entry's `hash` field, which the agent copies unchecked.
    pub event_hash: B256,
    /// `replicaEvent[0].data`.
    pub replica: Replica,
    /// First block number; the network writes the block's own.
    pub start_block: u64,
    /// Last block number; the network writes the block's own.
    pub end_block: u64,
    /// Number of blocks; the network writes 1.
    pub elements: u64,
    /// Layout label; [`CODEC_VERSION`] today.
    pub codec_version: f64,
}

/// The label of the layout that this crate writes.
pub const CODEC_VERSION: f64 = 0.38;

impl Segment {
    /// The segment that the agent makes of one replica.
    pub fn of(replica: Replica) -> Self {
        Self {
            event_hash: replica.hash,
            start_block: replica.header.number,
            end_block: replica.header.number,
            elements: 1,
            codec_version: CODEC_VERSION,
            replica,
        }
    }
}
