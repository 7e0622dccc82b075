//! By which rules a network's blocks are executed, and which blocks can't be.

use alloy_consensus::Header;
use bsp_capture::{ChainSpec, DEV_CHAIN_ID};
use std::borrow::Cow;

/// The built-in networks' rules, and those that the operator gives for another.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Option<ChainSpec>);

impl Rules {
    pub(super) const fn new(given: Option<ChainSpec>) -> Self {
        Self(given)
    }

    /// The rules of a network. Those that are given are of their own chain id alone.
    ///
    /// 1337 is what the development chain here has, but geth's `--dev` and many others too, each
    /// with rules of its own: so it is not built in.
    pub(super) fn of_network(&self, network: u64) -> Option<Cow<'_, ChainSpec>> {
        match &self.0 {
            Some(given) if bsp_capture::ExecutionSpec::chain_id(given) == network => {
                Some(Cow::Borrowed(given))
            }
            _ if network == DEV_CHAIN_ID => None,
            _ => ChainSpec::from_chain_id(network).map(Cow::Owned),
        }
    }

    /// Why a block can't be executed by this version with these settings, and what to do.
    pub(super) fn obstacle(&self, network: u64, header: &Header) -> Option<String> {
        let Some(rules) = self.of_network(network) else {
            return Some(format!(
                "the rules of network {network} are not built in: give its genesis file with --genesis, or choose \
                 --verify roots"
            ));
        };
        let fork = rules.unknown_fork_at(header.timestamp)?;
        Some(format!(
            "block {} of network {network} is after the fork {fork}, whose rules this version does not know: upgrade \
             bsp-agent",
            header.number
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_genesis::{ChainConfig, Genesis};

    fn genesis(chain_id: u64, amsterdam_time: Option<u64>) -> ChainSpec {
        let config = ChainConfig { chain_id, amsterdam_time, ..ChainConfig::default() };
        ChainSpec::from_genesis(&Genesis { config, ..Genesis::default() })
    }

    fn at(timestamp: u64) -> Header {
        Header { timestamp, ..Header::default() }
    }

    #[test]
    fn given_rules_are_of_their_own_network_alone() {
        let rules = Rules::new(Some(genesis(77, None)));
        assert!(rules.obstacle(77, &at(1)).is_none());
        assert!(rules.obstacle(1, &at(1)).is_none(), "built in");
        let mainnet = rules.of_network(1).unwrap();
        assert_eq!(bsp_capture::ExecutionSpec::chain_id(&*mainnet), 1);
        assert!(rules.obstacle(424_242, &at(1)).unwrap().contains("--genesis"));
    }

    #[test]
    fn a_development_chain_is_somebodys_until_its_genesis_is_given() {
        assert!(Rules::new(None).obstacle(1337, &at(1)).unwrap().contains("network 1337"));
        assert!(Rules::new(Some(genesis(1337, None))).obstacle(1337, &at(1)).is_none());
    }

    #[test]
    fn a_block_after_a_fork_whose_rules_are_unknown_is_named() {
        let rules = Rules::new(Some(genesis(77, Some(1000))));
        assert!(rules.obstacle(77, &at(999)).is_none());
        let told = rules.obstacle(77, &at(1000)).unwrap();
        assert!(told.contains("Amsterdam") && told.contains("upgrade bsp-agent"), "{told}");
    }
}
