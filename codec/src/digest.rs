//! The two digests of a segment: the specimen hash that the network votes on, and plain SHA-256.

use alloy_primitives::B256;
use base64_simd::{AsOut, STANDARD};
use sha2::{Digest, Sha256};

/// Bytes that are encoded at a time. A multiple of 3, so that only the last block is padded, and
/// small enough that the block and its base64 text stay in the first-level cache between the two
/// steps.
const BLOCK_LEN: usize = 6 * 1024;

/// Length of a full block's base64 text.
const BLOCK_TEXT_LEN: usize = BLOCK_LEN / 3 * 4;

/// The specimen hash of an AVRO segment, the number that a proof carries and a quorum is reached
/// on.
///
/// bsp-agent v1.9.2 marshals the file to JSON before it hashes, so this is **not** the SHA-256 of
/// the file but that of one `"`, the file as standard base64 with padding, and one `"`. The text is
/// never held as a whole: it is made and hashed block by block on the stack.
///
/// ```
/// use bsp_codec::digest::specimen_hash;
///
/// // sha256 of the six characters "AQID", quotes included
/// assert_eq!(
///     specimen_hash(&[1, 2, 3]).to_string(),
///     "0x8de9050d44f90d89f0302741ff8448086c8e623b7f3ecee9e1c9780af549abdd",
/// );
/// ```
pub fn specimen_hash(avro: &[u8]) -> B256 {
    let mut text = [0u8; BLOCK_TEXT_LEN];
    let mut hasher = Sha256::new();
    hasher.update(b"\"");
    for block in avro.chunks(BLOCK_LEN) {
        hasher.update(STANDARD.encode(block, text.as_mut_slice().as_out()));
    }
    hasher.update(b"\"");
    B256::new(hasher.finalize().into())
}

/// Plain SHA-256, which the network uses for block *results*.
pub fn sha256(bytes: &[u8]) -> B256 {
    B256::new(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;
    use data_encoding::BASE64;
    use proptest::prelude::*;

    /// The rule written the plain way, with another base64 crate.
    fn specimen_hash_at_once(avro: &[u8]) -> B256 {
        sha256(format!("\"{}\"", BASE64.encode(avro)).as_bytes())
    }

    #[test]
    fn sha256_of_abc_is_the_vector_of_fips_180() {
        assert_eq!(
            sha256(b"abc"),
            b256!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }

    #[test]
    fn empty_file_is_two_quotes() {
        assert_eq!(
            specimen_hash(&[]),
            b256!("12ae32cb1ec02d01eda3581b127c1fee3b0dc53572ed6baf239721a03d82e126")
        );
    }

    #[test]
    fn lengths_around_a_block_match_the_plain_rule() {
        for len in [1, 2, 3, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 2 * BLOCK_LEN, 20_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            assert_eq!(specimen_hash(&bytes), specimen_hash_at_once(&bytes), "{len} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_match_the_plain_rule(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            prop_assert_eq!(specimen_hash(&bytes), specimen_hash_at_once(&bytes));
        }
    }
}
