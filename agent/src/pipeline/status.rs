//! What the pipeline is doing, for `/status`.

use super::Left;
use crate::{
    alarm::{Alarm, AlarmKind, now_ms},
    block::BlockId,
    journal::Verification,
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
    /// The blocks and messages that were handled since the start, by outcome: the stage at which a
    /// block ended, `unselected`, or `dead`.
    pub finished: BTreeMap<&'static str, u64>,
    /// How many blocks wait for the operator, each with an alarm.
    pub held: usize,
    /// The messages that are left in the source.
    pub left: Left,
    /// The bytes that messages in flight are taken to need.
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

    pub(super) fn get(&self) -> ProofsExecuted {
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

    pub(super) fn get(&self) -> Option<LastProof> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
