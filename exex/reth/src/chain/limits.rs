//! What the network's format has no room for, whatever the fork.
//!
//! A stream's entry would hold it, but no segment does: chain id, gas limit, gas used and time are
//! AVRO `int`s there, so an agent could do nothing with such a block but bury it.

use alloy_consensus::Header;
use reth_chainspec::{ChainSpec, EthChainSpec};

/// The first number that an AVRO `int` can't hold.
const TOO_LARGE: u64 = 1 << 31;

/// A network that can't be exported at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the chain id is {chain_id}, and the network's format has no room for one of 2^31 or more: no block of this chain can \
     be exported. Run the node without the producer"
)]
pub struct UnfitNetwork {
    /// The network's chain id.
    pub chain_id: u64,
}

/// Whether the format has room for a network's chain id.
///
/// # Errors
///
/// [`UnfitNetwork`], if it has not.
pub fn check_network(spec: &ChainSpec) -> Result<(), UnfitNetwork> {
    let chain_id = spec.chain_id();
    if chain_id < TOO_LARGE { Ok(()) } else { Err(UnfitNetwork { chain_id }) }
}

/// Which field of a header is too large, in words.
pub(crate) fn too_large_in(header: &Header) -> Option<String> {
    let fields = [
        ("gas limit", header.gas_limit),
        ("gas used", header.gas_used),
        ("time", header.timestamp),
    ];
    let (name, value) = fields.into_iter().find(|(_, value)| *value >= TOO_LARGE)?;
    Some(format!("its {name} is {value}, and the format's numbers end below 2^31"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::{ChainSpecBuilder, MAINNET};

    #[test]
    fn chain_ids_have_31_bits() {
        let with_id = |id: u64| ChainSpecBuilder::mainnet().chain(id.into()).build();
        for id in [1, (1 << 31) - 1] {
            assert_eq!(check_network(&with_id(id)), Ok(()));
        }
        for chain_id in [1 << 31, 3_503_995_874_084_926] {
            let error = check_network(&with_id(chain_id)).unwrap_err();
            assert_eq!(error, UnfitNetwork { chain_id });
            assert!(error.to_string().contains(&chain_id.to_string()), "{error}");
        }
        assert_eq!(check_network(&MAINNET), Ok(()));
    }

    #[test]
    fn what_a_header_has_too_much_of_is_named() {
        let most = TOO_LARGE - 1;
        let fits = Header { gas_limit: most, gas_used: most, timestamp: most, ..Header::default() };
        assert_eq!(too_large_in(&fits), None);
        let gas_limit = Header { gas_limit: TOO_LARGE, ..fits.clone() };
        assert!(too_large_in(&gas_limit).unwrap().contains("gas limit"));
        let time = Header { timestamp: u64::MAX, ..fits };
        assert!(too_large_in(&time).unwrap().contains("its time is"));
    }
}
