//! From a segment in memory to its proof: store, pin, verify, prove.

use super::{
    Services,
    budget::ByteBudget,
    open_block::{OpenBlock, Step, Unfinished},
    rules::Rules,
    suspects::Watched,
    threads::CpuTasks,
    verdicts::{Checked, Sentence, Verdicts},
    verification::{self, NotVerified},
    work::WorkList,
};
use crate::{
    alarm::AlarmKind,
    args::Verify,
    block::BlockId,
    blocking::on_disk,
    failpoint,
    journal::{BlockKey, BlockRecord, Journal, SegmentFacts, Stage, Verification},
    pin::Content,
    proof::{Attempt, AttemptLog, AttemptLogError, Outlook, ProofOutcome},
    retry::GivenUp,
    segments::SegmentError,
};
use async_trait::async_trait;
use bsp_codec::dag;
use bytes::Bytes;
use std::{fmt, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// The steps up to the proof.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) services: Services,
    pub(super) verify: Verify,
    pub(super) rules: Arc<Rules>,
    pub(super) verdicts: Arc<Verdicts>,
    pub(super) bytes: ByteBudget,
    pub(super) cpu: CpuTasks,
    pub(super) works: Arc<WorkList>,
}

impl Steps {
    /// Stores a segment, and before it what its format leaves out.
    pub(super) async fn store(&self, block: &mut OpenBlock, segment: SegmentFacts) -> Step<Stage> {
        let supplement = block.supplement.take();
        let Some((content, _)) = &block.content else { return Err(Unfinished::Stopped) };
        self.services
            .retry(AlarmKind::StoreFailing)
            .until_done(format!("storing {}", segment.name), || {
                let folder = self.services.segments.clone();
                let (id, segment, bytes) =
                    (block.record.block, segment.clone(), content.bytes.clone());
                let supplement = supplement.clone();
                on_disk(move || {
                    if let Some(supplement) = supplement {
                        folder.store_supplement(&id, &segment, &supplement)?;
                    }
                    folder.store(&id, &segment, &bytes)
                })
            })
            .await
            .map_err(|given_up| not_done(AlarmKind::BlockHeld, given_up))?;
        failpoint::hit("after_store");
        Ok(Stage::Stored { segment })
    }

    /// Pins a stored segment, unless its proof can't count any more: then there is nothing to
    /// upload for.
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
            .services
            .retry(AlarmKind::PinnerFailing)
            .until_done(format!("pinning {}", segment.name), || {
                self.services.pinner.pin(&content.0)
            })
            .await;
        pinned.map_err(|given_up| not_done(AlarmKind::PinnerOtherCid, given_up))?;
        let cid = &segment.cid;
        tracing::info!("client side cid is: {cid}, while uploaded is: {cid}");
        tracing::info!("eth binary file should be available: {}", segment.url());
        failpoint::hit("after_pin");
        Ok(Stage::Pinned { segment })
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
        let cid = self.cpu.run(move || dag::cid_of(&content)).await?;
        Ok((Content { name: segment.name.to_string(), cid, bytes }, room))
    }

    /// Reads a stored segment. One that is gone or altered is not proved.
    pub(super) async fn read_stored(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
    ) -> Step<Bytes> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        let read = on_disk(move || folder.read(&id, &facts)).await;
        read.map_err(|error| Unfinished::Held(AlarmKind::BlockHeld, error.to_string()))
    }

    pub(super) async fn verify(&self, block: &mut OpenBlock, segment: SegmentFacts) -> Step<Stage> {
        let given_up = block.judging.as_ref().and_then(|judging| judging.watched.given_up());
        if let Some(reason) = given_up {
            return Ok(Stage::Refused { segment, reason, acknowledged: false });
        }
        let verification = match self.verify {
            Verify::Off => Verification::Header,
            Verify::Roots => Verification::Roots,
            Verify::Execute => match self.execute(block, &segment).await? {
                Ok(verification) => verification,
                Err(NotVerified::Refused(reason)) => {
                    let BlockRecord { block: id, entries, .. } = &block.record;
                    let told = format!("{id}: {reason}");
                    return match self.verdicts.refused(content(id), entries, &told) {
                        Sentence::Bury => {
                            Ok(Stage::Refused { segment, reason, acknowledged: false })
                        }
                        Sentence::Leave => Err(Unfinished::Left),
                    };
                }
                Err(NotVerified::Unknown(reason)) => {
                    self.verdicts.held(&block.record.entries, &reason);
                    return Err(Unfinished::Left);
                }
            },
        };
        self.verdicts.passed(content(&block.record.block));
        block.judging = None;
        Ok(Stage::Verified { segment, verification })
    }

    async fn execute(
        &self,
        block: &OpenBlock,
        segment: &SegmentFacts,
    ) -> Step<Result<Verification, NotVerified>> {
        let watched = block.judging.as_ref().map(|judging| &judging.watched);
        let length = usize::try_from(segment.length).unwrap_or(usize::MAX);
        // Memory and core first, and only then the file.
        let _room = match watched.is_some_and(Watched::is_alone) {
            true => self.bytes.take_all().await,
            false => self.bytes.take(0, length).await,
        };
        let (folder, rules) = (self.services.segments.clone(), Arc::clone(&self.rules));
        let (id, facts) = (block.record.block, segment.clone());
        let run = move || {
            let bytes = folder.read(&id, &facts)?;
            let supplement = folder.read_supplement(&id, &facts)?;
            Ok::<_, SegmentError>(verification::execute(&bytes, supplement.as_deref(), &rules))
        };
        let executed = self.cpu.run_watched(watched, run).await?;
        executed.map_err(|error| Unfinished::Held(AlarmKind::BlockHeld, error.to_string()))
    }

    pub(super) async fn prove(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
        verification: Verification,
        attempts: Vec<Attempt>,
    ) -> Step<Stage> {
        let log = Arc::new(JournalledAttempts {
            journal: self.services.journal.clone(),
            works: Arc::clone(&self.works),
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

/// What a verdict on a block is about.
const fn content(block: &BlockId) -> Checked {
    Checked::Content { network: block.network_id, number: block.number }
}

fn not_done<E: fmt::Display>(alarm: AlarmKind, given_up: GivenUp<E>) -> Unfinished {
    match given_up {
        GivenUp::Stopped => Unfinished::Stopped,
        GivenUp::Final(error) => Unfinished::Held(alarm, error.to_string()),
    }
}

/// Records attempts as a stage of their block.
struct JournalledAttempts {
    journal: Journal,
    works: Arc<WorkList>,
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
        let written = self.journal.put(self.key, &record).await;
        written.map_err(|error| AttemptLogError(error.to_string()))?;
        self.works.reached(&self.key, record.stage.as_str());
        Ok(())
    }
}
