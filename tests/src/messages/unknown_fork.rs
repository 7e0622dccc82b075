//! Blocks of a fork that no version of today knows: their headers have two fields more, as
//! Amsterdam's have.

use super::Message;
use crate::audit::fed::Expect;
use alloy_primitives::{B256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use bsp_codec::{Profile, Replica, rlp, snappy};
use eyre::OptionExt;

/// Position of the block's hash in a replica's list.
const HASH: usize = 2;
/// Position of the header.
const HEADER: usize = 4;

/// The entry of a block like this one, under the next fork's rules. It has to be held.
///
/// # Errors
///
/// Where the replica can't be encoded in the first place.
pub fn message(replica: &Replica) -> eyre::Result<Message> {
    let known = Message::of(replica)?;
    let mut items = items(&rlp::encode_replica(replica, Profile::Network)?)?;
    let header = items.get_mut(HEADER).ok_or_eyre("a replica without header")?;
    *header = with_new_fields(header)?;
    let hash = keccak256(&*header);
    *items.get_mut(HASH).ok_or_eyre("a replica without hash")? = encoded(&hash);
    Ok(Message {
        hash: Some(hash.to_string().into_bytes()),
        data: Some(snappy::compress(&list(&items.concat()))?),
        supplement: None,
        expect: match known.expect {
            Expect::Proved(mut block) => {
                block.hash = hash;
                Expect::Held(block)
            }
            other => other,
        },
    })
}

/// Appends a block access list's hash (EIP-7928) and a slot number (EIP-7843).
fn with_new_fields(header: &[u8]) -> eyre::Result<Vec<u8>> {
    let mut fields = items(header)?;
    fields.push(encoded(&B256::repeat_byte(0xba)));
    fields.push(encoded(&12_345_678u64));
    Ok(list(&fields.concat()))
}

/// The items of a list, each with its own head.
fn items(bytes: &[u8]) -> eyre::Result<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let mut rest = RlpHeader::decode_bytes(&mut rest, true)?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let before = rest;
        let head = RlpHeader::decode(&mut rest)?;
        rest = rest.get(head.payload_length..).ok_or_eyre("an item that is cut off")?;
        items.push(before[..before.len() - rest.len()].to_vec());
    }
    Ok(items)
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

fn encoded(item: &impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::dev::DevBlocks;
    use alloy_rlp::Decodable;

    #[test]
    fn only_the_header_is_new() {
        let replica = DevBlocks::new(5).unwrap().next_executable().unwrap();
        let message = message(&replica).unwrap();
        let rlp = snappy::decompress(message.data.as_deref().unwrap(), 1 << 24).unwrap();
        let known = items(&rlp::encode_replica(&replica, Profile::Network).unwrap()).unwrap();
        let new = items(&rlp).unwrap();
        let changed: Vec<_> = (0..known.len()).filter(|at| known[*at] != new[*at]).collect();
        assert_eq!((changed, new.len()), (vec![HASH, HEADER], known.len()));
        let (before, after) = (items(&known[HEADER]).unwrap(), items(&new[HEADER]).unwrap());
        assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 2));
        let hash = B256::decode(&mut &*new[HASH]).unwrap();
        assert_eq!(hash, keccak256(&new[HEADER]));
    }
}
