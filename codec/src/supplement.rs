//! What the network's format leaves out of a block and of its execution.
//!
//! A replica as bsp-geth v2.2.0 exports it is not enough to execute every block again. Two things
//! are missing: the authorization lists of EIP-7702 transactions, and the sizes of codes of which
//! the execution asked for nothing but the size (`EXTCODESIZE` leaves no code in the read lists). A
//! [`Supplement`] has them. It travels beside the replica, whose bytes stay as they are: as the
//! field `supplement` of a stream's entry, and in a file beside a chunk. A block that lacks nothing
//! has none.
//!
//! # Format
//!
//! RLP in its only form, without compression (signatures and hashes don't compress):
//!
//! ```text
//! [ version,                                  1
//!   blockHash,                                32 bytes: the block that this belongs to
//!   authorizations: [ [ transactionIndex,     from 0, ascending
//!                       [ [ chainId, address, nonce, yParity, r, s ], … ]  as signed, in order
//!                     ], … ],
//!   codeSizes:      [ [ codeHash, size ], … ]  hashes ascending, sizes in bytes
//! ]
//! ```
//!
//! A reader takes the versions that it knows. Another one may have any items after its number.

use crate::{
    convert::{AuthorizationLists, SignedTransaction},
    limits::RecordBudget,
    rlp::{Fields, Items, Record, RlpDecodeError, Sink, encode_list},
};
use alloy_consensus::Transaction;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::B256;
use std::collections::BTreeMap;

/// The version that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The longest supplement that is read, 32 MiB.
///
/// The network's format has no block of 2^31 gas or more. With less there are fewer than 825,956
/// codes whose size is asked for (2600 gas each, EIP-2929), of 39 bytes each, or 85,900
/// authorizations (25,000 gas each, EIP-7702) of 132 bytes.
pub const MAX_BYTES: usize = 32 << 20;

/// The most that the records of a supplement may take in memory while it is read: what
/// [`MAX_BYTES`] of codes take.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// What the network's format leaves out of one block and its execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supplement {
    /// The hash of the block that this belongs to.
    pub block_hash: B256,
    /// The signed authorization lists of type-4 transactions, by the transaction's index in the
    /// block.
    pub authorizations: AuthorizationLists,
    /// The sizes in bytes of codes of which the execution asked for the size alone, by the code's
    /// hash.
    pub code_sizes: BTreeMap<B256, u32>,
}

/// Bytes that are not a supplement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupplementError {
    /// More bytes than any block's supplement has; nothing of them was read.
    #[error("the supplement has {len} bytes, at most {MAX_BYTES} are read")]
    TooLong {
        /// How many there are.
        len: usize,
    },
    /// Not RLP of this layout.
    #[error("the supplement can't be read: {0}")]
    Rlp(#[from] RlpDecodeError),
    /// A version from after this program.
    #[error("the supplement has version {found}, expected {VERSION}: a newer program reads it")]
    UnknownVersion {
        /// The version.
        found: u64,
    },
    /// An item that is there twice, or before one that it belongs behind.
    #[error("{list}[{position}] of the supplement is not above the item before it")]
    Disorder {
        /// The list, `authorizations` or `codeSizes`.
        list: &'static str,
        /// The item's position in it, from 0.
        position: usize,
    },
}

impl Supplement {
    /// The supplement of a block, from its transactions and the sizes of the codes of which its
    /// execution asked for the size alone. It is [empty](Self::is_empty) if the block lacks
    /// nothing.
    pub fn of_block(
        block_hash: B256,
        transactions: &[SignedTransaction],
        code_sizes: impl IntoIterator<Item = (B256, u32)>,
    ) -> Self {
        let list_of = |(index, tx): (usize, &SignedTransaction)| {
            Some((index, tx.authorization_list()?.to_vec()))
        };
        Self {
            block_hash,
            authorizations: transactions.iter().enumerate().filter_map(list_of).collect(),
            code_sizes: code_sizes.into_iter().collect(),
        }
    }

    /// Whether there is nothing in it, so that nothing has to be sent.
    pub fn is_empty(&self) -> bool {
        self.authorizations.is_empty() && self.code_sizes.is_empty()
    }

    /// Its bytes. Equal supplements have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_list(self)
    }

    /// Reads a supplement. Whether it belongs to a block is for the caller to check, by
    /// [`block_hash`](Self::block_hash); what it says of the block is as good as its sender until
    /// an execution and the transactions root agree with it.
    ///
    /// # Errors
    ///
    /// [`SupplementError`]. What [`encode`](Self::encode) would not write is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, SupplementError> {
        Self::decode_within(bytes, MAX_RECORD_BYTES)
    }

    fn decode_within(bytes: &[u8], max_record_bytes: usize) -> Result<Self, SupplementError> {
        if bytes.len() > MAX_BYTES {
            return Err(SupplementError::TooLong { len: bytes.len() });
        }
        let budget = RecordBudget::new(max_record_bytes);
        let (block_hash, authorizations, code_sizes) =
            Items::of(bytes, &budget).only_list(|items| match items.uint("version")? {
                VERSION => read_version_1(items).map(Ok),
                found => {
                    items.skip_rest();
                    Ok(Err(SupplementError::UnknownVersion { found }))
                }
            })??;
        Ok(Self {
            block_hash,
            authorizations: ascending(
                "authorizations",
                authorizations.into_iter().map(|TransactionList { index, list }| (index, list)),
            )?,
            code_sizes: ascending(
                "codeSizes",
                code_sizes.into_iter().map(|CodeSize { hash, size }| (hash, size)),
            )?,
        })
    }
}

fn read_version_1(
    items: &mut Items<'_>,
) -> Result<(B256, Vec<TransactionList>, Vec<CodeSize>), RlpDecodeError> {
    Ok((items.hash("blockHash")?, items.list_of("authorizations")?, items.list_of("codeSizes")?))
}

/// A map of items whose keys ascend.
fn ascending<K: Ord + Copy, V>(
    list: &'static str,
    items: impl Iterator<Item = (K, V)>,
) -> Result<BTreeMap<K, V>, SupplementError> {
    let mut last = None;
    let in_order = |(position, (key, value)): (usize, (K, V))| {
        if last.replace(key).is_some_and(|last| last >= key) {
            return Err(SupplementError::Disorder { list, position });
        }
        Ok((key, value))
    };
    items.enumerate().map(in_order).collect()
}

/// The authorizations of one transaction.
struct TransactionList {
    index: usize,
    list: Vec<SignedAuthorization>,
}

/// A code's size.
struct CodeSize {
    hash: B256,
    size: u32,
}

impl Record for TransactionList {
    const MIN_BYTES: usize = 3;

    fn read(items: &mut Items<'_>) -> Result<Self, RlpDecodeError> {
        let index = items.uint32("transactionIndex")?;
        Ok(Self { index: index as usize, list: items.list_of("list")? })
    }
}

impl Record for SignedAuthorization {
    const MIN_BYTES: usize = 27;

    fn read(items: &mut Items<'_>) -> Result<Self, RlpDecodeError> {
        let inner = Authorization {
            chain_id: items.uint256("chainId")?,
            address: items.address("address")?,
            nonce: items.uint("nonce")?,
        };
        let y_parity = items.uint8("yParity")?;
        Ok(Self::new_unchecked(inner, y_parity, items.uint256("r")?, items.uint256("s")?))
    }
}

impl Record for CodeSize {
    const MIN_BYTES: usize = 35;

    fn read(items: &mut Items<'_>) -> Result<Self, RlpDecodeError> {
        Ok(Self { hash: items.hash("codeHash")?, size: items.uint32("size")? })
    }
}

impl Fields for Supplement {
    fn walk(&self, out: &mut impl Sink) {
        out.uint(VERSION);
        out.string(self.block_hash.as_slice());
        out.list(&self.authorizations);
        out.list(&self.code_sizes);
    }
}

impl Fields for AuthorizationLists {
    fn walk(&self, out: &mut impl Sink) {
        for transaction in self {
            out.list(&transaction);
        }
    }
}

impl Fields for (&usize, &Vec<SignedAuthorization>) {
    fn walk(&self, out: &mut impl Sink) {
        out.uint(*self.0 as u64);
        out.list_of(self.1);
    }
}

impl Fields for SignedAuthorization {
    fn walk(&self, out: &mut impl Sink) {
        out.uint256(&self.chain_id);
        out.string(self.address.as_slice());
        out.uint(self.nonce);
        out.uint(u64::from(self.y_parity()));
        out.uint256(&self.r());
        out.uint256(&self.s());
    }
}

impl Fields for BTreeMap<B256, u32> {
    fn walk(&self, out: &mut impl Sink) {
        for code in self {
            out.list(&code);
        }
    }
}

impl Fields for (&B256, &u32) {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.0.as_slice());
        out.uint(u64::from(*self.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arbitrary, rlp::RlpErrorKind};
    use alloy_consensus::{Signed, TxEip1559, TxEip7702};
    use alloy_primitives::{Address, Signature, U256};
    use proptest::prelude::*;

    /// One list of one authorization, one size.
    fn small() -> Supplement {
        let inner =
            Authorization { chain_id: U256::from(1), address: Address::repeat_byte(2), nonce: 3 };
        let signed = SignedAuthorization::new_unchecked(inner, 1, U256::from(4), U256::from(500));
        Supplement {
            block_hash: B256::repeat_byte(9),
            authorizations: [(300, vec![signed])].into(),
            code_sizes: [(B256::repeat_byte(8), 24_576)].into(),
        }
    }

    /// The RLP list of these items, which are shorter than 256 bytes together.
    fn list(items: &[&[u8]]) -> Vec<u8> {
        let items = items.concat();
        let len = u8::try_from(items.len()).unwrap();
        let prefix = if len < 56 { vec![0xc0 + len] } else { vec![0xf8, len] };
        [&prefix[..], &items].concat()
    }

    #[test]
    fn the_layout_is_the_one_that_is_drawn() {
        let authorization = list(&[&[1], &[0x94], &[2; 20], &[3], &[1], &[4], &[0x82, 0x01, 0xf4]]);
        let authorizations = list(&[&list(&[&[0x82, 0x01, 0x2c], &list(&[&authorization])])]);
        let sizes = list(&[&list(&[&[0xa0], &[8; 32], &[0x82, 0x60, 0x00]])]);
        let drawn = list(&[&[1, 0xa0], &[9; 32], &authorizations, &sizes]);
        assert_eq!(small().encode(), drawn);
        assert_eq!(Supplement::decode(&drawn), Ok(small()));
        let seed = include_bytes!("../fuzz/seeds/supplement/small.rlp");
        assert_eq!(seed[..], drawn[..], "the fuzz target's seed");
    }

    #[test]
    fn a_block_that_lacks_nothing_has_an_empty_one() {
        let signature = Signature::test_signature();
        let plain = Signed::new_unhashed(TxEip1559::default(), signature).into();
        let supplement = Supplement::of_block(B256::repeat_byte(1), &[plain], []);
        assert!(supplement.is_empty());
        assert_eq!(Supplement::decode(&supplement.encode()), Ok(supplement));
    }

    #[test]
    fn authorizations_are_taken_from_the_transactions_that_have_them() {
        let signature = Signature::test_signature();
        let [(_, authorization_list)] =
            small().authorizations.into_iter().collect::<Vec<_>>().try_into().unwrap();
        let delegating =
            TxEip7702 { authorization_list: authorization_list.clone(), ..TxEip7702::default() };
        let transactions = [
            Signed::new_unhashed(TxEip1559::default(), signature).into(),
            Signed::new_unhashed(delegating, signature).into(),
        ];
        let supplement = Supplement::of_block(B256::ZERO, &transactions, []);
        assert_eq!(supplement.authorizations, [(1, authorization_list)].into());
        assert!(!supplement.is_empty());
        let sized = Supplement::of_block(B256::ZERO, &transactions[..1], [(B256::ZERO, 7)]);
        assert!(!sized.is_empty());
    }

    #[test]
    fn another_version_is_told_by_its_number_whatever_follows_it() {
        for rest in [&[][..], &[0xc0], &[0x80, 0x80, 0x80, 0x80, 0x80]] {
            let found = Supplement::decode(&list(&[&[2], rest]));
            assert_eq!(found, Err(SupplementError::UnknownVersion { found: 2 }));
        }
        let none = Supplement::decode(&list(&[])).unwrap_err();
        assert!(matches!(none, SupplementError::Rlp(_)), "{none}");
    }

    #[test]
    fn duplicates_and_disorder_are_refused() {
        let supplement = |authorizations: &[u8], sizes: &[u8]| {
            list(&[&[1, 0xa0], &[9; 32], authorizations, sizes])
        };
        let of = |index: u8| list(&[&[index], &[0xc0]]);
        let size = |hash: u8| list(&[&[0xa0], &[hash; 32], &[7]]);
        let two_sizes = |first, second| list(&[&size(first), &size(second)]);
        for (first, second) in [(1, 1), (2, 1)] {
            let lists = list(&[&of(first), &of(second)]);
            let disorder = SupplementError::Disorder { list: "authorizations", position: 1 };
            assert_eq!(Supplement::decode(&supplement(&lists, &[0xc0])), Err(disorder));
            let disorder = SupplementError::Disorder { list: "codeSizes", position: 1 };
            let sizes = two_sizes(first, second);
            assert_eq!(Supplement::decode(&supplement(&[0xc0], &sizes)), Err(disorder));
        }
        let lists = list(&[&of(1), &of(2)]);
        assert!(Supplement::decode(&supplement(&lists, &two_sizes(1, 2))).is_ok());
    }

    #[test]
    fn bytes_that_are_cut_or_go_on_are_refused() {
        let whole = small().encode();
        for len in 0..whole.len() {
            assert!(Supplement::decode(&whole[..len]).is_err(), "cut at {len}");
        }
        let longer = [&whole[..], &[0x80]].concat();
        let SupplementError::Rlp(error) = Supplement::decode(&longer).unwrap_err() else {
            panic!("not RLP")
        };
        assert_eq!(*error.kind(), RlpErrorKind::TrailingBytes(1));
    }

    #[test]
    fn a_length_that_lies_reserves_nothing() {
        // A list of 2^40 bytes.
        let lie = [0xfd, 1, 0, 0, 0, 0, 0];
        assert!(matches!(Supplement::decode(&lie), Err(SupplementError::Rlp(_))));
        let long = vec![0; MAX_BYTES + 1];
        assert_eq!(Supplement::decode(&long), Err(SupplementError::TooLong { len: long.len() }));
    }

    #[test]
    fn records_have_a_budget() {
        let bytes = small().encode();
        let records =
            size_of::<TransactionList>() + size_of::<SignedAuthorization>() + size_of::<CodeSize>();
        assert_eq!(Supplement::decode_within(&bytes, records), Ok(small()));
        let SupplementError::Rlp(error) =
            Supplement::decode_within(&bytes, records - 1).unwrap_err()
        else {
            panic!("no error of RLP")
        };
        assert!(matches!(error.kind(), RlpErrorKind::RecordBudget(_)), "{error}");
    }

    #[test]
    fn the_figures_that_the_limits_rest_on() {
        const GAS: usize = 1 << 31;
        const { assert!(GAS / 2600 * 39 < MAX_BYTES) };
        const { assert!(GAS / 2600 * size_of::<CodeSize>() < MAX_RECORD_BYTES) };
        const { assert!(GAS / 25_000 * 132 < MAX_BYTES) };
        const { assert!(GAS / 25_000 * size_of::<SignedAuthorization>() < MAX_RECORD_BYTES) };
    }

    proptest! {
        #[test]
        fn any_supplement_is_read_as_it_is_written(supplement in arbitrary::supplement()) {
            let bytes = supplement.encode();
            prop_assert_eq!(Supplement::decode(&bytes), Ok(supplement));
        }

        #[test]
        fn whatever_is_read_is_the_only_form_of_it(
            supplement in arbitrary::supplement(),
            position: prop::sample::Index,
            byte: u8,
        ) {
            let mut bytes = supplement.encode();
            let position = position.index(bytes.len());
            bytes[position] = byte;
            if let Ok(other) = Supplement::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }
    }
}
