//! Generators of replicas and segments, for property tests.
//!
//! [`replica`] generates what RLP gives back unchanged: of the values that RLP can't tell apart it
//! has those that [`decode_replica`](crate::rlp::decode_replica) returns (see [`rlp`](crate::rlp)).
//! That is:
//!
//! - base fees are present, the header's later fields are present up to some fork, and only
//!   `withdrawalsRoot` may lack among them;
//! - `v`, `r` and `s` are `None` or not zero, `blob_fee_cap` and `blob_gas` are `Some`;
//! - `blob_hashes` is `None` only where nothing follows it;
//! - `data` is not the empty text where an authorization list follows it;
//! - `withdrawals` and `blob_sidecars` are `Some`.
//!
//! Its numbers are of any size that their type holds. [`segment`] generates what AVRO and JSON give
//! back unchanged: the same with numbers as narrow as AVRO's, and with fields absent that RLP can't
//! leave out.

use crate::{
    AccountRead, BlockhashRead, CodeRead, Profile, Replica, ReplicaAuthorization, ReplicaKind,
    ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment, StateSpecimen,
    StorageRead,
    avro::label_of_profile,
    rlp::{BLOB_BYTES, COMMITMENT_BYTES, PROOF_BYTES},
    supplement::Supplement,
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::{Just, Strategy, any, prop_compose, prop_oneof},
};

prop_compose! {
    /// A replica of any kind, with what belongs to its kind, and one sender a transaction.
    pub fn replica()(
        kind in replica_kind(),
        (network_id, hash, total_difficulty) in (uint(), hash(), uint256()),
        (header, uncles) in (header(), vec(header(), 0..2)),
        transactions in vec((transaction(), address()), 0..5),
        receipts in vec(receipt(), 0..4),
        state in state(),
        withdrawals in vec(withdrawal(), 0..4),
        blob_sidecars in vec(sidecar(), 0..2),
    ) -> Replica {
        let (transactions, senders) = transactions.into_iter().unzip();
        Replica {
            kind,
            network_id,
            hash,
            total_difficulty,
            header,
            transactions,
            uncles,
            receipts: if kind.has_receipts() { receipts } else { Vec::new() },
            senders,
            state: if kind.has_state() { state } else { StateSpecimen::default() },
            withdrawals: Some(withdrawals),
            blob_sidecars: Some(blob_sidecars),
        }
    }
}

/// The same replica every time: one of each record, with a few fields filled, that every form gives
/// back unchanged.
pub fn one_of_each() -> Replica {
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
        receipts: vec![ReplicaReceipt {
            logs: vec![ReplicaLog { topics: vec![B256::ZERO], ..ReplicaLog::default() }],
            ..ReplicaReceipt::default()
        }],
        senders: vec![Address::repeat_byte(1)],
        state: StateSpecimen {
            account_read: vec![AccountRead::default()],
            storage_read: vec![StorageRead::default()],
            code_read: vec![CodeRead { hash: B256::ZERO, code: Bytes::from_static(&[0x60; 60]) }],
            blockhash_read: vec![BlockhashRead::default()],
        },
        withdrawals: Some(vec![Withdrawal::default()]),
        blob_sidecars: Some(vec![ReplicaSidecar::default()]),
    }
}

prop_compose! {
    /// A segment of `profile`.
    pub fn segment(profile: Profile)(
        mut replica in replica(),
        absent in any::<[bool; 9]>(),
        authorization in authorization(),
        (event_hash, positions) in (hash(), any::<[u64; 3]>()),
    ) -> Segment {
        leave_out(&mut replica, absent);
        keep_to_profile(&mut replica, profile, authorization);
        narrow(&mut replica);
        let [start_block, end_block, elements] = positions.map(long);
        let codec_version = label_of_profile(profile);
        Segment { event_hash, start_block, end_block, elements, codec_version, replica }
    }
}

/// Removes fields that AVRO and JSON know as absent, and RLP does not.
fn leave_out(replica: &mut Replica, absent: [bool; 9]) {
    fn keep<T>(field: &mut Option<T>, absent: bool) {
        field.take_if(|_| absent);
    }
    let [withdrawals, sidecars, fee, hashes, gas, used, excess, beacon_root, requests] = absent;
    keep(&mut replica.withdrawals, withdrawals);
    keep(&mut replica.blob_sidecars, sidecars);
    for transaction in &mut replica.transactions {
        keep(&mut transaction.blob_fee_cap, fee);
        keep(&mut transaction.blob_hashes, hashes);
        keep(&mut transaction.blob_gas, gas);
    }
    let header = &mut replica.header;
    keep(&mut header.blob_gas_used, used);
    keep(&mut header.excess_blob_gas, excess);
    keep(&mut header.parent_beacon_block_root, beacon_root);
    keep(&mut header.requests_hash, requests);
}

/// Cuts numbers to what AVRO holds of them.
fn narrow(replica: &mut Replica) {
    replica.network_id = int(replica.network_id);
    narrow_header(&mut replica.header);
    replica.uncles.iter_mut().for_each(narrow_header);
    for transaction in &mut replica.transactions {
        transaction.nonce = long(transaction.nonce);
        transaction.gas = long(transaction.gas);
        transaction.blob_gas = transaction.blob_gas.map(int);
        for authorization in transaction.authorization_list.iter_mut().flatten() {
            // AVRO holds the upper half too, as negative numbers, which JSON writes in another way.
            authorization.nonce &= i64::MAX.cast_unsigned();
        }
    }
    for receipt in &mut replica.receipts {
        receipt.cumulative_gas_used = int(receipt.cumulative_gas_used);
        receipt.gas_used = int(receipt.gas_used);
        for log in &mut receipt.logs {
            log.block_number = long(log.block_number);
            log.tx_index = int(log.tx_index);
            log.log_index = int(log.log_index);
        }
    }
    for account in &mut replica.state.account_read {
        account.nonce = long(account.nonce);
    }
    for blockhash in &mut replica.state.blockhash_read {
        blockhash.block_number = long(blockhash.block_number);
    }
    for withdrawal in replica.withdrawals.iter_mut().flatten() {
        withdrawal.index = long(withdrawal.index);
        withdrawal.validator_index = long(withdrawal.validator_index);
        withdrawal.amount = long(withdrawal.amount);
    }
}

fn narrow_header(header: &mut Header) {
    header.gas_limit = int(header.gas_limit);
    header.gas_used = int(header.gas_used);
    header.timestamp = int(header.timestamp);
    header.blob_gas_used = header.blob_gas_used.map(int);
    header.excess_blob_gas = header.excess_blob_gas.map(int);
}

/// The bits of an AVRO int that is not negative.
const fn int(value: u64) -> u64 {
    value & ((1 << 31) - 1)
}

/// The bits of an AVRO long that a double holds too.
const fn long(value: u64) -> u64 {
    value & ((1 << 53) - 1)
}

/// Makes the replica one of `profile`, by removing what the other has or adding an authorization.
fn keep_to_profile(replica: &mut Replica, profile: Profile, authorization: ReplicaAuthorization) {
    match profile {
        Profile::Network => {
            for transaction in &mut replica.transactions {
                transaction.data = None;
                transaction.authorization_list = None;
            }
        }
        Profile::Complete => replica.transactions.push(ReplicaTransaction {
            authorization_list: Some(vec![authorization]),
            ..ReplicaTransaction::default()
        }),
    }
}

/// Any of the three kinds.
pub fn replica_kind() -> impl Strategy<Value = ReplicaKind> {
    prop_oneof![Just(ReplicaKind::Specimen), Just(ReplicaKind::Result), Just(ReplicaKind::Replica)]
}

prop_compose! {
    /// A header from London to Prague, sometimes without its withdrawals root.
    pub fn header()(
        (parent_hash, ommers_hash, state_root) in (hash(), hash(), hash()),
        (transactions_root, receipts_root, mix_hash) in (hash(), hash(), hash()),
        (beneficiary, nonce) in (address(), any::<[u8; 8]>().prop_map(B64::new)),
        logs_bloom in vec(any::<u8>(), 256).prop_map(|bytes| Bloom::from_slice(&bytes)),
        (difficulty, number, timestamp) in (uint256(), uint(), uint()),
        (gas_limit, gas_used, base_fee) in (uint(), uint(), uint()),
        extra_data in bytes(40),
        withdrawals_root in option::weighted(0.9, hash()),
        (blob_gas_used, excess_blob_gas) in (uint(), uint()),
        (parent_beacon_block_root, requests_hash) in (hash(), hash()),
        later_fields in 0..6,
    ) -> Header {
        Header {
            parent_hash,
            ommers_hash,
            beneficiary,
            state_root,
            transactions_root,
            receipts_root,
            logs_bloom,
            difficulty,
            number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            mix_hash,
            nonce,
            base_fee_per_gas: Some(base_fee),
            withdrawals_root: withdrawals_root.filter(|_| later_fields >= 1),
            blob_gas_used: (later_fields >= 2).then_some(blob_gas_used),
            excess_blob_gas: (later_fields >= 3).then_some(excess_blob_gas),
            parent_beacon_block_root: (later_fields >= 4).then_some(parent_beacon_block_root),
            requests_hash: (later_fields >= 5).then_some(requests_hash),
            block_access_list_hash: None,
            slot_number: None,
        }
    }
}

/// A transaction of any known type, of [`Profile::Complete`] in one case of four.
pub fn transaction() -> impl Strategy<Value = ReplicaTransaction> {
    let tail = prop_oneof![
        1 => Just(TransactionTail::default()),
        2 => blob_fields(),
        1 => (blob_fields(), complete_fields()).prop_map(|(blob, complete)| TransactionTail {
            data: complete.data,
            authorization_list: complete.authorization_list,
            ..blob
        }),
    ];
    (base_transaction(), tail).prop_map(|(transaction, tail)| ReplicaTransaction {
        blob_hashes: tail.blob_hashes,
        blob_gas: Some(tail.blob_gas),
        data: tail.data,
        authorization_list: tail.authorization_list,
        ..transaction
    })
}

/// The fields that a transaction may end before. The default is what producers wrote before
/// EIP-4844.
#[derive(Debug, Clone, Default)]
struct TransactionTail {
    blob_hashes: Option<Vec<B256>>,
    blob_gas: u64,
    data: Option<String>,
    authorization_list: Option<Vec<ReplicaAuthorization>>,
}

prop_compose! {
    fn base_transaction()(
        (tx_type, chain_id, nonce, gas) in (0..=4u8, uint256(), uint(), uint()),
        access_list in vec(access_list_item(), 0..3),
        (gas_price, gas_tip_cap, gas_fee_cap) in (uint256(), uint256(), uint256()),
        (from, to) in (option::weighted(0.9, address()), option::weighted(0.8, address())),
        (value, blob_fee_cap) in (uint256(), uint256()),
        input in bytes(300),
        signature in (nonzero_uint256(), nonzero_uint256(), nonzero_uint256()),
    ) -> ReplicaTransaction {
        let (v, r, s) = signature;
        ReplicaTransaction {
            tx_type,
            access_list: AccessList(if tx_type == 0 { Vec::new() } else { access_list }),
            chain_id,
            nonce,
            gas_price,
            gas,
            gas_tip_cap,
            gas_fee_cap,
            from,
            to,
            value,
            input,
            v,
            r,
            s,
            blob_fee_cap: Some(blob_fee_cap),
            ..ReplicaTransaction::default()
        }
    }
}

prop_compose! {
    fn blob_fields()(blob_hashes in vec(hash(), 0..3), blob_gas in uint()) -> TransactionTail {
        TransactionTail { blob_hashes: Some(blob_hashes), blob_gas, ..TransactionTail::default() }
    }
}

prop_compose! {
    fn complete_fields()(
        data in option::of("[ -~é\n]{0,8}"),
        authorization_list in option::of(vec(authorization(), 0..3)),
    ) -> TransactionTail {
        let data = data.filter(|data| authorization_list.is_none() || !data.is_empty());
        TransactionTail { data, authorization_list, ..TransactionTail::default() }
    }
}

prop_compose! {
    /// An entry of an access list.
    pub fn access_list_item()(
        address in address(),
        storage_keys in vec(hash(), 0..3),
    ) -> AccessListItem {
        AccessListItem { address, storage_keys }
    }
}

prop_compose! {
    /// An EIP-7702 authorization.
    pub fn authorization()(
        (chain_id, address, nonce) in (uint256(), address(), uint()),
        (y_parity, r, s) in (uint256(), uint256(), uint256()),
    ) -> ReplicaAuthorization {
        ReplicaAuthorization { chain_id, address, nonce, y_parity, r, s }
    }
}

prop_compose! {
    /// A supplement, of codes of any size.
    pub fn supplement()(
        block_hash in hash(),
        authorizations in btree_map(0..2000_usize, vec(signed_authorization(), 0..4), 0..4),
        code_sizes in btree_map(hash(), any::<u32>(), 0..4),
    ) -> Supplement {
        Supplement { block_hash, authorizations, code_sizes }
    }
}

prop_compose! {
    fn signed_authorization()(
        (chain_id, address, nonce) in (uint256(), address(), uint()),
        (y_parity, r, s) in (any::<u8>(), uint256(), uint256()),
    ) -> SignedAuthorization {
        let inner = Authorization { chain_id, address, nonce };
        SignedAuthorization::new_unchecked(inner, y_parity, r, s)
    }
}

prop_compose! {
    /// A receipt, its derived fields zero or not.
    pub fn receipt()(
        post_state_or_status in prop_oneof![
            Just(Bytes::new()),
            Just(Bytes::from_static(&[1])),
            hash().prop_map(|root| Bytes::copy_from_slice(root.as_slice())),
        ],
        (cumulative_gas_used, gas_used) in (uint(), uint()),
        (tx_hash, contract_address) in (hash(), address()),
        logs in vec(log(), 0..3),
    ) -> ReplicaReceipt {
        ReplicaReceipt {
            post_state_or_status,
            cumulative_gas_used,
            tx_hash,
            contract_address,
            logs,
            gas_used,
        }
    }
}

prop_compose! {
    /// A log, its position fields zero or not.
    pub fn log()(
        address in address(),
        topics in vec(hash(), 0..=4),
        data in bytes(100),
        (block_number, tx_index, log_index) in (uint(), uint(), uint()),
        (tx_hash, block_hash) in (hash(), hash()),
        removed: bool,
    ) -> ReplicaLog {
        ReplicaLog {
            address,
            topics,
            data,
            block_number,
            tx_hash,
            tx_index,
            block_hash,
            log_index,
            removed,
        }
    }
}

prop_compose! {
    /// Read lists.
    pub fn state()(
        account_read in vec(account_read(), 0..4),
        storage_read in vec(storage_read(), 0..4),
        code_read in vec(code_read(), 0..3),
        blockhash_read in vec(blockhash_read(), 0..3),
    ) -> StateSpecimen {
        StateSpecimen { account_read, storage_read, code_read, blockhash_read }
    }
}

prop_compose! {
    /// An account.
    pub fn account_read()(
        (address, nonce, balance, code_hash) in (address(), uint(), uint256(), hash()),
    ) -> AccountRead {
        AccountRead { address, nonce, balance, code_hash }
    }
}

prop_compose! {
    /// A storage slot.
    pub fn storage_read()(
        (account, slot_key, value) in (address(), hash(), hash()),
    ) -> StorageRead {
        StorageRead { account, slot_key, value }
    }
}

prop_compose! {
    /// A code, which doesn't have the hash beside it.
    pub fn code_read()(
        hash in hash(),
        code in prop_oneof![9 => bytes(300), 1 => bytes(70_000)],
    ) -> CodeRead {
        CodeRead { hash, code }
    }
}

prop_compose! {
    /// An ancestor's hash.
    pub fn blockhash_read()((block_number, block_hash) in (uint(), hash())) -> BlockhashRead {
        BlockhashRead { block_number, block_hash }
    }
}

prop_compose! {
    /// A withdrawal.
    pub fn withdrawal()(
        (index, validator_index, address, amount) in (uint(), uint(), address(), uint()),
    ) -> Withdrawal {
        Withdrawal { index, validator_index, address, amount }
    }
}

prop_compose! {
    /// A sidecar, with a blob in one case of ten.
    pub fn sidecar()(
        blobs in prop_oneof![
            9 => Just(Vec::new()),
            1 => any::<u8>().prop_map(|byte| vec![Bytes::from(vec![byte; BLOB_BYTES])]),
        ],
        commitments in vec(vec(any::<u8>(), COMMITMENT_BYTES).prop_map(Bytes::from), 0..3),
        proofs in vec(vec(any::<u8>(), PROOF_BYTES).prop_map(Bytes::from), 0..3),
    ) -> ReplicaSidecar {
        ReplicaSidecar { blobs, commitments, proofs }
    }
}

/// 32 bytes, zero in one case of eight.
pub fn hash() -> impl Strategy<Value = B256> {
    prop_oneof![1 => Just(B256::ZERO), 7 => any::<[u8; 32]>().prop_map(B256::new)]
}

/// An address, zero in one case of eight.
pub fn address() -> impl Strategy<Value = Address> {
    prop_oneof![1 => Just(Address::ZERO), 7 => any::<[u8; 20]>().prop_map(Address::new)]
}

/// A number, of each bit length equally often.
pub fn uint() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..=64u32).prop_map(|(value, shift)| value.checked_shr(shift).unwrap_or(0))
}

/// A big number, of each bit length equally often.
pub fn uint256() -> impl Strategy<Value = U256> {
    (any::<[u64; 4]>(), 0..=256usize).prop_map(|(limbs, shift)| U256::from_limbs(limbs) >> shift)
}

fn nonzero_uint256() -> impl Strategy<Value = Option<U256>> {
    uint256().prop_map(|value| (!value.is_zero()).then_some(value))
}

/// Up to `max` bytes: none, one, either side of RLP's short strings, or any number.
pub fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    let len = prop_oneof![2 => 0..=1usize, 1 => 55..=56usize, 4 => 0..=max];
    (len, any::<u64>()).prop_map(move |(len, seed)| pseudo_random(len.min(max), seed))
}

/// Bytes that depend on `seed`: quicker to generate than a strategy for each of them.
fn pseudo_random(len: usize, seed: u64) -> Bytes {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}
