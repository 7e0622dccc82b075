//! Replicas whose header has fields that this version does not know.

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{Decodable, Header};
use std::fmt;

/// The fields of a header up to `requestsHash`, which Prague added.
const KNOWN_FIELDS: usize = 21;
/// No header has as many fields.
const MOST_FIELDS: usize = 64;

/// A header of a fork after those that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFork {
    /// The network's chain id.
    pub network: u64,
    /// The block's number.
    pub number: u64,
    /// How many fields the header has.
    pub fields: usize,
}

impl fmt::Display for UnknownFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, number, fields } = self;
        // Amsterdam is the next fork that is planned, with blockAccessListHash and slotNumber.
        let fork = if *fields == KNOWN_FIELDS + 2 {
            "probably Amsterdam"
        } else {
            "which is not known here"
        };
        write!(
            f,
            "the header of block {number} of network {network} has {fields} fields, {} more than this version knows: it \
             is of a newer fork, {fork}; upgrade bsp-agent",
            fields - KNOWN_FIELDS
        )
    }
}

/// Such a header, and the hash that it has.
#[derive(Debug)]
pub(super) struct NewerHeader {
    pub(super) fork: UnknownFork,
    pub(super) hash: B256,
}

/// The header of a replica, if it has fields that this version does not know, and the hash that the
/// replica says it has. Whatever else may be new in the replica is ignored.
pub(super) fn header_of(rlp: &[u8]) -> Option<NewerHeader> {
    let mut replica = Header::decode_bytes(&mut { rlp }, true).ok()?;
    let _kind = Header::decode_bytes(&mut replica, false).ok()?;
    let network = u64::decode(&mut replica).ok()?;
    let claimed = B256::decode(&mut replica).ok()?;
    let _total_difficulty = Header::decode_bytes(&mut replica, false).ok()?;
    let begin = replica;
    let mut fields = Header::decode_bytes(&mut replica, true).ok()?;
    let hash = keccak256(begin.get(..begin.len() - replica.len())?);
    if hash != claimed {
        return None;
    }
    let (mut count, mut number) = (0, None);
    while !fields.is_empty() && count < MOST_FIELDS {
        let item = fields;
        let header = Header::decode(&mut fields).ok()?;
        if count == 8 {
            number = u64::decode(&mut { item }).ok();
        }
        fields = fields.get(header.payload_length..)?;
        count += 1;
    }
    let newer = fields.is_empty() && count > KNOWN_FIELDS;
    let fork = UnknownFork { network, number: number?, fields: count };
    newer.then_some(NewerHeader { fork, hash })
}
