//! Whole replicas through both directions, against an independent encoder and real data.

use super::*;
use crate::{
    Profile, Replica, ReplicaAuthorization, ReplicaKind, ReplicaTransaction, StateSpecimen,
    arbitrary,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use std::{fs, path::Path};

/// The same layout once more, in the words of another encoder.
mod oracle {
    use crate::{Profile, Replica, ReplicaSidecar, ReplicaTransaction};
    use alloy_eips::{eip2930::AccessList, eip4895::Withdrawal};
    use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
    use alloy_rlp::{Encodable, RlpEncodable};

    pub(super) fn encode(replica: &Replica, profile: Profile) -> Vec<u8> {
        alloy_rlp::encode(ReplicaList::of(replica, profile))
    }

    #[derive(RlpEncodable)]
    struct ReplicaList {
        kind: String,
        network_id: u64,
        hash: B256,
        total_difficulty: U256,
        header: HeaderList,
        transactions: Vec<TransactionList>,
        uncles: Vec<HeaderList>,
        receipts: Vec<ReceiptList>,
        senders: Vec<Address>,
        state: StateList,
        withdrawals: Vec<Withdrawal>,
        blob_sidecars: Vec<SidecarList>,
    }

    #[derive(RlpEncodable)]
    #[rlp(trailing)]
    pub(super) struct HeaderList {
        parent_hash: B256,
        ommers_hash: B256,
        beneficiary: Address,
        state_root: B256,
        transactions_root: B256,
        receipts_root: B256,
        logs_bloom: Bloom,
        difficulty: U256,
        number: u64,
        gas_limit: u64,
        gas_used: u64,
        timestamp: u64,
        extra_data: Bytes,
        mix_hash: B256,
        nonce: B64,
        base_fee_per_gas: Option<u64>,
        withdrawals_root: Option<B256>,
        blob_gas_used: Option<u64>,
        excess_blob_gas: Option<u64>,
        parent_beacon_block_root: Option<B256>,
        requests_hash: Option<B256>,
    }

    #[derive(RlpEncodable)]
    #[rlp(trailing)]
    struct TransactionList {
        tx_type: u8,
        access_list: AccessList,
        chain_id: U256,
        nonce: u64,
        gas_price: U256,
        gas: u64,
        gas_tip_cap: U256,
        gas_fee_cap: U256,
        from: Bytes,
        to: Bytes,
        value: U256,
        input: Bytes,
        v: U256,
        r: U256,
        s: U256,
        blob_fee_cap: U256,
        blob_hashes: Option<Vec<B256>>,
        blob_gas: Option<u64>,
        data: Option<Bytes>,
        authorization_list: Option<Vec<AuthorizationList>>,
    }

    #[derive(RlpEncodable)]
    struct AuthorizationList {
        chain_id: U256,
        address: Address,
        nonce: u64,
        y_parity: U256,
        r: U256,
        s: U256,
    }

    #[derive(RlpEncodable)]
    struct ReceiptList {
        post_state_or_status: Bytes,
        cumulative_gas_used: u64,
        tx_hash: B256,
        contract_address: Address,
        logs: Vec<LogList>,
        gas_used: u64,
    }

    #[derive(RlpEncodable)]
    struct LogList {
        address: Address,
        topics: Vec<B256>,
        data: Bytes,
        block_number: u64,
        tx_hash: B256,
        tx_index: u64,
        block_hash: B256,
        log_index: u64,
        removed: bool,
    }

    #[derive(RlpEncodable)]
    struct StateList {
        account_read: Vec<AccountList>,
        storage_read: Vec<StorageList>,
        code_read: Vec<CodeList>,
        blockhash_read: Vec<BlockhashList>,
    }

    #[derive(RlpEncodable)]
    struct AccountList {
        address: Address,
        nonce: u64,
        balance: U256,
        code_hash: B256,
    }

    #[derive(RlpEncodable)]
    struct StorageList {
        account: Address,
        slot_key: B256,
        value: B256,
    }

    #[derive(RlpEncodable)]
    struct CodeList {
        hash: B256,
        code: Bytes,
    }

    #[derive(RlpEncodable)]
    struct BlockhashList {
        block_number: u64,
        block_hash: B256,
    }

    #[derive(RlpEncodable)]
    struct SidecarList {
        blobs: Vec<Bytes>,
        commitments: Vec<Bytes>,
        proofs: Vec<Bytes>,
    }

    impl ReplicaList {
        fn of(replica: &Replica, profile: Profile) -> Self {
            Self {
                kind: replica.kind.to_string(),
                network_id: replica.network_id,
                hash: replica.hash,
                total_difficulty: replica.total_difficulty,
                header: HeaderList::of(&replica.header),
                transactions: replica
                    .transactions
                    .iter()
                    .map(|transaction| TransactionList::of(transaction, profile))
                    .collect(),
                uncles: replica.uncles.iter().map(HeaderList::of).collect(),
                receipts: replica.receipts.iter().map(ReceiptList::of).collect(),
                senders: replica.senders.clone(),
                state: StateList::of(&replica.state),
                withdrawals: replica.withdrawals.clone().unwrap_or_default(),
                blob_sidecars: replica
                    .blob_sidecars
                    .iter()
                    .flatten()
                    .cloned()
                    .map(|ReplicaSidecar { blobs, commitments, proofs }| SidecarList {
                        blobs,
                        commitments,
                        proofs,
                    })
                    .collect(),
            }
        }
    }

    impl HeaderList {
        pub(super) fn of(header: &alloy_consensus::Header) -> Self {
            Self {
                parent_hash: header.parent_hash,
                ommers_hash: header.ommers_hash,
                beneficiary: header.beneficiary,
                state_root: header.state_root,
                transactions_root: header.transactions_root,
                receipts_root: header.receipts_root,
                logs_bloom: header.logs_bloom,
                difficulty: header.difficulty,
                number: header.number,
                gas_limit: header.gas_limit,
                gas_used: header.gas_used,
                timestamp: header.timestamp,
                extra_data: header.extra_data.clone(),
                mix_hash: header.mix_hash,
                nonce: header.nonce,
                base_fee_per_gas: header.base_fee_per_gas,
                withdrawals_root: header.withdrawals_root,
                blob_gas_used: header.blob_gas_used,
                excess_blob_gas: header.excess_blob_gas,
                parent_beacon_block_root: header.parent_beacon_block_root,
                requests_hash: header.requests_hash,
            }
        }
    }

    impl TransactionList {
        fn of(tx: &ReplicaTransaction, profile: Profile) -> Self {
            let address = |address: Option<Address>| {
                address
                    .map_or_else(Bytes::new, |address| Bytes::copy_from_slice(address.as_slice()))
            };
            let complete = profile == Profile::Complete;
            let authorization_list =
                tx.authorization_list.as_ref().filter(|_| complete).map(|list| {
                    list.iter()
                        .map(|authorization| AuthorizationList {
                            chain_id: authorization.chain_id,
                            address: authorization.address,
                            nonce: authorization.nonce,
                            y_parity: authorization.y_parity,
                            r: authorization.r,
                            s: authorization.s,
                        })
                        .collect()
                });
            let data = tx.data.clone().filter(|_| complete).map(|data| data.into_bytes().into());
            Self {
                tx_type: tx.tx_type,
                access_list: tx.access_list.clone(),
                chain_id: tx.chain_id,
                nonce: tx.nonce,
                gas_price: tx.gas_price,
                gas: tx.gas,
                gas_tip_cap: tx.gas_tip_cap,
                gas_fee_cap: tx.gas_fee_cap,
                from: address(tx.from),
                to: address(tx.to),
                value: tx.value,
                input: tx.input.clone(),
                v: tx.v.unwrap_or_default(),
                r: tx.r.unwrap_or_default(),
                s: tx.s.unwrap_or_default(),
                blob_fee_cap: tx.blob_fee_cap.unwrap_or_default(),
                blob_hashes: tx
                    .blob_hashes
                    .clone()
                    .or_else(|| (data.is_some() || authorization_list.is_some()).then(Vec::new)),
                blob_gas: tx.blob_gas.filter(|gas| *gas != 0),
                data,
                authorization_list,
            }
        }
    }

    impl ReceiptList {
        fn of(receipt: &crate::ReplicaReceipt) -> Self {
            let log = |log: &crate::ReplicaLog| LogList {
                address: log.address,
                topics: log.topics.clone(),
                data: log.data.clone(),
                block_number: log.block_number,
                tx_hash: log.tx_hash,
                tx_index: log.tx_index,
                block_hash: log.block_hash,
                log_index: log.log_index,
                removed: log.removed,
            };
            Self {
                post_state_or_status: receipt.post_state_or_status.clone(),
                cumulative_gas_used: receipt.cumulative_gas_used,
                tx_hash: receipt.tx_hash,
                contract_address: receipt.contract_address,
                logs: receipt.logs.iter().map(log).collect(),
                gas_used: receipt.gas_used,
            }
        }
    }

    impl StateList {
        fn of(state: &crate::StateSpecimen) -> Self {
            let account = |read: &crate::AccountRead| AccountList {
                address: read.address,
                nonce: read.nonce,
                balance: read.balance,
                code_hash: read.code_hash,
            };
            let storage = |read: &crate::StorageRead| StorageList {
                account: read.account,
                slot_key: read.slot_key,
                value: read.value,
            };
            let code =
                |read: &crate::CodeRead| CodeList { hash: read.hash, code: read.code.clone() };
            let blockhash = |read: &crate::BlockhashRead| BlockhashList {
                block_number: read.block_number,
                block_hash: read.block_hash,
            };
            Self {
                account_read: state.account_read.iter().map(account).collect(),
                storage_read: state.storage_read.iter().map(storage).collect(),
                code_read: state.code_read.iter().map(code).collect(),
                blockhash_read: state.blockhash_read.iter().map(blockhash).collect(),
            }
        }
    }

    pub(super) fn encode_header(header: &alloy_consensus::Header) -> Vec<u8> {
        let mut out = Vec::new();
        HeaderList::of(header).encode(&mut out);
        out
    }
}

/// A replica with one of everything that is short.
fn small_replica() -> Replica {
    let transaction = ReplicaTransaction {
        tx_type: 4,
        chain_id: U256::from(1),
        from: Some(Address::repeat_byte(1)),
        input: Bytes::from_static(&[1, 2, 3]),
        blob_fee_cap: Some(U256::ZERO),
        blob_hashes: Some(vec![B256::repeat_byte(2)]),
        blob_gas: Some(131_072),
        authorization_list: Some(vec![ReplicaAuthorization::default()]),
        ..ReplicaTransaction::default()
    };
    Replica {
        kind: ReplicaKind::Replica,
        network_id: 1,
        hash: B256::repeat_byte(3),
        total_difficulty: U256::ZERO,
        header: Header {
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(B256::repeat_byte(4)),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::repeat_byte(5)),
            requests_hash: Some(B256::repeat_byte(6)),
            ..Header::default()
        },
        transactions: vec![transaction],
        uncles: Vec::new(),
        receipts: vec![crate::ReplicaReceipt {
            logs: vec![crate::ReplicaLog {
                topics: vec![B256::ZERO],
                ..crate::ReplicaLog::default()
            }],
            ..crate::ReplicaReceipt::default()
        }],
        senders: vec![Address::repeat_byte(1)],
        state: StateSpecimen {
            account_read: vec![crate::AccountRead::default()],
            storage_read: vec![crate::StorageRead::default()],
            code_read: vec![crate::CodeRead {
                hash: B256::ZERO,
                code: Bytes::from_static(&[0x60; 60]),
            }],
            blockhash_read: vec![crate::BlockhashRead::default()],
        },
        withdrawals: Some(vec![alloy_eips::eip4895::Withdrawal::default()]),
        blob_sidecars: Some(vec![crate::ReplicaSidecar::default()]),
    }
}

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
        let mut bytes = encode(&small_replica());
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
fn the_small_replica_is_valid() {
    let replica = small_replica();
    assert_eq!(decode_replica(&encode(&replica)).unwrap(), replica);
}

#[test]
fn an_input_cut_at_any_byte_is_refused() {
    let bytes = encode(&small_replica());
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
    let some = Replica {
        withdrawals: Some(Vec::new()),
        blob_sidecars: Some(Vec::new()),
        ..small_replica()
    };
    let none = Replica { withdrawals: None, blob_sidecars: None, ..small_replica() };
    assert_eq!(encode(&none), encode(&some));
    assert_eq!(decode_replica(&encode(&none)).unwrap(), some);
}

#[test]
fn shared_bytes_are_slices_of_the_input() {
    let bytes = Bytes::from(encode(&small_replica()));
    let replica = decode_replica_bytes(&bytes).unwrap();
    let code = &replica.state.code_read[0].code;
    assert!(bytes.as_ptr_range().contains(&code.as_ptr()));
}

#[test]
fn headers_of_later_forks_are_refused() {
    let mut replica = small_replica();
    replica.header.slot_number = Some(1);
    assert_eq!(
        encode_replica(&replica, Profile::Network).unwrap_err().to_string(),
        "Header.slotNumber has no place in the layout, whose header ends with requestsHash"
    );
    let mut replica = small_replica();
    replica.uncles = vec![Header::default(); 2];
    replica.uncles[1].block_access_list_hash = Some(B256::ZERO);
    assert_eq!(
        encoded_replica_len(&replica, Profile::Network).unwrap_err().to_string(),
        "uncles[1].blockAccessListHash has no place in the layout, whose header ends with requestsHash"
    );
}

#[test]
fn an_input_above_the_limit_is_refused_unread() {
    let bytes = vec![0; MAX_REPLICA_BYTES + 1];
    let expected =
        RlpErrorKind::InputTooLong { len: MAX_REPLICA_BYTES + 1, max: MAX_REPLICA_BYTES };
    assert_eq!(decode_replica(&bytes).unwrap_err().kind(), &expected);
    assert_eq!(decode_replica_bytes(&bytes.into()).unwrap_err().kind(), &expected);
}

/// RLP as a tree, to write what the encoder can't.
#[derive(Debug, Clone)]
enum Node {
    String(Vec<u8>),
    List(Vec<Node>),
    /// Bytes that may be no RLP at all.
    Raw(Vec<u8>),
}

impl Node {
    fn encode(&self) -> Vec<u8> {
        let (base, payload) = match self {
            Self::Raw(bytes) => return bytes.clone(),
            Self::String(bytes) if matches!(bytes[..], [byte] if byte < 0x80) => {
                return bytes.clone();
            }
            Self::String(bytes) => (0x80, bytes.clone()),
            Self::List(items) => (0xc0, items.iter().flat_map(Self::encode).collect()),
        };
        let mut out = if payload.len() < 56 {
            vec![base + payload.len() as u8]
        } else {
            let len = payload.len().to_be_bytes();
            let zeros = len.iter().take_while(|byte| **byte == 0).count();
            [&[base + 55 + (8 - zeros) as u8][..], &len[zeros..]].concat()
        };
        out.extend(payload);
        out
    }

    fn decode(bytes: &mut &[u8]) -> Self {
        let header = alloy_rlp::Header::decode(bytes).unwrap();
        let (mut payload, rest) = bytes.split_at(header.payload_length);
        *bytes = rest;
        if !header.list {
            return Self::String(payload.to_vec());
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload));
        }
        Self::List(items)
    }

    fn items(&mut self) -> &mut Vec<Self> {
        let Self::List(items) = self else { panic!("not a list: {self:?}") };
        items
    }

    /// The item at the end of a path of positions.
    fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, index| &mut node.items()[*index])
    }
}

/// The small replica's items, changed by `change`.
fn changed(change: impl FnOnce(&mut Node)) -> Vec<u8> {
    let mut tree = Node::decode(&mut &encode(&small_replica())[..]);
    change(&mut tree);
    tree.encode()
}

/// The error for the small replica with one item replaced, as path and kind.
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
        (
            "Type".to_owned(),
            RlpErrorKind::UnknownKind(crate::UnknownReplicaKind("block-spec".to_owned()))
        )
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
            available: encode(&small_replica()).len()
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
        (&[], "the outermost list"),
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
    let mut bytes = encode(&small_replica());
    let len = bytes.len();
    bytes.push(0xc0);
    let error = decode_replica(&bytes).unwrap_err();
    assert_eq!((error.offset(), error.kind()), (len, &RlpErrorKind::TrailingBytes(1)));
    assert_eq!(decode_replica(&[0x80]).unwrap_err().kind(), &RlpErrorKind::ExpectedList);
}

/// The small replica whose first transaction has only its first `len` items.
fn with_transaction_of(len: usize) -> Result<ReplicaTransaction, RlpDecodeError> {
    let bytes = changed(|tree| tree.at(&[TRANSACTIONS, 0]).items().truncate(len));
    decode_replica(&bytes).map(|mut replica| replica.transactions.remove(0))
}

#[test]
fn transactions_have_16_to_20_items() {
    let full = small_replica().transactions.remove(0);
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
    let mut replica = small_replica();
    replica.transactions[0].v = Some(U256::ZERO);
    replica.transactions[0].r = Some(U256::ZERO);
    replica.transactions[0].s = Some(U256::ZERO);
    let decoded = decode_replica(&encode(&replica)).unwrap();
    assert_eq!(decoded, small_replica());
}

/// The small replica whose header has only its first `len` items.
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
    let full = small_replica().header;
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
    let full = small_replica().header;
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

/// A file of the real data, or `None` and a word about it.
fn mainnet(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet")).join(name);
    let bytes = fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: no real data at {}", path.display());
    }
    bytes
}

#[test]
fn a_mainnet_block_is_read_and_written_identically() {
    let Some(bytes) = mainnet("22433670.replica.rlp") else { return };
    let replica = decode_replica(&bytes).unwrap();
    assert_eq!(replica.kind, ReplicaKind::Replica);
    assert_eq!(replica.network_id, 1);
    assert_eq!(replica.header.number, 22_433_670);
    assert_eq!(replica.header.gas_used, 11_583_658);
    assert_eq!(replica.transactions.len(), 132);
    let of_type = |tx_type| replica.transactions.iter().filter(|tx| tx.tx_type == tx_type).count();
    assert_eq!([0, 1, 2, 3, 4].map(of_type), [12, 3, 116, 0, 1]);
    let state = &replica.state;
    assert_eq!(state.account_read.len(), 393);
    assert_eq!(state.storage_read.len(), 1168);
    assert_eq!(state.code_read.len(), 223);
    assert_eq!(state.blockhash_read.len(), 0);

    assert_eq!(encode_replica(&replica, replica.profile()).unwrap(), bytes);
    assert_eq!(replica.profile(), Profile::Network);
    assert_eq!(decode_replica_bytes(&bytes.into()).unwrap(), replica);
}

#[test]
fn a_mainnet_header_hashes_to_its_block_hash() {
    let Some(bytes) = mainnet("22433670.replica.rlp") else { return };
    let replica = decode_replica(&bytes).unwrap();
    assert_eq!(keccak256(encode_list(&replica.header)), replica.hash);
    for code in &replica.state.code_read {
        assert_eq!(keccak256(&code.code), code.hash);
    }
}
