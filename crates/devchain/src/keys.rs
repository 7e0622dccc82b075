//! Secret keys that follow from the chain's seed, and what they sign.
//!
//! They are no secrets: anybody who knows the seed knows them. Never fund them on another chain.

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip4844, transaction::Recovered};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Signature, keccak256};
use k256::ecdsa::SigningKey;

/// A transaction as it stands in a block: blob transactions without their sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("signing for {signer}: {source}")]
pub struct SigningError {
    /// The account that was to sign.
    pub signer: Address,
    /// What the signature scheme says.
    pub source: k256::ecdsa::Error,
}

/// What a key is for. Each role has an endless supply of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Funded at genesis; sends transactions and never holds code.
    Sender,
    /// Funded at genesis; delegates its code (EIP-7702) and now and then sends.
    Authority,
    /// Holds a contract's code since genesis, which on a real chain no key's account can.
    Coded,
    /// Unknown to the chain until it is first used.
    Fresh,
}

impl Role {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Sender => b"sender",
            Self::Authority => b"authority",
            Self::Coded => b"coded",
            Self::Fresh => b"fresh",
        }
    }
}

/// A secret key and its account.
#[derive(Debug, Clone)]
pub struct Key {
    secret: SigningKey,
    address: Address,
}

impl Key {
    /// Key number `index` of a role on the chain of `seed`: the first valid scalar in the chain of
    /// keccak-256 digests that starts at `"bsp dev" ‖ seed ‖ role ‖ index`.
    pub fn derive(seed: u64, role: Role, index: u64) -> Self {
        let origin = [b"bsp dev", &seed.to_be_bytes()[..], role.label(), &index.to_be_bytes()];
        let mut digest = keccak256(origin.concat());
        loop {
            if let Ok(secret) = SigningKey::from_slice(digest.as_slice()) {
                return Self { address: Address::from_private_key(&secret), secret };
            }
            digest = keccak256(digest);
        }
    }

    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The secret scalar, 32 bytes big-endian.
    pub fn secret(&self) -> B256 {
        B256::from_slice(&self.secret.to_bytes())
    }

    fn sign(&self, digest: B256) -> Result<Signature, SigningError> {
        self.secret
            .sign_prehash_recoverable(digest.as_slice())
            .map(Signature::from)
            .map_err(|source| SigningError { signer: self.address, source })
    }

    /// Signs a transaction.
    ///
    /// # Errors
    ///
    /// Where the signature scheme refuses, which for a valid key it does with negligible
    /// probability.
    pub fn sign_transaction<T>(&self, tx: T) -> Result<Recovered<Transaction>, SigningError>
    where
        T: SignableTransaction<Signature>,
        Transaction: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign(tx.signature_hash())?;
        Ok(Recovered::new_unchecked(tx.into_signed(signature).into(), self.address))
    }

    /// Signs an EIP-7702 authorization.
    ///
    /// # Errors
    ///
    /// As [`Self::sign_transaction`].
    pub fn sign_authorization(
        &self,
        authorization: Authorization,
    ) -> Result<SignedAuthorization, SigningError> {
        let signature = self.sign(authorization.signature_hash())?;
        Ok(authorization.into_signed(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{TxEip1559, transaction::SignerRecoverable};

    #[test]
    fn keys_differ_by_seed_role_and_index() {
        let address = |seed, role, index| Key::derive(seed, role, index).address();
        let one = address(1, Role::Sender, 0);
        assert_eq!(one, address(1, Role::Sender, 0));
        assert_ne!(one, address(2, Role::Sender, 0));
        assert_ne!(one, address(1, Role::Authority, 0));
        assert_ne!(one, address(1, Role::Sender, 1));
    }

    #[test]
    fn signers_are_recovered_from_what_they_signed() {
        let key = Key::derive(1, Role::Sender, 0);
        let tx = key.sign_transaction(TxEip1559::default()).unwrap();
        assert_eq!(tx.inner().recover_signer().unwrap(), key.address());
        let authorization = key.sign_authorization(Authorization {
            chain_id: Default::default(),
            address: Address::ZERO,
            nonce: 3,
        });
        assert_eq!(authorization.unwrap().recover_authority().unwrap(), key.address());
    }
}
