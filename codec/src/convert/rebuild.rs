//! From a replica back to signed transactions, receipts and the block.

use super::{ConvertError, SignedTransaction};
use crate::replica::{
    Replica, ReplicaAuthorization, ReplicaLog, ReplicaReceipt, ReplicaTransaction,
};
use alloy_consensus::{
    Block, BlockBody, Eip658Value, Receipt, ReceiptEnvelope, SignableTransaction, Signed,
    TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, TxType,
    crypto::RecoveryError,
    transaction::{SignerRecoverable, from_eip155_value},
};
use alloy_eips::{
    eip4895::Withdrawals,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Log, Signature, TxKind, U256};
use std::collections::BTreeMap;

/// Authorization lists known from elsewhere, by the index of their transaction in the block.
pub type AuthorizationLists = BTreeMap<usize, Vec<SignedAuthorization>>;

/// A transaction as far as its replica allows to rebuild it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebuiltTransaction {
    /// Whole: it hashes to the transaction that was in the block.
    Signed(SignedTransaction),
    /// A type-4 transaction whose authorization list was not exported. The one in here is empty:
    /// execution differs, and neither the hash nor the sender can be computed.
    WithoutAuthorizations(TxEip7702, Signature),
    /// A type-3 transaction whose blob hashes were not exported, as by producers of codec 0.36. It
    /// must have at least one; the list in here is empty, with the same consequences.
    WithoutBlobHashes(TxEip4844, Signature),
}

impl RebuiltTransaction {
    /// The transaction, if it is whole.
    pub const fn signed(&self) -> Option<&SignedTransaction> {
        match self {
            Self::Signed(tx) => Some(tx),
            Self::WithoutAuthorizations(..) | Self::WithoutBlobHashes(..) => None,
        }
    }

    /// What was not exported, in words; `None` for a whole transaction.
    pub const fn missing(&self) -> Option<&'static str> {
        match self {
            Self::Signed(_) => None,
            Self::WithoutAuthorizations(..) => Some("type-4 authorization list not exported"),
            Self::WithoutBlobHashes(..) => Some("type-3 blob hashes not exported"),
        }
    }

    /// Completes a type-4 transaction; any other is left as it is.
    pub fn with_authorizations(self, list: Vec<SignedAuthorization>) -> SignedTransaction {
        match self {
            Self::Signed(tx) => tx,
            Self::WithoutAuthorizations(tx, signature) => {
                let tx = TxEip7702 { authorization_list: list, ..tx };
                SignedTransaction::Eip7702(tx.into_signed(signature))
            }
            Self::WithoutBlobHashes(tx, signature) => tx.into_signed(signature).into(),
        }
    }
}

/// Rebuilds all transactions of a replica, in order. Of the prices only those that were signed are
/// used: the gas price for types 0 and 1, the caps for others.
///
/// # Errors
///
/// [`ConvertError`] for a field that no transaction of the type has, by its path. An authorization
/// list or blob hashes that were not exported are no error but a transaction that is not
/// [whole](RebuiltTransaction::missing).
pub fn rebuild_transactions(replica: &Replica) -> Result<Vec<RebuiltTransaction>, ConvertError> {
    replica
        .transactions
        .iter()
        .enumerate()
        .map(|(index, tx)| Exported { index, tx }.rebuild())
        .collect()
}

/// Rebuilds the block of a replica. Whether it is the one that the replica's `Hash` names is for
/// the caller to check, with the functions of [`roots`](super::roots).
///
/// `authorizations` completes the type-4 transactions that have no list of their own. Withdrawals
/// are `Some` where the header commits to them, since the replica cannot tell none from an empty
/// list.
///
/// # Errors
///
/// Those of [`rebuild_transactions`], [`ConvertError::AuthorizationListNotExported`] for a type-4
/// transaction for which `authorizations` has no list either, and
/// [`ConvertError::BlobHashesNotExported`].
pub fn recover_block(
    replica: &Replica,
    authorizations: Option<&AuthorizationLists>,
) -> Result<Block<SignedTransaction>, ConvertError> {
    let complete = |(index, tx): (usize, RebuiltTransaction)| match tx {
        RebuiltTransaction::Signed(tx) => Ok(tx),
        RebuiltTransaction::WithoutBlobHashes(..) => Err(ConvertError::BlobHashesNotExported {
            field: format!("Transactions[{index}].blobHashes"),
        }),
        incomplete @ RebuiltTransaction::WithoutAuthorizations(..) => authorizations
            .and_then(|lists| lists.get(&index))
            .map(|list| incomplete.with_authorizations(list.clone()))
            .ok_or_else(|| ConvertError::AuthorizationListNotExported {
                field: format!("Transactions[{index}].AuthList"),
            }),
    };
    let transactions = rebuild_transactions(replica)?
        .into_iter()
        .enumerate()
        .map(complete)
        .collect::<Result<_, _>>()?;
    let body = BlockBody {
        transactions,
        ommers: replica.uncles.clone(),
        withdrawals: rebuild_withdrawals(replica)?,
    };
    Ok(body.into_block(replica.header.clone()))
}

fn rebuild_withdrawals(replica: &Replica) -> Result<Option<Withdrawals>, ConvertError> {
    let list = replica.withdrawals.as_deref().unwrap_or_default();
    match replica.header.withdrawals_root {
        Some(_) => Ok(Some(Withdrawals::new(list.to_vec()))),
        None if list.is_empty() => Ok(None),
        None => Err(ConvertError::UncommittedWithdrawals { found: list.len() }),
    }
}

/// The senders of transactions by their signatures, which must be in the lower half of the curve
/// (EIP-2).
pub fn recover_senders(transactions: &[SignedTransaction]) -> Vec<Result<Address, RecoveryError>> {
    transactions.iter().map(SignerRecoverable::recover_signer).collect()
}

/// Rebuilds the receipts of a replica, with their blooms and the types of their transactions.
///
/// # Errors
///
/// [`ConvertError::LengthMismatch`] where there is not one a transaction (a specimen has none), or
/// the path of a field that no receipt has.
pub fn rebuild_receipts(replica: &Replica) -> Result<Vec<ReceiptEnvelope>, ConvertError> {
    let (found, expected) = (replica.receipts.len(), replica.transactions.len());
    if found != expected {
        return Err(ConvertError::LengthMismatch { field: "Receipts", found, expected });
    }
    replica
        .transactions
        .iter()
        .zip(&replica.receipts)
        .enumerate()
        .map(|(index, (tx, receipt))| {
            let tx_type = Exported { index, tx }.tx_type()?;
            let receipt = rebuild_receipt(index, receipt)?;
            Ok(ReceiptEnvelope::from_typed(tx_type, receipt.with_bloom()))
        })
        .collect()
}

fn rebuild_receipt(index: usize, receipt: &ReplicaReceipt) -> Result<Receipt, ConvertError> {
    let status = match receipt.post_state_or_status.as_ref() {
        [] => Eip658Value::Eip658(false),
        [1] => Eip658Value::Eip658(true),
        root if root.len() == B256::len_bytes() => Eip658Value::PostState(B256::from_slice(root)),
        other => {
            return Err(ConvertError::InvalidStatus {
                field: format!("Receipts[{index}].PostStateOrStatus"),
                found: other.iter().take(33).copied().collect(),
            });
        }
    };
    let logs = receipt.logs.iter().enumerate().map(|(position, log)| {
        rebuild_log(log).ok_or_else(|| ConvertError::TooManyTopics {
            field: format!("Receipts[{index}].Logs[{position}].topics"),
            found: log.topics.len(),
        })
    });
    Ok(Receipt {
        status,
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: logs.collect::<Result<_, _>>()?,
    })
}

fn rebuild_log(log: &ReplicaLog) -> Option<Log> {
    Log::new(log.address, log.topics.clone(), log.data.clone())
}

/// A transaction and where it stands in its block.
#[derive(Clone, Copy)]
struct Exported<'a> {
    index: usize,
    tx: &'a ReplicaTransaction,
}

impl Exported<'_> {
    fn rebuild(self) -> Result<RebuiltTransaction, ConvertError> {
        let tx_type = self.tx_type()?;
        self.check_absent_fields(tx_type)?;
        let signed = match tx_type {
            TxType::Legacy => SignedTransaction::Legacy(self.legacy()?),
            TxType::Eip2930 => self.eip2930()?.into_signed(self.typed_signature()?).into(),
            TxType::Eip1559 => self.eip1559()?.into_signed(self.typed_signature()?).into(),
            TxType::Eip4844 => return self.rebuild_eip4844(),
            TxType::Eip7702 => return self.rebuild_eip7702(),
        };
        Ok(RebuiltTransaction::Signed(signed))
    }

    fn tx_type(self) -> Result<TxType, ConvertError> {
        TxType::try_from(self.tx.tx_type).map_err(|_| ConvertError::UnknownTransactionType {
            field: self.path("type"),
            found: self.tx.tx_type,
        })
    }

    /// Fields that the type does not have must not hold anything that would be lost.
    fn check_absent_fields(self, tx_type: TxType) -> Result<(), ConvertError> {
        let tx = self.tx;
        let filled = if tx_type == TxType::Legacy && !tx.access_list.is_empty() {
            "accessList"
        } else if tx_type != TxType::Eip4844
            && tx.blob_hashes.as_ref().is_some_and(|h| !h.is_empty())
        {
            "blobHashes"
        } else if tx_type != TxType::Eip7702
            && tx.authorization_list.as_ref().is_some_and(|list| !list.is_empty())
        {
            "AuthList"
        } else {
            return Ok(());
        };
        Err(ConvertError::UnexpectedField { field: self.path(filled), tx_type: tx.tx_type })
    }

    fn legacy(self) -> Result<Signed<TxLegacy>, ConvertError> {
        let (v, r, s) = self.signature_values()?;
        let (parity, chain_id) = u128::try_from(v)
            .ok()
            .and_then(from_eip155_value)
            .ok_or_else(|| self.invalid_parity(v))?;
        let (found, signed) = (self.chain_id()?, chain_id.unwrap_or_default());
        if found != signed {
            let field = self.path("chainId");
            return Err(ConvertError::ChainIdMismatch { field, found, signed });
        }
        let tx = TxLegacy {
            chain_id,
            nonce: self.tx.nonce,
            gas_price: self.number("gasPrice", self.tx.gas_price)?,
            gas_limit: self.tx.gas,
            to: TxKind::from(self.tx.to),
            value: self.tx.value,
            input: self.tx.input.clone(),
        };
        Ok(tx.into_signed(Signature::new(r, s, parity)))
    }

    fn eip2930(self) -> Result<TxEip2930, ConvertError> {
        Ok(TxEip2930 {
            chain_id: self.chain_id()?,
            nonce: self.tx.nonce,
            gas_price: self.number("gasPrice", self.tx.gas_price)?,
            gas_limit: self.tx.gas,
            to: TxKind::from(self.tx.to),
            value: self.tx.value,
            access_list: self.tx.access_list.clone(),
            input: self.tx.input.clone(),
        })
    }

    fn eip1559(self) -> Result<TxEip1559, ConvertError> {
        Ok(TxEip1559 {
            chain_id: self.chain_id()?,
            nonce: self.tx.nonce,
            gas_limit: self.tx.gas,
            max_fee_per_gas: self.number("gasFeeCap", self.tx.gas_fee_cap)?,
            max_priority_fee_per_gas: self.number("gasTipCap", self.tx.gas_tip_cap)?,
            to: TxKind::from(self.tx.to),
            value: self.tx.value,
            access_list: self.tx.access_list.clone(),
            input: self.tx.input.clone(),
        })
    }

    fn rebuild_eip4844(self) -> Result<RebuiltTransaction, ConvertError> {
        let hashes = self.tx.blob_hashes.clone().unwrap_or_default();
        let is_whole = !hashes.is_empty();
        let blob_fee_cap = match self.tx.blob_fee_cap {
            None if is_whole => return self.present("blobFeeCap", None),
            cap => cap.unwrap_or_default(),
        };
        let tx = TxEip4844 {
            chain_id: self.chain_id()?,
            nonce: self.tx.nonce,
            gas_limit: self.tx.gas,
            max_fee_per_gas: self.number("gasFeeCap", self.tx.gas_fee_cap)?,
            max_priority_fee_per_gas: self.number("gasTipCap", self.tx.gas_tip_cap)?,
            to: self.present("to", self.tx.to)?,
            value: self.tx.value,
            access_list: self.tx.access_list.clone(),
            blob_versioned_hashes: hashes,
            max_fee_per_blob_gas: self.number("blobFeeCap", blob_fee_cap)?,
            input: self.tx.input.clone(),
        };
        let signature = self.typed_signature()?;
        Ok(if is_whole {
            RebuiltTransaction::Signed(tx.into_signed(signature).into())
        } else {
            RebuiltTransaction::WithoutBlobHashes(tx, signature)
        })
    }

    fn rebuild_eip7702(self) -> Result<RebuiltTransaction, ConvertError> {
        let tx = TxEip7702 {
            chain_id: self.chain_id()?,
            nonce: self.tx.nonce,
            gas_limit: self.tx.gas,
            max_fee_per_gas: self.number("gasFeeCap", self.tx.gas_fee_cap)?,
            max_priority_fee_per_gas: self.number("gasTipCap", self.tx.gas_tip_cap)?,
            to: self.present("to", self.tx.to)?,
            value: self.tx.value,
            access_list: self.tx.access_list.clone(),
            authorization_list: Vec::new(),
            input: self.tx.input.clone(),
        };
        let incomplete = RebuiltTransaction::WithoutAuthorizations(tx, self.typed_signature()?);
        let Some(list) = &self.tx.authorization_list else { return Ok(incomplete) };
        let list =
            list.iter().enumerate().map(|(position, item)| self.authorization(position, item));
        Ok(RebuiltTransaction::Signed(
            incomplete.with_authorizations(list.collect::<Result<_, _>>()?),
        ))
    }

    fn authorization(
        self,
        position: usize,
        item: &ReplicaAuthorization,
    ) -> Result<SignedAuthorization, ConvertError> {
        let y_parity = u8::try_from(item.y_parity).map_err(|_| ConvertError::InvalidParity {
            field: self.path(&format!("AuthList[{position}].yParity")),
            found: item.y_parity,
            tx_type: self.tx.tx_type,
        })?;
        let authorization =
            Authorization { chain_id: item.chain_id, address: item.address, nonce: item.nonce };
        Ok(SignedAuthorization::new_unchecked(authorization, y_parity, item.r, item.s))
    }

    fn typed_signature(self) -> Result<Signature, ConvertError> {
        let (v, r, s) = self.signature_values()?;
        let parity = match v {
            U256::ZERO => false,
            U256::ONE => true,
            other => return Err(self.invalid_parity(other)),
        };
        Ok(Signature::new(r, s, parity))
    }

    /// `v`, `r` and `s`. The formats blank a zero, so one that is absent beside others is zero.
    fn signature_values(self) -> Result<(U256, U256, U256), ConvertError> {
        match (self.tx.v, self.tx.r, self.tx.s) {
            (None, None, None) => Err(ConvertError::MissingSignature {
                field: format!("Transactions[{}]", self.index),
            }),
            (v, r, s) => Ok((v.unwrap_or_default(), r.unwrap_or_default(), s.unwrap_or_default())),
        }
    }

    fn invalid_parity(self, found: U256) -> ConvertError {
        ConvertError::InvalidParity { field: self.path("v"), found, tx_type: self.tx.tx_type }
    }

    fn chain_id(self) -> Result<u64, ConvertError> {
        u64::try_from(self.tx.chain_id).map_err(|_| self.too_large("chainId", self.tx.chain_id, 64))
    }

    fn number(self, name: &str, value: U256) -> Result<u128, ConvertError> {
        u128::try_from(value).map_err(|_| self.too_large(name, value, 128))
    }

    fn too_large(self, name: &str, found: U256, bits: u32) -> ConvertError {
        ConvertError::NumberTooLarge { field: self.path(name), found, bits }
    }

    fn present<T>(self, name: &str, value: Option<T>) -> Result<T, ConvertError> {
        value.ok_or_else(|| ConvertError::MissingField {
            field: self.path(name),
            tx_type: self.tx.tx_type,
        })
    }

    fn path(self, name: &str) -> String {
        format!("Transactions[{}].{name}", self.index)
    }
}
