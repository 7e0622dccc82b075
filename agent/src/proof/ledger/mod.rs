//! Proofs in a file instead of on a chain: [`LedgerProver`].
//!
//! The ledger is a file of JSON lines, each with the SHA-256 of the one before, so that nothing can
//! be taken out of the middle or changed without notice. It is meant for operators without a chain,
//! and never a silent replacement of one.

mod entry;
mod file;
mod index;

pub use entry::{LedgerContent, LedgerEntry};

use super::{Attempt, AttemptLog, Claim, Parked, Proof, ProofOutcome, Prover};
use crate::alarm::{AlarmKind, Alarms};
use async_trait::async_trait;
use bsp_common::backoff::pause_after;
use file::{Existing, LedgerFile};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Claims that are synced together at most.
const MAX_BATCH: usize = 256;

/// Why a ledger can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file can't be read or written.
    #[error("the ledger {} can't be read or written: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file was changed, or is no ledger.
    #[error(
        "line {line} of the ledger {} is broken: {reason}; restore the file, or move it away to begin a new one",
        path.display()
    )]
    Broken {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The index beside it can't be read or written.
    #[error("the index of the ledger, {}, can't be used: {reason}", path.display())]
    Index {
        /// The index's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Records claims in a file.
#[derive(Debug)]
pub struct LedgerProver {
    path: PathBuf,
    requests: mpsc::Sender<AppendRequest>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct AppendRequest {
    claim: Claim,
    reply: oneshot::Sender<ProofOutcome>,
}

impl LedgerProver {
    /// Opens the ledger, or begins one, and starts what writes it. Reads the whole file, which
    /// blocks. Has to be called within a tokio runtime.
    pub fn start(
        path: &Path,
        alarms: Alarms,
        stop: CancellationToken,
    ) -> Result<Self, LedgerError> {
        let file = LedgerFile::open(path)?;
        let (requests, waiting) = mpsc::channel(MAX_BATCH);
        let writer = LedgerWriter { file: Some(file), alarms: alarms.clone(), stop: stop.clone() };
        let writer = stop.clone().run_until_cancelled_owned(writer.run(waiting));
        tokio::spawn(alarms.guard("the ledger's writer", writer));
        Ok(Self { path: path.to_owned(), requests, stop })
    }

    /// Reads a ledger that is there, as a start does, without changing anything. Blocks.
    pub fn check(path: &Path) -> Result<(), LedgerError> {
        LedgerFile::check(path)
    }

    async fn record(&self, claim: Claim) -> Result<ProofOutcome, Parked> {
        let ended = || Parked("the ledger's writer has ended".to_owned());
        let (reply, outcome) = oneshot::channel();
        self.requests.send(AppendRequest { claim, reply }).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())
    }
}

#[async_trait]
impl Prover for LedgerProver {
    fn name(&self) -> String {
        format!("ledger {}", self.path.display())
    }

    fn is_ledger(&self) -> bool {
        true
    }

    async fn prove(
        &self,
        claim: Claim,
        _attempts: Vec<Attempt>,
        _log: Arc<dyn AttemptLog>,
    ) -> Result<ProofOutcome, Parked> {
        match self.stop.run_until_cancelled(self.record(claim)).await {
            Some(outcome) => outcome,
            None => Err(Parked("the agent stops".to_owned())),
        }
    }
}

/// Writes the ledger: what waits while a sync is under way goes into the next.
struct LedgerWriter {
    /// Lent to a blocking thread while it is written.
    file: Option<LedgerFile>,
    alarms: Alarms,
    stop: CancellationToken,
}

impl LedgerWriter {
    async fn run(mut self, mut waiting: mpsc::Receiver<AppendRequest>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let mut failures = 0;
            loop {
                let Some(result) = self.write(&mut batch).await else { return };
                let Err(error) = result else { break };
                failures += 1;
                let message = format!("{error}; proofs wait for it");
                tracing::warn!("{message}");
                self.alarms.raise(AlarmKind::LedgerFailing, message);
                tokio::time::sleep(pause_after(failures)).await;
            }
            self.alarms.clear(AlarmKind::LedgerFailing);
        }
    }

    /// Records a batch, and answers it. `None`: the writing thread is gone. On an error the batch
    /// is as it was.
    async fn write(&mut self, batch: &mut Vec<AppendRequest>) -> Option<Result<(), LedgerError>> {
        if self.stop.is_cancelled() {
            return None;
        }
        let mut file = self.file.take()?;
        let requests = std::mem::take(batch);
        let written = tokio::task::spawn_blocking(move || {
            let result = record(&mut file, &requests);
            (file, requests, result)
        });
        let (file, requests, result) = match written.await {
            Ok(written) => written,
            // Proofs would wait for ever for a writer that is gone.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return None,
        };
        self.file = Some(file);
        Some(match result {
            Ok(recorded) => {
                for (request, existing) in requests.into_iter().zip(recorded) {
                    // A caller that no longer waits finds it at the next start.
                    let _ = request.reply.send(outcome(existing, &request.claim));
                }
                Ok(())
            }
            Err(error) => {
                *batch = requests;
                Err(error)
            }
        })
    }
}

/// Appends the first claim of each block that has none. Returns what the ledger has for each claim
/// then.
fn record(file: &mut LedgerFile, requests: &[AppendRequest]) -> Result<Vec<Existing>, LedgerError> {
    let mut blocks = std::collections::HashSet::new();
    let mut new = Vec::new();
    for AppendRequest { claim, .. } in requests {
        if file.find(claim)?.is_none() && blocks.insert(claim.block.hash) {
            new.push(claim);
        }
    }
    if !new.is_empty() {
        file.append(&new)?;
    }
    let recorded = |request: &AppendRequest| file.expect(&request.claim);
    requests.iter().map(recorded).collect()
}

fn outcome(existing: Existing, claim: &Claim) -> ProofOutcome {
    match existing {
        Existing::Same(id) => {
            metrics::counter!("agent_proof_confirmed_total").increment(1);
            tracing::info!(segment = %claim.segment, %id, "The proof was recorded in the ledger");
            ProofOutcome::Proved(Proof { id, mined_in: None })
        }
        Existing::Other { id, specimen_hash, url } => {
            metrics::counter!("agent_proof_skipped_total", "reason" => "other").increment(1);
            let reason = format!("already recorded in {id} with specimen {specimen_hash} at {url}");
            tracing::warn!(segment = %claim.segment, "The proof is skipped: {reason}");
            ProofOutcome::Skipped { reason }
        }
    }
}

#[cfg(test)]
mod tests;
