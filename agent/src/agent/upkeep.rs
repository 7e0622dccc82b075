//! What keeps a running agent from growing without end: once an hour the journal forgets, the store
//! of pins gives back what no pin holds, and old segment files are removed if the operator wants
//! that.

use crate::{
    alarm::now_ms,
    block::SegmentName,
    blocking::on_disk,
    journal::{Journal, JournalError},
    pin::Pinner,
    segments::{self, PrunePlan, SegmentFolder},
};
use bsp_pinner::store::Store;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long the journal remembers a block that was handled. A repetition that comes later costs the
/// work on it, and the contract refuses its proof.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long blocks stay in the store of pins that no pin holds: those of an upload that is under
/// way, or of content that is being fetched.
const UNPINNED_FOR: Duration = Duration::from_secs(3600);

/// The file of [`UnfinishedSegments`] in the data folder.
const UNFINISHED: &str = "unfinished.json";

/// The segments of blocks that are not finished, for `bsp prune` beside a running agent, whose
/// journal no other process can read.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnfinishedSegments {
    /// When this was written, in milliseconds since 1970.
    pub time_ms: u64,
    /// The segments. A block that is younger than this file is not among them.
    pub segments: HashSet<SegmentName>,
}

impl UnfinishedSegments {
    /// What a journal says now.
    ///
    /// # Errors
    ///
    /// If the journal can't be read.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let unfinished = journal.unfinished()?;
        let segments = unfinished.iter().filter_map(|record| record.stage.segment());
        Ok(Self {
            time_ms: now_ms(),
            segments: segments.map(|segment| segment.name.clone()).collect(),
        })
    }

    /// What the agent of a data folder has written last; `None` if it has written nothing.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or is not what an agent writes.
    pub fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(data_dir.join(UNFINISHED)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an agent that runs has written this: it does so once an hour.
    pub fn is_current(&self) -> bool {
        let age = now_ms().saturating_sub(self.time_ms);
        u128::from(age) < (2 * INTERVAL).as_millis()
    }

    fn write(&self, data_dir: &Path) -> io::Result<()> {
        let (path, partial) = (data_dir.join(UNFINISHED), data_dir.join("unfinished.json.partial"));
        fs::write(&partial, serde_json::to_vec(self)?)?;
        fs::rename(&partial, &path)
    }
}

/// What the rounds work on.
pub(super) struct Upkeep {
    pub(super) journal: Journal,
    pub(super) data_dir: PathBuf,
    pub(super) segments: SegmentFolder,
    pub(super) pinner: Arc<dyn Pinner>,
    /// The store of pins, if the agent has one.
    pub(super) store: Option<Store>,
    /// Segment files that are older go. `None`: they stay.
    pub(super) keep_days: Option<u32>,
}

impl Upkeep {
    pub(super) async fn run(self) {
        loop {
            self.forget().await;
            self.prune().await;
            self.collect_garbage().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn forget(&self) {
        let memory = u64::try_from(MEMORY.as_millis()).unwrap_or(u64::MAX);
        match self.journal.forget_before(now_ms().saturating_sub(memory)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(blocks = count, "The journal forgot old blocks"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    async fn collect_garbage(&self) {
        let Some(store) = self.store.clone() else { return };
        match on_disk(move || store.collect_garbage(UNPINNED_FOR)).await {
            Ok(collected) => tracing::debug!(?collected, "The store of pins was tidied"),
            Err(error) => tracing::warn!(%error, "The store of pins can't be tidied for now"),
        }
    }

    async fn prune(&self) {
        let unfinished = match UnfinishedSegments::of(&self.journal) {
            Ok(unfinished) => unfinished,
            Err(error) => return tracing::warn!("{error}"),
        };
        if let Err(error) = unfinished.write(&self.data_dir) {
            let path = self.data_dir.join(UNFINISHED);
            tracing::warn!(%error, "{} can't be written; `bsp prune` needs it while the agent runs", path.display());
        }
        let Some(days) = self.keep_days else { return };
        let plan = PrunePlan { unfinished: unfinished.segments, ..PrunePlan::older_than(days) };
        match segments::prune(&self.segments, &*self.pinner, &plan).await {
            Ok(pruned) => {
                metrics::counter!("agent_segments_pruned_total").increment(pruned.removed);
                metrics::gauge!("agent_segments_not_pinned").set(pruned.not_pinned as f64);
                if pruned.removed > 0 {
                    let (files, bytes) = (pruned.removed, pruned.bytes);
                    tracing::info!(files, bytes, "Old segment files were removed");
                }
                if pruned.not_pinned > 0 {
                    tracing::warn!(
                        files = pruned.not_pinned,
                        "Old segment files stay: the pinner does not give their content back"
                    );
                }
            }
            Err(error) => tracing::warn!("Old segment files stay for now: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alarm::Alarms,
        block::BlockId,
        journal::{BlockRecord, SegmentFacts, Stage, Verification},
        pin::{Content, EmbeddedPinner},
        proof::Proof,
    };
    use alloy_primitives::B256;
    use bsp_codec::{ReplicaKind, dag, digest};
    use bsp_pinner::store::{Store, StoreOptions};
    use std::fs::File;

    fn pinner(folder: &Path) -> EmbeddedPinner {
        let store = Store::open(folder, StoreOptions::default()).unwrap();
        EmbeddedPinner::new(store, folder)
    }

    struct Scene {
        folder: tempfile::TempDir,
        upkeep: Upkeep,
    }

    impl Scene {
        fn new(keep_days: Option<u32>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let data_dir = folder.path().to_owned();
            let segments = data_dir.join("segments");
            fs::create_dir(&segments).unwrap();
            let upkeep = Upkeep {
                journal: Journal::open(&data_dir.join("journal.redb"), Alarms::default()).unwrap(),
                segments: SegmentFolder::new(segments),
                pinner: Arc::new(pinner(&data_dir.join("pins"))),
                store: None,
                data_dir,
                keep_days,
            };
            Self { folder, upkeep }
        }

        /// A block that was proved and written this many days ago.
        async fn proved(&self, number: u64, days: u32, is_acknowledged: bool) -> PathBuf {
            let block = BlockId { network_id: 1, number, hash: B256::with_last_byte(number as u8) };
            let bytes = format!("segment {number}").into_bytes();
            let cid = dag::cid_of(&bytes);
            let segment = SegmentFacts {
                name: SegmentName::new(&block, ReplicaKind::Replica),
                length: bytes.len() as u64,
                specimen_hash: digest::specimen_hash(&bytes),
                cid: cid.to_string(),
            };
            let Upkeep { journal, segments, pinner, .. } = &self.upkeep;
            segments.store(&block, &segment, &bytes).unwrap();
            let name = segment.name.to_string();
            pinner.pin(&Content { name, bytes: bytes.into(), cid }).await.unwrap();
            let path = segments.name_proved(&block, &segment, B256::ZERO).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(PrunePlan::older_than(days).before).unwrap();
            let proof = Proof { id: B256::ZERO, mined_in: None };
            let verification = Verification::Executed;
            let stage = match is_acknowledged {
                true => Stage::Acknowledged { segment, verification, proof },
                false => Stage::ProofConfirmed { segment, verification, proof },
            };
            let record = BlockRecord::new(block, ReplicaKind::Replica, Vec::new(), stage);
            journal.put(record.key().unwrap(), &record).await.unwrap();
            path
        }
    }

    #[tokio::test]
    async fn old_files_go_only_if_that_is_wanted() {
        for (keep_days, goes) in [(None, false), (Some(11), false), (Some(9), true)] {
            let scene = Scene::new(keep_days);
            let (old, young) = (scene.proved(1, 10, true).await, scene.proved(2, 1, true).await);
            let unacknowledged = scene.proved(3, 10, false).await;
            scene.upkeep.prune().await;
            assert_eq!(old.exists(), !goes, "{keep_days:?}");
            assert!(young.exists() && unacknowledged.exists());
        }
    }

    #[tokio::test]
    async fn others_are_told_what_is_not_finished() {
        let scene = Scene::new(None);
        assert!(UnfinishedSegments::read(scene.folder.path()).unwrap().is_none());
        scene.proved(1, 10, true).await;
        scene.proved(3, 10, false).await;
        scene.upkeep.prune().await;
        let mut told = UnfinishedSegments::read(scene.folder.path()).unwrap().unwrap();
        assert_eq!(told.segments, HashSet::from(["1-3-replica".parse().unwrap()]));
        assert!(told.is_current());
        told.time_ms -= u64::try_from((3 * INTERVAL).as_millis()).unwrap();
        assert!(!told.is_current());
    }
}
