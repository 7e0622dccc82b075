//! Real mainnet blocks through every form and back to the blocks that their headers commit to.

use alloy_consensus::{Receipt, ReceiptEnvelope};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, Bytes, keccak256};
use bsp_codec::{
    Profile, Replica, ReplicaKind, Segment,
    avro::{decode_segment, encode_segment},
    chunk::{ChunkReader, encode_record},
    convert::{
        RebuiltTransaction, SignedTransaction, SourceBlock, export_block, rebuild_receipts,
        rebuild_transactions, recover_senders,
        roots::{ommers_hash, summarize_receipts, transactions_root, withdrawals_root},
    },
    dag::cid_of,
    digest::{sha256, specimen_hash},
    json::{read_segment_json, write_segment_json},
    limits::MAX_INPUT_BYTES,
    rlp::{decode_replica, decode_replica_bytes, encode_replica},
    snappy::{compress, decompress},
};
use test_data::{MainnetSegment, mainnet_rlp, mainnet_segments};

#[path = "../src/test_data.rs"]
mod test_data;

/// Each file of the manifest with the segment that it holds.
fn segments() -> impl Iterator<Item = (MainnetSegment, Segment)> {
    mainnet_segments().into_iter().map(|file| {
        let segment = decode_segment(&file.avro).expect("the network's segments are read");
        (file, segment)
    })
}

// ---- Files ----

#[test]
fn files_have_the_digests_of_the_manifest() {
    for (file, _) in segments() {
        assert_eq!(sha256(&file.avro), file.avro_sha256, "block {}", file.block);
        assert_eq!(specimen_hash(&file.avro), file.specimen_hash, "block {}", file.block);
        if let Some(cid) = &file.cid {
            assert_eq!(cid_of(&file.avro).to_string(), *cid, "block {}", file.block);
        }
    }
}

#[test]
fn avro_is_written_back_to_the_last_bit() {
    for (file, segment) in segments() {
        assert_eq!(segment, Segment::of(segment.replica.clone()), "block {}", file.block);
        assert_eq!(segment.start_block, file.block);
        let written = encode_segment(&segment, Profile::Network).unwrap();
        assert!(written == file.avro, "block {}", file.block);
    }
}

#[test]
fn json_reads_back_equal() {
    for (file, segment) in segments() {
        for pretty in [false, true] {
            let mut json = Vec::new();
            write_segment_json(&segment, &mut json, pretty).unwrap();
            assert!(read_segment_json(&json).unwrap() == segment, "block {}", file.block);
        }
    }
}

// ---- The way of a block from the producer to the file ----

#[test]
fn a_replica_passes_the_stream_and_becomes_the_file() {
    for (file, segment) in segments() {
        let rlp = encode_replica(&segment.replica, Profile::Network).unwrap();
        let entry = compress(&rlp).unwrap();
        let received = Bytes::from(decompress(&entry, MAX_INPUT_BYTES).unwrap());
        assert!(received == rlp, "block {}", file.block);

        let replica = decode_replica_bytes(&received).unwrap();
        assert!(decode_replica(&rlp).unwrap() == replica, "block {}", file.block);
        let avro = encode_segment(&Segment::of(replica), Profile::Network).unwrap();
        assert!(avro == file.avro, "block {}", file.block);
    }
}

#[test]
fn a_replica_passes_a_chunk_file() {
    let rlps: Vec<_> = segments()
        .map(|(_, segment)| {
            (segment.replica.hash, encode_replica(&segment.replica, Profile::Network).unwrap())
        })
        .collect();
    let chunk: Vec<u8> =
        rlps.iter().flat_map(|(hash, rlp)| encode_record(*hash, rlp).unwrap()).collect();
    let records: Vec<_> = ChunkReader::new(&chunk).map(|located| located.unwrap().record).collect();
    assert_eq!(records.len(), rlps.len());
    for (record, (hash, rlp)) in records.iter().zip(&rlps) {
        assert_eq!(record.hash, *hash);
        assert!(record.replica_rlp == rlp[..], "block {hash}");
    }
}

#[test]
fn the_streams_payload_is_read_and_written_identically() {
    let Some(rlp) = mainnet_rlp() else { return };
    let replica = decode_replica(&rlp).unwrap();
    assert_eq!(replica.profile(), Profile::Network);
    assert_eq!(replica.segment_name(), "1-22433670-replica");
    assert_eq!(replica.header.gas_used, 11_583_658);
    let of_type = |tx_type| replica.transactions.iter().filter(|tx| tx.tx_type == tx_type).count();
    assert_eq!([0, 1, 2, 3, 4].map(of_type), [12, 3, 116, 0, 1]);
    let state = &replica.state;
    assert_eq!(
        [state.account_read.len(), state.storage_read.len(), state.code_read.len()],
        [393, 1168, 223]
    );
    assert!(encode_replica(&replica, Profile::Network).unwrap() == rlp);

    let (_, segment) = segments().find(|(file, _)| file.block == 22_433_670).unwrap();
    assert!(replica == segment.replica);
}

// ---- What the header commits to ----

/// The transactions as signed, and `None` for those that were not exported whole.
fn signed(rebuilt: &[RebuiltTransaction]) -> Vec<Option<&SignedTransaction>> {
    rebuilt.iter().map(RebuiltTransaction::signed).collect()
}

#[test]
fn transactions_are_those_of_the_header_and_signed_by_their_senders() {
    for (file, segment) in segments() {
        let replica = &segment.replica;
        let rebuilt = rebuild_transactions(replica).unwrap();
        let missing: Vec<_> = rebuilt.iter().filter_map(RebuiltTransaction::missing).collect();
        let named: Vec<_> =
            Some(&*file.unreplayable).filter(|it| !it.is_empty()).into_iter().collect();
        assert_eq!(missing, named, "block {}", file.block);

        let (whole, senders): (Vec<SignedTransaction>, Vec<Address>) = signed(&rebuilt)
            .into_iter()
            .zip(&replica.senders)
            .filter_map(|(tx, sender)| Some((tx?.clone(), *sender)))
            .unzip();
        let recovered: Vec<_> = recover_senders(&whole).into_iter().map(Result::unwrap).collect();
        assert_eq!(recovered, senders, "block {}", file.block);
        if missing.is_empty() {
            let root = transactions_root(&whole);
            assert_eq!(root, replica.header.transactions_root, "block {}", file.block);
        }
    }
}

#[test]
fn everything_else_is_what_the_header_commits_to() {
    for (file, Segment { replica, .. }) in segments() {
        let header = &replica.header;
        assert_eq!(header.hash_slow(), replica.hash, "block {}", file.block);
        assert_eq!(ommers_hash(&replica.uncles), header.ommers_hash, "block {}", file.block);
        let receipts = summarize_receipts(&replica).unwrap();
        assert_eq!(receipts.root, header.receipts_root, "block {}", file.block);
        assert_eq!(receipts.bloom, header.logs_bloom, "block {}", file.block);
        if let Some(root) = header.withdrawals_root {
            let withdrawals = replica.withdrawals.as_deref().unwrap_or_default();
            assert_eq!(withdrawals_root(withdrawals), root, "block {}", file.block);
        }
        for code in &replica.state.code_read {
            assert_eq!(keccak256(&code.code), code.hash, "block {}", file.block);
        }
    }
}

// ---- Export ----

#[test]
fn the_block_exported_again_is_the_same_replica() {
    for (file, segment) in segments() {
        assert!(exported_again(&segment.replica) == segment.replica, "block {}", file.block);
    }
}

/// The replica of the block that `replica` is of.
fn exported_again(replica: &Replica) -> Replica {
    // What was not exported is not exported again: an empty list does.
    let transactions: Vec<SignedTransaction> = rebuild_transactions(replica)
        .unwrap()
        .into_iter()
        .map(|tx| tx.with_authorizations(Vec::new()))
        .collect();
    let receipts: Vec<Receipt> =
        rebuild_receipts(replica).unwrap().iter().map(|receipt| plain(receipt).clone()).collect();
    let withdrawals = replica.withdrawals.clone().map(Withdrawals::new);
    let block = SourceBlock {
        network_id: replica.network_id,
        header: &replica.header,
        transactions: &transactions,
        ommers: &replica.uncles,
        withdrawals: withdrawals.as_ref(),
        senders: &replica.senders,
        receipts: &receipts,
    };
    export_block(&block, replica.state.clone(), ReplicaKind::Replica, Profile::Network).unwrap()
}

fn plain(receipt: &ReceiptEnvelope) -> &Receipt {
    receipt.as_receipt().expect("an Ethereum receipt")
}
