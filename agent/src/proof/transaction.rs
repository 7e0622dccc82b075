//! Transactions: made, priced and signed.

use super::fees::Fees;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

/// A transaction that moves no value: a call, or the creation of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// The chain that it is for.
    pub chain_id: u64,
    /// The sender's nonce.
    pub nonce: u64,
    /// The most gas that it may use.
    pub gas_limit: u64,
    /// What it pays for gas.
    pub fees: Fees,
    /// Whom it calls, or that it creates a contract.
    pub to: TxKind,
    /// The call's data, or the code that creates the contract.
    pub input: Bytes,
}

/// A transaction as `eth_sendRawTransaction` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

/// A transaction that the key does not sign.
#[derive(Debug, thiserror::Error)]
#[error("the transaction can't be signed: {0}")]
pub struct SigningError(#[from] alloy_signer::Error);

impl Unsigned {
    /// Signs it, as a legacy transaction where its fees are a gas price, otherwise by EIP-1559.
    ///
    /// # Errors
    ///
    /// Where the key fails, which one in memory has no reason to.
    pub fn sign(self, signer: &PrivateKeySigner) -> Result<SignedTransaction, SigningError> {
        let Self { chain_id, nonce, gas_limit, fees, to, input } = self;
        let value = U256::ZERO;
        let envelope = if fees.legacy {
            let chain_id = Some(chain_id);
            let gas_price = fees.max_fee;
            seal(TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }, signer)?
        } else {
            let transaction = TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fees.max_fee,
                max_priority_fee_per_gas: fees.tip,
                to,
                value,
                access_list: Default::default(),
                input,
            };
            seal(transaction, signer)?
        };
        Ok(SignedTransaction { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
    }
}

fn seal<T>(transaction: T, signer: &PrivateKeySigner) -> Result<TxEnvelope, SigningError>
where
    T: SignableTransaction<alloy_primitives::Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = signer.sign_hash_sync(&transaction.signature_hash())?;
    Ok(transaction.into_signed(signature).into())
}
