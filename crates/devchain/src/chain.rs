//! The chain: candidates in, sealed blocks out.

use crate::{
    asm::AsmError,
    block::{self, Attributes, Candidate, DevBlock, Executed, Executor, SealError},
    contracts::InitCodes,
    genesis::{DevConfig, genesis, genesis_header},
    keys::SigningError,
    state::WorldState,
    workload::{Coverage, Keyring, Memory, PlannedBlock, Scene, plan_block},
};
use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{B256, U256, keccak256};

/// A chain could not be started or a block not be proposed.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A workload contract does not assemble.
    #[error("workload contract: {0}")]
    Contract(#[from] AsmError),
    /// A transaction or authorization could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Why [`DevChain::advance`] made no block.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError<E> {
    /// There is no candidate.
    #[error(transparent)]
    Propose(#[from] ChainError),
    /// The candidate could not be executed.
    #[error("block {number}: {source}")]
    Execute {
        /// Number of the candidate.
        number: u64,
        /// What the executor says.
        source: E,
    },
    /// The candidate could not be sealed.
    #[error("block {number}: {source}")]
    Seal {
        /// Number of the candidate.
        number: u64,
        /// What does not fit.
        source: SealError,
    },
}

/// A chain that grows by one block at a time; the same seed and configuration give the same blocks,
/// byte for byte.
///
/// A block is proposed, executed by the caller, and sealed:
///
/// ```
/// use bsp_devchain::{DevChain, DevConfig, Executed, Executor, SealError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut chain = DevChain::new(7, DevConfig::default())?;
/// let candidate = chain.next_candidate()?;
/// assert_eq!(candidate.header.number, 1);
/// assert_eq!(candidate.header.parent_hash, chain.head_hash());
///
/// // Execute `candidate` on `chain.state()` here, with a `BundleState` as one of the results.
/// let executed = Executed::default();
///
/// match chain.seal(candidate, executed) {
///     Ok(block) => println!("{} {}", block.block.header.number, block.hash),
///     // Nothing was executed, so nothing fits; the chain is still at genesis.
///     Err(error) => assert_eq!(chain.head().number, 0, "{error}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// With an [`Executor`], [`Self::advance`] does all three.
#[derive(Debug, Clone)]
pub struct DevChain {
    seed: u64,
    /// What the blocks' dice start from: the seed, but on a branch.
    dice_seed: u64,
    config: DevConfig,
    genesis: Genesis,
    keys: Keyring,
    init_codes: InitCodes,
    state: WorldState,
    head: Header,
    head_hash: B256,
    memory: Memory,
    coverage: Coverage,
}

impl DevChain {
    /// A chain that consists of its genesis block.
    ///
    /// # Errors
    ///
    /// Where a workload contract does not assemble.
    pub fn new(seed: u64, config: DevConfig) -> Result<Self, ChainError> {
        let genesis = genesis(seed, &config)?;
        let mut state = WorldState::from_alloc(&genesis.alloc);
        let head = genesis_header(&config, state.state_root());
        let head_hash = head.hash_slow();
        state.add_block_hash(head.number, head_hash);
        Ok(Self {
            seed,
            dice_seed: seed,
            config,
            genesis,
            keys: Keyring::new(seed),
            init_codes: InitCodes::assemble()?,
            state,
            head,
            head_hash,
            memory: Memory::default(),
            coverage: Coverage::default(),
        })
    }

    /// A chain that has this one's blocks so far, and others from now on. Salts tell the branches
    /// of a block apart.
    #[must_use]
    pub fn branch(&self, salt: u64) -> Self {
        let origin = [self.dice_seed.to_be_bytes(), salt.to_be_bytes()].concat();
        let word = U256::from_be_bytes(keccak256(origin).0);
        Self { dice_seed: word.as_limbs()[0], ..self.clone() }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The parameters.
    pub const fn config(&self) -> &DevConfig {
        &self.config
    }

    /// The genesis description; its JSON form starts the same chain in reth or geth.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Header of the last block.
    pub const fn head(&self) -> &Header {
        &self.head
    }

    /// Hash of the last block.
    pub const fn head_hash(&self) -> B256 {
        self.head_hash
    }

    /// State after the last block, which is the parent state of the next one.
    pub const fn state(&self) -> &WorldState {
        &self.state
    }

    /// How often each scenario has run.
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Proposes the next block. Until one is sealed, it is the same every time.
    ///
    /// # Errors
    ///
    /// [`ChainError::Signing`], with negligible probability.
    pub fn next_candidate(&self) -> Result<Candidate, ChainError> {
        let (base_fee, excess_blob_gas) = block::next_fees(&self.head, &self.config);
        let scene = Scene {
            seed: self.seed,
            dice_seed: self.dice_seed,
            config: &self.config,
            keys: &self.keys,
            init_codes: &self.init_codes,
            parent: &self.state,
            number: self.head.number.saturating_add(1),
            base_fee,
            blob_fee: self.config.blob_params.calc_blob_fee(excess_blob_gas),
        };
        let PlannedBlock { planned, scenarios } = plan_block(scene, self.memory.clone())?;
        let attributes = Attributes {
            beneficiary: planned.beneficiary,
            prev_randao: planned.prev_randao,
            parent_beacon_block_root: planned.parent_beacon_block_root,
        };
        let header = block::candidate_header(
            &self.head,
            self.head_hash,
            &self.config,
            attributes,
            &planned.transactions,
            &planned.withdrawals,
        );
        Ok(Candidate {
            header,
            transactions: planned.transactions,
            withdrawals: planned.withdrawals,
            scenarios,
            purposes: planned.purposes,
            memory: planned.memory,
        })
    }

    /// Seals a candidate with what its execution did, and makes it the head.
    ///
    /// # Errors
    ///
    /// Where the two do not fit together or a transaction did not end as meant; the chain is then
    /// unchanged.
    pub fn seal(
        &mut self,
        mut candidate: Candidate,
        executed: Executed,
    ) -> Result<DevBlock, SealError> {
        if candidate.header.parent_hash != self.head_hash {
            return Err(SealError::NotOnHead {
                number: candidate.header.number,
                parent: candidate.header.parent_hash,
                head: self.head_hash,
            });
        }
        block::check(&candidate, &executed)?;
        self.state.apply(&executed.bundle);
        self.memory = std::mem::take(&mut candidate.memory);
        let sealed = block::seal(candidate, executed, self.state.state_root());
        self.state.add_block_hash(sealed.block.header.number, sealed.hash);
        self.coverage.count(&sealed.scenarios);
        self.head = sealed.block.header.clone();
        self.head_hash = sealed.hash;
        Ok(sealed)
    }

    /// Proposes, executes and seals one block.
    ///
    /// # Errors
    ///
    /// [`AdvanceError`] says which of the three failed; the chain is then unchanged.
    pub fn advance<E: Executor>(
        &mut self,
        executor: &E,
    ) -> Result<DevBlock, AdvanceError<E::Error>> {
        let candidate = self.next_candidate()?;
        let number = candidate.header.number;
        let executed = executor
            .execute(&candidate, &self.state)
            .map_err(|source| AdvanceError::Execute { number, source })?;
        self.seal(candidate, executed).map_err(|source| AdvanceError::Seal { number, source })
    }
}
