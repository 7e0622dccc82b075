//! Blobs that need no trusted setup: a blob of zeros is the zero polynomial, whose commitment and
//! whose proofs are all the point at infinity.

use alloy_eips::{
    eip4844::{Blob, Bytes48},
    eip7594::{BlobTransactionSidecarEip7594, CELLS_PER_EXT_BLOB},
};
use alloy_primitives::B256;

/// The compressed form of the point at infinity (BLS12-381, G1).
const INFINITY: Bytes48 = {
    let mut bytes = [0; 48];
    bytes[0] = 0xc0;
    Bytes48::new(bytes)
};

/// A sidecar of this many blobs with their cell proofs (EIP-7594).
pub(super) fn sidecar(count: usize) -> BlobTransactionSidecarEip7594 {
    BlobTransactionSidecarEip7594 {
        blobs: vec![Blob::ZERO; count],
        commitments: vec![INFINITY; count],
        cell_proofs: vec![INFINITY; count * CELLS_PER_EXT_BLOB],
    }
}

/// The versioned hashes of a sidecar.
pub(super) fn versioned_hashes(sidecar: &BlobTransactionSidecarEip7594) -> Vec<B256> {
    sidecar.versioned_hashes().collect()
}
