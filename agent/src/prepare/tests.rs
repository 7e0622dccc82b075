use super::*;
use crate::source::{EntryId, Payload};
use bsp_tests::messages::{Message, dev::DevBlocks, poison};
use proptest::prelude::*;
use std::sync::OnceLock;

const LIMITS: MessageLimits =
    MessageLimits { max_message_bytes: 1 << 20, max_decoded_bytes: 1 << 22 };

fn delivery(message: &Message) -> Delivery {
    Delivery {
        entry: EntryId("1-0".to_owned()),
        hash: message.hash.as_ref().map(|hash| String::from_utf8_lossy(hash).into()),
        payload: message.data.clone().map(|data| Payload::Snappy(data.into())),
        supplement: None,
        deliveries: 1,
    }
}

fn good() -> Replica {
    static GOOD: OnceLock<Replica> = OnceLock::new();
    let first = || {
        let mut blocks = DevBlocks::new(3).unwrap();
        std::iter::repeat_with(|| blocks.next_replica().unwrap())
            .find(|replica| replica.transactions.len() > 2)
            .unwrap()
    };
    GOOD.get_or_init(first).clone()
}

#[test]
fn a_segment_has_the_hash_and_cid_of_its_bytes() {
    let replica = good();
    let decoded = Decoded::read(&delivery(&Message::of(&replica).unwrap()), LIMITS).unwrap();
    assert_eq!(decoded.block(), BlockId::of(&replica));
    let prepared = decoded.prepare(MessageChecks::Roots).unwrap();
    let again = avro::decode_segment(&prepared.bytes).unwrap();
    assert_eq!(again, Segment::of(replica));
    assert_eq!(prepared.facts.specimen_hash, digest::specimen_hash(&prepared.bytes));
    assert_eq!(prepared.facts.cid, dag::cid_of(&prepared.bytes).to_string());
    assert_eq!(prepared.facts.length, prepared.bytes.len() as u64);
}

#[test]
fn a_record_of_a_chunk_gives_the_same_segment() {
    let replica = good();
    let stream = delivery(&Message::of(&replica).unwrap());
    let rlp = rlp::encode_replica(&replica, Profile::Network).unwrap();
    let chunk = Delivery { payload: Some(Payload::Rlp(rlp.into())), ..stream.clone() };
    let prepare = |delivery: &Delivery| {
        Decoded::read(delivery, LIMITS).unwrap().prepare(MessageChecks::Roots).unwrap().bytes
    };
    assert_eq!(prepare(&stream), prepare(&chunk));
}

#[test]
fn every_poison_is_rejected_with_a_reason() {
    let only_execution_tells = poison::lies_about_state(&good()).unwrap().name;
    for poison in poison::all(&good()).unwrap() {
        if poison.name == only_execution_tells {
            continue;
        }
        let rejected = Decoded::read(&delivery(&poison.message), LIMITS)
            .and_then(|decoded| decoded.prepare(MessageChecks::Roots));
        let error = rejected.expect_err(poison.name);
        assert!(!error.to_string().is_empty());
    }
}

/// A replica with a header that has this many more fields than are known, and the hash of that: RLP
/// of the replica.
pub(crate) fn newer(replica: &Replica, more: usize) -> (B256, Vec<u8>) {
    let rlp = rlp::encode_replica(replica, Profile::Network).unwrap();
    let list = |payload: &[u8]| {
        let mut out = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(payload);
        out
    };
    let item = |rest: &mut &[u8]| {
        let begin = *rest;
        let header = alloy_rlp::Header::decode(rest).unwrap();
        *rest = &rest[header.payload_length..];
        begin[..begin.len() - rest.len()].to_vec()
    };
    let mut rest = alloy_rlp::Header::decode_bytes(&mut &rlp[..], true).unwrap();
    let mut items = Vec::new();
    while !rest.is_empty() {
        items.push(item(&mut rest));
    }
    let mut header = alloy_rlp::Header::decode_bytes(&mut &items[4][..], true).unwrap().to_vec();
    for field in 0..more {
        header.push(0xa0);
        header.extend([field as u8; 32]);
    }
    items[4] = list(&header);
    let hash = alloy_primitives::keccak256(&items[4]);
    items[2] = [&[0xa0], &hash[..]].concat();
    (hash, list(&items.concat()))
}

fn read_newer(hash: B256, rlp: Vec<u8>) -> Rejection {
    let delivery = Delivery {
        entry: EntryId(String::new()),
        hash: Some(hash.to_string()),
        payload: Some(Payload::Rlp(rlp.into())),
        supplement: None,
        deliveries: 1,
    };
    Decoded::read(&delivery, LIMITS).unwrap_err()
}

#[test]
fn a_header_with_further_fields_is_of_a_newer_fork_if_it_has_its_hash() {
    let replica = good();
    for more in [1, 2, 3] {
        let (hash, rlp) = newer(&replica, more);
        let Rejection::UnknownFork(fork) = read_newer(hash, rlp.clone()) else { panic!() };
        let (network, number) = (replica.network_id, replica.header.number);
        assert_eq!(fork, UnknownFork { network, number, fields: 21 + more });
        assert_eq!(fork.to_string().contains("Amsterdam"), more == 2);
        // Whatever else is new in it.
        let (_, cut) = rlp.split_last().unwrap();
        assert!(!matches!(read_newer(hash, cut.to_vec()), Rejection::UnknownFork(_)));
        // A header that does not have the hash that it names is just wrong.
        assert!(matches!(read_newer(replica.hash, rlp.clone()), Rejection::Rlp(_)));
        let at = rlp.windows(33).position(|at| at[0] == 0xa0 && at[1..] == [0; 32]).unwrap();
        let mut forged = rlp.clone();
        forged[at + 5] ^= 1;
        assert!(matches!(read_newer(hash, forged), Rejection::Rlp(_)));
        // Nor is one whose replica names another hash than the entry.
        let mut renamed = rlp.clone();
        let at = renamed.windows(32).position(|at| at == hash.as_slice()).unwrap();
        renamed[at + 5] ^= 1;
        assert!(matches!(read_newer(hash, renamed), Rejection::Rlp(_)));
    }
    let (hash, rlp) = newer(&replica, 0);
    assert_eq!(hash, replica.hash);
    let message = delivery(&Message::of(&replica).unwrap());
    let same = Delivery { payload: Some(Payload::Rlp(rlp.into())), ..message };
    assert!(Decoded::read(&same, LIMITS).is_ok());
}

#[test]
fn limits_are_stated() {
    let message = delivery(&Message::of(&good()).unwrap());
    let short = MessageLimits { max_message_bytes: 10, ..LIMITS };
    let error = Decoded::read(&message, short).unwrap_err();
    assert!(error.to_string().contains("--max-message-bytes allows 10"), "{error}");
    let small = MessageLimits { max_decoded_bytes: 100, ..LIMITS };
    assert!(matches!(Decoded::read(&message, small), Err(Rejection::Snappy(_))));
}

#[test]
fn a_payload_of_another_format_is_named() {
    let message = delivery(&Message::of(&good()).unwrap());
    let told = |bytes: &'static [u8]| {
        let payload = Some(Payload::Snappy(bytes.into()));
        let error = Decoded::read(&Delivery { payload, ..message.clone() }, LIMITS).unwrap_err();
        error.to_string()
    };
    assert!(told(b"\x1f\x8b\x08\x00\x00").contains("looks like gzip instead of"));
    assert!(told(b"\x02\x84\x010x4512ab").contains("looks like an AVRO segment instead of"));
    assert!(told(b"{\"error\":\"no\"}").contains("looks like JSON instead of"));
    assert!(told(b"\xff\xfe\xfd").starts_with("snappy: "));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        hash in proptest::option::of(".{0,70}"),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        is_rlp in any::<bool>(),
    ) {
        let payload = if is_rlp { Payload::Rlp(bytes.into()) } else { Payload::Snappy(bytes.into()) };
        let delivery = Delivery {
            entry: EntryId(String::new()),
            hash,
            payload: Some(payload),
            supplement: None,
            deliveries: 1,
        };
        prop_assert!(Decoded::read(&delivery, LIMITS).is_err());
    }

    #[test]
    fn a_flipped_bit_is_rejected(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let replica = good();
        let mut rlp = rlp::encode_replica(&replica, Profile::Network).unwrap();
        let at = at.index(rlp.len());
        rlp[at] ^= 1 << bit;
        let delivery = Delivery {
            entry: EntryId(String::new()),
            hash: Some(replica.hash.to_string()),
            payload: Some(Payload::Rlp(rlp.into())),
            supplement: None,
            deliveries: 1,
        };
        // What a header commits to can't be changed unseen. The read lists can, until they are
        // executed on.
        if let Ok(decoded) = Decoded::read(&delivery, LIMITS) {
            let changed = decoded.replica.clone();
            if decoded.prepare(MessageChecks::Roots).is_ok() {
                prop_assert_eq!(changed.header, replica.header);
                prop_assert_eq!(changed.senders, replica.senders);
                prop_assert_eq!(changed.withdrawals, replica.withdrawals);
            }
        }
    }
}
