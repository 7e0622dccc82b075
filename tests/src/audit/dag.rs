//! The CID of a file and the blocks behind it, from ipfs-pinner's rules: CIDv1, SHA2-256, raw
//! leaves of 262144 bytes, nodes of at most 174 links.

use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};

const LEAF_LENGTH: usize = 262_144;
const LINKS: usize = 174;
const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const SHA2_256: u64 = 0x12;

/// A block with its CID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A sub-tree, as its parent names it.
#[derive(Debug)]
struct Child {
    cid: Cid,
    /// Bytes of the file below it.
    file_length: u64,
    /// Bytes of all blocks of the sub-tree.
    tree_length: u64,
}

/// All blocks of a file, the root last.
///
/// # Errors
///
/// If a SHA2-256 digest is invalid, which can't happen.
pub fn blocks_of(file: &[u8]) -> eyre::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut level = Vec::new();
    let leaves: Vec<&[u8]> =
        if file.is_empty() { vec![file] } else { file.chunks(LEAF_LENGTH).collect() };
    for leaf in leaves {
        let cid = cid_of(RAW, leaf)?;
        let length = leaf.len() as u64;
        level.push(Child { cid, file_length: length, tree_length: length });
        blocks.push(Block { cid, bytes: leaf.to_vec() });
    }
    while level.len() > 1 {
        let mut parents = Vec::new();
        for children in level.chunks(LINKS) {
            let bytes = node(children);
            let cid = cid_of(DAG_PB, &bytes)?;
            parents.push(Child {
                cid,
                file_length: children.iter().map(|child| child.file_length).sum(),
                tree_length: bytes.len() as u64
                    + children.iter().map(|child| child.tree_length).sum::<u64>(),
            });
            blocks.push(Block { cid, bytes });
        }
        level = parents;
    }
    Ok(blocks)
}

/// The CID of a file.
///
/// # Errors
///
/// As [`blocks_of`].
pub fn file_cid(file: &[u8]) -> eyre::Result<Cid> {
    let blocks = blocks_of(file)?;
    blocks.last().map(|root| root.cid).ok_or_else(|| eyre::eyre!("a file has a root"))
}

fn cid_of(codec: u64, bytes: &[u8]) -> eyre::Result<Cid> {
    Ok(Cid::new_v1(codec, Multihash::wrap(SHA2_256, &Sha256::digest(bytes))?))
}

/// A dag-pb node: the links, and behind them the UnixFS file message.
fn node(children: &[Child]) -> Vec<u8> {
    let mut out = Vec::new();
    for child in children {
        let mut link = Vec::new();
        bytes_field(&mut link, 1, &child.cid.to_bytes());
        bytes_field(&mut link, 2, b"");
        number_field(&mut link, 3, child.tree_length);
        bytes_field(&mut out, 2, &link);
    }
    let mut file = Vec::new();
    number_field(&mut file, 1, 2);
    number_field(&mut file, 3, children.iter().map(|child| child.file_length).sum());
    for child in children {
        number_field(&mut file, 4, child.file_length);
    }
    bytes_field(&mut out, 1, &file);
    out
}

fn number_field(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_files_have_their_published_cids() {
        let hello2 = "bafkreiehfggmf4y7xjzrqhvcvhto6eg44ipnsxuyxwwjytqvatvbn5eg4q";
        assert_eq!(file_cid(b"hello2").unwrap().to_string(), hello2);
        let empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        assert_eq!(file_cid(b"").unwrap().to_string(), empty);
    }

    #[test]
    fn large_files_have_the_cid_that_the_codec_computes() {
        for length in [LEAF_LENGTH, LEAF_LENGTH + 1, 3 * LEAF_LENGTH, (LINKS + 1) * LEAF_LENGTH] {
            let file: Vec<u8> = (0..length).map(|at| (at * 7 / 3) as u8).collect();
            let expected = bsp_codec::dag::cid_of(&file).to_string();
            assert_eq!(file_cid(&file).unwrap().to_string(), expected, "{length} bytes");
        }
    }
}
