//! The end of a block: its file gets its last name, and its entries go.

use super::{
    Pipeline,
    block::{OpenBlock, Step, Unfinished},
};
use crate::{
    alarm::AlarmKind,
    failpoint,
    journal::{SegmentFacts, Stage, Verification},
    proof::Proof,
    segments::{SegmentError, Unproved},
    source::{DeadLetter, EntryId, SourceError},
};
use bsp_codec::{Profile, avro, rlp, snappy};
use bytes::Bytes;
use std::{future::Future, path::Path};

impl Pipeline {
    pub(super) async fn settle_proved(
        &self,
        block: &OpenBlock,
        segment: SegmentFacts,
        verification: Verification,
        proof: Proof,
    ) -> Step<Stage> {
        let id = block.record.block;
        let folder = self.services.segments.clone();
        let (facts, name) = (segment.clone(), proof.id);
        let rename = move || folder.name_proved(&id, &facts, name);
        let path = self.rename(&segment, rename).await?;
        let (folder, file) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        let file = file.unwrap_or_default().to_string_lossy();
        tracing::info!("File written successfully to: {} {file}", folder.display());
        failpoint::hit("after_final_rename");
        self.acknowledge_all(&block.record.entries).await?;
        self.last_proof.set(id, proof.clone());
        self.proof_counts.count(verification);
        Ok(Stage::Acknowledged { segment, verification, proof })
    }

    pub(super) async fn settle_skipped(
        &self,
        block: &OpenBlock,
        segment: SegmentFacts,
        reason: String,
    ) -> Step<Stage> {
        tracing::warn!("{} is not proved: {reason}; its file stays", segment.name);
        self.rename_unproved(block, &segment, Unproved::Skipped).await?;
        self.acknowledge_all(&block.record.entries).await?;
        Ok(Stage::Skipped { segment, reason, acknowledged: true })
    }

    pub(super) async fn settle_refused(
        &self,
        block: &OpenBlock,
        segment: SegmentFacts,
        reason: String,
    ) -> Step<Stage> {
        let payload = self.payload_again(block, &segment).await;
        let joined = self.works.take_joined(&block.key);
        for entry in block.record.entries.iter().chain(&joined) {
            let letter = DeadLetter {
                entry: entry.clone(),
                hash: Some(block.key.hash.to_string()),
                reason: reason.clone(),
                payload: payload.clone(),
            };
            if !self.send_to_dead_letters(&letter).await {
                return Err(Unfinished::Stopped);
            }
        }
        self.rename_unproved(block, &segment, Unproved::Refused).await?;
        Ok(Stage::Refused { segment, reason, acknowledged: true })
    }

    /// The message that a segment was made of, for the dead letters.
    async fn payload_again(&self, block: &OpenBlock, segment: &SegmentFacts) -> Option<Bytes> {
        let bytes = self.read_stored(block, segment).await.ok()?;
        let run = move || -> Option<Bytes> {
            let replica = avro::decode_segment(&bytes).ok()?.replica;
            let rlp = rlp::encode_replica(&replica, Profile::Network).ok()?;
            Some(snappy::compress(&rlp).ok()?.into())
        };
        self.compute(run).await.ok().flatten()
    }

    async fn rename_unproved(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
        why: Unproved,
    ) -> Step<()> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        self.rename(segment, move || folder.name_unproved(&id, &facts, why)).await.map(drop)
    }

    async fn rename<T: Send + 'static>(
        &self,
        segment: &SegmentFacts,
        rename: impl Fn() -> Result<T, SegmentError> + Clone + Send + 'static,
    ) -> Step<T> {
        let what = format!("naming the file of {}", segment.name);
        let retry = self.retry(AlarmKind::StoreFailing);
        let done = retry.until_done(what, || self.on_disk(rename.clone())).await;
        done.ok_or(Unfinished::Stopped)
    }

    async fn acknowledge_all(&self, entries: &[EntryId]) -> Step<()> {
        failpoint::hit("before_acknowledge");
        for entry in entries {
            if !self.acknowledge(entry).await {
                return Err(Unfinished::Stopped);
            }
        }
        failpoint::hit("after_acknowledge");
        Ok(())
    }

    /// Lets the source forget an entry; `false` if it was told to stop before it could.
    pub(super) async fn acknowledge(&self, entry: &EntryId) -> bool {
        self.settle(entry, || self.services.settlement.acknowledge(entry)).await
    }

    /// Moves an entry to the dead letters; `false` if it was told to stop before it could.
    pub(super) async fn send_to_dead_letters(&self, letter: &DeadLetter) -> bool {
        let DeadLetter { entry, reason, .. } = letter;
        let message = format!("entry {entry} goes to the dead letters: {reason}");
        tracing::error!("{message}");
        let done = self.settle(entry, || self.services.settlement.bury(letter)).await;
        if done {
            let advice = "see `bsp dead list`";
            self.services.alarms.raise(AlarmKind::DeadLetter, format!("{message}; {advice}"));
            metrics::counter!("agent_blocks_total", "outcome" => "dead").increment(1);
            failpoint::hit("after_bury");
        }
        done
    }

    async fn settle<F>(&self, entry: &EntryId, settle: impl FnMut() -> F) -> bool
    where
        F: Future<Output = Result<(), SourceError>>,
    {
        let retry = self.retry(AlarmKind::SourceUnavailable);
        retry.until_done(format!("settling entry {entry}"), settle).await.is_some()
    }
}
