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
use std::collections::BTreeMap;

/// How many senders are funded.
pub const SENDER_COUNT: u64 = 16;
/// How many accounts are funded for delegating their code.
pub const AUTHORITY_COUNT: u64 = 8;

/// What distinguishes one dev chain from another, next to its seed.
///
/// Every fork up to Osaka is active from the first block; there is none after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevConfig {
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
    /// How many transaction scenarios a block has at most, at least one; a scenario is one to three transactions.
    pub scenarios_per_block: usize,
}

impl Default for DevConfig {
    /// Chain id 1337, 45 million gas, twelve seconds, January 2026, Osaka's blob parameters, ten scenarios.
    fn default() -> Self {
        Self {
            chain_id: 1337,
            gas_limit: 45_000_000,
            block_time: 12,
            genesis_time: 1_767_225_600,
            blob_params: BlobParams::osaka(),
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

/// A precompile with a balance, as all of them have on mainnet: SHA2-256. The later ones have none here and do not exist.
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
        alloc: alloc(seed)?,
        base_fee_per_gas: Some(INITIAL_BASE_FEE.into()),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        ..Default::default()
    })
}

/// Base fee of the genesis block, wei per gas: one gwei (EIP-1559).
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;

fn chain_config(config: &DevConfig) -> ChainConfig {
    // Forks before Osaka are never in force; readers of a genesis file want their entries nevertheless.
    let blob_schedule =
        ["cancun", "prague", "osaka"].map(|fork| (fork.to_owned(), config.blob_params));
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
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        deposit_contract_address: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        blob_schedule: blob_schedule.into(),
        ..Default::default()
    }
}

fn alloc(seed: u64) -> Result<BTreeMap<Address, GenesisAccount>, AsmError> {
    let mut alloc = BTreeMap::new();
    let senders: Vec<_> =
        (0..SENDER_COUNT).map(|index| Key::derive(seed, Role::Sender, index)).collect();
    let authorities = (0..AUTHORITY_COUNT).map(|index| Key::derive(seed, Role::Authority, index));
    for key in senders.iter().cloned().chain(authorities) {
        alloc.insert(key.address(), funded(&key));
    }
    for delegated in Delegated::ALL {
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
    alloc.extend(system_contracts());
    alloc.insert(FUNDED_PRECOMPILE, GenesisAccount::default().with_balance(U256::from(1)));
    Ok(alloc)
}

/// A million ether, and the secret key for whoever wants to send transactions of their own.
fn funded(key: &Key) -> GenesisAccount {
    let balance = U256::from(1_000_000_000_000_000_000_000_000u128);
    GenesisAccount { private_key: Some(key.secret()), ..Default::default() }.with_balance(balance)
}

/// The contracts that every block calls on the protocol's behalf, with the code that their EIPs publish.
fn system_contracts() -> [(Address, GenesisAccount); 4] {
    [
        (eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone()),
        (eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone()),
        (
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone(),
        ),
    ]
    .map(|(address, code)| {
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
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}
