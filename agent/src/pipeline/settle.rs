//! The end of a block: its file gets its last name, and its entries go.

use super::{
    Services,
    open_block::{OpenBlock, Step, Unfinished},
    status::{LastProofCell, ProofCounts},
    suspects,
    threads::CpuTasks,
    totals::Totals,
    work::WorkList,
};
use crate::{
    alarm::AlarmKind,
    blocking::on_disk,
    failpoint,
    journal::{BlockRecord, SegmentFacts, Stage, Verification},
    proof::Proof,
    retry::GivenUp,
    segments::{SegmentError, Unproved},
    source::{DeadLetter, EntryId, SourceError},
};
use bsp_codec::{Profile, avro, rlp, snappy};
use bytes::Bytes;
use std::{future::Future, sync::Arc};

/// Ends blocks, and lets their entries go.
#[derive(Debug)]
pub(super) struct Settler {
    pub(super) services: Services,
    pub(super) totals: Arc<Totals>,
    pub(super) cpu: CpuTasks,
    pub(super) works: Arc<WorkList>,
    pub(super) last_proof: LastProofCell,
    pub(super) proof_counts: ProofCounts,
}

impl Settler {
    pub(super) async fn proved(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
        verification: Verification,
        proof: Proof,
    ) -> Step<Stage> {
        let id = block.record.block;
        let folder = self.services.segments.clone();
        let (facts, name) = (segment.clone(), proof.id);
        let rename = move || folder.name_proved(&id, &facts, name);
        if let Some(path) = self.rename(&segment, rename).await? {
            // Operators look for this line of bsp-agent v1.9.2, which has the path as one word.
            tracing::info!("File written successfully to: {}", path.display());
        }
        failpoint::hit("after_final_rename");
        self.confirm_pin(&segment).await?;
        self.acknowledge_all(&mut block.record).await?;
        self.last_proof.set(id, proof.clone());
        self.proof_counts.count(verification);
        Ok(Stage::Acknowledged { segment, verification, proof })
    }

    /// From now on the size budget of the pins may take this one.
    async fn confirm_pin(&self, segment: &SegmentFacts) -> Step<()> {
        let Ok(cid) = segment.cid.parse() else { return Ok(()) };
        let what = format!("confirming the pin of {}", segment.name);
        let retry = self.services.retry(AlarmKind::PinnerFailing);
        match retry.until_done(what, || self.services.pinner.confirm(&cid)).await {
            Ok(()) | Err(GivenUp::Final(_)) => Ok(()),
            Err(GivenUp::Stopped) => Err(Unfinished::Stopped),
        }
    }

    pub(super) async fn skipped(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
        reason: String,
    ) -> Step<Stage> {
        tracing::warn!("Segment {} is not proved: {reason}; its file stays", segment.name);
        self.rename_unproved(block, &segment, Unproved::Skipped).await?;
        self.acknowledge_all(&mut block.record).await?;
        Ok(Stage::Skipped { segment, reason, acknowledged: true })
    }

    pub(super) async fn refused(
        &self,
        block: &mut OpenBlock,
        segment: SegmentFacts,
        reason: String,
    ) -> Step<Stage> {
        let (payload, supplement) = match suspects::is_given_up(&reason) {
            true => (None, None),
            false => (
                self.payload_again(block, &segment).await,
                self.supplement_again(block, &segment).await,
            ),
        };
        let joined = self.works.take_joined(&block.key);
        for entry in block.record.entries.clone().iter().chain(&joined) {
            let letter = DeadLetter {
                entry: entry.clone(),
                hash: Some(block.key.hash.to_string()),
                reason: reason.clone(),
                payload: payload.clone(),
                supplement: supplement.clone(),
            };
            match self.send_to_dead_letters(&letter).await {
                Settled::Done => {}
                Settled::Refused => note_unsettled(&mut block.record, entry),
                Settled::Stopped => return Err(Unfinished::Stopped),
            }
        }
        self.rename_unproved(block, &segment, Unproved::Refused).await?;
        Ok(Stage::Refused { segment, reason, acknowledged: true })
    }

    /// The message that a segment was made of, for the dead letters.
    async fn payload_again(&self, block: &OpenBlock, segment: &SegmentFacts) -> Option<Bytes> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        let bytes = on_disk(move || folder.read_refused(&id, &facts)).await.ok()?;
        let run = move || -> Option<Bytes> {
            let replica = avro::decode_segment(&bytes).ok()?.replica;
            let rlp = rlp::encode_replica(&replica, Profile::Network).ok()?;
            Some(snappy::compress(&rlp).ok()?.into())
        };
        self.cpu.run(run).await.ok().flatten()
    }

    /// What came with the message, for the dead letters.
    async fn supplement_again(&self, block: &OpenBlock, segment: &SegmentFacts) -> Option<Bytes> {
        let folder = self.services.segments.clone();
        let (id, facts) = (block.record.block, segment.clone());
        on_disk(move || folder.read_supplement(&id, &facts)).await.ok().flatten()
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

    /// Gives a file its last name. `None`: it is gone, or not what was written. What is to be done
    /// for the block is done then all the same, so it is not held up; the operator is told.
    async fn rename<T: Send + 'static>(
        &self,
        segment: &SegmentFacts,
        rename: impl Fn() -> Result<T, SegmentError> + Clone + Send + 'static,
    ) -> Step<Option<T>> {
        let what = format!("naming the file of {}", segment.name);
        let retry = self.services.retry(AlarmKind::StoreFailing);
        match retry.until_done(&what, || on_disk(rename.clone())).await {
            Ok(done) => Ok(Some(done)),
            Err(GivenUp::Stopped) => Err(Unfinished::Stopped),
            Err(GivenUp::Final(error)) => {
                let name = &segment.name;
                let message = format!(
                    "{what}: {error}. The block is finished without it; what else moves files of the segment folder \
                     has to leave those that end in .unproved"
                );
                tracing::warn!(segment = %name, "{message}");
                self.services.alarms.raise(AlarmKind::SegmentMissing, message);
                Ok(None)
            }
        }
    }

    async fn acknowledge_all(&self, record: &mut BlockRecord) -> Step<()> {
        failpoint::hit("before_acknowledge");
        for entry in &record.entries.clone() {
            match self.acknowledge(entry).await {
                Settled::Done => {}
                Settled::Refused => note_unsettled(record, entry),
                Settled::Stopped => return Err(Unfinished::Stopped),
            }
        }
        failpoint::hit("after_acknowledge");
        Ok(())
    }

    /// Lets the source forget an entry.
    pub(super) async fn acknowledge(&self, entry: &EntryId) -> Settled {
        self.settle(entry, || self.services.settlement.acknowledge(entry)).await
    }

    /// Moves an entry to the dead letters.
    pub(super) async fn send_to_dead_letters(&self, letter: &DeadLetter) -> Settled {
        let DeadLetter { entry, reason, .. } = letter;
        let message = format!("Entry {entry} goes to the dead letters: {reason}");
        tracing::error!("{message}");
        let done = self.settle(entry, || self.services.settlement.bury(letter)).await;
        if done == Settled::Done {
            let advice = "see `bsp dead list`";
            self.services.alarms.raise(AlarmKind::DeadLetter, format!("{message}; {advice}"));
            self.totals.count("dead");
            failpoint::hit("after_bury");
        }
        done
    }

    async fn settle<F>(&self, entry: &EntryId, settle: impl FnMut() -> F) -> Settled
    where
        F: Future<Output = Result<(), SourceError>>,
    {
        let retry = self.services.retry(AlarmKind::SourceUnavailable);
        match retry.until_done(format!("settling entry {entry}"), settle).await {
            Ok(()) => Settled::Done,
            Err(GivenUp::Stopped) => Settled::Stopped,
            Err(GivenUp::Final(error)) => {
                tracing::warn!("Entry {entry} is not settled, and stays in its source: {error}");
                Settled::Refused
            }
        }
    }
}

/// What has become of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The source has let it go.
    Done,
    /// The source refuses: it is another source's, or an operator has to act. Should it come again,
    /// it is known.
    Refused,
    /// The process was told to stop before.
    Stopped,
}

fn note_unsettled(record: &mut BlockRecord, entry: &EntryId) {
    if !record.unsettled.contains(entry) {
        record.unsettled.push(entry.clone());
    }
}
