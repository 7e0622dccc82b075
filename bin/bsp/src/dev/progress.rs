//! Which blocks are in flight, and what has become of the others.

use super::{folder::DevFolder, producer::Made};
use alloy_primitives::B256;
use bsp_agent::journal::{BlockRecord, Stage, Verification};
use eyre::bail;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;

/// What the agent did with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proved {
    /// The hash of the proof's transaction, or of the ledger's entry.
    pub(crate) proof: B256,
    /// Whether it was re-executed from the stored segment alone.
    pub(crate) executed: bool,
    /// Whether that was in an earlier run.
    pub(crate) earlier: bool,
}

/// Sums over all blocks so far.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) made: u64,
    pub(crate) delivered: u64,
    /// In this run.
    pub(crate) proved: u64,
    /// In an earlier run.
    pub(crate) proved_earlier: u64,
    /// By the agent, from the stored segment alone, in this run or in an earlier one.
    pub(crate) executed: u64,
    pub(crate) transactions: u64,
    pub(crate) avro_bytes: u64,
    /// Blocks whose authorization lists the verifier was given beside the segment.
    pub(crate) with_authorizations: u64,
    /// To make them.
    pub(crate) time: Duration,
    /// Of the latest segment that is proved.
    pub(crate) last_cid: Option<String>,
}

/// Brings together what was made and what the agent says of it.
#[derive(Debug)]
pub(crate) struct Progress {
    folder: DevFolder,
    /// What the agent is done with, from earlier runs too, and what it resumed before it was made
    /// again in this run.
    settled: HashMap<B256, Settled>,
    /// In the order in which they were made.
    in_flight: VecDeque<InWork>,
    totals: Totals,
}

#[derive(Debug)]
struct Settled {
    record: BlockRecord,
    earlier: bool,
}

#[derive(Debug)]
struct InWork {
    made: Made,
    _place: OwnedSemaphorePermit,
}

impl Progress {
    /// `earlier` are the records of earlier runs.
    pub(crate) fn new(folder: DevFolder, earlier: HashMap<B256, BlockRecord>) -> Self {
        let earlier = earlier.into_iter();
        let settled = earlier.map(|(hash, record)| (hash, Settled { record, earlier: true }));
        Self {
            folder,
            settled: settled.collect(),
            in_flight: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many blocks are made and not shown.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A block was made.
    pub(crate) fn made(&mut self, made: Made, place: OwnedSemaphorePermit) {
        let totals = &mut self.totals;
        totals.made += 1;
        totals.transactions += made.transactions as u64;
        totals.avro_bytes += made.avro_bytes as u64;
        totals.with_authorizations += u64::from(made.has_authorizations);
        totals.time += made.time;
        self.in_flight.push_back(InWork { made, _place: place });
    }

    /// The target took a block.
    pub(crate) const fn delivered(&mut self) {
        self.totals.delivered += 1;
    }

    /// The agent is done with a block.
    pub(crate) fn settled(&mut self, record: BlockRecord) {
        self.settled.insert(record.block.hash, Settled { record, earlier: false });
    }

    /// The next block that the agent is done with, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// A block that is not proved, or whose file is not what was verified when it was made.
    pub(crate) fn next_proved(&mut self) -> eyre::Result<Option<(Made, Proved)>> {
        let Some(first) = self.in_flight.front() else { return Ok(None) };
        let Some(settled) = self.settled.get(&first.made.hash) else { return Ok(None) };
        let proved = self.proved(&first.made, settled)?;
        self.totals.executed += u64::from(proved.executed);
        if proved.earlier {
            self.totals.proved_earlier += 1;
        } else {
            self.totals.proved += 1;
        }
        let done = self.in_flight.pop_front().map(|block| block.made);
        self.totals.last_cid = done.as_ref().map(|made| made.cid.clone());
        Ok(done.map(|made| (made, proved)))
    }

    fn proved(&self, made: &Made, settled: &Settled) -> eyre::Result<Proved> {
        let number = made.number;
        let (segment, verification, proof) = match &settled.record.stage {
            Stage::Acknowledged { segment, verification, proof } => (segment, verification, proof),
            Stage::Skipped { reason, .. } => {
                bail!("the proof of block {number} is refused: {reason}")
            }
            Stage::Refused { reason, .. } => {
                bail!("the agent refuses block {number}: {reason}; please report this")
            }
            other => {
                bail!("the agent leaves block {number} {}; please report this", other.as_str())
            }
        };
        eyre::ensure!(
            segment.specimen_hash == made.specimen_hash && segment.cid == made.cid,
            "the agent made another segment of block {number} than the one that was verified; please report this"
        );
        self.folder.check_proved(number, &segment.name, proof.id, made.specimen_hash)?;
        let executed = *verification == Verification::Executed;
        Ok(Proved { proof: proof.id, executed, earlier: settled.earlier })
    }
}
