//! The same layout once more, in the words of another encoder: alloy-rlp's derives.

use crate::{Profile, Replica, ReplicaSidecar, ReplicaTransaction};
use alloy_eips::{eip2930::AccessList, eip4895::Withdrawal};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use alloy_rlp::{Encodable, RlpEncodable};

pub(super) fn encode(replica: &Replica, profile: Profile) -> Vec<u8> {
    alloy_rlp::encode(ReplicaList::of(replica, profile))
}

#[derive(RlpEncodable)]
struct ReplicaList {
    kind: String,
    network_id: u64,
    hash: B256,
    total_difficulty: U256,
    header: HeaderList,
    transactions: Vec<TransactionList>,
    uncles: Vec<HeaderList>,
    receipts: Vec<ReceiptList>,
    senders: Vec<Address>,
    state: StateList,
    withdrawals: Vec<Withdrawal>,
    blob_sidecars: Vec<SidecarList>,
}

#[derive(RlpEncodable)]
#[rlp(trailing)]
pub(super) struct HeaderList {
    parent_hash: B256,
    ommers_hash: B256,
    beneficiary: Address,
    state_root: B256,
    transactions_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    difficulty: U256,
    number: u64,
    gas_limit: u64,
    gas_used: u64,
    timestamp: u64,
    extra_data: Bytes,
    mix_hash: B256,
    nonce: B64,
    base_fee_per_gas: Option<u64>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<u64>,
    excess_blob_gas: Option<u64>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
}

#[derive(RlpEncodable)]
#[rlp(trailing)]
struct TransactionList {
    tx_type: u8,
    access_list: AccessList,
    chain_id: U256,
    nonce: u64,
    gas_price: U256,
    gas: u64,
    gas_tip_cap: U256,
    gas_fee_cap: U256,
    from: Bytes,
    to: Bytes,
    value: U256,
    input: Bytes,
    v: U256,
    r: U256,
    s: U256,
    blob_fee_cap: U256,
    blob_hashes: Option<Vec<B256>>,
    blob_gas: Option<u64>,
    data: Option<Bytes>,
    authorization_list: Option<Vec<AuthorizationList>>,
}

#[derive(RlpEncodable)]
struct AuthorizationList {
    chain_id: U256,
    address: Address,
    nonce: u64,
    y_parity: U256,
    r: U256,
    s: U256,
}

#[derive(RlpEncodable)]
struct ReceiptList {
    post_state_or_status: Bytes,
    cumulative_gas_used: u64,
    tx_hash: B256,
    contract_address: Address,
    logs: Vec<LogList>,
    gas_used: u64,
}

#[derive(RlpEncodable)]
struct LogList {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: u64,
    tx_hash: B256,
    tx_index: u64,
    block_hash: B256,
    log_index: u64,
    removed: bool,
}

#[derive(RlpEncodable)]
struct StateList {
    account_read: Vec<AccountList>,
    storage_read: Vec<StorageList>,
    code_read: Vec<CodeList>,
    blockhash_read: Vec<BlockhashList>,
}

#[derive(RlpEncodable)]
struct AccountList {
    address: Address,
    nonce: u64,
    balance: U256,
    code_hash: B256,
}

#[derive(RlpEncodable)]
struct StorageList {
    account: Address,
    slot_key: B256,
    value: B256,
}

#[derive(RlpEncodable)]
struct CodeList {
    hash: B256,
    code: Bytes,
}

#[derive(RlpEncodable)]
struct BlockhashList {
    block_number: u64,
    block_hash: B256,
}

#[derive(RlpEncodable)]
struct SidecarList {
    blobs: Vec<Bytes>,
    commitments: Vec<Bytes>,
    proofs: Vec<Bytes>,
}

impl ReplicaList {
    fn of(replica: &Replica, profile: Profile) -> Self {
        Self {
            kind: replica.kind.to_string(),
            network_id: replica.network_id,
            hash: replica.hash,
            total_difficulty: replica.total_difficulty,
            header: HeaderList::of(&replica.header),
            transactions: replica
                .transactions
                .iter()
                .map(|transaction| TransactionList::of(transaction, profile))
                .collect(),
            uncles: replica.uncles.iter().map(HeaderList::of).collect(),
            receipts: replica.receipts.iter().map(ReceiptList::of).collect(),
            senders: replica.senders.clone(),
            state: StateList::of(&replica.state),
            withdrawals: replica.withdrawals.clone().unwrap_or_default(),
            blob_sidecars: replica
                .blob_sidecars
                .iter()
                .flatten()
                .cloned()
                .map(|ReplicaSidecar { blobs, commitments, proofs }| SidecarList {
                    blobs,
                    commitments,
                    proofs,
                })
                .collect(),
        }
    }
}

impl HeaderList {
    pub(super) fn of(header: &alloy_consensus::Header) -> Self {
        Self {
            parent_hash: header.parent_hash,
            ommers_hash: header.ommers_hash,
            beneficiary: header.beneficiary,
            state_root: header.state_root,
            transactions_root: header.transactions_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            difficulty: header.difficulty,
            number: header.number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.clone(),
            mix_hash: header.mix_hash,
            nonce: header.nonce,
            base_fee_per_gas: header.base_fee_per_gas,
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            parent_beacon_block_root: header.parent_beacon_block_root,
            requests_hash: header.requests_hash,
        }
    }
}

impl TransactionList {
    fn of(tx: &ReplicaTransaction, profile: Profile) -> Self {
        let address = |address: Option<Address>| {
            address.map_or_else(Bytes::new, |address| Bytes::copy_from_slice(address.as_slice()))
        };
        let complete = profile == Profile::Complete;
        let authorization_list = tx.authorization_list.as_ref().filter(|_| complete).map(|list| {
            list.iter()
                .map(|authorization| AuthorizationList {
                    chain_id: authorization.chain_id,
                    address: authorization.address,
                    nonce: authorization.nonce,
                    y_parity: authorization.y_parity,
                    r: authorization.r,
                    s: authorization.s,
                })
                .collect()
        });
        let data = tx.data.clone().filter(|_| complete).map(|data| data.into_bytes().into());
        Self {
            tx_type: tx.tx_type,
            access_list: tx.access_list.clone(),
            chain_id: tx.chain_id,
            nonce: tx.nonce,
            gas_price: tx.gas_price,
            gas: tx.gas,
            gas_tip_cap: tx.gas_tip_cap,
            gas_fee_cap: tx.gas_fee_cap,
            from: address(tx.from),
            to: address(tx.to),
            value: tx.value,
            input: tx.input.clone(),
            v: tx.v.unwrap_or_default(),
            r: tx.r.unwrap_or_default(),
            s: tx.s.unwrap_or_default(),
            blob_fee_cap: tx.blob_fee_cap.unwrap_or_default(),
            blob_hashes: tx
                .blob_hashes
                .clone()
                .or_else(|| (data.is_some() || authorization_list.is_some()).then(Vec::new)),
            blob_gas: tx.blob_gas.filter(|gas| *gas != 0),
            data,
            authorization_list,
        }
    }
}

impl ReceiptList {
    fn of(receipt: &crate::ReplicaReceipt) -> Self {
        let log = |log: &crate::ReplicaLog| LogList {
            address: log.address,
            topics: log.topics.clone(),
            data: log.data.clone(),
            block_number: log.block_number,
            tx_hash: log.tx_hash,
            tx_index: log.tx_index,
            block_hash: log.block_hash,
            log_index: log.log_index,
            removed: log.removed,
        };
        Self {
            post_state_or_status: receipt.post_state_or_status.clone(),
            cumulative_gas_used: receipt.cumulative_gas_used,
            tx_hash: receipt.tx_hash,
            contract_address: receipt.contract_address,
            logs: receipt.logs.iter().map(log).collect(),
            gas_used: receipt.gas_used,
        }
    }
}

impl StateList {
    fn of(state: &crate::StateSpecimen) -> Self {
        let account = |read: &crate::AccountRead| AccountList {
            address: read.address,
            nonce: read.nonce,
            balance: read.balance,
            code_hash: read.code_hash,
        };
        let storage = |read: &crate::StorageRead| StorageList {
            account: read.account,
            slot_key: read.slot_key,
            value: read.value,
        };
        let code = |read: &crate::CodeRead| CodeList { hash: read.hash, code: read.code.clone() };
        let blockhash = |read: &crate::BlockhashRead| BlockhashList {
            block_number: read.block_number,
            block_hash: read.block_hash,
        };
        Self {
            account_read: state.account_read.iter().map(account).collect(),
            storage_read: state.storage_read.iter().map(storage).collect(),
            code_read: state.code_read.iter().map(code).collect(),
            blockhash_read: state.blockhash_read.iter().map(blockhash).collect(),
        }
    }
}

pub(super) fn encode_header(header: &alloy_consensus::Header) -> Vec<u8> {
    let mut out = Vec::new();
    HeaderList::of(header).encode(&mut out);
    out
}
