//! Blocks that a running bsp-geth v2.2.0 exported, made again from its genesis file and the engine
//! API's payloads alone, down to the compressed bytes of the stream entry.

use crate::support::shared_data;
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header,
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::{
    eip2718::Decodable2718,
    eip4895::{Withdrawal, Withdrawals},
    eip7685::Requests,
};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U64, U256};
use bsp_capture::{BlockParts, ChainSpec, ExecutionSpec, SignedTransaction, capture_with_changes};
use bsp_codec::{
    Profile, ReplicaKind,
    convert::{SourceBlock, export_block},
    rlp, snappy,
};
use bsp_devchain::WorldState;
use data_encoding::HEXLOWER;
use flate2::read::GzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
};

/// One line of the data: what bsp-geth was given, and what it put on its stream.
#[derive(Deserialize)]
struct Line {
    number: u64,
    hash: B256,
    payload: (Payload, Vec<B256>, B256, Vec<Bytes>),
    replica: String,
    snappy_sha256: String,
}

/// The first parameter of `engine_newPayloadV4`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    prev_randao: B256,
    block_number: U64,
    gas_limit: U64,
    gas_used: U64,
    timestamp: U64,
    extra_data: Bytes,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions: Vec<Bytes>,
    withdrawals: Vec<Withdrawal>,
    blob_gas_used: U64,
    excess_blob_gas: U64,
}

impl Line {
    /// The block, which has the hash that the payload names.
    fn block(&self) -> Block<SignedTransaction> {
        let (payload, _, beacon_root, requests) = &self.payload;
        let transactions: Vec<_> = payload.transactions.iter().map(decode).collect();
        let header = Header {
            parent_hash: payload.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: payload.fee_recipient,
            state_root: payload.state_root,
            transactions_root: calculate_transaction_root(&transactions),
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom,
            number: payload.block_number.to(),
            gas_limit: payload.gas_limit.to(),
            gas_used: payload.gas_used.to(),
            timestamp: payload.timestamp.to(),
            extra_data: payload.extra_data.clone(),
            mix_hash: payload.prev_randao,
            nonce: B64::ZERO,
            base_fee_per_gas: Some(payload.base_fee_per_gas.to()),
            withdrawals_root: Some(calculate_withdrawals_root(&payload.withdrawals)),
            blob_gas_used: Some(payload.blob_gas_used.to()),
            excess_blob_gas: Some(payload.excess_blob_gas.to()),
            parent_beacon_block_root: Some(*beacon_root),
            requests_hash: Some(Requests::new(requests.clone()).requests_hash()),
            ..Default::default()
        };
        let withdrawals = Some(Withdrawals::new(payload.withdrawals.clone()));
        let block = Block::new(header, BlockBody { transactions, ommers: vec![], withdrawals });
        assert_eq!(block.header.hash_slow(), payload.block_hash, "block {}", self.number);
        assert_eq!(payload.block_hash, self.hash);
        block
    }
}

fn decode(bytes: &Bytes) -> SignedTransaction {
    SignedTransaction::decode_2718(&mut bytes.as_ref()).expect("a transaction")
}

/// Executes a block on its parent's state, which becomes its own, and exports it. Gives the RLP.
fn export(spec: &ChainSpec, block: &Block<SignedTransaction>, state: &mut WorldState) -> Vec<u8> {
    let number = block.header.number;
    let body = &block.body;
    let recover = |tx: &SignedTransaction| tx.recover_signer().expect("a sender");
    let senders: Vec<_> = body.transactions.iter().map(recover).collect();
    let parts = BlockParts {
        header: &block.header,
        ommers: &[],
        withdrawals: body.withdrawals.as_ref().map(|list| list.as_slice()),
    };
    let transactions = body.transactions.iter().cloned().zip(&senders);
    let transactions = transactions.map(|(tx, sender)| Recovered::new_unchecked(tx, *sender));
    let (captured, changes) =
        capture_with_changes(spec, parts, transactions, &*state).expect("a capture");
    captured.check(&block.header).unwrap_or_else(|error| panic!("block {number}: {error}"));
    state.apply(&changes);
    state.add_block_hash(number, block.header.hash_slow());
    assert_eq!(state.state_root(), block.header.state_root, "block {number}");
    let source = SourceBlock {
        network_id: spec.chain_id(),
        header: &block.header,
        transactions: &body.transactions,
        ommers: &[],
        withdrawals: body.withdrawals.as_ref(),
        senders: &senders,
        receipts: &captured.receipts,
    };
    let lists = captured.reads.lists;
    let replica =
        export_block(&source, lists, ReplicaKind::Replica, Profile::Network).expect("a replica");
    rlp::encode_replica(&replica, Profile::Network).expect("its RLP")
}

fn read_genesis(folder: &Path) -> Genesis {
    let text = fs::read(folder.join("genesis.json")).expect("a genesis file");
    serde_json::from_slice(&text).expect("a valid genesis file")
}

fn lines(folder: &Path) -> impl Iterator<Item = Line> {
    let file = File::open(folder.join("blocks.jsonl.gz")).expect("the blocks");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("a valid line"))
}

#[test]
fn every_stream_entry_of_bsp_geth_is_made_again() {
    let Some(folder) = shared_data::folder("bsp-geth") else { return };
    let genesis = read_genesis(&folder);
    let spec = ChainSpec::from_genesis(&genesis);
    let mut state = WorldState::from_alloc(&genesis.alloc);
    let (mut same, mut parent) = (0, None);
    for line in lines(&folder) {
        let block = line.block();
        let parent_hash = block.header.parent_hash;
        match parent.replace(line.hash) {
            Some(parent) => assert_eq!(parent, parent_hash, "block {}", line.number),
            None => state.add_block_hash(0, parent_hash),
        }
        let replica = export(&spec, &block, &mut state);
        assert!(HEXLOWER.encode(&replica) == line.replica, "RLP of block {}", line.number);
        let compressed = snappy::compress(&replica).expect("compressed bytes");
        let digest = HEXLOWER.encode(&Sha256::digest(&compressed));
        assert_eq!(digest, line.snappy_sha256, "stream entry of block {}", line.number);
        same += 1;
    }
    assert_eq!(same, 300);
}
