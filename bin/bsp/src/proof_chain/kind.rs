//! What is at an address.

use super::{
    abi::{self, *},
    connection::Connection,
};
use alloy_primitives::{Address, B256, FixedBytes, b256};
use alloy_sol_types::SolCall;
use bsp_agent::proof::{contract::getMetadataCall, rpc::RpcError};
use std::fmt;

/// Where proxies keep whom they stand for (EIP-1967).
const IMPLEMENTATION: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// The code of an account that has delegated to a contract begins so (EIP-7702).
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];
/// The interface of tokens that are each their own (ERC-721).
const UNIQUE_TOKENS: [u8; 4] = [0x80, 0xac, 0x58, 0xcd];
/// Our contract's name for itself, of any version.
const OURS: &str = "bsp-reth BlockSpecimenProofChain ";
/// No name that is shown is longer.
const LONGEST_NAME: usize = 40;

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The contract that this program deploys, byte for byte.
    Ours,
    /// One that calls itself ours, with other code: of another version, or a pretender.
    OtherVersion(String),
    /// One that answers as the network's does.
    Networks {
        /// Behind a proxy, for whom it stands.
        proxy_of: Option<Address>,
    },
    /// Anything else, in words.
    Other(String),
}

impl Kind {
    /// Whether proofs can be sent to it.
    pub(super) const fn takes_proofs(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether sessions can be read from it and chains configured as ours has it.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours | Self::OtherVersion(_))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.write_str("the proof chain of this version, byte for byte"),
            Self::OtherVersion(name) => {
                write!(
                    f,
                    "a contract that calls itself {name:?}, with other code than this version's"
                )
            }
            Self::Networks { proxy_of: None } => {
                f.write_str("a proof chain with the network's interface")
            }
            Self::Networks { proxy_of: Some(implementation) } => write!(
                f,
                "a proof chain with the network's interface, behind a proxy of {implementation}: whoever may upgrade it can change its rules"
            ),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// Finds out what is at an address.
pub(super) async fn identify(chain: &Connection, address: Address) -> Result<Kind, RpcError> {
    let code = chain.rpc.code(address).await?;
    if code.is_empty() {
        return nothing(chain, address).await;
    }
    if let Some(target) = code.strip_prefix(&DELEGATION) {
        let target = Address::try_from(target).unwrap_or_default();
        return Ok(Kind::Other(format!("it is an account that has delegated to {target}")));
    }
    if abi::deployed().is_ok_and(|ours| ours == code) {
        return Ok(Kind::Ours);
    }
    if let Some(name) = probe(chain, address, &KINDCall {}).await?
        && name.starts_with(OURS)
    {
        return Ok(Kind::OtherVersion(shown(&name)));
    }
    let proxy_of = implementation(chain, address).await?;
    let producers = probe(chain, address, &BLOCK_SPECIMEN_PRODUCER_ROLECall {}).await?;
    if producers.is_some() && probe(chain, address, &getMetadataCall {}).await?.is_some() {
        return Ok(Kind::Networks { proxy_of });
    }
    let what = other(chain, address, code.len()).await?;
    Ok(Kind::Other(match proxy_of {
        Some(implementation) => format!("{what}, behind a proxy of {implementation}"),
        None => what,
    }))
}

async fn nothing(chain: &Connection, address: Address) -> Result<Kind, RpcError> {
    let used = chain.rpc.next_nonce(address).await? > 0;
    let balance = chain.rpc.balance(address).await?;
    let id = chain.chain_id;
    Ok(Kind::Other(if used || !balance.is_zero() {
        format!("on chain {id} it is an account without code")
    } else {
        format!("on chain {id} there is nothing at this address")
    }))
}

/// A contract that takes no proofs of specimens, as far as it can be told by its functions.
async fn other(chain: &Connection, address: Address, size: usize) -> Result<String, RpcError> {
    if probe(chain, address, &BLOCK_RESULT_PRODUCER_ROLECall {}).await?.is_some() {
        return Ok("it takes proofs of block results, not of specimens".to_owned());
    }
    let symbol = probe(chain, address, &symbolCall {}).await?.map(|symbol| shown(&symbol));
    if let Some(symbol) = &symbol
        && probe(chain, address, &decimalsCall {}).await?.is_some()
    {
        return Ok(format!("it is a token ({symbol}, ERC-20)"));
    }
    let unique = supportsInterfaceCall { interfaceId: FixedBytes(UNIQUE_TOKENS) };
    if probe(chain, address, &unique).await? == Some(true) {
        return Ok("it is a collection of tokens (ERC-721)".to_owned());
    }
    if probe(chain, address, &getThresholdCall {}).await?.is_some() {
        return Ok("it is a multi-signature wallet (Safe)".to_owned());
    }
    Ok(format!("it is another contract, of {size} bytes"))
}

async fn implementation(chain: &Connection, address: Address) -> Result<Option<Address>, RpcError> {
    let word = match chain.rpc.storage(address, IMPLEMENTATION).await {
        Ok(word) => word,
        Err(RpcError::Node { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok((!word.is_zero()).then(|| Address::from_word(word)))
}

/// What a view returns, or `None` where the contract has no such view.
async fn probe<C: SolCall>(
    chain: &Connection,
    address: Address,
    call: &C,
) -> Result<Option<C::Return>, RpcError> {
    match chain.view(address, call).await {
        Ok(answer) => Ok(Some(answer)),
        Err(RpcError::Node { .. } | RpcError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name that somebody else has chosen.
fn shown(name: &str) -> String {
    crate::stream::plain(&name.chars().take(LONGEST_NAME).collect::<String>())
}
