//! The content identifiers of a file's blocks: CIDv1, SHA-256, codec raw or dag-pb.

use alloy_primitives::B256;
use multihash::Multihash;

/// A content identifier. Those made here print as base32 text: `bafkrei…` for a raw leaf,
/// `bafybei…` for a node.
pub type Cid = cid::Cid;

/// Multicodec of a leaf, the bytes themselves.
pub(crate) const RAW: u64 = 0x55;

/// Multicodec of an interior node.
pub(crate) const DAG_PB: u64 = 0x70;

/// Multihash code of SHA-256, followed by its length.
const SHA2_256: u64 = 0x12;
const DIGEST_LEN: usize = 32;

/// Length of the binary form: version, codec, hash code and hash length take one byte each.
pub(crate) const CID_LEN: usize = 4 + DIGEST_LEN;

/// A binary CID that no block of a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the CID of a file's block: [01 55 (raw)] or [01 70 (dag-pb)] or, in version 0, nothing; then 12 20 (SHA-256) and 32 bytes"
)]
pub struct InvalidCid;

/// The CID of a block whose SHA-256 is known.
pub(crate) fn of_digest(codec: u64, digest: B256) -> Cid {
    let hash = Multihash::wrap(SHA2_256, digest.as_slice())
        .expect("a multihash of 64 bytes holds the 32 of any digest");
    Cid::new_v1(codec, hash)
}

/// The CID of a leaf with these bytes.
pub(crate) fn of_leaf(bytes: &[u8]) -> Cid {
    of_digest(RAW, crate::digest::sha256(bytes))
}

/// The CID of an interior node with these bytes.
pub(crate) fn of_node(block: &[u8]) -> Cid {
    of_digest(DAG_PB, crate::digest::sha256(block))
}

/// Reads a binary CID, which must fill `bytes`. Version 0, always dag-pb, is what others still
/// write.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Cid, InvalidCid> {
    match bytes {
        [0x01, codec @ (0x55 | 0x70), 0x12, 0x20, digest @ ..] if digest.len() == DIGEST_LEN => {
            Ok(of_digest(u64::from(*codec), B256::from_slice(digest)))
        }
        [0x12, 0x20, digest @ ..] if digest.len() == DIGEST_LEN => {
            Cid::try_from(bytes).map_err(|_| InvalidCid)
        }
        _ => Err(InvalidCid),
    }
}

/// Whether a block of a file can have this identifier, that is, whether [`from_bytes`] could return
/// it.
pub(crate) fn is_supported(cid: &Cid) -> bool {
    matches!(cid.codec(), RAW | DAG_PB) && is_sha256(cid)
}

/// Whether an identifier of any codec is one of SHA-256.
pub(crate) fn is_sha256(cid: &Cid) -> bool {
    cid.hash().code() == SHA2_256 && cid.hash().digest().len() == DIGEST_LEN
}

/// Whether `block` is the one that `cid` names, whatever its codec; false for another hash.
pub(crate) fn hashes_to(cid: &Cid, block: &[u8]) -> bool {
    is_sha256(cid) && cid.hash().digest() == crate::digest::sha256(block).as_slice()
}

/// Whether `block` is the one that `cid` names; false where `cid` is not supported.
pub(crate) fn names(cid: &Cid, block: &[u8]) -> bool {
    is_supported(cid) && hashes_to(cid, block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_form_round_trips() {
        for cid in [of_leaf(b"leaf"), of_node(b"node")] {
            assert_eq!(cid.to_bytes().len(), CID_LEN);
            assert_eq!(from_bytes(&cid.to_bytes()), Ok(cid));
        }
        let old = Cid::new_v0(*of_node(b"node").hash()).unwrap();
        assert_eq!(from_bytes(&old.to_bytes()), Ok(old));
        assert!(names(&old, b"node"));
    }

    #[test]
    fn other_identifiers_are_refused() {
        let good = of_leaf(b"leaf").to_bytes();
        for (position, byte) in [(0, 0), (1, 0x71), (2, 0x13), (3, 0x1f)] {
            let mut bad = good.clone();
            bad[position] = byte;
            assert_eq!(from_bytes(&bad), Err(InvalidCid), "byte {position}");
        }
        assert_eq!(from_bytes(&good[..35]), Err(InvalidCid));
        assert_eq!(from_bytes(&[&good[..], &[0]].concat()), Err(InvalidCid));
    }

    #[test]
    fn names_only_its_own_block() {
        assert!(names(&of_leaf(b"leaf"), b"leaf"));
        assert!(!names(&of_leaf(b"leaf"), b"lead"));
        let identity = Cid::new_v1(RAW, Multihash::wrap(0x00, b"leaf").unwrap());
        assert!(!names(&identity, b"leaf"));
    }
}
