//! What the pipeline is doing, for `/status`.

use super::{Left, Pipeline};
use crate::{
    alarm::{Alarm, AlarmKind, now_ms},
    block::BlockId,
    journal::{Stage, Verification},
    proof::Proof,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The latest proof that was confirmed in this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastProof {
    /// Of which block.
    pub block: BlockId,
    /// The proof.
    pub proof: Proof,
    /// When it was confirmed, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What the pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipelineStatus {
    /// How many blocks are at each stage.
    pub stages: BTreeMap<&'static str, u64>,
    /// What is wrong.
    pub alarms: BTreeMap<AlarmKind, Alarm>,
    /// The latest proof.
    pub last_proof: Option<LastProof>,
    /// The proofs since the start, by how much of their block was executed.
    pub proofs_executed: ProofsExecuted,
    /// How many blocks wait for the operator, each with an alarm.
    pub held: usize,
    /// The messages that are left in the source.
    pub left: Left,
    /// The bytes that messages in work are taken to need.
    pub bytes_in_use: usize,
}

/// How many proofs were confirmed in this process, by how much of their block was executed before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProofsExecuted {
    /// All of it.
    pub whole: u64,
    /// Up to a transaction of which the format leaves something out.
    pub part: u64,
    /// Nothing, by choice (`--verify`) or because it is impossible.
    pub none: u64,
}

#[derive(Debug, Default)]
pub(super) struct ProofCounts(Mutex<ProofsExecuted>);

impl ProofCounts {
    /// A proof was confirmed.
    pub(super) fn count(&self, verification: Verification) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match verification {
            Verification::Executed => counts.whole += 1,
            Verification::ExecutedInPart { .. } => counts.part += 1,
            Verification::Header | Verification::Roots | Verification::ExecutionImpossible => {
                counts.none += 1;
            }
        }
        let extent = verification.extent();
        metrics::counter!("agent_proof_executed_total", "extent" => extent).increment(1);
    }

    fn get(&self) -> ProofsExecuted {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(super) struct LastProofCell(Mutex<Option<LastProof>>);

impl LastProofCell {
    pub(super) fn set(&self, block: BlockId, proof: Proof) {
        let last = LastProof { block, proof, time_ms: now_ms() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    fn get(&self) -> Option<LastProof> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Pipeline {
    /// Sets the gauges of what is in work.
    pub(crate) fn record_gauges(&self) {
        let stages = self.works.stages();
        for stage in Stage::NAMES {
            let count = stages.get(stage).copied().unwrap_or(0);
            metrics::gauge!("agent_blocks_in_flight", "stage" => stage).set(count as f64);
        }
        metrics::gauge!("agent_blocks_held").set(self.held.count() as f64);
        let left = self.verdicts.left();
        metrics::gauge!("agent_messages_left", "why" => "held").set(left.held as f64);
        metrics::gauge!("agent_messages_left", "why" => "in_doubt").set(left.in_doubt as f64);
        metrics::gauge!("agent_taking_messages").set(f64::from(u8::from(left.taking)));
        metrics::gauge!("agent_bytes_in_use").set(self.bytes.in_use() as f64);
    }

    /// What the pipeline is doing.
    pub fn status(&self) -> PipelineStatus {
        PipelineStatus {
            stages: self.works.stages(),
            alarms: self.services.alarms.raised(),
            last_proof: self.last_proof.get(),
            proofs_executed: self.proof_counts.get(),
            held: self.held.count(),
            left: self.verdicts.left(),
            bytes_in_use: self.bytes.in_use(),
        }
    }
}
