//! Which rules a block executes under: fork schedule, blob parameters, deposit contract.

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7840::BlobParams,
    eip7892::BlobScheduleBlobParams,
};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::{
    EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition,
    ethereum::{
        hoodi::{HOODI_BPO1_TIMESTAMP, HOODI_BPO2_TIMESTAMP},
        mainnet::{MAINNET_BPO1_TIMESTAMP, MAINNET_BPO2_TIMESTAMP, MAINNET_PARIS_BLOCK},
        sepolia::{SEPOLIA_BPO1_TIMESTAMP, SEPOLIA_BPO2_TIMESTAMP},
    },
};
use alloy_primitives::{Address, U256, address};

/// What capture has to know of a chain. [`ChainSpec`] implements it; a node can implement it for
/// its own type and use that instead.
pub trait ExecutionSpec: EthExecutorSpec {
    /// EIP-155 chain id.
    fn chain_id(&self) -> u64;

    /// Blob limits and pricing at a block's timestamp; `None` before Cancun.
    fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams>;
}

impl<T: ExecutionSpec> ExecutionSpec for &T {
    fn chain_id(&self) -> u64 {
        (**self).chain_id()
    }

    fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams> {
        (**self).blob_params_at_timestamp(timestamp)
    }
}

/// Chain id of [`ChainSpec::dev`], the one that reth's `--chain dev` has too.
pub const DEV_CHAIN_ID: u64 = 1337;

/// A chain's rules: one of the public networks, the development chain, or a custom genesis.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    chain_id: u64,
    forks: EthereumChainHardforks,
    blobs: BlobScheduleBlobParams,
    deposit_contract: Option<Address>,
    /// Those of [`SYSTEM_CONTRACTS`] that are known to exist, from their fork on at the latest.
    system_contracts: Vec<Address>,
}

/// The contracts that a block calls on its own: EIP-4788, EIP-2935, EIP-7002, EIP-7251.
pub(crate) const SYSTEM_CONTRACTS: [Address; 4] = [
    BEACON_ROOTS_ADDRESS,
    HISTORY_STORAGE_ADDRESS,
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
];

impl ChainSpec {
    /// Ethereum mainnet.
    pub fn mainnet() -> Self {
        Self {
            chain_id: 1,
            forks: EthereumChainHardforks::mainnet(),
            blobs: with_bpo(MAINNET_BPO1_TIMESTAMP, MAINNET_BPO2_TIMESTAMP),
            deposit_contract: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
            system_contracts: SYSTEM_CONTRACTS.to_vec(),
        }
    }

    /// Sepolia up to Osaka and its blob updates. The chain itself has gone on to Amsterdam, on
    /// 6 October 2026.
    pub fn sepolia() -> Self {
        Self {
            chain_id: 11_155_111,
            forks: EthereumChainHardforks::sepolia(),
            blobs: with_bpo(SEPOLIA_BPO1_TIMESTAMP, SEPOLIA_BPO2_TIMESTAMP),
            deposit_contract: Some(address!("0x7f02c3e3c98b133055b8b348b2ac625669ed295d")),
            system_contracts: SYSTEM_CONTRACTS.to_vec(),
        }
    }

    /// Hoodi.
    pub fn hoodi() -> Self {
        Self {
            chain_id: 560_048,
            forks: EthereumChainHardforks::hoodi(),
            blobs: with_bpo(HOODI_BPO1_TIMESTAMP, HOODI_BPO2_TIMESTAMP),
            deposit_contract: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
            system_contracts: SYSTEM_CONTRACTS.to_vec(),
        }
    }

    /// The development chains, reth's `--chain dev` and that of `bsp dev`: every fork up to Osaka
    /// from the genesis on.
    ///
    /// reth's names no deposit contract; its genesis has no account at mainnet's, so naming that
    /// changes nothing there. It has no system contracts either, and those of `bsp dev` are
    /// expected in the read lists: a block of reth's is verified with its genesis file, by
    /// [`Self::from_genesis`].
    pub fn dev() -> Self {
        Self {
            chain_id: DEV_CHAIN_ID,
            forks: EthereumChainHardforks::devnet(),
            blobs: BlobScheduleBlobParams::mainnet(),
            deposit_contract: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
            system_contracts: SYSTEM_CONTRACTS.to_vec(),
        }
    }

    /// The built-in chain with this id.
    pub fn from_chain_id(chain_id: u64) -> Option<Self> {
        match chain_id {
            1 => Some(Self::mainnet()),
            11_155_111 => Some(Self::sepolia()),
            560_048 => Some(Self::hoodi()),
            DEV_CHAIN_ID => Some(Self::dev()),
            _ => None,
        }
    }

    /// The chain that a genesis in geth's format describes. [`Self::from_genesis_file`] takes what
    /// other clients write besides.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        let config = &genesis.config;
        Self {
            chain_id: config.chain_id,
            forks: EthereumChainHardforks::new(fork_conditions(config)),
            blobs: blob_schedule(config),
            deposit_contract: config.deposit_contract_address,
            system_contracts: system_contracts_of(genesis),
        }
    }

    /// The contracts that every block of this time reads because it calls them itself, as far as
    /// they are known to exist: a custom genesis may be without them, and others may deploy them
    /// later.
    pub(crate) fn called_contracts(&self, timestamp: u64) -> impl Iterator<Item = Address> + '_ {
        let (is_cancun, is_prague) = (
            self.is_cancun_active_at_timestamp(timestamp),
            self.is_prague_active_at_timestamp(timestamp),
        );
        let is_called = move |address: &Address| match *address {
            BEACON_ROOTS_ADDRESS => is_cancun,
            _ => is_prague,
        };
        self.system_contracts.iter().copied().filter(is_called)
    }

    /// The newest fork that is in force at a block's timestamp and whose rules are not known here:
    /// those after Osaka, but for the blob-parameter-only forks whose parameters are known. A block
    /// after it can't be executed.
    ///
    /// `None` says only that no such fork is known of: the author of the rules may not have known
    /// of it either.
    pub fn unknown_fork_at(&self, timestamp: u64) -> Option<EthereumHardfork> {
        use EthereumHardfork as Fork;

        let in_force = |fork: Fork| {
            let activation = self.ethereum_fork_activation(fork);
            activation.active_at_timestamp(timestamp).then_some((fork, activation))
        };
        let without_parameters = |(_, activation): &(Fork, ForkCondition)| {
            activation.as_timestamp().is_some_and(|at| {
                !self.blobs.scheduled.iter().any(|(scheduled, _)| *scheduled == at)
            })
        };
        let blob_forks = [Fork::Bpo5, Fork::Bpo4, Fork::Bpo3].into_iter().filter_map(in_force);
        in_force(Fork::Amsterdam)
            .into_iter()
            .chain(blob_forks.filter(without_parameters))
            .map(|(fork, _)| fork)
            .next()
    }

    /// The same rules under another chain id.
    pub const fn with_chain_id(mut self, chain_id: u64) -> Self {
        self.chain_id = chain_id;
        self
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.forks.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract
    }
}

impl ExecutionSpec for ChainSpec {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams> {
        if let Some(scheduled) = self.blobs.active_scheduled_params_at_timestamp(timestamp) {
            Some(*scheduled)
        } else if self.is_osaka_active_at_timestamp(timestamp) {
            Some(self.blobs.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(self.blobs.prague)
        } else if self.is_cancun_active_at_timestamp(timestamp) {
            Some(self.blobs.cancun)
        } else {
            None
        }
    }
}

/// The system contracts that a genesis has.
fn system_contracts_of(genesis: &Genesis) -> Vec<Address> {
    let has_code = |address: &Address| {
        let code = genesis.alloc.get(address).and_then(|account| account.code.as_ref());
        code.is_some_and(|code| !code.is_empty())
    };
    SYSTEM_CONTRACTS.into_iter().filter(has_code).collect()
}

/// The public networks' blob schedule with the times of the two blob-parameter-only forks
/// (EIP-7892).
fn with_bpo(bpo1: u64, bpo2: u64) -> BlobScheduleBlobParams {
    BlobScheduleBlobParams::mainnet()
        .with_scheduled([(bpo1, BlobParams::bpo1()), (bpo2, BlobParams::bpo2())])
}

/// Fork conditions of a genesis file's `config`, with geth's meaning of absent fields: the fork
/// never happens.
fn fork_conditions(config: &ChainConfig) -> Vec<(EthereumHardfork, ForkCondition)> {
    use EthereumHardfork as Fork;

    let by_block = [
        (Fork::Frontier, Some(0)),
        (Fork::Homestead, config.homestead_block),
        (Fork::Dao, config.dao_fork_block.filter(|_| config.dao_fork_support)),
        (Fork::Tangerine, config.eip150_block),
        (Fork::SpuriousDragon, config.eip155_block),
        (Fork::Byzantium, config.byzantium_block),
        (Fork::Constantinople, config.constantinople_block),
        (Fork::Petersburg, config.petersburg_block),
        (Fork::Istanbul, config.istanbul_block),
        (Fork::MuirGlacier, config.muir_glacier_block),
        (Fork::Berlin, config.berlin_block),
        (Fork::London, config.london_block),
        (Fork::ArrowGlacier, config.arrow_glacier_block),
        (Fork::GrayGlacier, config.gray_glacier_block),
    ];
    let by_time = [
        (Fork::Shanghai, config.shanghai_time),
        (Fork::Cancun, config.cancun_time),
        (Fork::Prague, config.prague_time),
        (Fork::Osaka, config.osaka_time),
        (Fork::Bpo1, config.bpo1_time),
        (Fork::Bpo2, config.bpo2_time),
        (Fork::Bpo3, config.bpo3_time),
        (Fork::Bpo4, config.bpo4_time),
        (Fork::Bpo5, config.bpo5_time),
        (Fork::Amsterdam, config.amsterdam_time),
    ];
    let blocks = by_block
        .into_iter()
        .filter_map(|(fork, at)| at.map(|block| (fork, ForkCondition::Block(block))));
    let times = by_time
        .into_iter()
        .filter_map(|(fork, at)| at.map(|time| (fork, ForkCondition::Timestamp(time))));
    blocks.chain(times).chain(merge_condition(config).map(|at| (Fork::Paris, at))).collect()
}

/// When the merge happens. A total difficulty cannot be known from a block alone, so a chain that
/// merged at a later block than its genesis has to name it (`mergeNetsplitBlock`).
fn merge_condition(config: &ChainConfig) -> Option<ForkCondition> {
    let total_difficulty = config.terminal_total_difficulty?;
    let from_genesis = total_difficulty.is_zero() || config.terminal_total_difficulty_passed;
    let is_mainnet = config.chain_id == 1;
    let activation_block_number = match config.merge_netsplit_block {
        Some(block) => block,
        None if is_mainnet => MAINNET_PARIS_BLOCK,
        None if from_genesis => 0,
        None => return None,
    };
    Some(ForkCondition::TTD {
        activation_block_number,
        fork_block: config.merge_netsplit_block,
        total_difficulty: config.terminal_total_difficulty.unwrap_or(U256::ZERO),
    })
}

/// Blob parameters of a genesis file's `config`; entries that are missing have the public networks'
/// values.
fn blob_schedule(config: &ChainConfig) -> BlobScheduleBlobParams {
    let named = |name: &str| config.blob_schedule.get(name).copied();
    let updates = [
        ("bpo1", config.bpo1_time, Some(BlobParams::bpo1())),
        ("bpo2", config.bpo2_time, Some(BlobParams::bpo2())),
        ("bpo3", config.bpo3_time, None),
        ("bpo4", config.bpo4_time, None),
        ("bpo5", config.bpo5_time, None),
    ];
    let mut scheduled: Vec<_> = updates
        .into_iter()
        .filter_map(|(name, time, default)| Some((time?, named(name).or(default)?)))
        .collect();
    scheduled.sort_by_key(|(time, _)| *time);
    BlobScheduleBlobParams {
        cancun: named("cancun").unwrap_or_else(BlobParams::cancun),
        prague: named("prague").unwrap_or_else(BlobParams::prague),
        osaka: named("osaka").unwrap_or_else(BlobParams::osaka),
        scheduled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_chains_are_found_by_id() {
        for id in [1, 11_155_111, 560_048, DEV_CHAIN_ID] {
            assert_eq!(ChainSpec::from_chain_id(id).map(|spec| spec.chain_id()), Some(id));
        }
        assert!(ChainSpec::from_chain_id(424_242).is_none());
    }

    #[test]
    fn forks_whose_rules_are_not_known_are_told() {
        assert_eq!(ChainSpec::mainnet().unknown_fork_at(MAINNET_BPO2_TIMESTAMP + 1), None);
        let config = ChainConfig {
            osaka_time: Some(10),
            bpo1_time: Some(20),
            bpo3_time: Some(30),
            bpo4_time: Some(40),
            amsterdam_time: Some(50),
            blob_schedule: [("bpo3".to_owned(), BlobParams::bpo2())].into(),
            ..ChainConfig::default()
        };
        let spec = ChainSpec::from_genesis(&Genesis { config, ..Genesis::default() });
        let seen = [0, 10, 20, 30, 40, 50].map(|time| spec.unknown_fork_at(time));
        let (bpo4, amsterdam) = (Some(EthereumHardfork::Bpo4), Some(EthereumHardfork::Amsterdam));
        assert_eq!(seen, [None, None, None, None, bpo4, amsterdam]);
    }

    #[test]
    fn mainnet_blob_params_follow_the_forks() {
        let spec = ChainSpec::mainnet();
        let at = |time| spec.blob_params_at_timestamp(time).map(|params| params.max_blob_count);
        assert_eq!(at(1_700_000_000), None);
        assert_eq!(at(1_710_338_135), Some(6));
        assert_eq!(at(1_746_612_311), Some(9));
        assert_eq!(at(MAINNET_BPO1_TIMESTAMP), Some(15));
        assert_eq!(at(MAINNET_BPO2_TIMESTAMP), Some(21));
    }

    #[test]
    fn a_genesis_file_sets_forks_and_blobs() {
        let genesis: Genesis = serde_json::from_str(
            r#"{"config":{"chainId":77,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
                "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
                "londonBlock":5,"terminalTotalDifficulty":0,"terminalTotalDifficultyPassed":true,"shanghaiTime":100,
                "cancunTime":200,"blobSchedule":{"cancun":{"target":1,"max":2,"baseFeeUpdateFraction":3338477}}},
                "nonce":"0x0","timestamp":"0x0","extraData":"0x","gasLimit":"0x1","difficulty":"0x0","alloc":{}}"#,
        )
        .unwrap();
        let spec = ChainSpec::from_genesis(&genesis);
        assert_eq!(spec.chain_id(), 77);
        assert!(!spec.is_london_active_at_block(4) && spec.is_london_active_at_block(5));
        assert!(spec.is_paris_active_at_block(0));
        assert!(
            !spec.is_shanghai_active_at_timestamp(99) && spec.is_shanghai_active_at_timestamp(100)
        );
        assert_eq!(spec.blob_params_at_timestamp(200).map(|params| params.max_blob_count), Some(2));
        assert!(!spec.is_prague_active_at_timestamp(u64::MAX));
    }

    #[test]
    fn contracts_are_called_from_their_fork_on_where_they_exist() {
        let called = |time| ChainSpec::mainnet().called_contracts(time).count();
        assert_eq!([1_700_000_000, 1_710_338_135, 1_746_612_311].map(called), [0, 1, 4]);
        let text = |alloc: &str| {
            format!(
                r#"{{"config":{{"chainId":7,"londonBlock":0,"shanghaiTime":0,"cancunTime":0,"pragueTime":0}},
                    "nonce":"0x0","timestamp":"0x0","extraData":"0x","gasLimit":"0x1","difficulty":"0x0","alloc":{{{alloc}}}}}"#
            )
        };
        let called_of = |alloc: &str| {
            let genesis: Genesis = serde_json::from_str(&text(alloc)).unwrap();
            ChainSpec::from_genesis(&genesis).called_contracts(0).collect::<Vec<_>>()
        };
        assert_eq!(called_of(""), Vec::<Address>::new());
        let beacon_roots = format!(r#""{BEACON_ROOTS_ADDRESS}":{{"balance":"0x0","code":"0x00"}}"#);
        assert_eq!(called_of(&beacon_roots), [BEACON_ROOTS_ADDRESS]);
    }
}
