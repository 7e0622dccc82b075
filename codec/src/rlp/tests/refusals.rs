//! What is refused, and where the errors say it is; and the odd forms that are not.

use super::{encode, tree::Node};
use crate::{
    ReplicaTransaction, UnknownReplicaKind,
    arbitrary::one_of_each,
    rlp::{RlpDecodeError, RlpErrorKind, decode_replica},
};
use alloy_consensus::Header;
use alloy_primitives::U256;

/// The items of a replica that has one of each, changed by `change`.
pub(super) fn changed(change: impl FnOnce(&mut Node)) -> Vec<u8> {
    let mut tree = Node::decode(&mut &encode(&one_of_each())[..]);
    change(&mut tree);
    tree.encode()
}

/// The error for that replica with one item replaced, as path and kind.
fn error_with(path: &[usize], item: Node) -> (String, RlpErrorKind) {
    let error = decode_replica(&changed(|tree| *tree.at(path) = item)).unwrap_err();
    (error.path().to_string(), error.kind().clone())
}

fn raw(bytes: &[u8]) -> Node {
    Node::Raw(bytes.to_vec())
}

const HEADER: usize = 4;
const TRANSACTIONS: usize = 5;
const STATE: usize = 9;

#[test]
fn integers_have_one_form() {
    let cases: [(&[usize], &str, &[u8], RlpErrorKind); 10] = [
        (&[1], "NetworkId", &[0x00], RlpErrorKind::LeadingZero),
        (&[1], "NetworkId", &[0x82, 0x00, 0x80], RlpErrorKind::LeadingZero),
        (&[1], "NetworkId", &[0x81, 0x01], RlpErrorKind::NotCanonical),
        (&[1], "NetworkId", &[0xb8, 0x01, 0x80], RlpErrorKind::NotCanonical),
        (&[1], "NetworkId", &[0xb9, 0x00, 0x38], RlpErrorKind::NotCanonical),
        (&[1], "NetworkId", &[0xc0], RlpErrorKind::ExpectedString),
        (
            &[1],
            "NetworkId",
            &[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            RlpErrorKind::IntegerTooLarge { max: 8, found: 9 },
        ),
        (
            &[HEADER, 8],
            "Header.number",
            &[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            RlpErrorKind::IntegerTooLarge { max: 8, found: 9 },
        ),
        (
            &[TRANSACTIONS, 0, 0],
            "Transactions[0].type",
            &[0x82, 1, 0],
            RlpErrorKind::IntegerTooLarge { max: 1, found: 2 },
        ),
        (&[7, 0, 4, 0, 8], "Receipts[0].Logs[0].removed", &[2], RlpErrorKind::NotABool(2)),
    ];
    for (path, field, bytes, kind) in cases {
        assert_eq!(error_with(path, raw(bytes)), (field.to_owned(), kind), "{bytes:02x?}");
    }
    assert_eq!(
        error_with(&[TRANSACTIONS, 0, 4], Node::String(vec![1; 33])),
        (
            "Transactions[0].gasPrice".to_owned(),
            RlpErrorKind::IntegerTooLarge { max: 32, found: 33 }
        )
    );
}

#[test]
fn fixed_strings_have_one_length() {
    let wrong = |expected, found| RlpErrorKind::WrongLength { expected, found };
    let cases: [(&[usize], &str, usize, usize); 7] = [
        (&[2], "Hash", 32, 31),
        (&[HEADER, 6], "Header.logsBloom", 256, 255),
        (&[HEADER, 14], "Header.nonce", 8, 0),
        (&[TRANSACTIONS, 0, 8], "Transactions[0].from", 20, 19),
        (&[TRANSACTIONS, 0, 16, 0], "Transactions[0].blobHashes[0]", 32, 33),
        (&[8, 0], "Senders[0]", 20, 0),
        (&[STATE, 2, 0, 0], "State.CodeRead[0].Hash", 32, 20),
    ];
    for (path, field, expected, found) in cases {
        assert_eq!(
            error_with(path, Node::String(vec![0xff; found])),
            (field.to_owned(), wrong(expected, found))
        );
    }
    let sidecar = |blob: usize, commitment: usize, proof: usize| {
        Node::List(
            [blob, commitment, proof]
                .map(|len| Node::List(vec![Node::String(vec![9; len])]))
                .into(),
        )
    };
    assert!(decode_replica(&changed(|tree| *tree.at(&[11, 0]) = sidecar(131_072, 48, 48))).is_ok());
    assert_eq!(
        error_with(&[11, 0], sidecar(131_071, 48, 48)),
        ("BlobTxSidecars[0].Blobs[0]".to_owned(), wrong(131_072, 131_071))
    );
    assert_eq!(
        error_with(&[11, 0], sidecar(131_072, 47, 48)),
        ("BlobTxSidecars[0].Commitments[0]".to_owned(), wrong(48, 47))
    );
    assert_eq!(
        error_with(&[11, 0], sidecar(131_072, 48, 49)),
        ("BlobTxSidecars[0].Proofs[0]".to_owned(), wrong(48, 49))
    );
}

#[test]
fn texts_are_checked() {
    assert_eq!(
        error_with(&[0], Node::String(b"block-spec".to_vec())),
        ("Type".to_owned(), RlpErrorKind::UnknownKind(UnknownReplicaKind("block-spec".to_owned())))
    );
    assert_eq!(
        error_with(&[TRANSACTIONS, 0, 18], Node::String(vec![0xff])),
        ("Transactions[0].Data".to_owned(), RlpErrorKind::NotUtf8)
    );
}

#[test]
fn lying_lengths_are_refused_without_reserving_them() {
    let huge = [0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        error_with(&[TRANSACTIONS], raw(&huge)).1,
        RlpErrorKind::Truncated {
            needed: 0x7fff_ffff_ffff_ffff,
            available: encode(&one_of_each()).len()
                - changed(|tree| tree.items().truncate(TRANSACTIONS)).len()
                - changed(|tree| *tree = tree.at(&[TRANSACTIONS]).clone()).len()
        }
    );
    assert!(decode_replica(&huge).is_err());
    assert!(decode_replica(&[0xbf; 9]).is_err());
    // The announced code is as long as the rest of the input, not of its list.
    let (path, kind) = error_with(&[STATE, 2, 0, 1], raw(&[0xb8, 0x40, 0x60]));
    assert_eq!(path, "State.CodeRead[0].Code");
    assert_eq!(kind, RlpErrorKind::Truncated { needed: 64, available: 1 });
}

#[test]
fn a_list_of_many_empty_items_is_refused_at_the_first() {
    let many = Node::List(vec![raw(&[0xc0]); 100_000]);
    assert_eq!(
        error_with(&[TRANSACTIONS], many),
        ("Transactions[0].type".to_owned(), RlpErrorKind::Missing)
    );
}

#[test]
fn nested_lists_are_refused_at_their_first_level() {
    let mut nested = vec![0xc0];
    for _ in 0..100_000 {
        let len = (nested.len() as u32).to_be_bytes();
        let zeros = len.iter().take_while(|byte| **byte == 0).count();
        // Built back to front.
        nested.extend(len[zeros..].iter().rev());
        nested.push(if nested.len() < 56 { 0xc0 } else { 0xf7 + (4 - zeros) as u8 });
    }
    nested.reverse();
    let error = decode_replica(&nested).unwrap_err();
    assert!(error.offset() < 16, "{error}");
}

#[test]
fn lists_have_exactly_the_items_of_their_layout() {
    let lists: [(&[usize], &str); 11] = [
        (&[], "the whole"),
        (&[HEADER], "Header"),
        (&[TRANSACTIONS, 0], "Transactions[0]"),
        (&[TRANSACTIONS, 0, 19, 0], "Transactions[0].AuthList[0]"),
        (&[7, 0], "Receipts[0]"),
        (&[7, 0, 4, 0], "Receipts[0].Logs[0]"),
        (&[STATE], "State"),
        (&[STATE, 0, 0], "State.AccountRead[0]"),
        (&[STATE, 2, 0], "State.CodeRead[0]"),
        (&[10, 0], "Withdrawals[0]"),
        (&[11, 0], "BlobTxSidecars[0]"),
    ];
    for (path, field) in lists {
        let error =
            decode_replica(&changed(|tree| tree.at(path).items().push(raw(&[0x80])))).unwrap_err();
        assert_eq!(error.path().to_string(), field);
        assert_eq!(error.kind(), &RlpErrorKind::ExtraItems(1), "{field}");
        if path == [HEADER] || path == [TRANSACTIONS, 0] {
            continue; // Their last items are optional.
        }
        let less = changed(|tree| {
            tree.at(path).items().pop();
        });
        assert_eq!(decode_replica(&less).unwrap_err().kind(), &RlpErrorKind::Missing, "{field}");
    }
    let mut bytes = encode(&one_of_each());
    let len = bytes.len();
    bytes.push(0xc0);
    let error = decode_replica(&bytes).unwrap_err();
    assert_eq!((error.offset(), error.kind()), (len, &RlpErrorKind::TrailingBytes(1)));
    assert_eq!(decode_replica(&[0x80]).unwrap_err().kind(), &RlpErrorKind::ExpectedList);
}

/// That replica whose first transaction has only its first `len` items.
fn with_transaction_of(len: usize) -> Result<ReplicaTransaction, RlpDecodeError> {
    let bytes = changed(|tree| tree.at(&[TRANSACTIONS, 0]).items().truncate(len));
    decode_replica(&bytes).map(|mut replica| replica.transactions.remove(0))
}

#[test]
fn transactions_have_16_to_20_items() {
    let full = one_of_each().transactions.remove(0);
    let without_list = ReplicaTransaction { authorization_list: None, ..full.clone() };
    assert_eq!(with_transaction_of(20).unwrap(), full);
    let data = Some(String::new());
    assert_eq!(
        with_transaction_of(19).unwrap(),
        ReplicaTransaction { data, ..without_list.clone() }
    );
    assert_eq!(with_transaction_of(18).unwrap(), without_list);
    let without_gas = ReplicaTransaction { blob_gas: Some(0), ..without_list };
    assert_eq!(with_transaction_of(17).unwrap(), without_gas);
    let without_hashes = ReplicaTransaction { blob_hashes: None, ..without_gas };
    assert_eq!(with_transaction_of(16).unwrap(), without_hashes);
    for len in 0..16 {
        let error = with_transaction_of(len).unwrap_err();
        assert_eq!(error.kind(), &RlpErrorKind::Missing);
    }
    assert_eq!(
        with_transaction_of(15).unwrap_err().path().to_string(),
        "Transactions[0].blobFeeCap"
    );
}

#[test]
fn a_zero_signature_is_none() {
    let mut replica = one_of_each();
    replica.transactions[0].v = Some(U256::ZERO);
    replica.transactions[0].r = Some(U256::ZERO);
    replica.transactions[0].s = Some(U256::ZERO);
    let decoded = decode_replica(&encode(&replica)).unwrap();
    assert_eq!(decoded, one_of_each());
}

/// That replica whose header has only its first `len` items.
fn with_header_of(len: usize) -> Result<Header, RlpDecodeError> {
    let bytes = changed(|tree| tree.at(&[HEADER]).items().truncate(len));
    decode_replica(&bytes).map(|replica| replica.header)
}

#[test]
fn headers_start_at_london() {
    for len in 0..16 {
        assert_eq!(with_header_of(len).unwrap_err().kind(), &RlpErrorKind::Missing, "{len}");
    }
    assert_eq!(with_header_of(15).unwrap_err().path().to_string(), "Header.baseFeePerGas");
    let full = one_of_each().header;
    assert_eq!(with_header_of(21).unwrap(), full);
    let cancun = Header { requests_hash: None, ..full };
    assert_eq!(with_header_of(20).unwrap(), cancun);
    let london = Header {
        withdrawals_root: None,
        blob_gas_used: None,
        excess_blob_gas: None,
        parent_beacon_block_root: None,
        ..cancun
    };
    assert_eq!(with_header_of(16).unwrap(), london);
}

#[test]
fn headers_may_lack_only_the_withdrawals_root() {
    let hole = |index: usize| {
        decode_replica(&changed(|tree| *tree.at(&[HEADER, index]) = raw(&[0x80])))
            .map(|replica| replica.header)
    };
    let full = one_of_each().header;
    assert_eq!(hole(16).unwrap(), Header { withdrawals_root: None, ..full.clone() });
    assert_eq!(hole(15).unwrap(), Header { base_fee_per_gas: Some(0), ..full.clone() });
    assert_eq!(hole(17).unwrap(), Header { blob_gas_used: Some(0), ..full });
    for (index, field) in [(19, "Header.parentBeaconBlockRoot"), (20, "Header.requestsHash")] {
        let error = hole(index).unwrap_err();
        assert_eq!(error.path().to_string(), field);
        assert_eq!(error.kind(), &RlpErrorKind::WrongLength { expected: 32, found: 0 });
    }
}

#[test]
fn an_error_says_where() {
    let bytes = changed(|tree| *tree.at(&[STATE, 2, 0, 0]) = Node::String(vec![0xee; 31]));
    let offset = bytes.windows(31).position(|window| window == [0xee; 31]).unwrap() - 1;
    assert_eq!(
        decode_replica(&bytes).unwrap_err().to_string(),
        format!("State.CodeRead[0].Hash at byte {offset}: expected 32 bytes, found 31")
    );
}
