//! From a segment in memory to its proof: store, pin, verify, prove.

use super::{
    Pipeline,
    block::{OpenBlock, Step, Unfinished},
    verification::{self, NotVerified},
};
use crate::{
    alarm::AlarmKind,
    args::Verify,
    failpoint,
    journal::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification},
    pin::{Content, PinError},
    proof::{Attempt, AttemptLog, AttemptLogError, Outlook, ProofOutcome},
};
use async_trait::async_trait;
use bsp_codec::dag;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

impl Pipeline {
    pub(super) async fn store(&self, block: &OpenBlock, segment: SegmentFacts) -> Step<Stage> {
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

    /// Pins a stored segment, unless its proof can't count any more: then there is nothing to upload for.
    pub(super) async fn pin_if_it_counts(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
    ) -> Step<Stage> {
        match self.services.prover.outlook(&segment.claim(block.record.block)).await {
            Outlook::Open => self.pin(block, segment).await,
            Outlook::Closed { reason } => {
                let reason = format!("{reason}; it was not uploaded");
                Ok(Stage::Skipped { segment, reason, acknowledged: false })
            }
            Outlook::Held { reason } => {
                Err(Unfinished::Held(AlarmKind::BlockHeld, format!("{}: {reason}", segment.name)))
            }
        }
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
        let content = bytes.clone();
        let cid = self.compute(move || dag::cid_of(&content)).await?;
        Ok((Content { cid, bytes }, room))
    }

    /// Reads a stored segment. One that is gone or altered is not proved.
    pub(super) async fn read_stored(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
    ) -> Step<Bytes> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        let read = self.on_disk(move || folder.read(&id, &facts)).await;
        read.map_err(|error| Unfinished::Held(AlarmKind::StoreFailing, error.to_string()))
    }

    pub(super) async fn verify(&self, block: &OpenBlock, segment: SegmentFacts) -> Step<Stage> {
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
        Ok(self.compute(run).await?)
    }

    pub(super) async fn prove(
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
