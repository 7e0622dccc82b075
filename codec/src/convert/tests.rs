//! Export and rebuilding against each other, and each value rule on its own.

use super::{roots::*, *};
use crate::replica::{
    AccountRead, Profile, Replica, ReplicaAuthorization, ReplicaKind, ReplicaTransaction,
    StateSpecimen,
};
use alloy_consensus::{
    BlockBody, Eip658Value, EthereumReceipt, Header, Receipt, SignableTransaction, Transaction,
    TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, TxType, Typed2718,
    crypto::secp256k1::sign_message,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::{Withdrawal, Withdrawals},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256, uint};
use proptest::{collection::vec, prelude::*};

const SECRET: B256 = B256::repeat_byte(0x46);
/// The address of [`SECRET`], from the example of EIP-155.
const SENDER: Address = alloy_primitives::address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");

fn sign<T: SignableTransaction<Signature>>(tx: T) -> SignedTransaction
where
    SignedTransaction: From<alloy_consensus::Signed<T>>,
{
    let signature = sign_message(SECRET, tx.signature_hash()).unwrap();
    SignedTransaction::from(tx.into_signed(signature))
}

fn access_list() -> AccessList {
    AccessList(vec![AccessListItem {
        address: Address::repeat_byte(0xac),
        storage_keys: vec![B256::ZERO, B256::repeat_byte(7)],
    }])
}

fn authorization() -> SignedAuthorization {
    let unsigned =
        Authorization { chain_id: U256::ONE, address: Address::repeat_byte(0xde), nonce: 3 };
    let signature = sign_message(SECRET, unsigned.signature_hash()).unwrap();
    unsigned.into_signed(signature)
}

/// The transaction whose signature EIP-155 states.
fn eip155_example() -> TxLegacy {
    TxLegacy {
        chain_id: Some(1),
        nonce: 9,
        gas_price: 20_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(0x35)),
        value: U256::from(1_000_000_000_000_000_000u64),
        input: Bytes::new(),
    }
}

fn eip2930() -> TxEip2930 {
    TxEip2930 {
        chain_id: 1,
        nonce: 1,
        gas_price: 30,
        gas_limit: 100_000,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: access_list(),
        input: Bytes::from_static(b"\x60\x00"),
    }
}

fn eip1559() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce: 2,
        gas_limit: 50_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 3,
        to: TxKind::Call(Address::repeat_byte(0x11)),
        value: U256::from(5),
        access_list: access_list(),
        input: Bytes::from_static(b"call"),
    }
}

fn eip4844() -> TxEip4844 {
    TxEip4844 {
        chain_id: 1,
        nonce: 3,
        gas_limit: 60_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 4,
        to: Address::repeat_byte(0x12),
        value: U256::ZERO,
        access_list: AccessList::default(),
        blob_versioned_hashes: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
        max_fee_per_blob_gas: 17,
        input: Bytes::new(),
    }
}

fn eip7702() -> TxEip7702 {
    TxEip7702 {
        chain_id: 1,
        nonce: 4,
        gas_limit: 70_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 5,
        to: Address::repeat_byte(0x13),
        value: U256::ZERO,
        access_list: AccessList::default(),
        authorization_list: vec![authorization()],
        input: Bytes::new(),
    }
}

/// One transaction of each type, in the order of the types.
fn five_types() -> Vec<SignedTransaction> {
    vec![sign(eip155_example()), sign(eip2930()), sign(eip1559()), sign(eip4844()), sign(eip7702())]
}

fn receipt_of(tx: &SignedTransaction) -> EthereumReceipt {
    EthereumReceipt {
        tx_type: tx.tx_type(),
        success: tx.nonce() != 2,
        cumulative_gas_used: 21_000 + tx.nonce(),
        logs: vec![Log {
            address: Address::repeat_byte(0x77),
            data: LogData::new_unchecked(vec![B256::repeat_byte(9)], Bytes::from_static(b"log")),
        }],
    }
}

/// A block that owns what a [`SourceBlock`] borrows.
#[derive(Debug, Clone)]
struct TestBlock {
    header: Header,
    transactions: Vec<SignedTransaction>,
    withdrawals: Option<Withdrawals>,
    receipts: Vec<EthereumReceipt>,
}

impl TestBlock {
    fn of(transactions: Vec<SignedTransaction>) -> Self {
        let withdrawal = Withdrawal { index: 1, validator_index: 2, address: SENDER, amount: 3 };
        let withdrawals = Withdrawals::new(vec![withdrawal]);
        let receipts: Vec<_> = transactions.iter().map(receipt_of).collect();
        let header = Header {
            number: 22_433_670,
            base_fee_per_gas: Some(10),
            transactions_root: transactions_root(&transactions),
            withdrawals_root: Some(withdrawals_root(&withdrawals)),
            receipts_root: EthereumReceipt::calculate_receipt_root_no_memo(&receipts),
            logs_bloom: receipts.iter().flat_map(|receipt| &receipt.logs).collect(),
            ..Header::default()
        };
        Self { header, transactions, withdrawals: Some(withdrawals), receipts }
    }

    fn export(&self, kind: ReplicaKind, profile: Profile) -> Replica {
        let senders = vec![SENDER; self.transactions.len()];
        export_block(&self.source(&senders), some_state(), kind, profile).unwrap()
    }

    fn source<'a>(&'a self, senders: &'a [Address]) -> SourceBlock<'a, EthereumReceipt> {
        SourceBlock {
            network_id: 1,
            header: &self.header,
            transactions: &self.transactions,
            ommers: &[],
            withdrawals: self.withdrawals.as_ref(),
            senders,
            receipts: &self.receipts,
        }
    }
}

fn some_state() -> StateSpecimen {
    StateSpecimen { account_read: vec![AccountRead::default()], ..StateSpecimen::default() }
}

/// The replica of a block with one transaction.
fn replica_of(tx: SignedTransaction) -> Replica {
    TestBlock::of(vec![tx]).export(ReplicaKind::Replica, Profile::Network)
}

/// That replica's transaction.
fn exported(tx: SignedTransaction) -> ReplicaTransaction {
    replica_of(tx).transactions.remove(0)
}

/// What rebuilding a replica fails with after one change to its only transaction.
fn refusal(tx: SignedTransaction, change: impl FnOnce(&mut ReplicaTransaction)) -> ConvertError {
    let mut replica = replica_of(tx);
    change(&mut replica.transactions[0]);
    recover_block(&replica, None).unwrap_err()
}

fn block_body(block: &TestBlock) -> BlockBody<SignedTransaction> {
    BlockBody {
        transactions: block.transactions.clone(),
        ommers: Vec::new(),
        withdrawals: block.withdrawals.clone(),
    }
}

mod values {
    use super::*;

    #[test]
    fn signature_of_the_eip155_example() {
        let tx = exported(sign(eip155_example()));
        let r = uint!(0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276_U256);
        let s = uint!(0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83_U256);
        assert_eq!((tx.v, tx.r, tx.s), (Some(U256::from(37)), Some(r), Some(s)));
        assert_eq!(tx.chain_id, U256::ONE);
    }

    #[test]
    fn legacy_before_eip155_has_v_27_or_28_and_no_chain() {
        let signed = sign(TxLegacy { chain_id: None, ..eip155_example() });
        let parity = signed.signature().v();
        let tx = exported(signed);
        assert_eq!(tx.v, Some(U256::from(27 + u64::from(parity))));
        assert_eq!(tx.chain_id, U256::ZERO);
    }

    #[test]
    fn parity_zero_of_a_typed_transaction_is_absent() {
        let signature = |parity| Signature::new(U256::from(5), U256::from(6), parity);
        let odd = exported(eip1559().into_signed(signature(true)).into());
        assert_eq!(odd.v, Some(U256::ONE));
        let even = exported(eip1559().into_signed(signature(false)).into());
        assert_eq!((even.v, even.r), (None, Some(U256::from(5))));
    }

    #[test]
    fn gas_price_and_caps_of_types_0_and_1_are_all_the_gas_price() {
        for (tx, price) in [(sign(eip155_example()), 20_000_000_000u64), (sign(eip2930()), 30)] {
            let tx = exported(tx);
            assert_eq!([tx.gas_price, tx.gas_tip_cap, tx.gas_fee_cap], [U256::from(price); 3]);
        }
    }

    #[test]
    fn gas_price_of_other_types_is_what_is_paid() {
        // base fee 10
        for (tx, price, tip) in
            [(sign(eip1559()), 13, 3), (sign(eip4844()), 14, 4), (sign(eip7702()), 15, 5)]
        {
            let tx = exported(tx);
            assert_eq!(tx.gas_price, U256::from(price));
            assert_eq!(tx.gas_tip_cap, U256::from(tip));
            assert_eq!(tx.gas_fee_cap, U256::from(100));
        }
    }

    #[test]
    fn gas_price_is_limited_by_the_fee_cap() {
        let tx = exported(sign(TxEip1559 { max_fee_per_gas: 12, ..eip1559() }));
        assert_eq!(tx.gas_price, U256::from(12));
    }

    #[test]
    fn gas_price_without_a_base_fee_is_the_fee_cap() {
        let mut block = TestBlock::of(vec![sign(eip1559())]);
        block.header.base_fee_per_gas = None;
        let replica = block.export(ReplicaKind::Replica, Profile::Network);
        assert_eq!(replica.transactions[0].gas_price, U256::from(100));
    }

    #[test]
    fn creation_has_no_callee() {
        assert_eq!(exported(sign(eip2930())).to, None);
        assert_eq!(exported(sign(eip1559())).to, Some(Address::repeat_byte(0x11)));
    }

    #[test]
    fn a_blob_transaction_without_its_hashes_is_not_whole() {
        for hashes in [None, Some(Vec::new())] {
            let mut replica = replica_of(sign(eip4844()));
            replica.transactions[0].blob_hashes = hashes;
            replica.transactions[0].blob_fee_cap = None;
            let rebuilt = rebuild_transactions(&replica).unwrap();
            assert_eq!(rebuilt[0].missing(), Some("type-3 blob hashes not exported"));
            assert!(rebuilt[0].signed().is_none());
            let field = "Transactions[0].blobHashes".to_owned();
            assert_eq!(
                recover_block(&replica, None),
                Err(ConvertError::BlobHashesNotExported { field })
            );
        }
    }

    #[test]
    fn blob_fields_are_there_for_every_type() {
        let tx = exported(sign(eip4844()));
        assert_eq!(tx.blob_fee_cap, Some(U256::from(17)));
        assert_eq!(tx.blob_hashes, Some(vec![B256::repeat_byte(1), B256::repeat_byte(2)]));
        assert_eq!(tx.blob_gas, Some(262_144));
        let tx = exported(sign(eip1559()));
        assert_eq!(tx.blob_fee_cap, Some(U256::ZERO));
        assert_eq!(tx.blob_hashes, Some(Vec::new()));
        assert_eq!(tx.blob_gas, Some(0));
    }

    #[test]
    fn authorizations_are_for_the_complete_profile() {
        let block = TestBlock::of(five_types());
        let network = block.export(ReplicaKind::Specimen, Profile::Network);
        assert_eq!(network.profile(), Profile::Network);
        let complete = block.export(ReplicaKind::Specimen, Profile::Complete);
        let lists: Vec<_> =
            complete.transactions.iter().map(|tx| tx.authorization_list.is_some()).collect();
        assert_eq!(lists, [false, false, false, false, true]);
        let signed = authorization();
        assert_eq!(
            complete.transactions[4].authorization_list,
            Some(vec![ReplicaAuthorization {
                chain_id: U256::ONE,
                address: Address::repeat_byte(0xde),
                nonce: 3,
                y_parity: U256::from(signed.y_parity()),
                r: signed.r(),
                s: signed.s(),
            }])
        );
    }

    #[test]
    fn receipts_are_raw() {
        let replica = TestBlock::of(five_types()).export(ReplicaKind::Replica, Profile::Network);
        assert_eq!(replica.receipts[0].post_state_or_status, Bytes::from_static(&[1]));
        let failed = &replica.receipts[2];
        assert_eq!(failed.post_state_or_status, Bytes::new());
        assert_eq!(failed.cumulative_gas_used, 21_002);
        assert_eq!(failed.tx_hash, B256::ZERO);
        assert_eq!(failed.contract_address, Address::ZERO);
        assert_eq!(failed.gas_used, 0);
        let log = &failed.logs[0];
        assert_eq!(log.address, Address::repeat_byte(0x77));
        assert_eq!(log.topics, [B256::repeat_byte(9)]);
        assert_eq!(log.data, Bytes::from_static(b"log"));
        assert_eq!((log.block_number, log.tx_hash, log.tx_index), (0, B256::ZERO, 0));
        assert_eq!((log.block_hash, log.log_index, log.removed), (B256::ZERO, 0, false));
    }

    #[test]
    fn receipts_before_byzantium_have_the_state_root() {
        let mut block = TestBlock::of(vec![sign(eip155_example())]);
        block.withdrawals = None;
        let root = B256::repeat_byte(0x5a);
        let receipt =
            Receipt { status: Eip658Value::PostState(root), cumulative_gas_used: 1, logs: vec![] };
        let source = SourceBlock {
            network_id: 1,
            header: &block.header,
            transactions: &block.transactions,
            ommers: &[],
            withdrawals: None,
            senders: &[SENDER],
            receipts: &[receipt],
        };
        let state = StateSpecimen::default();
        let replica = export_block(&source, state, ReplicaKind::Result, Profile::Network).unwrap();
        assert_eq!(replica.receipts[0].post_state_or_status.as_ref(), root.as_slice());
        assert!(rebuild_receipts(&replica).is_ok());
    }
}

mod kinds {
    use super::*;

    #[test]
    fn replica_has_everything() {
        let block = TestBlock::of(five_types());
        let replica = block.export(ReplicaKind::Replica, Profile::Network);
        assert_eq!(replica.hash, block.header.hash_slow());
        assert_eq!(replica.total_difficulty, U256::ZERO);
        assert_eq!(replica.header, block.header);
        assert_eq!(replica.senders, [SENDER; 5]);
        assert_eq!(replica.transactions[3].from, Some(SENDER));
        assert_eq!(replica.receipts.len(), 5);
        assert_eq!(replica.state, some_state());
        assert_eq!(replica.withdrawals.as_ref().map(Vec::len), Some(1));
        assert_eq!(replica.blob_sidecars, Some(Vec::new()));
    }

    #[test]
    fn specimen_has_no_receipts() {
        let mut block = TestBlock::of(five_types());
        block.receipts.clear();
        let replica = block.export(ReplicaKind::Specimen, Profile::Network);
        assert_eq!(replica.receipts, []);
        assert_eq!(replica.state, some_state());
        assert_eq!(replica.withdrawals.as_ref().map(Vec::len), Some(1));
        assert!(replica.transactions[0].v.is_some());
    }

    #[test]
    fn result_has_no_state_withdrawals_or_signatures() {
        let replica = TestBlock::of(five_types()).export(ReplicaKind::Result, Profile::Network);
        assert_eq!(replica.receipts.len(), 5);
        assert_eq!(replica.state, StateSpecimen::default());
        assert_eq!(replica.withdrawals, Some(Vec::new()));
        assert!(replica.transactions.iter().all(|tx| (tx.v, tx.r, tx.s) == (None, None, None)));
    }

    #[test]
    fn withdrawals_are_a_list_before_shanghai_too() {
        let mut block = TestBlock::of(five_types());
        block.withdrawals = None;
        let replica = block.export(ReplicaKind::Replica, Profile::Network);
        assert_eq!(replica.withdrawals, Some(Vec::new()));
    }

    #[test]
    fn a_sender_and_a_receipt_for_each_transaction_are_needed() {
        let mut block = TestBlock::of(five_types());
        let error = |block: &TestBlock, senders: &[Address]| {
            let source = block.source(senders);
            export_block(&source, some_state(), ReplicaKind::Replica, Profile::Network)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(&block, &[SENDER; 4]), "block 22433670 has 5 transactions but 4 senders");
        block.receipts.pop();
        assert_eq!(error(&block, &[SENDER; 5]), "block 22433670 has 5 transactions but 4 receipts");
    }
}

mod rebuilding {
    use super::*;

    #[test]
    fn a_complete_replica_gives_the_block_back() {
        let block = TestBlock::of(five_types());
        let replica = block.export(ReplicaKind::Replica, Profile::Complete);
        let recovered = recover_block(&replica, None).unwrap();
        assert_eq!(recovered.header, block.header);
        assert_eq!(recovered.body, block_body(&block));
        assert_eq!(transactions_root(&recovered.body.transactions), block.header.transactions_root);
        let senders: Vec<_> = recover_senders(&recovered.body.transactions)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(senders, [SENDER; 5]);
    }

    #[test]
    fn a_network_replica_lacks_only_the_authorizations() {
        let block = TestBlock::of(five_types());
        let replica = block.export(ReplicaKind::Replica, Profile::Network);
        let rebuilt = rebuild_transactions(&replica).unwrap();
        for (rebuilt, original) in rebuilt.iter().zip(&block.transactions[..4]) {
            assert_eq!(rebuilt.signed(), Some(original));
        }
        let RebuiltTransaction::WithoutAuthorizations(tx, signature) = &rebuilt[4] else {
            panic!("{:?}", rebuilt[4]);
        };
        assert_eq!(*tx, TxEip7702 { authorization_list: vec![], ..eip7702() });
        assert_eq!(signature, block.transactions[4].signature());
        assert_eq!(
            recover_block(&replica, None),
            Err(ConvertError::AuthorizationListNotExported {
                field: "Transactions[4].AuthList".into()
            })
        );
    }

    #[test]
    fn authorizations_from_elsewhere_complete_the_block() {
        let block = TestBlock::of(five_types());
        let replica = block.export(ReplicaKind::Replica, Profile::Network);
        let lists = AuthorizationLists::from([(4, vec![authorization()])]);
        let recovered = recover_block(&replica, Some(&lists)).unwrap();
        assert_eq!(recovered.body.transactions, block.transactions);
        let elsewhere = AuthorizationLists::from([(3, vec![authorization()])]);
        assert!(recover_block(&replica, Some(&elsewhere)).is_err());
    }

    #[test]
    fn withdrawals_follow_the_header() {
        let mut replica = replica_of(sign(eip1559()));
        replica.withdrawals = Some(Vec::new());
        let recovered = recover_block(&replica, None).unwrap();
        assert_eq!(recovered.body.withdrawals, Some(Withdrawals::default()));
        replica.header.withdrawals_root = None;
        assert_eq!(recover_block(&replica, None).unwrap().body.withdrawals, None);
        replica.withdrawals = Some(vec![Withdrawal::default()]);
        assert_eq!(
            recover_block(&replica, None),
            Err(ConvertError::UncommittedWithdrawals { found: 1 })
        );
    }

    #[test]
    fn a_zero_in_the_signature_is_absent_in_the_replica() {
        let signature = Signature::new(U256::ZERO, U256::from(6), true);
        let tx = SignedTransaction::from(eip1559().into_signed(signature));
        let replica = replica_of(tx.clone());
        assert_eq!(replica.transactions[0].r, None);
        assert_eq!(recover_block(&replica, None).unwrap().body.transactions, [tx]);
    }

    #[test]
    fn results_have_no_signatures_to_rebuild_from() {
        let replica = TestBlock::of(five_types()).export(ReplicaKind::Result, Profile::Network);
        assert_eq!(
            rebuild_transactions(&replica),
            Err(ConvertError::MissingSignature { field: "Transactions[0]".into() })
        );
    }

    #[test]
    fn refusals_name_the_field() {
        let legacy = || sign(eip155_example());
        let typed = || sign(eip1559());
        let blob = || sign(eip4844());
        let cases = [
            (
                refusal(typed(), |tx| tx.tx_type = 5),
                "Transactions[0].type: transaction type 5, expected 0 to 4",
            ),
            (
                refusal(typed(), |tx| tx.v = Some(U256::from(2))),
                "Transactions[0].v: 2 is no signature parity of a type 2 transaction",
            ),
            (
                refusal(legacy(), |tx| tx.v = Some(U256::from(29))),
                "Transactions[0].v: 29 is no signature parity of a type 0 transaction",
            ),
            (
                refusal(legacy(), |tx| tx.v = None),
                "Transactions[0].v: 0 is no signature parity of a type 0 transaction",
            ),
            (
                refusal(legacy(), |tx| tx.v = Some(U256::from(u128::MAX))),
                "Transactions[0].v: 340282366920938463463374607431768211455 is no signature parity of a type 0 transaction",
            ),
            (
                refusal(legacy(), |tx| tx.chain_id = U256::from(2)),
                "Transactions[0].chainId: chain id 2, but the signature's v is of chain 1",
            ),
            (
                refusal(typed(), |tx| tx.chain_id = U256::from(u64::MAX) + U256::ONE),
                "Transactions[0].chainId: 18446744073709551616 has more than 64 bits",
            ),
            (
                refusal(legacy(), |tx| tx.gas_price = U256::from(u128::MAX) + U256::ONE),
                "Transactions[0].gasPrice: 340282366920938463463374607431768211456 has more than 128 bits",
            ),
            (
                refusal(typed(), |tx| tx.gas_tip_cap = U256::from(1) << 128),
                "Transactions[0].gasTipCap: 340282366920938463463374607431768211456 has more than 128 bits",
            ),
            (
                refusal(blob(), |tx| tx.to = None),
                "Transactions[0].to is absent, a type 3 transaction has one",
            ),
            (
                refusal(sign(eip7702()), |tx| tx.to = None),
                "Transactions[0].to is absent, a type 4 transaction has one",
            ),
            (
                refusal(blob(), |tx| tx.blob_fee_cap = None),
                "Transactions[0].blobFeeCap is absent, a type 3 transaction has one",
            ),
            (
                refusal(legacy(), |tx| tx.access_list = access_list()),
                "Transactions[0].accessList is not empty, a type 0 transaction has none",
            ),
            (
                refusal(typed(), |tx| tx.blob_hashes = Some(vec![B256::ZERO])),
                "Transactions[0].blobHashes is not empty, a type 2 transaction has none",
            ),
            (
                refusal(typed(), |tx| tx.authorization_list = Some(vec![Default::default()])),
                "Transactions[0].AuthList is not empty, a type 2 transaction has none",
            ),
            (
                refusal(sign(eip7702()), |tx| {
                    let y_parity = U256::from(256);
                    let item = ReplicaAuthorization { y_parity, ..Default::default() };
                    tx.authorization_list = Some(vec![Default::default(), item]);
                }),
                "Transactions[0].AuthList[1].yParity: 256 is no signature parity of a type 4 transaction",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(error.to_string(), expected);
        }
    }
}

mod receipts {
    use super::*;

    #[test]
    fn root_and_bloom_are_those_of_the_block() {
        let block = TestBlock::of(five_types());
        let replica = block.export(ReplicaKind::Result, Profile::Network);
        let summary = summarize_receipts(&replica).unwrap();
        assert_eq!(summary.root, block.header.receipts_root);
        assert_eq!(summary.bloom, block.header.logs_bloom);
    }

    #[test]
    fn a_specimen_has_none() {
        let replica = TestBlock::of(five_types()).export(ReplicaKind::Specimen, Profile::Network);
        assert_eq!(
            summarize_receipts(&replica),
            Err(ConvertError::LengthMismatch { field: "Receipts", found: 0, expected: 5 })
        );
    }

    #[test]
    fn refusals_name_the_field() {
        let good = TestBlock::of(five_types()).export(ReplicaKind::Replica, Profile::Network);
        for status in [&[0][..], &[2], &[1, 1], &[0; 31], &[0; 33]] {
            let mut replica = good.clone();
            replica.receipts[3].post_state_or_status = status.to_vec().into();
            let error = summarize_receipts(&replica).unwrap_err();
            assert!(error.to_string().starts_with("Receipts[3].PostStateOrStatus: 0x"), "{error}");
        }
        let mut replica = good.clone();
        replica.receipts[1].logs[0].topics = vec![B256::ZERO; 5];
        assert_eq!(
            summarize_receipts(&replica).unwrap_err().to_string(),
            "Receipts[1].Logs[0].topics: 5 topics, at most 4 are possible"
        );
        let mut replica = good;
        replica.transactions[2].tx_type = 9;
        assert_eq!(
            summarize_receipts(&replica).unwrap_err().to_string(),
            "Transactions[2].type: transaction type 9, expected 0 to 4"
        );
    }
}

prop_compose! {
    fn any_access_list()(
        items in vec((any::<[u8; 20]>(), vec(any::<[u8; 32]>(), 0..3)), 0..3),
    ) -> AccessList {
        AccessList(items.into_iter().map(|(address, keys)| AccessListItem {
            address: address.into(),
            storage_keys: keys.into_iter().map(Into::into).collect(),
        }).collect())
    }
}

prop_compose! {
    fn any_authorization()(
        chain_id: [u64; 4], address: [u8; 20], nonce: u64, y_parity: u8,
        r: [u64; 4], s: [u64; 4],
    ) -> SignedAuthorization {
        let unsigned = Authorization {
            chain_id: U256::from_limbs(chain_id), address: address.into(), nonce,
        };
        let (r, s) = (U256::from_limbs(r), U256::from_limbs(s));
        SignedAuthorization::new_unchecked(unsigned, y_parity, r, s)
    }
}

prop_compose! {
    /// A transaction of any type with any values, validly encoded but with a signature of nobody.
    fn any_transaction()(
        tx_type in 0u8..=4,
        (protected, chain_id) in any::<(bool, u64)>(),
        (nonce, gas_limit) in any::<(u64, u64)>(),
        (price, tip, blob_fee) in any::<(u128, u128, u128)>(),
        to in any::<Option<[u8; 20]>>(),
        value in any::<[u64; 4]>(),
        input in vec(any::<u8>(), 0..40),
        access_list in any_access_list(),
        // Without a blob none of this type is valid, and none can be told from one that lost them.
        blobs in vec(any::<[u8; 32]>(), 1..4),
        authorization_list in vec(any_authorization(), 0..3),
        (r, s, parity) in any::<([u64; 4], [u64; 4], bool)>(),
    ) -> SignedTransaction {
        let signature = Signature::new(U256::from_limbs(r), U256::from_limbs(s), parity);
        let kind = to.map_or(TxKind::Create, |to| TxKind::Call(to.into()));
        let callee = Address::from(to.unwrap_or_default());
        let (value, input) = (U256::from_limbs(value), Bytes::from(input));
        match TxType::try_from(tx_type).unwrap() {
            TxType::Legacy => TxLegacy {
                chain_id: protected.then_some(chain_id),
                nonce, gas_limit, gas_price: price, to: kind, value, input,
            }.into_signed(signature).into(),
            TxType::Eip2930 => TxEip2930 {
                chain_id, nonce, gas_limit, gas_price: price, to: kind, value, input, access_list,
            }.into_signed(signature).into(),
            TxType::Eip1559 => TxEip1559 {
                chain_id, nonce, gas_limit, max_fee_per_gas: price, max_priority_fee_per_gas: tip,
                to: kind, value, input, access_list,
            }.into_signed(signature).into(),
            TxType::Eip4844 => TxEip4844 {
                chain_id, nonce, gas_limit, max_fee_per_gas: price, max_priority_fee_per_gas: tip,
                to: callee, value, input, access_list, max_fee_per_blob_gas: blob_fee,
                blob_versioned_hashes: blobs.into_iter().map(Into::into).collect(),
            }.into_signed(signature).into(),
            TxType::Eip7702 => TxEip7702 {
                chain_id, nonce, gas_limit, max_fee_per_gas: price, max_priority_fee_per_gas: tip,
                to: callee, value, input, access_list, authorization_list,
            }.into_signed(signature).into(),
        }
    }
}

proptest! {
    #[test]
    fn consensus_to_replica_and_back(transactions in vec(any_transaction(), 0..5)) {
        let block = TestBlock::of(transactions);
        let replica = block.export(ReplicaKind::Replica, Profile::Complete);
        let recovered = recover_block(&replica, None).unwrap();
        prop_assert_eq!(&recovered.body, &block_body(&block));
        // Equality of transactions ignores nothing, but the root is what a header commits to.
        prop_assert_eq!(
            transactions_root(&recovered.body.transactions),
            block.header.transactions_root
        );
        prop_assert_eq!(summarize_receipts(&replica).unwrap().root, block.header.receipts_root);
    }

    #[test]
    fn network_profile_loses_authorizations_only(tx in any_transaction()) {
        let replica = replica_of(tx.clone());
        let rebuilt = rebuild_transactions(&replica).unwrap().remove(0);
        prop_assert_eq!(rebuilt.signed().is_none(), tx.ty() == 4);
        let list = tx.authorization_list().unwrap_or_default().to_vec();
        prop_assert_eq!(rebuilt.with_authorizations(list), tx);
    }
}
