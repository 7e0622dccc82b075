//! Blocks of any codec: their links are told or refused, and are no more than fit the block.
#![no_main]

use bsp_pinner::{
    Cid,
    dag::{DAG_CBOR, DAG_PB, SHA2_256, is_supported, links},
};
use cid::multihash::Multihash;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|block: &[u8]| {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(block)).expect("32 bytes fit");
    for codec in [DAG_PB, DAG_CBOR] {
        let Ok(links) = links(&Cid::new_v1(codec, hash), block) else { continue };
        assert!(links.len() <= block.len() / 34);
        assert!(links.iter().all(is_supported));
    }
});
