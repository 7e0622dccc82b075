//! The steps of one block, from its segment to its end.
//!
//! Each step begins at the stage that the former one journalled, and is safe to repeat: that is all that a restart needs.

use super::{
    Pipeline,
    verification::{self, NotVerified},
};
use crate::{
    alarm::AlarmKind,
    args::Verify,
    failpoint,
    journal::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification},
    pin::{Content, PinError},
    proof::{Attempt, AttemptLog, AttemptLogError, Proof, ProofOutcome},
    segments::Unproved,
    source::{DeadLetter, EntryId, SourceError},
};
use async_trait::async_trait;
use bsp_codec::{Profile, avro, dag, rlp, snappy};
use bytes::Bytes;
use std::{future::Future, path::Path, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// A block in work.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) key: BlockKey,
    pub(super) record: BlockRecord,
    /// One of the open blocks, for as long as this is one.
    pub(super) slot: OwnedSemaphorePermit,
    /// The segment's bytes with the memory they occupy, until they are pinned. After a restart they are read from disk.
    pub(super) content: Option<(Content, OwnedSemaphorePermit)>,
}

/// Why a block is not finished by this process.
enum Unfinished {
    /// It was told to stop.
    Stopped,
    /// Only the operator can help.
    Held(AlarmKind, String),
}

type Step<T> = Result<T, Unfinished>;

impl Pipeline {
    /// Takes a block from the stage it is at to its end.
    pub(super) async fn finish(self, mut block: OpenBlock) {
        let outcome = loop {
            self.works.reached(&block.key, block.record.stage.as_str());
            if block.record.stage.is_final() {
                break Ok(());
            }
            if let Err(unfinished) = self.step(&mut block).await {
                break Err(unfinished);
            }
        };
        let OpenBlock { key, record, slot, .. } = block;
        match outcome {
            Ok(()) => self.close(key, record).await,
            Err(unfinished) => self.leave(key, &record, unfinished),
        }
        drop(slot);
    }

    /// One step: what the stage asks for, and the journal's word that it was done.
    async fn step(&self, block: &mut OpenBlock) -> Step<()> {
        let next = match block.record.stage.clone() {
            // Without its segment on disk a block begins at its source.
            Stage::Received => return Err(Unfinished::Stopped),
            Stage::Encoded { segment } => self.store(block, segment).await?,
            Stage::Stored { segment } => self.pin(block, segment).await?,
            Stage::Pinned { segment } => self.verify(block, segment).await?,
            Stage::Verified { segment, verification } => {
                self.prove(block, segment, verification, Vec::new()).await?
            }
            Stage::ProofSent { segment, verification, attempts } => {
                self.prove(block, segment, verification, attempts).await?
            }
            Stage::ProofConfirmed { segment, verification, proof } => {
                self.settle_proved(block, segment, verification, proof).await?
            }
            Stage::Skipped { segment, reason, .. } => {
                self.settle_skipped(block, segment, reason).await?
            }
            Stage::Refused { segment, reason, .. } => {
                self.settle_refused(block, segment, reason).await?
            }
            Stage::Acknowledged { .. } => return Ok(()),
        };
        self.advance(block, next).await
    }

    async fn store(&self, block: &OpenBlock, segment: SegmentFacts) -> Step<Stage> {
        let Some((content, _)) = &block.content else { return Err(Unfinished::Stopped) };
        self.retry(AlarmKind::StoreFailing)
            .until_done(format!("storing {}", segment.name), || {
                let folder = self.services.segments.clone();
                let (id, segment, bytes) =
                    (block.record.block, segment.clone(), content.bytes.clone());
                self.on_disk(move || folder.store(&id, &segment, &bytes))
            })
            .await
            .ok_or(Unfinished::Stopped)?;
        failpoint::hit("after_store");
        Ok(Stage::Stored { segment })
    }

    async fn pin(&self, block: &mut OpenBlock, segment: SegmentFacts) -> Step<Stage> {
        let content = match block.content.take() {
            Some(content) => content,
            None => self.read_again(block, &segment).await?,
        };
        let pinned = self
            .retry(AlarmKind::PinnerFailing)
            .until_done(format!("pinning {}", segment.name), || async {
                match self.services.pinner.pin(&content.0).await {
                    Err(error @ PinError::OtherCid { .. }) => Ok(Err(error.to_string())),
                    other => other.map(Ok),
                }
            })
            .await;
        let name = &segment.name;
        match pinned.ok_or(Unfinished::Stopped)? {
            Ok(()) => {
                let cid = &segment.cid;
                tracing::info!("client side cid is: {cid}, while uploaded is: {cid}");
                tracing::info!("eth binary file should be available: {}", segment.url());
                failpoint::hit("after_pin");
                Ok(Stage::Pinned { segment })
            }
            Err(error) => {
                Err(Unfinished::Held(AlarmKind::PinnerOtherCid, format!("{name}: {error}")))
            }
        }
    }

    /// The content of a segment that an earlier process stored.
    async fn read_again(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
    ) -> Step<(Content, OwnedSemaphorePermit)> {
        let length = usize::try_from(segment.length).unwrap_or(usize::MAX);
        let room = self.bytes.take(length, 0).await;
        let bytes = self.read_stored(block, segment).await?;
        let cid = self.compute({
            let bytes = bytes.clone();
            move || dag::cid_of(&bytes)
        });
        Ok((Content { cid: cid.await, bytes }, room))
    }

    /// Reads a stored segment. One that is gone or altered is not proved.
    async fn read_stored(&self, block: &OpenBlock, segment: &SegmentFacts) -> Step<Bytes> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        let read = self.on_disk(move || folder.read(&id, &facts)).await;
        read.map_err(|error| Unfinished::Held(AlarmKind::StoreFailing, error.to_string()))
    }

    async fn verify(&self, block: &OpenBlock, segment: SegmentFacts) -> Step<Stage> {
        let verification = match self.options.verify {
            Verify::Off => Verification::Header,
            Verify::Roots => Verification::Roots,
            Verify::Execute => match self.execute(block, &segment).await? {
                Ok(verification) => verification,
                Err(NotVerified::Refused(reason)) => {
                    return Ok(Stage::Refused { segment, reason, acknowledged: false });
                }
                Err(NotVerified::Unknown(reason)) => {
                    return Err(Unfinished::Held(AlarmKind::BlockHeld, reason));
                }
            },
        };
        Ok(Stage::Verified { segment, verification })
    }

    async fn execute(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
    ) -> Step<Result<Verification, NotVerified>> {
        let bytes = self.read_stored(block, segment).await?;
        let options = Arc::clone(&self.options);
        let run = move || verification::execute(&bytes, options.chain_spec.as_ref());
        Ok(self.compute(run).await)
    }

    async fn prove(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
        verification: Verification,
        attempts: Vec<Attempt>,
    ) -> Step<Stage> {
        let log = Arc::new(JournalledAttempts {
            pipeline: self.clone(),
            key: block.key,
            record: block.record.clone(),
            segment: segment.clone(),
            verification,
        });
        let claim = segment.claim(block.record.block);
        let outcome = self.services.prover.prove(claim, attempts, log).await;
        match outcome.map_err(|_| Unfinished::Stopped)? {
            ProofOutcome::Proved(proof) => {
                Ok(Stage::ProofConfirmed { segment, verification, proof })
            }
            ProofOutcome::Skipped { reason } => {
                failpoint::hit("before_skip_journal");
                Ok(Stage::Skipped { segment, reason, acknowledged: false })
            }
            ProofOutcome::Held { reason } => {
                Err(Unfinished::Held(AlarmKind::BlockHeld, format!("{}: {reason}", segment.name)))
            }
        }
    }

    async fn settle_proved(
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
        Ok(Stage::Acknowledged { segment, verification, proof })
    }

    async fn settle_skipped(
        &self,
        block: &OpenBlock,
        segment: SegmentFacts,
        reason: String,
    ) -> Step<Stage> {
        tracing::warn!("{} is not proved: {reason}; it stays stored and pinned", segment.name);
        self.rename_unproved(block, &segment, Unproved::Skipped).await?;
        self.acknowledge_all(&block.record.entries).await?;
        Ok(Stage::Skipped { segment, reason, acknowledged: true })
    }

    async fn settle_refused(
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
        self.compute(run).await
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
        rename: impl Fn() -> Result<T, crate::segments::SegmentError> + Clone + Send + 'static,
    ) -> Step<T> {
        let what = format!("naming the file of {}", segment.name);
        let retry = self.retry(AlarmKind::StoreFailing);
        let done = retry.until_done(what, || self.on_disk(rename.clone())).await;
        done.ok_or(Unfinished::Stopped)
    }

    /// Journals a stage. The block is there then.
    async fn advance(&self, block: &mut OpenBlock, stage: Stage) -> Step<()> {
        let record = block.record.at(stage);
        let written = self.services.journal.put(block.key, &record).await;
        written.map_err(|_| Unfinished::Stopped)?;
        block.record = record;
        match &block.record.stage {
            Stage::Stored { .. } => failpoint::hit("after_store_journal"),
            Stage::Pinned { .. } => failpoint::hit("after_pin_journal"),
            Stage::Verified { .. } => failpoint::hit("after_verify_journal"),
            Stage::ProofConfirmed { .. } => failpoint::hit("after_proof_journal"),
            Stage::Acknowledged { .. } => failpoint::hit("after_acknowledge_journal"),
            Stage::Skipped { acknowledged: false, .. } => failpoint::hit("after_skip_journal"),
            _ => {}
        }
        Ok(())
    }

    /// A block that is dealt with: entries of the same message that came while it was in work go too.
    async fn close(&self, key: BlockKey, record: BlockRecord) {
        let was_refused = matches!(record.stage, Stage::Refused { .. });
        for entry in self.works.end(&key) {
            if was_refused {
                // It came too late for the dead letters, and will be refused for itself.
                self.services.settlement.release(&entry);
            } else {
                self.acknowledge(&entry).await;
            }
        }
        metrics::counter!("agent_blocks_total", "outcome" => record.stage.as_str()).increment(1);
        self.completed.record();
        if let Some(finished) = &self.services.finished {
            // Who asked for it may have stopped listening.
            let _ = finished.send(record);
        }
    }

    /// A block that this process does not finish: its entries may be delivered again.
    fn leave(&self, key: BlockKey, record: &BlockRecord, unfinished: Unfinished) {
        if let Unfinished::Held(alarm, reason) = unfinished {
            metrics::counter!("agent_blocks_held_total").increment(1);
            self.services.alarms.raise(alarm, format!("{} is held: {reason}", record.block));
        }
        for entry in self.works.end(&key).iter().chain(&record.entries) {
            self.services.settlement.release(entry);
        }
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

    /// Runs something that takes processor time, on a thread that may block, as many at once as allowed.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let _core = self.cpu.acquire().await;
        join(tokio::task::spawn_blocking(run).await)
    }

    /// Runs something that waits for a disk.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        join(tokio::task::spawn_blocking(run).await)
    }
}

/// A panic in a thread goes on in the task that waits for it.
fn join<T>(outcome: Result<T, tokio::task::JoinError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Records attempts as a stage of their block.
struct JournalledAttempts {
    pipeline: Pipeline,
    key: BlockKey,
    record: BlockRecord,
    segment: SegmentFacts,
    verification: Verification,
}

#[async_trait]
impl AttemptLog for JournalledAttempts {
    async fn record(&self, attempts: &[Attempt]) -> Result<(), AttemptLogError> {
        let record = self.record.at(Stage::ProofSent {
            segment: self.segment.clone(),
            verification: self.verification,
            attempts: attempts.to_vec(),
        });
        let written = self.pipeline.services.journal.put(self.key, &record).await;
        written.map_err(|error| AttemptLogError(error.to_string()))?;
        self.pipeline.works.reached(&self.key, record.stage.as_str());
        Ok(())
    }
}
