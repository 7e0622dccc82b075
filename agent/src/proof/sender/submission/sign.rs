//! Transactions: signed, and read back from the journal.

use super::{Purpose, Signed};
use crate::proof::{
    Attempt, Claim, SentTransaction,
    contract::submission,
    fees::Fees,
    transaction::{SignedTransaction, Unsigned},
};
use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind};
use alloy_signer_local::PrivateKeySigner;

/// The gas of a transaction that does nothing (yellow paper: G_transaction).
pub(crate) const EMPTY_TRANSACTION_GAS: u64 = 21_000;

/// Who sends, and to where.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) signer: PrivateKeySigner,
    pub(crate) contract: Address,
}

impl Account {
    pub(crate) const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs a call of the contract.
    pub(crate) fn sign_proof(
        &self,
        chain_id: u64,
        nonce: u64,
        gas: u64,
        fees: Fees,
        claim: &Claim,
    ) -> Result<Signed, String> {
        let to = TxKind::Call(self.contract);
        self.sign(chain_id, nonce, gas, fees, to, submission(claim), Purpose::Proof)
    }

    /// Signs a transaction that uses a nonce up: nothing, to ourselves.
    pub(crate) fn sign_cancel(
        &self,
        chain_id: u64,
        nonce: u64,
        fees: Fees,
    ) -> Result<Signed, String> {
        let to = TxKind::Call(self.address());
        self.sign(chain_id, nonce, EMPTY_TRANSACTION_GAS, fees, to, Bytes::new(), Purpose::Cancel)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a transaction")]
    fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        gas_limit: u64,
        fees: Fees,
        to: TxKind,
        input: Bytes,
        purpose: Purpose,
    ) -> Result<Signed, String> {
        let unsigned = Unsigned { chain_id, nonce, gas_limit, fees, to, input };
        let SignedTransaction { hash, raw } =
            unsigned.sign(&self.signer).map_err(|error| error.to_string())?;
        Ok(Signed { hash, raw, fees, purpose })
    }

    /// Reads an attempt of an earlier run. `None` if it is not for this account, contract and
    /// chain: then it can neither be replaced nor be a proof here.
    pub(crate) fn read(&self, attempt: &Attempt, chain_id: u64) -> Option<(u64, Vec<Signed>)> {
        let read: Option<Vec<_>> = attempt
            .transactions
            .iter()
            .map(|sent| self.read_one(sent, attempt.nonce, chain_id))
            .collect();
        let read = read.filter(|read| !read.is_empty())?;
        let gas = read.iter().map(|(gas, _)| *gas).max().unwrap_or(EMPTY_TRANSACTION_GAS);
        Some((gas, read.into_iter().map(|(_, signed)| signed).collect()))
    }

    fn read_one(&self, sent: &SentTransaction, nonce: u64, chain_id: u64) -> Option<(u64, Signed)> {
        let envelope = TxEnvelope::decode_2718_exact(&sent.raw).ok()?;
        let purpose = match envelope.to()? {
            to if to == self.contract => Purpose::Proof,
            to if to == self.address() => Purpose::Cancel,
            _ => return None,
        };
        let ours = *envelope.tx_hash() == sent.hash
            && envelope.nonce() == nonce
            && envelope.chain_id() == Some(chain_id)
            && envelope.recover_signer().is_ok_and(|from| from == self.address());
        let fees = Fees {
            max_fee: envelope.max_fee_per_gas(),
            tip: envelope.max_priority_fee_per_gas().unwrap_or_else(|| envelope.max_fee_per_gas()),
            legacy: envelope.is_legacy(),
        };
        let signed = Signed { hash: sent.hash, raw: sent.raw.clone(), fees, purpose };
        ours.then(|| (envelope.gas_limit(), signed))
    }
}

impl Signed {
    /// As the journal keeps it.
    pub(crate) fn record(&self, signed_ms: u64) -> SentTransaction {
        SentTransaction {
            hash: self.hash,
            max_fee_per_gas: self.fees.max_fee,
            max_priority_fee_per_gas: self.fees.tip,
            signed_ms,
            raw: self.raw.clone(),
        }
    }
}

/// All hashes of some attempts.
pub(crate) fn hashes(attempts: &[Attempt]) -> impl Iterator<Item = B256> + '_ {
    attempts.iter().flat_map(|attempt| &attempt.transactions).map(|sent| sent.hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::claim;

    const CHAIN: u64 = 1284;

    fn account() -> Account {
        let signer = PrivateKeySigner::from_slice(&[7; 32]).unwrap();
        Account { signer, contract: Address::repeat_byte(0xcc) }
    }

    fn attempt(account: &Account, fees: Fees) -> (Attempt, Signed, Signed) {
        let proof = account.sign_proof(CHAIN, 5, 90_000, fees, &claim(7)).unwrap();
        let cancel = account.sign_cancel(CHAIN, 5, fees).unwrap();
        let transactions = vec![proof.record(1), cancel.record(2)];
        (Attempt { nonce: 5, transactions }, proof, cancel)
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let account = account();
        for fees in
            [Fees { max_fee: 9, tip: 2, legacy: false }, Fees { max_fee: 9, tip: 9, legacy: true }]
        {
            let (attempt, proof, cancel) = attempt(&account, fees);
            assert_eq!(account.read(&attempt, CHAIN), Some((90_000, vec![proof, cancel])));
        }
    }

    #[test]
    fn attempts_of_another_key_contract_chain_or_nonce_are_not_ours() {
        let account = account();
        let (attempt, ..) = attempt(&account, Fees { max_fee: 9, tip: 2, legacy: false });
        assert_eq!(account.read(&attempt, CHAIN + 1), None);
        let elsewhere = Account { contract: Address::repeat_byte(1), ..account.clone() };
        assert_eq!(elsewhere.read(&attempt, CHAIN), None);
        assert_eq!(account.read(&Attempt { nonce: 6, ..attempt.clone() }, CHAIN), None);
        assert_eq!(account.read(&Attempt { nonce: 5, transactions: vec![] }, CHAIN), None);
        let mut torn = attempt.clone();
        torn.transactions[0].raw = torn.transactions[0].raw.slice(..20);
        assert_eq!(account.read(&torn, CHAIN), None);

        let signer = PrivateKeySigner::from_slice(&[8; 32]).unwrap();
        assert_eq!(Account { signer, ..account }.read(&attempt, CHAIN), None);
    }
}
