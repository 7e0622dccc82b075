use super::*;
use crate::{
    arbitrary::{self, one_of_each},
    avro::{COMPLETE_CODEC_VERSION, decode_segment, oracle},
    path::FieldPath,
    replica::Profile,
    test_data,
    text::TextFault,
};
use alloy_primitives::{B256, U256};
use apache_avro::types::Value;
use proptest::prelude::*;
use serde_json::json;

fn segment() -> Segment {
    Segment { codec_version: COMPLETE_CODEC_VERSION, ..Segment::of(one_of_each()) }
}

fn replica_json(replica: &Replica, pretty: bool) -> String {
    let mut out = Vec::new();
    write_replica_json(replica, &mut out, pretty).unwrap();
    String::from_utf8(out).unwrap()
}

fn segment_json(segment: &Segment) -> String {
    let mut out = Vec::new();
    write_segment_json(segment, &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// The JSON of an AVRO value by the rules of the form: no label, no empty uncles, unions unwrapped.
fn print(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Null => "null".into(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Bytes(text) => json!(String::from_utf8(text.clone()).unwrap()).to_string(),
        Value::String(text) => json!(text).to_string(),
        Value::Union(_, inner) => print(inner),
        Value::Array(items) => format!("[{}]", list(items.iter().map(print).collect())),
        Value::Record(fields) => {
            let kept = fields.iter().filter(|(name, value)| {
                let no_uncles = name == "uncles" && matches!(value, Value::Union(0, _));
                name != "codecVersion" && !no_uncles
            });
            let members = kept.map(|(name, value)| format!("\"{name}\":{}", print(value)));
            format!("{{{}}}", list(members.collect()))
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn segments_are_printed_as_avro_has_them(segment in arbitrary::segment(Profile::Complete)) {
        prop_assert_eq!(segment_json(&segment), print(&oracle::value(&segment)));
    }

    #[test]
    fn what_is_written_reads_back_equal(
        network in arbitrary::segment(Profile::Network),
        complete in arbitrary::segment(Profile::Complete),
    ) {
        for segment in [network, complete] {
            prop_assert_eq!(&read_segment_json(segment_json(&segment).as_bytes()).unwrap(), &segment);
            for pretty in [false, true] {
                let json = replica_json(&segment.replica, pretty);
                prop_assert_eq!(&read_replica_json(json.as_bytes()).unwrap(), &segment.replica);
            }
        }
    }

    #[test]
    fn no_changed_byte_panics(
        segment in arbitrary::segment(Profile::Complete),
        changes: Vec<(usize, u8)>,
    ) {
        let mut json = segment_json(&segment).into_bytes();
        for (position, byte) in changes {
            let position = position % json.len();
            json[position] = byte;
        }
        let _ = read_segment_json(&json);
    }
}

#[test]
fn real_segments_are_printed_as_avro_has_them() {
    for segment in test_data::mainnet_segments() {
        let json = segment_json(&decode_segment(&segment.avro).unwrap());
        assert!(json == print(&oracle::decode(&segment.avro)), "block {}", segment.block);
    }
}

#[test]
fn one_of_each_is_where_fuzzing_starts() {
    let seed = include_str!("../../fuzz/seeds/json_replica/complete.json");
    assert_eq!(replica_json(&one_of_each(), false), seed);
}

#[test]
fn every_truncation_is_an_error() {
    let json = segment_json(&segment());
    for len in 0..json.len() {
        assert!(read_segment_json(&json.as_bytes()[..len]).is_err(), "{len}");
    }
}

#[test]
fn pretty_indents_by_one_blank() {
    let json = replica_json(&segment().replica, true);
    assert!(json.starts_with("{\n \"Type\": \"block-"), "{json}");
    assert!(json.contains("\n \"Header\": {\n  \"parentHash\": \"0x"), "{json}");
    assert!(json.ends_with("\n}"), "{json}");
    let compact = replica_json(&segment().replica, false);
    let parse = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    assert_eq!(parse(&json), parse(&compact));
}

#[test]
fn json_holds_what_avro_does_not() {
    let mut replica = segment().replica;
    replica.network_id = u64::MAX;
    replica.header.base_fee_per_gas = None;
    replica.header.timestamp = u64::MAX;
    replica.transactions[0].v = Some(U256::ZERO);
    replica.transactions[0].nonce = (1 << 53) + 1;
    let json = replica_json(&replica, false);
    assert_eq!(read_replica_json(json.as_bytes()).unwrap(), replica);
}

#[test]
fn header_fields_after_prague_have_no_place() {
    let mut segment = segment();
    segment.replica.header.slot_number = Some(1);
    let error = write_segment_json(&segment, Vec::new(), false).unwrap_err();
    let JsonWriteError::NotInLayout { path } = error else { panic!("{error}") };
    assert_eq!(path.as_str(), "replicaEvent[0].data.Header.slotNumber");
}

#[test]
fn a_failing_writer_is_reported() {
    let mut small = [0; 100];
    let error = write_segment_json(&segment(), small.as_mut_slice(), true).unwrap_err();
    assert!(matches!(error, JsonWriteError::Io(_)));
}

/// A document with an element changed, and the path and fault it must be refused with.
#[track_caller]
fn assert_fault(pointer: &str, value: serde_json::Value, path: &str, fault: JsonFault) {
    let mut replica = segment().replica;
    replica.senders = vec![Default::default(); 2];
    let mut document: serde_json::Value =
        serde_json::from_str(&replica_json(&replica, false)).unwrap();
    *document.pointer_mut(pointer).unwrap() = value;
    match read_replica_json(document.to_string().as_bytes()).unwrap_err() {
        JsonReadError::Field { path: found, fault: why } => {
            assert_eq!((found.as_str(), why), (path, fault));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_value_names_its_field() {
    let kind = |found, expected| JsonFault::Kind { found, expected };
    let zero = json!(B256::ZERO);
    assert_fault("/Hash", json!(1), "Hash", kind("a number", "a text"));
    assert_fault("/Hash", json!("0x"), "Hash", TextFault::FixedHex { digits: 64 }.into());
    assert_fault("/Hash", json!(null), "Hash", kind("null", "a text"));
    assert_fault("/NetworkId", json!("1"), "NetworkId", kind("a text", "a number"));
    assert_fault("/Senders/1", zero, "Senders[1]", TextFault::FixedHex { digits: 40 }.into());
    assert_fault("/Header", json!([]), "Header", kind("a list", "an object"));
    assert_fault("/Transactions", json!("[]"), "Transactions", kind("a text", "a list"));
    assert_fault("/Transactions/0", json!(true), "Transactions[0]", kind("a boolean", "an object"));
    let (pointer, path) = ("/Transactions/0/gasPrice", "Transactions[0].gasPrice");
    assert_fault(pointer, json!("0x00"), path, TextFault::Number.into());
    let (pointer, path) = ("/Transactions/0/type", "Transactions[0].type");
    assert_fault(pointer, json!(256), path, JsonFault::Range { found: 256, max: 255 });
    let (pointer, path) = ("/Transactions/0/input", "Transactions[0].input");
    assert_fault(pointer, json!("AQ"), path, TextFault::Base64.into());
    let (pointer, path) = ("/Header/number", "Header.number");
    assert_fault(pointer, json!(U256::MAX), path, TextFault::NumberTooWide.into());
    let (pointer, path) = ("/Header/nonce", "Header.nonce");
    assert_fault(pointer, json!([1]), path, JsonFault::ItemCount { found: 1, expected: 8 });
    assert_fault("", json!(null), "", kind("null", "an object"));
}

#[test]
fn missing_unknown_and_repeated_fields_are_refused() {
    let json = replica_json(&segment().replica, false);
    let field_error = |json: String| match read_replica_json(json.as_bytes()).unwrap_err() {
        JsonReadError::Field { path, fault } => (path, fault),
        other => panic!("{other}"),
    };
    let missing = json.replacen("\"parentHash\"", "\"parent\"", 1);
    let expected = (FieldPath::field("Header.parentHash"), JsonFault::Missing);
    assert_eq!(field_error(missing), expected);
    let unknown = json.replacen("\"parentHash\"", "\"more\":{},\"parentHash\"", 1);
    let expected = (FieldPath::field("Header.more"), JsonFault::Unknown);
    assert_eq!(field_error(unknown), expected);
    let repeated = json.replacen("\"parentHash\"", "\"\\u006diner\":0,\"parentHash\"", 1);
    let expected = (FieldPath::field("Header.miner"), JsonFault::Repeated);
    assert_eq!(field_error(repeated), expected);
    let many: String = (0..64).map(|i| format!("\"{i}\":[],")).collect();
    let many = json.replacen("\"parentHash\"", &format!("{many}\"parentHash\""), 1);
    let expected = (FieldPath::field("Header"), JsonFault::TooManyFields { max: 64 });
    assert_eq!(field_error(many), expected);
}

#[test]
fn an_optional_field_must_be_there() {
    let mut replica = segment().replica;
    replica.withdrawals = None;
    let json = replica_json(&replica, false).replacen("\"Withdrawals\":null,", "", 1);
    let error = read_replica_json(json.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "Withdrawals: missing");
}

#[test]
fn what_is_no_json_is_refused() {
    let deep = format!("{{\"Type\":{}", "[".repeat(100_000));
    let syntax = [
        "{",
        "{} {}",
        "{\"Type\":}",
        "{\"Type\":[1,]}",
        "{\"Type\":01}",
        "{\"Type\":\"\\x\"}",
        "{\"Type\":\"\n\"}",
        "{\"Type\":[{]}",
        &deep,
    ];
    for json in syntax {
        let error = read_replica_json(json.as_bytes()).unwrap_err();
        assert!(matches!(error, JsonReadError::Syntax(_)), "{json:.20}: {error}");
    }
    let error = read_replica_json(b"{\"Type\":\"\xff\"}").unwrap_err();
    assert!(matches!(error, JsonReadError::Utf8(_)), "{error}");
    for json in ["", "?", "[]", "0.5", "\"{}\""] {
        let error = read_replica_json(json.as_bytes()).unwrap_err();
        assert!(matches!(error, JsonReadError::Field { .. }), "{json}: {error}");
    }
}

#[test]
fn numbers_that_no_field_can_hold_are_refused() {
    for number in ["-1", "-0", "0.5", "1e3", "1.0", "18446744073709551616"] {
        let json = replica_json(&segment().replica, false);
        let (before, after) = json.split_once("\"NetworkId\":").unwrap();
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let json = format!("{before}\"NetworkId\":{number}{after}");
        let error = read_replica_json(json.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "NetworkId: expected a whole number from 0 to 2^64 - 1",
            "{number}"
        );
    }
}

#[test]
fn texts_may_have_escapes() {
    let json = replica_json(&segment().replica, false);
    let escaped = json.replacen("\"Type\":\"block", "\"\\u0054ype\":\"\\u0062lock", 1);
    assert_ne!(escaped, json);
    assert_eq!(read_replica_json(escaped.as_bytes()).unwrap(), segment().replica);
    let half = json.replacen("\"Type\":\"block", "\"Type\":\"\\ud800lock", 1);
    let JsonReadError::Field { path, fault } = read_replica_json(half.as_bytes()).unwrap_err()
    else {
        panic!("not a fault of a field")
    };
    assert_eq!((path.as_str(), fault), ("Type", JsonFault::Surrogate));
}

#[test]
fn smaller_limits_are_kept() {
    let mut replica = segment().replica;
    replica.senders = vec![Default::default(); 10_000];
    let json = replica_json(&replica, false);
    let records = |max_record_bytes| {
        let limits = DecodeLimits { max_record_bytes, ..DecodeLimits::default() };
        read_replica_json_within(json.as_bytes(), limits)
    };
    assert_eq!(records(400_000).unwrap(), replica);
    let JsonReadError::Field { path, fault } = records(200_000).unwrap_err() else {
        panic!("not a fault of a field")
    };
    assert_eq!(path.as_str(), "Senders");
    assert!(matches!(fault, JsonFault::RecordBudget(_)), "{fault}");

    let len = json.len();
    let input = |max_input_bytes| {
        let limits = DecodeLimits { max_input_bytes, ..DecodeLimits::default() };
        read_replica_json_within(json.as_bytes(), limits)
    };
    assert!(input(len).is_ok());
    let error = input(len - 1).unwrap_err();
    assert!(matches!(error, JsonReadError::TooLarge { limit, .. } if limit == len - 1), "{error}");
}

#[test]
fn exactly_one_event() {
    for (events, found) in [("[]".to_owned(), 0), (format!("[{0},{0}]", event()), 2)] {
        let json =
            format!(r#"{{"replicaEvent":{events},"startBlock":1,"endBlock":1,"elements":1}}"#);
        let error = read_segment_json(json.as_bytes()).unwrap_err();
        let JsonReadError::Field { path, fault } = error else { panic!("{error}") };
        assert_eq!(path.as_str(), "replicaEvent");
        assert_eq!(fault, JsonFault::ItemCount { found, expected: 1 });
    }
}

fn event() -> String {
    let segment = segment();
    format!(
        r#"{{"hash":"{}","data":{}}}"#,
        segment.event_hash,
        replica_json(&segment.replica, false)
    )
}
