//! Whole replicas through both directions, against an independent encoder and real data.

mod oracle;
mod refusals;
mod tree;

use super::*;
use crate::{
    Profile, Replica, ReplicaTransaction,
    arbitrary::{self, one_of_each},
    limits::{DecodeLimits, MAX_INPUT_BYTES, MAX_RECORD_BYTES, RecordBudgetExceeded},
};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use proptest::prelude::*;

fn encode(replica: &Replica) -> Vec<u8> {
    encode_replica(replica, replica.profile()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replicas_round_trip(replica in arbitrary::replica()) {
        let bytes = encode(&replica);
        prop_assert_eq!(&decode_replica(&bytes).unwrap(), &replica);
        prop_assert_eq!(decode_replica_bytes(&bytes.into()).unwrap(), replica);
    }

    #[test]
    fn another_encoder_writes_the_same(replica in arbitrary::replica()) {
        for profile in [Profile::Network, Profile::Complete] {
            let bytes = encode_replica(&replica, profile).unwrap();
            prop_assert_eq!(&bytes, &oracle::encode(&replica, profile));
            prop_assert_eq!(bytes.len(), encoded_replica_len(&replica, profile).unwrap());
            prop_assert_eq!(bytes.len(), bytes.capacity());
        }
    }

    #[test]
    fn the_network_profile_drops_what_its_producer_never_writes(replica in arbitrary::replica()) {
        let bytes = encode_replica(&replica, Profile::Network).unwrap();
        let decoded = decode_replica(&bytes).unwrap();
        prop_assert_eq!(decoded.profile(), Profile::Network);
        prop_assert_eq!(decoded.transactions.len(), replica.transactions.len());
    }

    #[test]
    fn headers_of_every_fork_are_their_consensus_form(
        header in arbitrary::header(),
        forks in 0..4,
    ) {
        let header = Header {
            base_fee_per_gas: header.base_fee_per_gas.filter(|_| forks > 0),
            withdrawals_root: (forks > 1).then(|| header.withdrawals_root.unwrap_or_default()),
            blob_gas_used: (forks > 2).then_some(header.blob_gas_used.unwrap_or_default()),
            excess_blob_gas: (forks > 2).then_some(header.excess_blob_gas.unwrap_or_default()),
            parent_beacon_block_root: header.parent_beacon_block_root.filter(|_| forks > 2),
            requests_hash: header.requests_hash.filter(|_| forks > 2),
            ..header
        };
        prop_assume!(header.requests_hash.is_none() || header.parent_beacon_block_root.is_some());
        prop_assert_eq!(encode_list(&header), alloy_rlp::encode(&header));
    }

    #[test]
    fn a_header_with_holes_is_written_with_nil_in_them(
        header in arbitrary::header(),
        holes in any::<[bool; 5]>(),
    ) {
        let header = Header {
            base_fee_per_gas: header.base_fee_per_gas.filter(|_| holes[0]),
            withdrawals_root: header.withdrawals_root.filter(|_| holes[1]),
            blob_gas_used: header.blob_gas_used.filter(|_| holes[2]),
            excess_blob_gas: header.excess_blob_gas.filter(|_| holes[3]),
            parent_beacon_block_root: header.parent_beacon_block_root.filter(|_| holes[4]),
            ..header
        };
        prop_assert_eq!(encode_list(&header), oracle::encode_header(&header));
    }

    #[test]
    fn flipped_bytes_never_panic_and_stay_readable_if_read(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&one_of_each());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(replica) = decode_replica(&bytes) {
            prop_assert_eq!(decode_replica(&encode(&replica)).unwrap(), replica);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_replica(&bytes).is_err());
    }
}

#[test]
fn one_of_each_is_valid() {
    let replica = one_of_each();
    assert_eq!(decode_replica(&encode(&replica)).unwrap(), replica);
}

#[test]
fn one_of_each_is_where_fuzzing_starts() {
    let seed = include_bytes!("../../../fuzz/seeds/rlp_replica/small.rlp");
    assert_eq!(encode(&one_of_each()), seed);
}

#[test]
fn an_input_cut_at_any_byte_is_refused() {
    let bytes = encode(&one_of_each());
    for cut in 0..bytes.len() {
        let error = decode_replica(&bytes[..cut]).unwrap_err();
        assert!(
            matches!(error.kind(), RlpErrorKind::Truncated { .. } | RlpErrorKind::Missing),
            "{cut}: {error}"
        );
    }
}

#[test]
fn absent_and_empty_lists_are_written_alike() {
    let some =
        Replica { withdrawals: Some(Vec::new()), blob_sidecars: Some(Vec::new()), ..one_of_each() };
    let none = Replica { withdrawals: None, blob_sidecars: None, ..one_of_each() };
    assert_eq!(encode(&none), encode(&some));
    assert_eq!(decode_replica(&encode(&none)).unwrap(), some);
}

#[test]
fn shared_bytes_are_slices_of_the_input() {
    let bytes = Bytes::from(encode(&one_of_each()));
    let replica = decode_replica_bytes(&bytes).unwrap();
    let code = &replica.state.code_read[0].code;
    assert!(bytes.as_ptr_range().contains(&code.as_ptr()));
}

#[test]
fn headers_of_later_forks_are_refused() {
    let mut replica = one_of_each();
    replica.header.slot_number = Some(1);
    assert_eq!(
        encode_replica(&replica, Profile::Network).unwrap_err().to_string(),
        "Header.slotNumber: has a value, but the layout's header ends with requestsHash"
    );
    let mut replica = one_of_each();
    replica.uncles = vec![Header::default(); 2];
    replica.uncles[1].block_access_list_hash = Some(B256::ZERO);
    assert_eq!(
        encoded_replica_len(&replica, Profile::Network).unwrap_err().to_string(),
        "uncles[1].blockAccessListHash: has a value, but the layout's header ends with requestsHash"
    );
}

#[test]
fn an_input_above_the_limit_is_refused_unread() {
    // Zeroed memory that is never touched.
    let bytes = vec![0; MAX_INPUT_BYTES + 1];
    let expected = RlpErrorKind::InputTooLong { len: MAX_INPUT_BYTES + 1, max: MAX_INPUT_BYTES };
    assert_eq!(decode_replica(&bytes).unwrap_err().kind(), &expected);
    assert_eq!(decode_replica_bytes(&bytes.into()).unwrap_err().kind(), &expected);
}

#[test]
fn smaller_limits_are_kept() {
    let bytes = encode(&one_of_each());
    let input = DecodeLimits { max_input_bytes: bytes.len(), ..DecodeLimits::default() };
    assert!(decode_replica_within(&bytes, input).is_ok());
    let input = DecodeLimits { max_input_bytes: bytes.len() - 1, ..input };
    let error = decode_replica_within(&bytes, input).unwrap_err();
    let too_long = RlpErrorKind::InputTooLong { len: bytes.len(), max: bytes.len() - 1 };
    assert_eq!(error.kind(), &too_long);

    let records = DecodeLimits { max_record_bytes: 2000, ..DecodeLimits::default() };
    assert!(decode_replica_within(&bytes, records).is_ok());
    assert!(decode_replica_bytes_within(&bytes.clone().into(), records).is_ok());
    for max_record_bytes in [0, 1000] {
        let records = DecodeLimits { max_record_bytes, ..records };
        let error = decode_replica_within(&bytes, records).unwrap_err();
        assert!(matches!(error.kind(), RlpErrorKind::RecordBudget(_)), "{error}");
        assert_eq!(decode_replica_bytes_within(&bytes.clone().into(), records), Err(error));
    }
}

#[test]
fn many_small_records_are_refused_before_there_is_room_for_them() {
    let transaction = [&[0xd0][..], &[0xc0; 16]].concat();
    let count = MAX_RECORD_BYTES / size_of::<ReplicaTransaction>() + 1;
    let mut list = Vec::new();
    alloy_rlp::Header { list: true, payload_length: count * transaction.len() }.encode(&mut list);
    let offset = list.len();
    list.extend(transaction.repeat(count));
    let bytes = refusals::changed(|tree| *tree.at(&[5]) = tree::Node::Raw(list));
    let error = decode_replica(&bytes).unwrap_err();
    assert_eq!(error.path().to_string(), "Transactions");
    let exceeded = RecordBudgetExceeded {
        count,
        size: size_of::<ReplicaTransaction>(),
        left: MAX_RECORD_BYTES,
        max: MAX_RECORD_BYTES,
    };
    assert_eq!(error.kind(), &RlpErrorKind::RecordBudget(exceeded));
    let header = bytes.len() - offset - count * transaction.len();
    assert!(error.offset() > offset && error.offset() < header + 2 * offset);
}
