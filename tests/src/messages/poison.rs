//! Entries that no agent may prove, and none may choke on.

use super::{Message, variant};
use crate::audit::fed::Expect;
use alloy_primitives::{B256, U256};
use bsp_codec::{Profile, Replica, rlp, snappy};

/// A bad entry, with a name for what is wrong with it.
#[derive(Debug, Clone)]
pub struct Poison {
    /// What is wrong.
    pub name: &'static str,
    /// The entry.
    pub message: Message,
}

/// One of each kind, made from variants of a good replica that has transactions, senders and
/// account reads. Entries of one hash might pass for duplicates of each other, so each kind that
/// decodes has a hash of its own.
///
/// # Errors
///
/// Where the replica can't be encoded in the first place.
pub fn all(good: &Replica) -> eyre::Result<Vec<Poison>> {
    let mut all = bad_fields(good)?;
    all.extend(bad_bytes(good)?);
    all.extend(contradictions(good)?);
    all.push(lies_about_state(&variant(good, 100))?);
    Ok(all)
}

/// What only a re-execution finds out.
///
/// # Errors
///
/// Where the replica can't be encoded.
pub fn lies_about_state(good: &Replica) -> eyre::Result<Poison> {
    let liar = changed(good, |replica| {
        for account in &mut replica.state.account_read {
            account.balance = U256::ZERO;
        }
    });
    Ok(Poison { name: "accounts without balance", message: poison(&liar)? })
}

fn bad_fields(good: &Replica) -> eyre::Result<Vec<Poison>> {
    let message = poison(&variant(good, 101))?;
    let other_hash = B256::repeat_byte(0xab).to_string().into_bytes();
    let of = |name, hash: Option<Vec<u8>>, data: Option<Vec<u8>>| Poison {
        name,
        message: Message { hash, data, supplement: None, expect: Expect::Poison },
    };
    let (hash, data) = (message.hash, message.data);
    Ok(vec![
        of("neither hash nor data", None, None),
        of("no data", hash.clone(), None),
        of("empty data", hash, Some(Vec::new())),
        of("another hash", Some(other_hash), data.clone()),
        of("an invalid hash", Some(b"0x12".to_vec()), data.clone()),
        of("a hash that is no text", Some(vec![0xff; 66]), data),
    ])
}

fn bad_bytes(good: &Replica) -> eyre::Result<Vec<Poison>> {
    let good = &variant(good, 102);
    let message = poison(good)?;
    let hash = message.hash;
    let of = |name, data: Vec<u8>| Poison {
        name,
        message: Message {
            hash: hash.clone(),
            data: Some(data),
            supplement: None,
            expect: Expect::Poison,
        },
    };
    let data = message.data.unwrap_or_default();
    let rlp = rlp::encode_replica(good, Profile::Network)?;
    let packed = |bytes: &[u8]| snappy::compress(bytes);
    let mut type_confused = rlp.clone();
    // The type's string header, behind the list's header of four bytes, becomes that of a list.
    if let Some(byte) = type_confused.iter_mut().skip(1).find(|byte| **byte == 0x8d) {
        *byte = 0xcd;
    }
    Ok(vec![
        of(
            "snappy of nothing that exists",
            (0..200).map(|at: u8| at.wrapping_mul(37) | 0x80).collect(),
        ),
        of("snappy cut off", data[..data.len() / 2].to_vec()),
        of("snappy that announces 4 GiB", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61]),
        of("RLP of noise", packed(&[0x5a; 3000])?),
        of("RLP cut off", packed(&rlp[..rlp.len() - 1])?),
        of("RLP with more behind", packed(&[&rlp[..], b"\x01"].concat())?),
        of("RLP with a list for a text", packed(&type_confused)?),
        of("RLP of an empty list", packed(&[0xc0])?),
        of("RLP nested without end", packed(&nested(20_000))?),
    ])
}

fn contradictions(good: &Replica) -> eyre::Result<Vec<Poison>> {
    let mut number = 102;
    let mut of = |name, change: fn(&mut Replica)| -> eyre::Result<Poison> {
        number += 1;
        Ok(Poison { name, message: poison(&changed(&variant(good, number), change))? })
    };
    Ok(vec![
        of("a header of another block", |replica| replica.header.timestamp += 1)?,
        of("another transactions root", |replica| {
            replica.header.transactions_root = B256::repeat_byte(1);
            replica.hash = replica.header.hash_slow();
        })?,
        of("a gas limit that AVRO has no room for", |replica| {
            replica.header.gas_limit = 1 << 40;
            replica.hash = replica.header.hash_slow();
        })?,
        of("another sender", |replica| {
            for sender in &mut replica.senders {
                sender.0[0] ^= 1;
            }
        })?,
    ])
}

fn changed(good: &Replica, change: impl FnOnce(&mut Replica)) -> Replica {
    let mut replica = good.clone();
    change(&mut replica);
    replica
}

/// The entry of a replica, to be refused.
fn poison(replica: &Replica) -> eyre::Result<Message> {
    Ok(Message { expect: Expect::Poison, ..Message::of(replica)? })
}

/// Lists in lists.
fn nested(depth: usize) -> Vec<u8> {
    let mut inside_out = Vec::new();
    let mut length = 0usize;
    for _ in 0..depth {
        let header = if length < 56 {
            vec![0xc0 + length as u8]
        } else {
            let digits: Vec<u8> =
                length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            [&[0xf7 + digits.len() as u8][..], &digits].concat()
        };
        length += header.len();
        inside_out.push(header);
    }
    inside_out.into_iter().rev().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::dev::DevBlocks;

    /// Whether the payload decodes to a replica that has the entry's hash and its own header's.
    fn looks_good(message: &Message) -> bool {
        let Some(data) = &message.data else { return false };
        let Ok(bytes) = snappy::decompress(data, 1 << 24) else { return false };
        let Ok(replica) = rlp::decode_replica(&bytes) else { return false };
        message.hash.as_deref() == Some(replica.hash.to_string().as_bytes())
            && replica.header.hash_slow() == replica.hash
    }

    #[test]
    fn only_what_a_deeper_look_must_find_decodes_without_contradiction() {
        let good = DevBlocks::new(5).unwrap().next_executable().unwrap();
        assert!(looks_good(&Message::of(&good).unwrap()));
        let all = all(&good).unwrap();
        let subtle: Vec<_> =
            all.iter().filter(|it| looks_good(&it.message)).map(|it| it.name).collect();
        assert_eq!(
            subtle,
            [
                "another transactions root",
                "a gas limit that AVRO has no room for",
                "another sender",
                "accounts without balance"
            ]
        );
    }
}
