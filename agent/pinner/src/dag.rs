//! What a block says of other blocks, and whether it is the one that a CID names.

use bsp_codec::dag::{Cid, node_links};
use ipld_core::serde::ExtractLinks;
use sha2::{Digest, Sha256};

/// Multicodec of bytes that link to nothing.
pub const RAW: u64 = 0x55;

/// Multicodec of the nodes of UnixFS.
pub const DAG_PB: u64 = 0x70;

/// Multicodec of CBOR with links.
pub const DAG_CBOR: u64 = 0x71;

/// Multihash code of SHA-256.
pub const SHA2_256: u64 = 0x12;

/// Why the links of a block can't be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinksError {
    /// A CID of another hash than SHA-256, or of a codec that is neither raw, dag-pb nor dag-cbor.
    #[error("{0} is not supported: SHA-256 with raw, dag-pb or dag-cbor is")]
    UnsupportedCid(Box<Cid>),
    /// The block is not of the codec that its CID names.
    #[error("block {cid}: {reason}")]
    Malformed {
        /// The block.
        cid: Box<Cid>,
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether a store can keep what this names: SHA-256 with one of the three codecs.
pub fn is_supported(cid: &Cid) -> bool {
    cid.hash().code() == SHA2_256
        && cid.hash().digest().len() == 32
        && matches!(cid.codec(), RAW | DAG_PB | DAG_CBOR)
}

/// Whether `block` is what `cid` names; false where `cid` is not supported.
pub fn names(cid: &Cid, block: &[u8]) -> bool {
    is_supported(cid) && cid.hash().digest() == Sha256::digest(block).as_slice()
}

/// The links of a block in their order, as often as they occur. A block of `n` bytes has less than
/// `n / 34` of them.
///
/// # Errors
///
/// [`LinksError`], also for a link to what is not supported.
pub fn links(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>, LinksError> {
    let malformed = |reason: String| LinksError::Malformed { cid: Box::new(*cid), reason };
    let links = match cid.codec() {
        _ if !is_supported(cid) => return Err(LinksError::UnsupportedCid(Box::new(*cid))),
        RAW => Vec::new(),
        DAG_PB => node_links(block).map_err(|error| malformed(error.to_string()))?,
        _ => serde_ipld_dagcbor::from_slice::<ExtractLinks<64>>(block)
            .map_err(|error| malformed(error.to_string()))?
            .into_vec(),
    };
    match links.iter().find(|link| !is_supported(link)) {
        Some(link) => Err(LinksError::UnsupportedCid(Box::new(*link))),
        None => Ok(links),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::dag::Dag;
    use cid::multihash::Multihash;
    use proptest::prelude::*;

    fn cid_with(codec: u64, block: &[u8]) -> Cid {
        Cid::new_v1(codec, Multihash::wrap(SHA2_256, &Sha256::digest(block)).unwrap())
    }

    #[test]
    fn a_files_nodes_link_to_their_children() {
        let content = vec![7; 262_144 * 2 + 5];
        let dag = Dag::build(&content);
        let blocks: Vec<_> = dag.blocks().collect();
        let below: Vec<_> = blocks[1..].iter().map(|(cid, _)| *cid).collect();
        assert_eq!(links(&blocks[0].0, blocks[0].1).unwrap(), below);
        assert_eq!(links(&blocks[1].0, blocks[1].1).unwrap(), []);
    }

    #[test]
    fn cbor_links_at_every_depth() {
        let leaf = cid_with(RAW, b"leaf");
        let block =
            serde_ipld_dagcbor::to_vec(&(1, vec![leaf], ("text", vec![vec![leaf]]))).unwrap();
        assert_eq!(links(&cid_with(DAG_CBOR, &block), &block).unwrap(), [leaf, leaf]);
    }

    #[test]
    fn deep_cbor_is_refused() {
        let mut block = vec![0x81; 100_000];
        block.push(0x00);
        let error = links(&cid_with(DAG_CBOR, &block), &block).unwrap_err();
        assert!(matches!(error, LinksError::Malformed { .. }), "{error}");
    }

    #[test]
    fn other_hashes_and_codecs_are_refused() {
        let identity = Cid::new_v1(RAW, Multihash::wrap(0, b"leaf").unwrap());
        let dag_json = cid_with(0x0129, b"{}");
        for cid in [identity, dag_json] {
            assert!(!is_supported(&cid) && !names(&cid, b"leaf") && !names(&cid, b"{}"));
            assert!(matches!(links(&cid, b"leaf"), Err(LinksError::UnsupportedCid(_))));
        }
        let block = serde_ipld_dagcbor::to_vec(&vec![identity]).unwrap();
        let linked = links(&cid_with(DAG_CBOR, &block), &block);
        assert!(matches!(linked, Err(LinksError::UnsupportedCid(cid)) if *cid == identity));
    }

    #[test]
    fn names_only_its_own_block() {
        let cid = cid_with(RAW, b"leaf");
        assert!(names(&cid, b"leaf") && !names(&cid, b"lead"));
        assert!(names(&Cid::new_v0(*cid.hash()).unwrap(), b"leaf"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_links_or_an_error(block: Vec<u8>, codec in prop::sample::select(vec![DAG_PB, DAG_CBOR])) {
            if let Ok(found) = links(&cid_with(codec, &block), &block) {
                prop_assert!(found.len() <= block.len() / 34);
            }
        }
    }
}
