//! Genesis files: what the clients that write them put in, as far as a chain's rules need it.
//!
//! Of a genesis file matter the `config` and which system contracts `alloc` has. Everything else is
//! passed over, as are fields that nobody here knows: besu's and Truffle's files have private keys
//! and comments in their accounts, and geth ignores what it doesn't know.

use crate::chain::{ChainSpec, SYSTEM_CONTRACTS};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, U256, hex};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Why a file is no genesis file from which a chain's rules could be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// In an encoding that JSON does not have.
    #[error("it is text in UTF-16: save it as UTF-8")]
    Utf16,
    /// Not JSON, or a field is not what it has to be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Without rules everything would be taken for mainnet's.
    #[error("it has no `config`, which names the chain and its forks")]
    NoConfig,
    /// Without an id the chain would be taken for mainnet.
    #[error("its `config` has no `chainId`")]
    NoChainId,
    /// An account whose name is not an address.
    #[error("its `alloc` has an account {0:?}, which is not an address")]
    NotAnAddress(String),
}

#[derive(Deserialize)]
#[serde(expecting = "a genesis file")]
struct GenesisFile {
    config: Option<BTreeMap<String, Box<RawValue>>>,
    alloc: Option<BTreeMap<String, Option<Account>>>,
}

#[derive(Deserialize)]
struct Account {
    code: Option<String>,
}

impl ChainSpec {
    /// The chain that a genesis file describes, as geth, besu and others write it.
    ///
    /// # Errors
    ///
    /// [`GenesisError`].
    pub fn from_genesis_file(bytes: &[u8]) -> Result<Self, GenesisError> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(GenesisError::Utf16);
        }
        // The mark that some editors put in front of UTF-8.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let file: GenesisFile = serde_json::from_slice(text)?;
        let config = config(file.config.ok_or(GenesisError::NoConfig)?)?;
        let mut genesis = Genesis { config, ..Genesis::default() };
        for (name, account) in file.alloc.unwrap_or_default() {
            let address = address(&name).ok_or(GenesisError::NotAnAddress(name))?;
            let has_code = account.and_then(|it| it.code).is_some_and(|code| is_code(&code));
            if has_code && SYSTEM_CONTRACTS.contains(&address) {
                // That it is there is all that matters.
                let code = Some(Bytes::from_static(&[0]));
                genesis.alloc.insert(address, GenesisAccount { code, ..GenesisAccount::default() });
            }
        }
        Ok(Self::from_genesis(&genesis))
    }
}

fn config(mut fields: BTreeMap<String, Box<RawValue>>) -> Result<ChainConfig, GenesisError> {
    if fields.get("chainId").is_none_or(|id| id.get() == "null") {
        return Err(GenesisError::NoChainId);
    }
    // Of consensus before the merge, in a form of each client's own.
    for consensus in ["clique", "ethash", "parlia"] {
        fields.remove(consensus);
    }
    // A number of any length, which a reader of JSON would round.
    let total_difficulty = fields
        .get("terminalTotalDifficulty")
        .and_then(|number| U256::from_str_radix(number.get(), 10).ok())
        .map(|number| serde_json::value::to_raw_value(&number))
        .transpose()?;
    if let Some(total_difficulty) = total_difficulty {
        fields.insert("terminalTotalDifficulty".to_owned(), total_difficulty);
    }
    Ok(serde_json::from_slice(&serde_json::to_vec(&fields)?)?)
}

fn address(name: &str) -> Option<Address> {
    let mut address = Address::ZERO;
    hex::decode_to_slice(name, address.as_mut_slice()).ok()?;
    Some(address)
}

fn is_code(text: &str) -> bool {
    !text.strip_prefix("0x").unwrap_or(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::ExecutionSpec;
    use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
    use alloy_hardforks::EthereumHardforks;

    /// A file with these fields in `config` and accounts in `alloc`.
    fn file(config: &str, alloc: &str) -> String {
        format!(
            r#"{{"config":{{"chainId":77,"londonBlock":0,{config}"shanghaiTime":0,"cancunTime":0}},"nonce":"0x0",
                "timestamp":"0x0","extraData":"0x","gasLimit":"0x1","difficulty":"0x0","alloc":{{{alloc}}}}}"#
        )
    }

    fn spec(text: &str) -> ChainSpec {
        ChainSpec::from_genesis_file(text.as_bytes())
            .unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn fields_that_other_clients_write_are_passed_over() {
        let besu = r#""fe3b557e8fb62b89f4916b721be55ceb828dbd73": {"privateKey": "8f2a55949038a9610f50fb23b5883af3b4ecb3c3",
            "comment": "private key and this comment are ignored", "balance": "0xad78ebc5ac6200000"}"#;
        let odd = r#""0x0000000000000000000000000000000000000001": {"balance": 1, "storage": {"0x0": "0x1"}, "version": "0x01"},
            "0x0000000000000000000000000000000000000002": null"#;
        for alloc in [besu, odd] {
            assert_eq!(spec(&file("", alloc)).chain_id(), 77);
        }
        for config in [
            r#""clique":{"blockperiodseconds":15,"epochlength":30000},"#,
            r#""ethash":{"fixeddifficulty":100},"contractSizeLimit":2147483647,"qbft":{"epochlength":1},"#,
            r#""isDev":true,"zeroBaseFee":true,"discovery":{"bootnodes":["enode://x"]},"#,
        ] {
            assert_eq!(spec(&file(config, "")).chain_id(), 77);
        }
        assert_eq!(spec(&format!("\u{feff}{}", file("", ""))).chain_id(), 77);
        assert_eq!(spec(r#"{"config":{"chainId":5}}"#).chain_id(), 5);
    }

    #[test]
    fn a_total_difficulty_may_be_any_number() {
        for number in ["0", "58750003716598360000000", "100000000000000000000000", "\"0x10\""] {
            let merged = r#""terminalTotalDifficultyPassed":true,"#;
            let config = format!("{merged}\"terminalTotalDifficulty\":{number},");
            assert!(spec(&file(&config, "")).is_paris_active_at_block(0), "{number}");
        }
        let later = r#""terminalTotalDifficulty":58750003716598360000000,"#;
        assert!(!spec(&file(later, "")).is_paris_active_at_block(u64::MAX));
    }

    #[test]
    fn system_contracts_are_found_however_their_address_is_written() {
        let called = |name: &str, code: &str| {
            let spec = spec(&file("", &format!(r#""{name}":{{"balance":"0","code":"{code}"}}"#)));
            spec.called_contracts(0).collect::<Vec<_>>()
        };
        let lower = hex::encode(BEACON_ROOTS_ADDRESS);
        for name in [lower.clone(), format!("0x{lower}"), lower.to_uppercase()] {
            assert_eq!(called(&name, "0x3373"), [BEACON_ROOTS_ADDRESS], "{name}");
        }
        assert_eq!(called(&lower, "3373"), [BEACON_ROOTS_ADDRESS]);
        assert_eq!(called(&lower, "0x"), Vec::<Address>::new());
    }

    #[test]
    fn what_is_not_a_genesis_file_says_why() {
        let refused = |text: &[u8]| ChainSpec::from_genesis_file(text).unwrap_err().to_string();
        for (text, told) in [
            (r#"{"alloc":{}}"#, "it has no `config`"),
            (r#"{"config":null}"#, "it has no `config`"),
            (r#"{"config":{"londonBlock":0}}"#, "no `chainId`"),
            (r#"{"config":{"chainId":null}}"#, "no `chainId`"),
            (r#"{"config":{"chainId":-1}}"#, "invalid"),
            (
                r#"{"config":{"chainId":1},"alloc":{"0x12":{}}}"#,
                "\"0x12\", which is not an address",
            ),
            ("[]", "expected a genesis file"),
            ("", "EOF"),
        ] {
            let error = refused(text.as_bytes());
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(refused(b"\xff\xfe{\0").contains("save it as UTF-8"));
    }
}
