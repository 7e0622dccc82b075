//! A node's chain in memory, with what is inconvenient about reth v2.5.1's.

use crate::{
    chain::{Chain, ChainError, DeliverAt, ProduceError, ProducedBlock},
    target::Entry,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, U256};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What goes wrong when a block is produced, this many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NotReady,
    Mismatch,
    TooLarge,
    Panic,
    Database,
    /// It waits until the model lets it go.
    Hang,
}

/// The chain.
#[derive(Debug)]
pub(super) struct Model {
    state: Mutex<State>,
    released: Condvar,
    at_once: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
}

#[derive(Debug)]
struct State {
    last_hash: u64,
    /// Of every block that there ever was.
    parents: HashMap<B256, BlockNumHash>,
    /// By number.
    canonical: Vec<B256>,
    /// By number, too. Above a fork it is the old branch, until the next block is persisted.
    disk: Vec<B256>,
    finalized: u64,
    pruned_to: u64,
    /// The highest block before specimens are defined.
    undefined_to: u64,
    first_block: u64,
    syncing: bool,
    /// How often a block was asked for.
    asked: usize,
    /// From here on blocks are of a fork that this version does not know.
    unknown_fork: Option<u64>,
    faults: HashMap<u64, Vec<Fault>>,
    tip_fails: usize,
    replica_bytes: usize,
    produced: HashMap<B256, usize>,
    holds: bool,
}

impl Model {
    /// A genesis block and some more.
    pub(super) fn with_blocks(count: u64) -> Arc<Self> {
        let genesis = B256::from(U256::from(1));
        let state = State {
            last_hash: 1,
            parents: HashMap::new(),
            canonical: vec![genesis],
            disk: vec![genesis],
            finalized: 0,
            pruned_to: 0,
            undefined_to: 0,
            first_block: 1,
            syncing: false,
            asked: 0,
            unknown_fork: None,
            faults: HashMap::new(),
            tip_fails: 0,
            replica_bytes: 10,
            produced: HashMap::new(),
            holds: false,
        };
        let model = Self {
            state: Mutex::new(state),
            released: Condvar::new(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        };
        model.extend(count);
        Arc::new(model)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn height(&self) -> u64 {
        self.lock().tip().number
    }

    pub(super) fn canonical(&self) -> Vec<B256> {
        self.lock().canonical.clone()
    }

    pub(super) fn at(&self, number: u64) -> BlockNumHash {
        BlockNumHash { number, hash: self.lock().canonical[number as usize] }
    }

    pub(super) fn parent_of(&self, hash: B256) -> B256 {
        self.lock().parents[&hash].hash
    }

    pub(super) fn extend(&self, count: u64) {
        let mut state = self.lock();
        (0..count).for_each(|_| state.add());
    }

    /// Replaces this many blocks by another branch of a length of its own, which may be shorter.
    pub(super) fn reorg(&self, depth: u64, length: u64) {
        let mut state = self.lock();
        let left = state.canonical.len().saturating_sub(depth as usize).max(1);
        state.canonical.truncate(left);
        (0..length).for_each(|_| state.add());
    }

    /// Makes a block canonical that once was, with its ancestors.
    pub(super) fn make_canonical(&self, block: BlockNumHash) {
        let mut state = self.lock();
        let (mut branch, mut hash) = (vec![block.hash], block.hash);
        for _ in 0..block.number {
            hash = state.parents[&hash].hash;
            branch.push(hash);
        }
        branch.reverse();
        state.canonical = branch;
    }

    /// Has the disk follow, up to this many blocks below the tip.
    pub(super) fn persist(&self, below_tip: u64) {
        let mut state = self.lock();
        let left = state.canonical.len().saturating_sub(below_tip as usize).max(1);
        state.disk = state.canonical[..left].to_vec();
    }

    /// Loses what is not on disk.
    pub(super) fn crash(&self) {
        let mut state = self.lock();
        state.canonical = state.disk.clone();
    }

    pub(super) fn finalize(&self, number: u64) {
        self.lock().finalized = number;
    }

    pub(super) fn prune_to(&self, number: u64) {
        self.lock().pruned_to = number;
    }

    pub(super) fn define_from(&self, number: u64) {
        self.lock().undefined_to = number - 1;
    }

    /// The same, and the chain knows it beforehand.
    pub(super) fn know_first_block(&self, number: u64) {
        self.define_from(number);
        self.lock().first_block = number;
    }

    /// Whether the node is in the middle of its sync.
    pub(super) fn sync(&self, syncing: bool) {
        self.lock().syncing = syncing;
    }

    /// How often a block was asked for, whatever came of it.
    pub(super) fn asked(&self) -> usize {
        self.lock().asked
    }

    /// Sets where a fork begins that this version can't export, or takes it away, as an upgrade
    /// does.
    pub(super) fn unknown_fork_at(&self, number: Option<u64>) {
        self.lock().unknown_fork = number;
    }

    pub(super) fn replicas_of(&self, bytes: usize) {
        self.lock().replica_bytes = bytes;
    }

    /// Has the production at a height fail this many times.
    pub(super) fn fail(&self, number: u64, fault: Fault, times: usize) {
        self.lock().faults.insert(number, vec![fault; times]);
    }

    pub(super) fn mend(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.tip_fails = 0;
        state.holds = false;
        self.released.notify_all();
    }

    /// Has the next questions for the tip fail.
    pub(super) fn fail_tip(&self, times: usize) {
        self.lock().tip_fails = times;
    }

    /// Has every production wait.
    pub(super) fn hold(&self) {
        self.lock().holds = true;
    }

    /// How often a block was produced.
    pub(super) fn produced(&self, hash: B256) -> usize {
        self.lock().produced.get(&hash).copied().unwrap_or_default()
    }

    pub(super) fn productions(&self) -> usize {
        self.lock().produced.values().sum()
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) {
        drop(self.released.wait_while(self.lock(), |state| condition(state)).unwrap());
    }
}

impl State {
    fn tip(&self) -> BlockNumHash {
        BlockNumHash {
            number: self.canonical.len() as u64 - 1,
            hash: *self.canonical.last().unwrap(),
        }
    }

    fn add(&mut self) {
        self.last_hash += 1;
        let hash = B256::from(U256::from(self.last_hash));
        self.parents.insert(hash, self.tip());
        self.canonical.push(hash);
    }

    fn knows(&self, block: BlockNumHash) -> bool {
        let at = |chain: &[B256]| chain.get(block.number as usize) == Some(&block.hash);
        at(&self.canonical) || at(&self.disk)
    }

    fn canonical_at(&self, number: u64) -> Option<BlockNumHash> {
        let hash = *self.canonical.get(number as usize)?;
        Some(BlockNumHash { number, hash })
    }
}

impl Chain for Model {
    fn tip(&self, deliver: DeliverAt) -> Result<Option<BlockNumHash>, ChainError> {
        let mut state = self.lock();
        if state.tip_fails > 0 {
            state.tip_fails -= 1;
            return Err(ChainError("made to fail".to_owned()));
        }
        Ok(match deliver {
            DeliverAt::Finalized if state.finalized == 0 => None,
            DeliverAt::Finalized => state.canonical_at(state.finalized),
            _ => Some(state.tip()),
        })
    }

    fn finalized(&self) -> Result<Option<BlockNumHash>, ChainError> {
        self.tip(DeliverAt::Finalized)
    }

    fn hash_at(&self, number: u64) -> Result<Option<B256>, ChainError> {
        let state = self.lock();
        let number = number as usize;
        // Above the tip: the stale branch that is still on disk.
        Ok(state.canonical.get(number).or_else(|| state.disk.get(number)).copied())
    }

    fn first_block(&self) -> Result<u64, ChainError> {
        Ok(self.lock().first_block)
    }

    fn is_at_tip(&self) -> Result<bool, ChainError> {
        Ok(!self.lock().syncing)
    }

    fn produce(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError> {
        self.lock().asked += 1;
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.execute(block)));
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Model {
    fn execute(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError> {
        let BlockNumHash { number, hash } = block;
        let fault = self.lock().faults.get_mut(&number).and_then(Vec::pop);
        let reason = "made to fail".to_owned();
        match fault {
            Some(Fault::NotReady) => return Err(ProduceError::NotReady { number, reason }),
            Some(Fault::Mismatch) => return Err(ProduceError::Mismatch { number, hash, reason }),
            Some(Fault::TooLarge) => return Err(ProduceError::TooLarge { number, reason }),
            Some(Fault::Database) => return Err(ChainError(reason).into()),
            // Without the noise of a panic's message.
            Some(Fault::Panic) => std::panic::resume_unwind(Box::new(reason)),
            Some(Fault::Hang) => self.wait_while(|state| state.faults.contains_key(&number)),
            None => std::thread::sleep(Duration::from_micros(50)),
        }
        self.wait_while(|state| state.holds);
        let mut state = self.lock();
        if !state.knows(block) {
            return Err(ProduceError::UnknownBlock(block));
        }
        if number <= state.undefined_to {
            return Err(ProduceError::BeforeDefinition { number, reason: "too old".to_owned() });
        }
        if state.unknown_fork.is_some_and(|fork| number >= fork) {
            let reason = "its header has fields that this version does not know".to_owned();
            return Err(ProduceError::Unsupported { number, reason });
        }
        if number <= state.pruned_to {
            return Err(ProduceError::Pruned { number, reason: "gone".to_owned() });
        }
        *state.produced.entry(hash).or_default() += 1;
        let replica = Bytes::from(vec![7; state.replica_bytes]);
        Ok(ProducedBlock {
            parent: state.parents[&hash].hash,
            entry: Entry { hash, number, replica, supplement: None },
            gas_used: 21_000,
            transactions: 1,
            capture_time: Duration::ZERO,
            encode_time: Duration::ZERO,
        })
    }
}
