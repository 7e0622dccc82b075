//! Records as the journal's file holds them: eight bytes of a SHA-256, then JSON.
//!
//! JSON, because an operator may have to read it one day. The digest, because a damaged record that
//! still parses could let a proof be sent twice.

use super::{BlockKey, BlockRecord};
use alloy_primitives::B256;
use bsp_codec::{ReplicaKind, digest};

const CHECK_LEN: usize = 8;

/// What a record is stored under: the block's hash, and one byte for the kind.
pub(super) fn encode_key(key: &BlockKey) -> [u8; 33] {
    let mut bytes = [0; 33];
    bytes[..32].copy_from_slice(key.hash.as_slice());
    bytes[32] = match key.kind {
        ReplicaKind::Replica => 0,
        ReplicaKind::Specimen => 1,
        ReplicaKind::Result => 2,
    };
    bytes
}

/// The first and the last key of a block's kinds.
pub(super) fn key_range(hash: B256) -> ([u8; 33], [u8; 33]) {
    let key = |kind| encode_key(&BlockKey { hash, kind });
    (key(ReplicaKind::Replica), key(ReplicaKind::Result))
}

pub(super) fn encode_record(record: &BlockRecord) -> Vec<u8> {
    // Records have neither maps with odd keys nor floats: they can be written.
    let json = serde_json::to_vec(record).unwrap_or_default();
    let mut bytes = check(&json).to_vec();
    bytes.extend_from_slice(&json);
    bytes
}

pub(super) fn decode_record(bytes: &[u8]) -> Result<BlockRecord, String> {
    let (stored, json) =
        bytes.split_at_checked(CHECK_LEN).ok_or("a record is shorter than its digest")?;
    if stored != check(json) {
        return Err("a record does not have its digest".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("a record is not as expected: {error}"))
}

fn check(json: &[u8]) -> [u8; CHECK_LEN] {
    let digest = digest::sha256(json);
    std::array::from_fn(|at| digest[at])
}
