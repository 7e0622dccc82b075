//! The pieces of an archive.

use super::Header;
use bsp_codec::dag::Cid;
use std::io;

/// The header with these roots.
pub(in super::super) fn header(roots: Vec<Cid>) -> io::Result<Vec<u8>> {
    let header =
        serde_ipld_dagcbor::to_vec(&Header { roots, version: 1 }).map_err(io::Error::other)?;
    let mut out = Vec::with_capacity(header.len() + 4);
    put_len(header.len(), &mut out);
    out.extend_from_slice(&header);
    Ok(out)
}

/// Appends the section of a block.
pub(in super::super) fn section(cid: &Cid, block: &[u8], out: &mut Vec<u8>) {
    let cid = cid.to_bytes();
    put_len(cid.len() + block.len(), out);
    out.extend_from_slice(&cid);
    out.extend_from_slice(block);
}

pub(super) fn put_len(len: usize, out: &mut Vec<u8>) {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    out.extend_from_slice(unsigned_varint::encode::u64(len as u64, &mut buffer));
}
