//! Removes the files of segments that are done with, once they are old.
//!
//! A file goes only if its block is proved or skipped and acknowledged, it was written before a
//! time, and, if it is proved, the pinner gives its content back. Refused and unproved files stay.

use super::SegmentFolder;
use crate::{
    block::SegmentName,
    blocking::on_disk,
    pin::{Content, PinError, Pinner},
};
use alloy_primitives::B256;
use bsp_codec::dag;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why no more can be removed for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The folder, or a file in it, can't be read or removed.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The pinner does not answer.
    #[error(transparent)]
    Pinner(#[from] PinError),
}

/// What may go.
#[derive(Debug, Clone)]
pub struct PrunePlan {
    /// Files written before this.
    pub before: SystemTime,
    /// Segments of blocks that are not finished: their files stay, whatever their names say.
    pub unfinished: HashSet<SegmentName>,
    /// Whether to leave everything and only count.
    pub dry_run: bool,
}

impl PrunePlan {
    /// All files that are older than this many days.
    pub fn older_than(days: u32) -> Self {
        let before = SystemTime::now().checked_sub(DAY * days).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { before, unfinished: HashSet::new(), dry_run: false }
    }
}

/// What became of the files that are old enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay because the pinner does not give their content back.
    pub not_pinned: u64,
    /// Files that stay because their blocks are not finished.
    pub unfinished: u64,
}

/// A file that may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSegment {
    /// Where it is.
    pub path: PathBuf,
    /// Which segment.
    pub name: SegmentName,
    /// Whether its block is proved; otherwise the contract will never take its proof.
    pub is_proved: bool,
}

/// Removes what a plan allows, folder by folder. What was removed stays so if it ends early.
///
/// # Errors
///
/// [`PruneError`]: the folder or the pinner can't be used.
pub async fn prune(
    folder: &SegmentFolder,
    pinner: &dyn Pinner,
    plan: &PrunePlan,
) -> Result<Pruned, PruneError> {
    let mut pruned = Pruned::default();
    let (root, before) = (folder.path().to_owned(), plan.before);
    let listed = root.clone();
    for sub_folder in on_disk(move || sub_folders(&listed)).await? {
        let listed = sub_folder.clone();
        for old in on_disk(move || old_segments(&listed, before)).await? {
            prune_file(&old, pinner, plan, &mut pruned).await?;
        }
        if !plan.dry_run && sub_folder != root {
            // Only one that is empty goes.
            let _ = tokio::fs::remove_dir(&sub_folder).await;
        }
    }
    Ok(pruned)
}

async fn prune_file(
    old: &OldSegment,
    pinner: &dyn Pinner,
    plan: &PrunePlan,
    pruned: &mut Pruned,
) -> Result<(), PruneError> {
    if plan.unfinished.contains(&old.name) {
        pruned.unfinished += 1;
        return Ok(());
    }
    let path = old.path.clone();
    let name = old.name.to_string();
    let content = on_disk(move || read(&path, name)).await?;
    if old.is_proved && !pinner.holds(&content).await? {
        pruned.not_pinned += 1;
        return Ok(());
    }
    if !plan.dry_run {
        let removed = tokio::fs::remove_file(&old.path).await;
        removed.map_err(|error| PruneError::Io { path: old.path.clone(), error })?;
    }
    pruned.removed += 1;
    pruned.bytes += content.bytes.len() as u64;
    Ok(())
}

fn read(path: &Path, name: String) -> Result<Content, PruneError> {
    let bytes = fs::read(path).map_err(|error| PruneError::Io { path: path.to_owned(), error })?;
    Ok(Content { name, cid: dag::cid_of(&bytes), bytes: bytes.into() })
}

/// The folder itself, where former versions kept all files, and the folders of heights.
fn sub_folders(folder: &Path) -> Result<Vec<PathBuf>, PruneError> {
    let failed = |error| PruneError::Io { path: folder.to_owned(), error };
    let mut heights = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        heights.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    heights.sort_unstable();
    let sub_folders = heights.into_iter().map(|height| folder.join(height.to_string()));
    Ok(std::iter::once(folder.to_owned()).chain(sub_folders.filter(|path| path.is_dir())).collect())
}

/// The files of a folder that are done with and were written before a time, by name.
fn old_segments(folder: &Path, before: SystemTime) -> Result<Vec<OldSegment>, PruneError> {
    let failed = |error| PruneError::Io { path: folder.to_owned(), error };
    let mut old = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some((name, is_proved)) = entry.file_name().to_str().and_then(done_with) else {
            continue;
        };
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        if written.map_err(failed)? < before {
            old.push(OldSegment { path: entry.path(), name, is_proved });
        }
    }
    old.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(old)
}

/// The segment of a file name, and whether it is proved; `None` for what is not done with.
fn done_with(file_name: &str) -> Option<(SegmentName, bool)> {
    let (stem, is_proved) = match file_name.strip_suffix(".skipped") {
        Some(stem) => (stem, false),
        None => (file_name, true),
    };
    let (name, hash) = stem.rsplit_once('-')?;
    hash.parse::<B256>().ok().filter(|_| hash.starts_with("0x"))?;
    Some((name.parse().ok()?, is_proved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::BlockId, journal::SegmentFacts, segments::Unproved};
    use async_trait::async_trait;
    use bsp_codec::{ReplicaKind, digest};
    use bytes::Bytes;
    use tempfile::TempDir;

    /// Holds all contents but these.
    #[derive(Debug, Default)]
    struct Pins {
        missing: HashSet<Bytes>,
    }

    #[async_trait]
    impl Pinner for Pins {
        fn name(&self) -> String {
            "pins".to_owned()
        }

        async fn pin(&self, _: &Content) -> Result<(), PinError> {
            unreachable!("nothing is pinned here")
        }

        async fn holds(&self, content: &Content) -> Result<bool, PinError> {
            Ok(!self.missing.contains(&content.bytes))
        }

        async fn check(&self) -> Result<String, PinError> {
            Ok(String::new())
        }
    }

    fn block(number: u64) -> BlockId {
        BlockId { network_id: 1, number, hash: B256::left_padding_from(&number.to_be_bytes()) }
    }

    fn bytes(number: u64) -> Vec<u8> {
        format!("segment {number}").into_bytes()
    }

    fn facts(number: u64) -> SegmentFacts {
        let bytes = bytes(number);
        SegmentFacts {
            name: SegmentName::new(&block(number), ReplicaKind::Replica),
            length: bytes.len() as u64,
            specimen_hash: digest::specimen_hash(&bytes),
            cid: dag::cid_of(&bytes).to_string(),
        }
    }

    struct Scene {
        scratch: TempDir,
        segments: SegmentFolder,
    }

    impl Scene {
        fn new() -> Self {
            let scratch = TempDir::new().unwrap();
            let segments = SegmentFolder::new(scratch.path());
            Self { scratch, segments }
        }

        fn store(&self, number: u64) {
            self.segments.store(&block(number), &facts(number), &bytes(number)).unwrap();
        }

        fn prove(&self, number: u64) -> PathBuf {
            self.store(number);
            self.segments.name_proved(&block(number), &facts(number), B256::ZERO).unwrap()
        }

        fn leave(&self, number: u64, why: Unproved) -> PathBuf {
            self.store(number);
            self.segments.name_unproved(&block(number), &facts(number), why).unwrap()
        }

        fn age(&self, path: &Path, days: u32) {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(PrunePlan::older_than(days).before).unwrap();
        }

        async fn prune(&self, pins: &Pins, plan: &PrunePlan) -> Pruned {
            prune(&self.segments, pins, plan).await.unwrap()
        }
    }

    #[tokio::test]
    async fn only_what_is_done_with_old_and_pinned_goes() {
        let scene = Scene::new();
        let young = scene.prove(1);
        let mut stay = vec![young];
        let mut go = Vec::new();
        for number in [2, 3, 20_003] {
            go.push(scene.prove(number));
        }
        go.push(scene.leave(4, Unproved::Skipped));
        // As a former version has left it.
        let flat = scene.scratch.path().join(format!("1-5-replica-{}", B256::ZERO));
        fs::rename(scene.prove(5), &flat).unwrap();
        go.push(flat);
        stay.push(scene.leave(6, Unproved::Refused));
        scene.store(7);
        stay.push(scene.scratch.path().join(format!("1-7-replica-{}.unproved", block(7).hash)));
        let unfinished = scene.prove(8);
        let not_pinned = scene.prove(9);
        let foreign = scene.scratch.path().join("notes.txt");
        fs::write(&foreign, "mine").unwrap();
        stay.extend([unfinished, not_pinned, foreign]);
        for path in stay.iter().skip(1).chain(&go) {
            scene.age(path, 31);
        }
        scene.age(&stay[0], 29);

        let pins = Pins { missing: [Bytes::from(bytes(9))].into() };
        let unfinished = HashSet::from([facts(8).name]);
        let plan = PrunePlan { unfinished, ..PrunePlan::older_than(30) };
        let removed_bytes = [2, 3, 20_003, 4, 5].map(|number| bytes(number).len() as u64);
        let expected =
            Pruned { removed: 5, bytes: removed_bytes.iter().sum(), not_pinned: 1, unfinished: 1 };
        let dry = PrunePlan { dry_run: true, ..plan.clone() };
        assert_eq!(scene.prune(&pins, &dry).await, expected);
        assert!(go.iter().all(|path| path.is_file()));
        assert_eq!(scene.prune(&pins, &plan).await, expected);
        assert!(go.iter().all(|path| !path.exists()), "{go:?}");
        assert!(stay.iter().all(|path| path.is_file()), "{stay:?}");
        assert!(!scene.scratch.path().join("20000").exists(), "it was empty");
    }

    #[test]
    fn only_names_of_segments_that_are_done_with_are_taken() {
        let hash = B256::ZERO;
        let (name, is_proved) = done_with(&format!("1-22433670-replica-{hash}")).unwrap();
        assert_eq!((name.as_str(), is_proved), ("1-22433670-replica", true));
        let (name, is_proved) = done_with(&format!("1-7-specimen-{hash}.skipped")).unwrap();
        assert_eq!((name.as_str(), is_proved), ("1-7-specimen", false));
        let hex = &hash.to_string()[2..];
        for other in [
            format!("1-7-replica-{hash}.unproved"),
            format!("1-7-replica-{hash}.refused"),
            format!("1-7-replica-{hash}.partial"),
            format!("1-7-replica-{hash}.supplement"),
            format!("1-7-replica-{hash}.skipped.skipped"),
            format!("1-7-replica-{hex}"),
            format!("1-7-other-{hash}"),
            format!("1-x-replica-{hash}"),
            format!("7-replica-{hash}"),
            format!("a-1-7-replica-{hash}"),
            format!("1-7-replica-{}", &hash.to_string()[..40]),
            "notes".to_owned(),
            String::new(),
        ] {
            assert_eq!(done_with(&other), None, "{other}");
        }
    }
}
