//! EIP-7702 authorizations supplied beside a file, because the network's format leaves them out.

use alloy_eips::eip7702::{Authorization, RecoveredAuthority, RecoveredAuthorization};
use alloy_primitives::{Address, U256};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Recovered authorization lists by transaction index.
///
/// Read from JSON: an object from the transaction's index to its list of `{"chainId", "authority",
/// "delegate", "nonce"}`; an `authority` of null (or none) is a signature that does not recover. As
/// there are no signatures, the transactions root stays uncheckable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveredAuthorizations(BTreeMap<usize, Vec<RecoveredAuthorization>>);

/// The authorizations file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "authorizations: {0}; expected an object from transaction index to a list of {{chainId, authority, delegate, nonce}}"
)]
pub struct AuthorizationsError(#[from] serde_json::Error);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Item {
    chain_id: U256,
    authority: Option<Address>,
    delegate: Address,
    nonce: u64,
}

impl RecoveredAuthorizations {
    /// Reads the JSON form.
    ///
    /// # Errors
    ///
    /// Where and why the text is not of that form.
    pub fn from_json(text: &[u8]) -> Result<Self, AuthorizationsError> {
        let lists: BTreeMap<usize, Vec<Item>> = serde_json::from_slice(text)?;
        let recovered =
            |(index, items): (usize, Vec<Item>)| (index, items.iter().map(recover).collect());
        Ok(Self(lists.into_iter().map(recovered).collect()))
    }

    /// The list of the transaction with this index.
    pub fn of_transaction(&self, index: usize) -> Option<&[RecoveredAuthorization]> {
        self.0.get(&index).map(Vec::as_slice)
    }
}

impl FromIterator<(usize, Vec<RecoveredAuthorization>)> for RecoveredAuthorizations {
    fn from_iter<I: IntoIterator<Item = (usize, Vec<RecoveredAuthorization>)>>(lists: I) -> Self {
        Self(lists.into_iter().collect())
    }
}

fn recover(item: &Item) -> RecoveredAuthorization {
    let &Item { chain_id, authority, delegate: address, nonce } = item;
    let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(Authorization { chain_id, address, nonce }, authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_transaction() {
        let text = br#"{"46":[{"chainId":1,"authority":"0x22fdc1ea9ec07fead28e0d70bf7209678ecbd3ac",
            "delegate":"0x80296ff8d1ed46f8e3c7992664d13b833504c2bb","nonce":43},
            {"chainId":0,"authority":null,"delegate":"0x80296ff8d1ed46f8e3c7992664d13b833504c2bb","nonce":0}]}"#;
        let lists = RecoveredAuthorizations::from_json(text).unwrap();
        let list = lists.of_transaction(46).unwrap();
        assert_eq!(list[0].nonce(), 43);
        assert!(list[0].authority().is_some() && list[1].authority().is_none());
        assert!(lists.of_transaction(0).is_none());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [&b"[]"[..], b"{", br#"{"x":[]}"#, br#"{"1":[{"nonce":1}]}"#] {
            assert!(RecoveredAuthorizations::from_json(text).is_err());
        }
    }
}
