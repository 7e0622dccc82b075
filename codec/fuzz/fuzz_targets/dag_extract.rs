//! Trees from anywhere: extraction ends, keeps to its limits, and counts what it writes.
//!
//! The input is a list of blocks, each with one byte of length in front; the last one is the root.
//! Nobody guesses a hash, so in a block the byte `fe` and a byte after it stand for the identifier
//! of an earlier block: its number in the low seven bits, dag-pb rather than raw if the high one is
//! set.
#![no_main]

use bsp_codec::dag::{Cid, ExtractLimits, cid_of, extract_file};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;

fuzz_target!(|input: &[u8]| {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut rest = input;
    while let Some((&len, tail)) = rest.split_first() {
        let (block, tail) = tail.split_at(tail.len().min(usize::from(len)));
        let block = with_identifiers(block, &blocks);
        blocks.push(block);
        rest = tail;
    }
    let Some(root) = blocks.last().map(|block| identifier(DAG_PB, block)) else { return };
    let by_cid: HashMap<Cid, &Vec<u8>> = blocks
        .iter()
        .flat_map(|block| [RAW, DAG_PB].map(|codec| (identifier(codec, block), block)))
        .collect();
    let limits = ExtractLimits { max_file_len: 4096, max_node_bytes: 65_536, max_depth: 6 };
    let mut out = Vec::new();
    if let Ok(len) = extract_file(&root, |cid| Ok(by_cid.get(cid)), &limits, &mut out) {
        assert_eq!(len, out.len() as u64);
    }
    assert!(out.len() as u64 <= limits.max_file_len);
});

/// A block with its placeholders filled in.
fn with_identifiers(block: &[u8], earlier: &[Vec<u8>]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut bytes = block.iter();
    while let Some(&byte) = bytes.next() {
        let named = (byte == 0xfe).then(|| bytes.next()).flatten();
        let target = named.and_then(|n| Some((n, earlier.get(usize::from(n & 0x7f))?)));
        match target {
            Some((n, target)) => {
                let codec = if n & 0x80 == 0 { RAW } else { DAG_PB };
                filled.extend(identifier(codec, target).to_bytes());
            }
            None => filled.push(byte),
        }
    }
    filled
}

/// The identifier of a short block under either codec.
fn identifier(codec: u64, block: &[u8]) -> Cid {
    Cid::new_v1(codec, *cid_of(block).hash())
}
