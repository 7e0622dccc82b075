//! What a year of work leaves behind, made without doing the work: segments, pins, ledger and
//! journal of as many small blocks as wanted, spread over the days.

use alloy_primitives::{B256, keccak256};
use bsp_agent::{
    alarm::Alarms,
    block::{BlockId, SegmentName},
    journal::{BlockKey, BlockRecord, Journal, SegmentFacts, Stage, Verification},
    proof::{Attempt, AttemptLog, AttemptLogError, LedgerProver, Proof, ProofOutcome, Prover},
    segments::SegmentFolder,
};
use bsp_codec::{ReplicaKind, dag, digest};
use bsp_pinner::store::{NewPin, PinState, Store, StoreOptions};
use eyre::Context;
use futures::StreamExt;
use std::{
    fs::{self, File, FileTimes},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Claims that wait for the ledger's sync together.
const TOGETHER: usize = 1024;
const PINNING_THREADS: u64 = 64;
/// The blocks' network, which no real network is.
const NETWORK: u64 = 1_234_567_890;

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct YearConfig {
    /// Number of blocks.
    pub blocks: u64,
    /// Days over which they are spread, up to now.
    pub days: u32,
    /// Bytes of a segment.
    pub segment_bytes: usize,
}

/// The folders of an agent that is to have worked for so long.
#[derive(Debug, Clone, Copy)]
pub struct YearFolders<'a> {
    /// `--data-dir`.
    pub data: &'a Path,
    /// `--binary-file-path`.
    pub segments: &'a Path,
}

/// Fills the folders. The agent must not run.
///
/// # Errors
///
/// Where something can't be written.
pub async fn fill(config: YearConfig, folders: YearFolders<'_>) -> eyre::Result<()> {
    fs::create_dir_all(folders.data)?;
    fs::create_dir_all(folders.segments)?;
    let begun = SystemTime::now() - DAY * config.days;
    let year = Year { config, begun };
    year.fill_pins(&folders.data.join("pins"))?;
    let proofs = year.fill_ledger(&folders.data.join("ledger.jsonl")).await?;
    year.fill_segments(folders.segments, &proofs)?;
    year.fill_journal(&folders.data.join("journal.redb"), &proofs).await
}

struct Year {
    config: YearConfig,
    begun: SystemTime,
}

impl Year {
    fn block(&self, index: u64) -> BlockId {
        let hash = keccak256(index.to_be_bytes());
        BlockId { network_id: NETWORK, number: index + 1, hash }
    }

    fn time(&self, index: u64) -> SystemTime {
        let span = (DAY * self.config.days).as_secs();
        self.begun + Duration::from_secs(span * index / self.config.blocks)
    }

    /// Text that compresses about as a segment does.
    fn content(&self, index: u64) -> Vec<u8> {
        let hash = keccak256(index.to_le_bytes());
        let words = (0u64..).flat_map(|word| {
            let text = format!("{:x}{:060}", hash.0[word as usize % 32], word);
            text.into_bytes()
        });
        words.take(self.config.segment_bytes).chain(hash).collect()
    }

    fn facts(&self, index: u64) -> SegmentFacts {
        let content = self.content(index);
        SegmentFacts {
            name: SegmentName::new(&self.block(index), ReplicaKind::Replica),
            length: content.len() as u64,
            specimen_hash: digest::specimen_hash(&content),
            cid: dag::cid_of(&content).to_string(),
        }
    }

    fn fill_pins(&self, folder: &Path) -> eyre::Result<()> {
        let store = Store::open(folder, StoreOptions::default())?;
        // Those that come together share a sync.
        thread::scope(|scope| {
            let pinning: Vec<_> = (0..PINNING_THREADS)
                .map(|first| {
                    scope.spawn({
                        let store = &store;
                        move || self.pin_every_nth(store, first)
                    })
                })
                .collect();
            pinning.into_iter().try_for_each(|thread| match thread.join() {
                Ok(pinned) => pinned,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    fn pin_every_nth(&self, store: &Store, first: u64) -> eyre::Result<()> {
        for index in (first..self.config.blocks).step_by(PINNING_THREADS as usize) {
            let mut import = store.import();
            import.update(&self.content(index))?;
            let name = self.facts(index).name.as_str().to_owned();
            import.finish(NewPin { name, state: PinState::Confirmed })?;
        }
        Ok(())
    }

    /// Returns the id of each block's proof.
    async fn fill_ledger(&self, path: &Path) -> eyre::Result<Vec<B256>> {
        let stop = CancellationToken::new();
        let ledger = LedgerProver::start(path, Alarms::default(), stop.clone())?;
        let log: Arc<dyn AttemptLog> = Arc::new(NoAttempts);
        let claims = futures::stream::iter(0..self.config.blocks).map(|index| {
            let claim = self.facts(index).claim(self.block(index));
            ledger.prove(claim, Vec::new(), Arc::clone(&log))
        });
        let outcomes: Vec<_> = claims.buffered(TOGETHER).collect().await;
        stop.cancel();
        let proof = |outcome| match outcome {
            Ok(ProofOutcome::Proved(proof)) => Ok(proof.id),
            other => Err(eyre::eyre!("the ledger answers {other:?}")),
        };
        outcomes.into_iter().map(proof).collect()
    }

    /// Without the syncs of an agent at work, which nobody waits for here.
    fn fill_segments(&self, folder: &Path, proofs: &[B256]) -> eyre::Result<()> {
        let segments = SegmentFolder::new(folder);
        for (index, &proof) in (0..).zip(proofs) {
            let block = self.block(index);
            let path = segments.proved(block.number, &self.facts(index).name, proof);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, self.content(index)).wrap_err("a segment")?;
            let written = FileTimes::new().set_modified(self.time(index));
            File::options().write(true).open(&path)?.set_times(written)?;
        }
        Ok(())
    }

    async fn fill_journal(&self, path: &Path, proofs: &[B256]) -> eyre::Result<()> {
        let journal = Journal::open(path, Alarms::default())?;
        for (index, &id) in (0..).zip(proofs) {
            let (block, segment) = (self.block(index), self.facts(index));
            let (verification, proof) = (Verification::Roots, Proof { id, mined_in: None });
            let stage = Stage::Acknowledged { segment, verification, proof };
            let mut record = BlockRecord::new(block, ReplicaKind::Replica, Vec::new(), stage);
            record.updated_ms =
                self.time(index).duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64;
            let key = BlockKey { hash: block.hash, kind: ReplicaKind::Replica };
            // Waits now and then, so that what is noted does not pile up in memory.
            match index % 1024 {
                0 => journal.put(key, &record).await?,
                _ => journal.note(key, &record),
            }
        }
        journal.set_fact("year", "filled").await?;
        Ok(())
    }
}

/// Proofs in a ledger have no attempts.
struct NoAttempts;

#[async_trait::async_trait]
impl AttemptLog for NoAttempts {
    async fn record(&self, _attempts: &[Attempt]) -> Result<(), AttemptLogError> {
        Ok(())
    }
}
