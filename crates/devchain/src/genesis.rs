//! What the chain starts from: its parameters, accounts and first header.

use crate::{
    asm::AsmError,
    contracts::{self, SLOTS},
    keys::{Key, Role},
};
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header,
    constants::{EMPTY_RECEIPTS, EMPTY_TRANSACTIONS, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip2935, eip4788, eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7002, eip7251,
    eip7685::EMPTY_REQUESTS_HASH, eip7702::constants, eip7840::BlobParams,
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, address};
use std::{collections::BTreeMap, fmt};

/// How many senders are funded.
pub const SENDER_COUNT: u64 = 16;
/// How many accounts are funded for delegating their code.
pub const AUTHORITY_COUNT: u64 = 8;

/// The newest fork of a dev chain. It and all before it are active from the genesis block on; none
/// comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DevFork {
    /// Blobs (EIP-4844) and the beacon roots contract (EIP-4788).
    Cancun,
    /// Delegations (EIP-7702), requests (EIP-7685) and the history contract (EIP-2935).
    Prague,
    /// Limits on gas and blobs of a transaction, cheaper blobs' lower bound, one precompile more.
    #[default]
    Osaka,
}

impl DevFork {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::Cancun, Self::Prague, Self::Osaka];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        }
    }

    /// The blob parameters that mainnet had at this fork.
    pub const fn blob_params(self) -> BlobParams {
        match self {
            Self::Cancun => BlobParams::cancun(),
            Self::Prague => BlobParams::prague(),
            Self::Osaka => BlobParams::osaka(),
        }
    }
}

impl fmt::Display for DevFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What distinguishes one dev chain from another, next to its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevConfig {
    /// The newest fork.
    pub fork: DevFork,
    /// Chain id (EIP-155).
    pub chain_id: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Seconds from one block's timestamp to the next.
    pub block_time: u64,
    /// Timestamp of the genesis block, seconds since 1970.
    pub genesis_time: u64,
    /// Blob target, maximum and fee parameters (EIP-7840) of every block.
    pub blob_params: BlobParams,
    /// How many transaction scenarios a block has at most, at least one; a scenario is one to three
    /// transactions.
    pub scenarios_per_block: usize,
}

impl Default for DevConfig {
    /// [`DevConfig::at`] the newest fork.
    fn default() -> Self {
        Self::at(DevFork::default())
    }
}

impl DevConfig {
    /// Chain id 1337, 45 million gas, twelve seconds, January 2026, the fork's blob parameters, ten
    /// scenarios.
    pub const fn at(fork: DevFork) -> Self {
        Self {
            fork,
            chain_id: 1337,
            gas_limit: 45_000_000,
            block_time: 12,
            genesis_time: 1_767_225_600,
            blob_params: fork.blob_params(),
            scenarios_per_block: 10,
        }
    }
}

/// The genesis accounts whose code is a delegation (EIP-7702) that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delegated {
    /// Delegates to [`SLOTS`].
    ToContract,
    /// Delegates to [`Self::ToContract`], whose own delegation is then not followed.
    ToDelegated,
    /// Delegates to a precompile, which counts as no code.
    ToPrecompile,
    /// Delegates to an account that does not exist.
    ToMissing,
    /// Delegates to itself.
    ToItself,
}

/// A precompile with a balance, as all of them have on mainnet: SHA2-256. The later ones have none
/// here and do not exist.
pub const FUNDED_PRECOMPILE: Address = address!("0x0000000000000000000000000000000000000002");

/// Where [`Delegated::ToMissing`] points.
const MISSING_DELEGATE: Address = address!("0x00000000000000000000000000000000deadde1e");

impl Delegated {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ToContract, Self::ToDelegated, Self::ToPrecompile, Self::ToMissing, Self::ToItself];

    /// The key of the account.
    pub fn key(self, seed: u64) -> Key {
        // Above the indices of the authorities that change their delegation.
        let index = match self {
            Self::ToContract => 1000,
            Self::ToDelegated => 1001,
            Self::ToPrecompile => 1002,
            Self::ToMissing => 1003,
            Self::ToItself => 1004,
        };
        Key::derive(seed, Role::Authority, index)
    }

    /// The account delegated to.
    pub fn delegate(self, seed: u64) -> Address {
        match self {
            Self::ToContract => SLOTS,
            Self::ToDelegated => Self::ToContract.key(seed).address(),
            Self::ToPrecompile => FUNDED_PRECOMPILE,
            Self::ToMissing => MISSING_DELEGATE,
            Self::ToItself => self.key(seed).address(),
        }
    }
}

/// The code of an account that delegates to `delegate` (EIP-7702).
pub fn delegation_code(delegate: Address) -> Bytes {
    [constants::EIP7702_DELEGATION_DESIGNATOR.as_slice(), delegate.as_slice()].concat().into()
}

/// The genesis description, in the form that reth and geth read from `genesis.json`.
///
/// # Errors
///
/// Where a workload contract does not assemble.
pub fn genesis(seed: u64, config: &DevConfig) -> Result<Genesis, AsmError> {
    Ok(Genesis {
        config: chain_config(config),
        timestamp: config.genesis_time,
        gas_limit: config.gas_limit,
        alloc: alloc(seed, config.fork)?,
        base_fee_per_gas: Some(INITIAL_BASE_FEE.into()),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        ..Default::default()
    })
}

/// Base fee of the genesis block, wei per gas: one gwei (EIP-1559).
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;

fn chain_config(config: &DevConfig) -> ChainConfig {
    // Only the newest fork's parameters are ever in force; readers of a genesis file want an entry
    // for each scheduled fork nevertheless.
    let scheduled = DevFork::ALL.into_iter().filter(|fork| *fork <= config.fork);
    let blob_schedule =
        scheduled.map(|fork| (fork.name().to_owned(), config.blob_params)).collect();
    let active_from = |fork| (config.fork >= fork).then_some(0);
    ChainConfig {
        chain_id: config.chain_id,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        merge_netsplit_block: Some(0),
        shanghai_time: Some(0),
        cancun_time: active_from(DevFork::Cancun),
        prague_time: active_from(DevFork::Prague),
        osaka_time: active_from(DevFork::Osaka),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        deposit_contract_address: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        blob_schedule,
        ..Default::default()
    }
}

fn alloc(seed: u64, fork: DevFork) -> Result<BTreeMap<Address, GenesisAccount>, AsmError> {
    let mut alloc = BTreeMap::new();
    let senders: Vec<_> =
        (0..SENDER_COUNT).map(|index| Key::derive(seed, Role::Sender, index)).collect();
    let authorities = (0..AUTHORITY_COUNT).map(|index| Key::derive(seed, Role::Authority, index));
    for key in senders.iter().cloned().chain(authorities) {
        alloc.insert(key.address(), funded(&key));
    }
    // Before Prague no account can have the code of a delegation (EIP-3541).
    for delegated in Delegated::ALL.into_iter().filter(|_| fork >= DevFork::Prague) {
        let key = delegated.key(seed);
        let code = delegation_code(delegated.delegate(seed));
        alloc.insert(key.address(), funded(&key).with_nonce(Some(1)).with_code(Some(code)));
    }
    let holders: Vec<_> = senders.iter().map(Key::address).collect();
    let contracts = contracts::genesis_contracts(&holders)?;
    if let Some(slots) = contracts.iter().find(|contract| contract.address == SLOTS) {
        let key = Key::derive(seed, Role::Coded, 0);
        alloc.insert(key.address(), funded(&key).with_code(Some(slots.code.clone())));
    }
    alloc.extend(contracts.into_iter().map(|contract| {
        let account = GenesisAccount {
            nonce: Some(contract.nonce),
            balance: contract.balance,
            code: Some(contract.code),
            storage: Some(contract.storage),
            private_key: None,
        };
        (contract.address, account)
    }));
    alloc.extend(system_contracts(fork));
    alloc.insert(FUNDED_PRECOMPILE, GenesisAccount::default().with_balance(U256::from(1)));
    Ok(alloc)
}

/// A million ether, and the secret key for whoever wants to send transactions of their own.
fn funded(key: &Key) -> GenesisAccount {
    let balance = U256::from(1_000_000_000_000_000_000_000_000u128);
    GenesisAccount { private_key: Some(key.secret()), ..Default::default() }.with_balance(balance)
}

/// The contracts that every block calls on the protocol's behalf, with the code that their EIPs
/// publish.
fn system_contracts(fork: DevFork) -> impl Iterator<Item = (Address, GenesisAccount)> {
    let contracts = [
        (DevFork::Cancun, eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone()),
        (DevFork::Prague, eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone()),
        (
            DevFork::Prague,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            DevFork::Prague,
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone(),
        ),
    ];
    contracts.into_iter().filter(move |(since, ..)| *since <= fork).map(|(_, address, code)| {
        (address, GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code)))
    })
}

/// The header of block 0 over the state with this root.
pub fn genesis_header(config: &DevConfig, state_root: B256) -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root,
        transactions_root: EMPTY_TRANSACTIONS,
        receipts_root: EMPTY_RECEIPTS,
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        logs_bloom: Bloom::ZERO,
        gas_limit: config.gas_limit,
        timestamp: config.genesis_time,
        base_fee_per_gas: Some(INITIAL_BASE_FEE),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: (config.fork >= DevFork::Prague).then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}
