use super::{oracle, *};
use crate::{
    arbitrary::{self, one_of_each},
    layout::read::min_len,
    limits::{MAX_INPUT_BYTES, MAX_RECORD_BYTES},
    replica::{
        AccountRead, BlockhashRead, CodeRead, Replica, ReplicaAuthorization, ReplicaKind,
        ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, StateSpecimen, StorageRead,
    },
    test_data,
    text::TextFault,
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use apache_avro::types::Value;
use proptest::prelude::*;

/// A segment with no more than the layout requires.
fn minimal() -> Segment {
    let mut segment = Segment::of(Replica {
        kind: ReplicaKind::Result,
        network_id: 0,
        hash: B256::ZERO,
        total_difficulty: U256::ZERO,
        header: Header { base_fee_per_gas: Some(0), ..Default::default() },
        transactions: vec![],
        uncles: vec![],
        receipts: vec![],
        senders: vec![],
        state: StateSpecimen::default(),
        withdrawals: None,
        blob_sidecars: None,
    });
    segment.event_hash = B256::ZERO;
    segment
}

/// The minimal segment, changed.
fn minimal_with(change: impl FnOnce(&mut Replica)) -> Segment {
    let mut segment = minimal();
    change(&mut segment.replica);
    segment
}

fn network(segment: &Segment) -> Vec<u8> {
    encode_segment(segment, Profile::Network).unwrap()
}

#[track_caller]
fn assert_not_encodable(segment: &Segment, path: &str, fault: EncodeFault) {
    let error = encode_segment(segment, Profile::Network).unwrap_err();
    assert_eq!((error.path.as_str(), error.fault), (path, fault));
}

/// The field at a path of names and list indexes, unions seen through.
fn field<'v>(value: &'v mut Value, path: &str) -> &'v mut Value {
    path.split(['.', '[']).fold(value, |value, step| {
        let value = match value {
            Value::Union(_, inner) => inner,
            other => other,
        };
        match value {
            Value::Record(fields) => {
                &mut fields.iter_mut().find(|(name, _)| name == step).unwrap().1
            }
            Value::Array(items) => &mut items[step.trim_end_matches(']').parse::<usize>().unwrap()],
            other => panic!("{step} of {other:?}"),
        }
    })
}

/// What is wrong with `segment` once the field at `path` holds `value`, provided the error names
/// `path`.
#[track_caller]
fn fault_of(segment: &Segment, path: &str, value: Value) -> DecodeFault {
    let mut segment = segment.clone();
    // Enough bytes behind the field that no list is refused for want of them.
    let code = vec![0; 1000].into();
    segment.replica.state.code_read.push(CodeRead { hash: B256::ZERO, code });
    let mut whole = oracle::value(&segment);
    *field(&mut whole, path) = value;
    match decode_segment(&oracle::encode(whole)).unwrap_err() {
        AvroDecodeError::Field { path: found, fault, .. } if found.as_str() == path => fault,
        other => panic!("{path}: {other}"),
    }
}

// ---- Real segments ----

#[test]
fn real_segments_read_the_same_through_apache_avro() {
    for segment in test_data::mainnet_segments() {
        let read = decode_segment(&segment.avro).unwrap();
        assert!(oracle::decode(&segment.avro) == oracle::value(&read), "block {}", segment.block);
    }
}

// ---- Against the oracle ----

/// Writes every list as blocks of one item behind their size, as AVRO allows and apache-avro does
/// not.
fn encode_in_sized_blocks(value: &Value, bytes: &mut Vec<u8>) {
    let varint = |value: i64, bytes: &mut Vec<u8>| {
        let mut code = (value << 1) ^ (value >> 63);
        while code as u64 >= 128 {
            bytes.push(code as u8 | 128);
            code = (code as u64 >> 7) as i64;
        }
        bytes.push(code as u8);
    };
    match value {
        Value::Null => {}
        Value::Boolean(flag) => bytes.push((*flag).into()),
        Value::Int(number) => varint((*number).into(), bytes),
        Value::Long(number) => varint(*number, bytes),
        Value::Double(number) => bytes.extend(number.to_le_bytes()),
        Value::Bytes(text) => {
            varint(text.len() as i64, bytes);
            bytes.extend(text);
        }
        Value::String(text) => {
            varint(text.len() as i64, bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Union(index, inner) => {
            varint((*index).into(), bytes);
            encode_in_sized_blocks(inner, bytes);
        }
        Value::Array(items) => {
            for item in items {
                let mut block = Vec::new();
                encode_in_sized_blocks(item, &mut block);
                varint(-1, bytes);
                varint(block.len() as i64, bytes);
                bytes.extend(block);
            }
            bytes.push(0);
        }
        Value::Record(fields) => {
            fields.iter().for_each(|(_, value)| encode_in_sized_blocks(value, bytes));
        }
        other => panic!("{other:?}"),
    }
}

fn any_profile() -> impl Strategy<Value = (Profile, Segment)> {
    prop_oneof![Just(Profile::Network), Just(Profile::Complete)]
        .prop_flat_map(|profile| (Just(profile), arbitrary::segment(profile)))
}

proptest! {
    #[test]
    fn bytes_equal_those_of_apache_avro((profile, segment) in any_profile()) {
        let bytes = encode_segment(&segment, profile).unwrap();
        prop_assert_eq!(&bytes, &oracle::encode(oracle::value(&segment)));
        prop_assert_eq!(bytes.capacity(), bytes.len(), "the length was not foreseen");
        prop_assert_eq!(oracle::decode(&bytes), oracle::value(&segment));
        prop_assert_eq!(decode_segment(&bytes).unwrap(), segment);
    }

    #[test]
    fn lists_may_come_in_sized_blocks((_, segment) in any_profile()) {
        let mut bytes = Vec::new();
        encode_in_sized_blocks(&oracle::value(&segment), &mut bytes);
        prop_assert_eq!(decode_segment(&bytes).unwrap(), segment);
    }

    #[test]
    fn no_flipped_bit_panics((profile, segment) in any_profile(), flips: Vec<(usize, u8)>) {
        let mut bytes = encode_segment(&segment, profile).unwrap();
        for (position, bit) in flips {
            let position = position % bytes.len();
            bytes[position] ^= 1 << (bit % 8);
        }
        let _ = decode_segment(&bytes);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        prop_assert!(decode_segment(&bytes).is_err());
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = encode_segment(&Segment::of(one_of_each()), Profile::Complete).unwrap();
    for len in 0..bytes.len() {
        let error = decode_segment(&bytes[..len]).unwrap_err();
        if let AvroDecodeError::Field { offset, .. } = error {
            assert!(offset <= len, "{error}");
        }
    }
}

#[test]
fn one_of_each_is_where_fuzzing_starts() {
    let bytes = encode_segment(&Segment::of(one_of_each()), Profile::Complete).unwrap();
    let seed = include_bytes!("../../fuzz/seeds/avro_segment/complete.avro");
    assert!(bytes == seed);
}

// ---- Number limits ----

#[test]
fn an_int_above_31_bits_names_its_field() {
    let value = 1 << 31;
    let fault = EncodeFault::IntOverflow { value };
    type Set = fn(&mut Replica, u64);
    let cases: [(&str, Set); 10] = [
        ("NetworkId", |r, v| r.network_id = v),
        ("Header.gasLimit", |r, v| r.header.gas_limit = v),
        ("Header.gasUsed", |r, v| r.header.gas_used = v),
        ("Header.timestamp", |r, v| r.header.timestamp = v),
        ("Header.blobGasUsed", |r, v| r.header.blob_gas_used = Some(v)),
        ("Header.excessBlobGas", |r, v| r.header.excess_blob_gas = Some(v)),
        ("Transactions[1].blobGas", |r, v| {
            r.transactions = vec![ReplicaTransaction::default(); 3];
            r.transactions[1].blob_gas = Some(v);
        }),
        ("Receipts[0].CumulativeGasUsed", |r, v| {
            r.receipts = vec![ReplicaReceipt { cumulative_gas_used: v, ..Default::default() }];
        }),
        ("Receipts[0].Logs[0].transactionIndex", |r, v| {
            let logs = vec![ReplicaLog { tx_index: v, ..Default::default() }];
            r.receipts = vec![ReplicaReceipt { logs, ..Default::default() }];
        }),
        ("Receipts[0].Logs[1].logIndex", |r, v| {
            let logs =
                vec![ReplicaLog::default(), ReplicaLog { log_index: v, ..Default::default() }];
            r.receipts = vec![ReplicaReceipt { logs, ..Default::default() }];
        }),
    ];
    for (path, set) in cases {
        let path = format!("replicaEvent[0].data.{path}");
        assert_not_encodable(&minimal_with(|r| set(r, value)), &path, fault);
        let largest = minimal_with(|r| set(r, value - 1));
        assert_eq!(decode_segment(&network(&largest)).unwrap(), largest);
    }
}

#[test]
fn longs_pass_through_a_double() {
    let with_nonce = |nonce| {
        minimal_with(|r| r.transactions = vec![ReplicaTransaction { nonce, ..Default::default() }])
    };
    assert_eq!(network(&with_nonce((1 << 53) + 1)), network(&with_nonce(1 << 53)));
    assert_ne!(network(&with_nonce((1 << 53) - 1)), network(&with_nonce(1 << 53)));
    let value = (1 << 63) - 512;
    let path = "replicaEvent[0].data.Transactions[0].nonce";
    assert_not_encodable(&with_nonce(value), path, EncodeFault::LongOverflow { value });
    assert!(encode_segment(&with_nonce(value - 1), Profile::Network).is_ok());
    let late = Segment { end_block: value, ..minimal() };
    assert_not_encodable(&late, "endBlock", EncodeFault::LongOverflow { value });
}

#[test]
fn a_blockhash_number_saturates() {
    for (block_number, written) in
        [((1 << 53) + 1, 1 << 53), ((1 << 63) - 512, (1 << 63) - 1), (u64::MAX, (1 << 63) - 1)]
    {
        let block_hash = B256::ZERO;
        let segment = minimal_with(|r| {
            r.state.blockhash_read = vec![BlockhashRead { block_number, block_hash }];
        });
        let read = decode_segment(&network(&segment)).unwrap();
        assert_eq!(read.replica.state.blockhash_read[0].block_number, written);
        assert_eq!(network(&read), network(&segment));
    }
}

#[test]
fn numbers_outside_of_their_field_do_not_read() {
    let mut segment = minimal();
    segment.replica.transactions = vec![ReplicaTransaction::default()];
    let range = |found, max| DecodeFault::Range { found, max };
    for (path, value, fault) in [
        ("startBlock", Value::Long(-1), range(-1, i64::MAX)),
        ("replicaEvent[0].data.NetworkId", Value::Int(-5), range(-5, i32::MAX.into())),
        ("replicaEvent[0].data.Transactions[0].type", Value::Int(256), range(256, 255)),
        ("replicaEvent[0].data.Header.nonce[3]", Value::Int(-1), range(-1, 255)),
    ] {
        assert_eq!(fault_of(&segment, path, value), fault);
    }
    let wide = Value::Bytes(b"0x10000000000000000".into());
    for name in ["number", "baseFeePerGas"] {
        let path = format!("replicaEvent[0].data.Header.{name}");
        let fault = DecodeFault::Text(TextFault::NumberTooWide);
        assert_eq!(fault_of(&segment, &path, wide.clone()), fault);
    }
}

// ---- What the layout cannot say ----

#[test]
fn a_header_before_london_has_no_place() {
    let segment = minimal_with(|r| r.header.base_fee_per_gas = None);
    let path = "replicaEvent[0].data.Header.baseFeePerGas";
    assert_not_encodable(&segment, path, EncodeFault::MissingBaseFee);
}

#[test]
fn header_fields_after_prague_have_no_place() {
    let segment = minimal_with(|r| r.header.block_access_list_hash = Some(B256::ZERO));
    let path = "replicaEvent[0].data.Header.blockAccessListHash";
    assert_not_encodable(&segment, path, EncodeFault::NotInLayout);
    let segment = minimal_with(|r| r.header.slot_number = Some(0));
    let path = "replicaEvent[0].data.Header.slotNumber";
    assert_not_encodable(&segment, path, EncodeFault::NotInLayout);
}

#[test]
fn an_uncle_is_written_as_the_schema_allows() {
    let uncle = Header { base_fee_per_gas: Some(7), number: 3, ..Default::default() };
    let segment = minimal_with(|r| r.uncles = vec![uncle]);
    assert_eq!(network(&segment), oracle::encode(oracle::value(&segment)));
    assert_eq!(decode_segment(&network(&segment)).unwrap(), segment);
}

#[test]
fn a_zero_signature_is_written_as_null_and_read_as_zero() {
    let with_v =
        |v| minimal_with(|r| r.transactions = vec![ReplicaTransaction { v, ..Default::default() }]);
    let zero = with_v(Some(U256::ZERO));
    assert_eq!(network(&zero), network(&with_v(None)));
    assert_eq!(decode_segment(&oracle::encode(oracle::value(&zero))).unwrap(), zero);
}

#[test]
fn absent_and_empty_lists_stay_apart() {
    let empty = minimal_with(|r| {
        r.withdrawals = Some(vec![]);
        r.blob_sidecars = Some(vec![]);
        r.transactions =
            vec![ReplicaTransaction { blob_hashes: Some(vec![]), ..Default::default() }];
    });
    assert_eq!(decode_segment(&network(&empty)).unwrap(), empty);
    let absent = minimal_with(|r| r.transactions = vec![ReplicaTransaction::default()]);
    assert_eq!(decode_segment(&network(&absent)).unwrap(), absent);
    assert_ne!(network(&empty), network(&absent));
}

// ---- Profiles and labels ----

#[test]
fn the_network_profile_leaves_extensions_out() {
    let extended = ReplicaTransaction {
        data: Some("text".into()),
        authorization_list: Some(vec![ReplicaAuthorization::default()]),
        ..Default::default()
    };
    let complete = minimal_with(|r| r.transactions = vec![extended]);
    let plain = minimal_with(|r| r.transactions = vec![ReplicaTransaction::default()]);
    assert_eq!(network(&complete), network(&plain));

    let bytes = encode_segment(&complete, Profile::Complete).unwrap();
    let read = decode_segment(&bytes).unwrap();
    assert_eq!(read.codec_version, COMPLETE_CODEC_VERSION);
    assert_eq!(read.replica, complete.replica);
    assert_eq!(network(&read), network(&plain), "a complete segment yields the network's bytes");
}

#[test]
fn the_profiles_differ_in_their_last_bytes_at_least() {
    let segment = minimal();
    let (network, complete) =
        (network(&segment), encode_segment(&segment, Profile::Complete).unwrap());
    assert!(network.ends_with(&[0x52, 0xb8, 0x1e, 0x85, 0xeb, 0x51, 0xd8, 0x3f]));
    assert!(complete.ends_with(&100.38f64.to_le_bytes()));
    assert_eq!(network[..network.len() - 8], complete[..complete.len() - 8]);
    assert_eq!(profile_of_label(0.38), Some(Profile::Network));
    assert_eq!(profile_of_label(100.38), Some(Profile::Complete));
}

#[test]
fn a_segment_of_another_layout_is_not_written() {
    for label in [0.0, -0.38, 0.37, 0.380_000_000_000_000_1, f64::INFINITY, f64::MAX] {
        let segment = Segment { codec_version: label, ..minimal() };
        let fault = EncodeFault::CodecVersion { found: label };
        assert_not_encodable(&segment, "codecVersion", fault);
    }
    let segment = Segment { codec_version: f64::NAN, ..minimal() };
    assert!(encode_segment(&segment, Profile::Network).is_err());
}

#[test]
fn another_label_is_reported_whether_or_not_the_layout_fits() {
    let label = 0.37;
    let mut bytes = network(&minimal());
    let end = bytes.len() - 8;
    bytes[end..].copy_from_slice(&f64::to_le_bytes(label));
    let unsupported = Err(AvroDecodeError::UnsupportedCodec { label });
    assert_eq!(decode_segment(&bytes), unsupported);
    bytes.remove(end - 1);
    assert_eq!(decode_segment(&bytes), unsupported);
    bytes[0] = 99;
    assert_eq!(decode_segment(&bytes), unsupported);
}

#[test]
fn last_bytes_that_are_no_label_leave_the_error_as_it_is() {
    for label in [0.38, f64::NAN, 0.376, -0.37, 0.0, 1e300, 5e-324] {
        let mut bytes = network(&minimal());
        bytes[0] = 99;
        let end = bytes.len() - 8;
        bytes[end..].copy_from_slice(&f64::to_le_bytes(label));
        let error = decode_segment(&bytes).unwrap_err();
        assert!(matches!(error, AvroDecodeError::Field { offset: 0, .. }), "{label}: {error}");
    }
}

#[test]
fn bytes_after_the_end_are_an_error() {
    let mut bytes = network(&minimal());
    let offset = bytes.len();
    bytes.push(0);
    let expected = AvroDecodeError::TrailingBytes { offset, count: 1 };
    assert_eq!(decode_segment(&bytes), Err(expected));
}

// ---- Forms ----

#[test]
fn a_wrong_form_names_its_field() {
    let segment = minimal_with(|r| {
        r.transactions = vec![ReplicaTransaction { v: Some(U256::ONE), ..Default::default() }];
        r.senders = vec![Address::ZERO; 2];
        r.blob_sidecars =
            Some(vec![ReplicaSidecar { blobs: vec![Bytes::new()], ..ReplicaSidecar::default() }]);
    });
    let text = |text: &str| Value::String(text.into());
    let bytes = |text: &str| Value::Bytes(text.into());
    let upper_case = format!("0x{}", "A".repeat(64));
    for (path, value, fault) in [
        ("Hash", text(&upper_case), TextFault::FixedHex { digits: 64 }),
        ("Senders[1]", text("0x00"), TextFault::FixedHex { digits: 40 }),
        ("Header.extraData", text("AQ"), TextFault::Base64),
        ("TotalDifficulty", bytes("0x00"), TextFault::Number),
        ("Transactions[0].gasPrice", bytes("12"), TextFault::Number),
        ("Transactions[0].v", Value::Union(1, bytes("").into()), TextFault::Number),
        ("BlobTxSidecars[0].Blobs[0]", bytes("0xabc"), TextFault::Hex),
    ] {
        let path = format!("replicaEvent[0].data.{path}");
        assert_eq!(fault_of(&segment, &path, value), DecodeFault::Text(fault));
    }
    let unknown = fault_of(&segment, "replicaEvent[0].data.Type", text("block-something"));
    assert!(matches!(unknown, DecodeFault::Kind(_)));
}

#[test]
fn lists_of_fixed_length_are_checked() {
    let segment = minimal();
    let items = |count| Value::Array(vec![Value::Int(0); count]);
    for (name, expected) in [("logsBloom", 256), ("nonce", 8)] {
        let path = format!("replicaEvent[0].data.Header.{name}");
        for found in [0, expected - 1, expected + 1] {
            let fault = DecodeFault::ItemCount { found, expected };
            assert_eq!(fault_of(&segment, &path, items(found)), fault);
        }
    }
    let mut value = oracle::value(&segment);
    let Value::Array(events) = field(&mut value, "replicaEvent") else { panic!() };
    let event = events[0].clone();
    for found in [0, 2] {
        let fault = DecodeFault::ItemCount { found, expected: 1 };
        let events = Value::Array(vec![event.clone(); found]);
        assert_eq!(fault_of(&segment, "replicaEvent", events), fault);
    }
}

// ---- Lists that lie ----

#[test]
fn a_record_takes_at_least_the_bytes_that_lists_count_on() {
    let base = network(&minimal()).len();
    // What one more item adds beyond the list's count.
    let item_len = |change: fn(&mut Replica)| network(&minimal_with(change)).len() - base - 1;
    type Change = fn(&mut Replica);
    let cases: [(usize, Change); 10] = [
        (min_len::TRANSACTION, |r| r.transactions = vec![ReplicaTransaction::default()]),
        (min_len::RECEIPT, |r| r.receipts = vec![ReplicaReceipt::default()]),
        (min_len::ADDRESS, |r| r.senders = vec![Address::ZERO]),
        (min_len::ACCOUNT_READ, |r| r.state.account_read = vec![AccountRead::default()]),
        (min_len::STORAGE_READ, |r| r.state.storage_read = vec![StorageRead::default()]),
        (min_len::CODE_READ, |r| r.state.code_read = vec![CodeRead::default()]),
        (min_len::BLOCKHASH_READ, |r| r.state.blockhash_read = vec![BlockhashRead::default()]),
        // Optional lists: the null turns into an index and an end.
        (min_len::HEADER + 1, |r| {
            r.uncles = vec![Header { base_fee_per_gas: Some(0), ..Default::default() }];
        }),
        (min_len::WITHDRAWAL + 1, |r| r.withdrawals = Some(vec![Withdrawal::default()])),
        (min_len::SIDECAR + 1, |r| r.blob_sidecars = Some(vec![ReplicaSidecar::default()])),
    ];
    for (expected, change) in cases {
        assert_eq!(item_len(change), expected);
    }
    // The count of one event, an end, three longs and a label.
    assert_eq!(base, 1 + min_len::EVENT + 1 + 3 + 8);
}

#[test]
fn inner_records_take_at_least_the_bytes_that_lists_count_on() {
    let len = |tx| {
        let segment = minimal_with(|r| r.transactions = vec![tx]);
        encode_segment(&segment, Profile::Complete).unwrap().len()
    };
    let base = len(ReplicaTransaction::default());
    let access_list = AccessList(vec![AccessListItem::default()]);
    let tx = ReplicaTransaction { access_list, ..Default::default() };
    assert_eq!(len(tx), base + 1 + min_len::ACCESS_LIST_ITEM);
    let authorization_list = Some(vec![ReplicaAuthorization::default()]);
    let tx = ReplicaTransaction { authorization_list, ..Default::default() };
    assert_eq!(len(tx), base + 2 + min_len::AUTHORIZATION);

    let len = |logs| {
        network(&minimal_with(|r| {
            r.receipts = vec![ReplicaReceipt { logs, ..Default::default() }];
        }))
        .len()
    };
    assert_eq!(len(vec![ReplicaLog::default()]), len(vec![]) + 1 + min_len::LOG);
}

/// A segment's bytes with many empty sidecars, three bytes each, in blocks of `per_block`.
fn with_sidecars(count: usize, per_block: usize) -> Vec<u8> {
    let mut bytes = network(&minimal());
    // The last of the replica's fields, followed by the list's end, three longs and the label.
    let tail = bytes.split_off(bytes.len() - 8 - 3 - 1 - 1);
    bytes.push(2);
    for _ in 0..count / per_block {
        crate::uvarint::write(2 * per_block as u64, &mut bytes);
        bytes.extend([0; 3].repeat(per_block));
    }
    bytes.push(0);
    bytes.extend(&tail[1..]);
    bytes
}

#[test]
fn many_small_records_are_refused_before_there_is_room_for_them() {
    let size = size_of::<ReplicaSidecar>();
    let count = MAX_RECORD_BYTES / size + 1;
    let bytes = with_sidecars(count, count);
    let error = decode_segment(&bytes).unwrap_err();
    let AvroDecodeError::Field { path, offset, fault } = error else { panic!("{error}") };
    assert_eq!(path.to_string(), "replicaEvent[0].data.BlobTxSidecars");
    assert_eq!(offset, network(&minimal()).len() - 8 - 3 - 1);
    let DecodeFault::RecordBudget(exceeded) = fault else { panic!("{fault}") };
    assert_eq!((exceeded.count, exceeded.size, exceeded.max), (count, size, MAX_RECORD_BYTES));
}

#[test]
fn smaller_limits_are_kept() {
    let size = size_of::<ReplicaSidecar>();
    let bytes = with_sidecars(100, 10);
    // What the event and its header's lists of bytes take, and what a list that grows twofold does.
    let enough = size_of::<(B256, Replica)>() + 256 + 8 + 160 * size;
    let records = |max_record_bytes| {
        let limits = DecodeLimits { max_record_bytes, ..DecodeLimits::default() };
        decode_segment_within(&bytes, limits)
    };
    assert_eq!(records(enough).unwrap().replica.blob_sidecars.unwrap().len(), 100);
    let error = records(enough - 1).unwrap_err();
    let AvroDecodeError::Field { fault, .. } = error else { panic!("{error}") };
    assert!(matches!(fault, DecodeFault::RecordBudget(_)), "{fault}");

    let len = bytes.len();
    let input = |max_input_bytes| {
        let limits = DecodeLimits { max_input_bytes, ..DecodeLimits::default() };
        decode_segment_within(&bytes, limits)
    };
    assert!(input(len).is_ok());
    assert_eq!(input(len - 1), Err(AvroDecodeError::TooLarge { len, limit: len - 1 }));
}

#[test]
fn a_count_beyond_the_input_is_refused_before_anything_is_reserved() {
    let bytes = network(&minimal());
    // 2^62 events in a block, and 2^63 in a block with its size.
    let many = [[0x80; 8].as_slice(), &[0x80, 0x01]].concat();
    let most = [[0xff; 9].as_slice(), &[0x01, 0x00]].concat();
    for (head, count) in [(many, 1 << 62), (most, 1 << 63)] {
        let lying = [&head, &bytes[1..]].concat();
        let error = decode_segment(&lying).unwrap_err();
        let AvroDecodeError::Field { path, fault, .. } = error else { panic!("{error}") };
        assert_eq!(path.as_str(), "replicaEvent");
        let remaining = bytes.len() - 1;
        assert_eq!(fault, DecodeFault::Count { count, min_len: min_len::EVENT, remaining });
    }
}

#[test]
fn a_union_has_two_branches() {
    let bytes = network(&minimal());
    // The last of the replica's fields, followed by the list's end, three longs and the label.
    let sidecars = bytes.len() - 8 - 3 - 1 - 1;
    for (byte, found) in [(4, 2), (1, -1), (0x7f, -64)] {
        let mut bytes = bytes.clone();
        bytes[sidecars] = byte;
        let error = decode_segment(&bytes).unwrap_err();
        let AvroDecodeError::Field { path, offset, fault } = error else { panic!("{error}") };
        assert_eq!((path.as_str(), offset), ("replicaEvent[0].data.BlobTxSidecars", sidecars));
        assert_eq!(fault, DecodeFault::UnionIndex { found });
    }
}

#[test]
fn too_much_is_refused_unread() {
    // Zeroed memory that is never touched.
    let bytes = vec![0; MAX_INPUT_BYTES + 1];
    let error = decode_segment(&bytes).unwrap_err();
    assert_eq!(error, AvroDecodeError::TooLarge { len: bytes.len(), limit: MAX_INPUT_BYTES });
}
