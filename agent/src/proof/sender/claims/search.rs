//! Finds this operator's own proof of a block on the chain.

use crate::proof::{
    Attempt, Claim, Proof,
    contract::{BlockSpecimenProductionProofSubmitted, records, submitted},
    rpc::{Call, FoundLog, Receipt, Rpc, RpcError, answers, is_about_the_question},
    sender::submission::sign::hashes,
};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Blocks in one question for logs. Public RPCs take between 1000 and 10000.
const CHUNK: u64 = 1000;

/// Questions for logs in one search. An RPC that takes few blocks at once makes the search shorter.
const MOST_QUESTIONS: u64 = 600;

/// How many blocks the RPC takes in one question for logs, as far as is known.
#[derive(Debug)]
pub(crate) struct LogLimit(AtomicU64);

impl Default for LogLimit {
    fn default() -> Self {
        Self(AtomicU64::new(CHUNK))
    }
}

impl LogLimit {
    /// What to begin with: a little more than what was taken last, as the reason may have been the
    /// number of logs there.
    fn first(&self) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_mul(2).clamp(1, CHUNK)
    }

    /// The RPC took this many, after it had refused more.
    fn remember(&self, blocks: u64) {
        self.0.store(blocks, Ordering::Relaxed);
    }
}

/// Finds proofs that a sender sent to a contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) rpc: &'a Rpc,
    pub(crate) sender: Address,
    pub(crate) contract: Address,
    pub(crate) limit: &'a LogLimit,
}

/// What became of the transactions that were signed for a claim.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The claim's proof.
    pub(crate) proof: Option<Proof>,
    /// Nonces of which no transaction of ours is seen in a canonical block. Each may have been used
    /// by another transaction, or by ours in a block that the node does not know yet.
    pub(crate) unaccounted: usize,
}

/// What was found of a block.
#[derive(Debug)]
pub(crate) enum Found {
    /// A proof of the claim's specimen, and the URL that it names.
    Proof { proof: Proof, url: String },
    /// The sender has proved another specimen for the block.
    Other { transaction: B256, event: BlockSpecimenProductionProofSubmitted },
    /// Nothing of this sender.
    Nothing,
    /// The RPC does not even give the logs of one block.
    Unsearchable(String),
}

impl Search<'_> {
    /// Looks at the transactions that were signed for the claim.
    pub(crate) async fn attempts(
        &self,
        claim: &Claim,
        known: &[Attempt],
    ) -> Result<Sent, RpcError> {
        let hashes: Vec<_> = hashes(known).collect();
        let calls: Vec<_> = hashes.iter().map(|hash| Call::receipt(*hash)).collect();
        let answers = self.rpc.batch(&calls).await?;
        let mut mined = Vec::new();
        for ((call, answer), hash) in calls.iter().zip(&answers).zip(&hashes) {
            mined.extend(answers::receipt(call, answer, *hash)?);
        }
        let canonical = canonical(self.rpc, mined.iter().map(|receipt| receipt.block.0)).await?;
        mined.retain(|receipt| is_canonical(&canonical, receipt.block));
        let is_seen = |attempt: &&Attempt| {
            let mut sent = attempt.transactions.iter();
            sent.any(|sent| mined.iter().any(|receipt| receipt.transaction == sent.hash))
        };
        let unaccounted = known.len().saturating_sub(known.iter().filter(is_seen).count());
        let record = mined.iter().find(|receipt| receipt.success && self.is_record(receipt, claim));
        let proof =
            record.map(|receipt| Proof { id: receipt.transaction, mined_in: Some(receipt.block) });
        Ok(Sent { proof, unaccounted })
    }

    fn is_record(&self, receipt: &Receipt, claim: &Claim) -> bool {
        let logs = receipt.logs.iter().map(|(emitter, log)| (*emitter, log));
        records(logs, self.contract, claim)
    }

    /// Looks through the contract's events, newest first, at most this many blocks back.
    pub(crate) async fn events(&self, claim: &Claim, back: u64) -> Result<Found, RpcError> {
        let head = self.rpc.head().await?.number;
        let oldest = head.saturating_sub(back);
        let (mut end, mut chunk) = (head, self.limit.first());
        let mut other = None;
        for _ in 0..MOST_QUESTIONS {
            let start = end.saturating_sub(chunk - 1).max(oldest);
            let topic = BlockSpecimenProductionProofSubmitted::SIGNATURE_HASH;
            let logs = match self.rpc.logs(self.contract, topic, start..=end).await {
                Ok(logs) => logs,
                Err(error) if !is_about_the_question(&error) => return Err(error),
                // Too many blocks, or too many logs: each RPC says it in its own way.
                Err(error) if chunk > 1 => {
                    tracing::debug!(chunk, %error, "The RPC refuses this many blocks at once; asking for fewer");
                    chunk /= 2;
                    continue;
                }
                Err(error) => return Ok(Found::Unsearchable(error.to_string())),
            };
            self.limit.remember(chunk);
            for (log, event) in self.own(claim, logs).await? {
                if event.has_specimen(claim) {
                    let proof = Proof { id: log.transaction, mined_in: Some(log.block) };
                    return Ok(Found::Proof { proof, url: event.storageURL });
                }
                other = Some(Found::Other { transaction: log.transaction, event });
            }
            match start.checked_sub(1) {
                Some(before) if before >= oldest => end = before,
                _ => break,
            }
        }
        Ok(other.unwrap_or(Found::Nothing))
    }

    /// Those events of the claim's block that are in canonical transactions of our own.
    async fn own(
        &self,
        claim: &Claim,
        logs: Vec<FoundLog>,
    ) -> Result<Vec<(FoundLog, BlockSpecimenProductionProofSubmitted)>, RpcError> {
        let mut events: Vec<_> = logs
            .into_iter()
            .filter_map(|log| submitted(&log.data).map(|event| (log, event)))
            .filter(|(_, event)| event.is_of_block(claim))
            .collect();
        let calls: Vec<_> =
            events.iter().map(|(log, _)| Call::transaction(log.transaction)).collect();
        let answers = self.rpc.batch(&calls).await?;
        let mut own = Vec::with_capacity(events.len());
        for ((call, answer), (log, _)) in calls.iter().zip(&answers).zip(&events) {
            own.push(answers::sender(call, answer, log.transaction)? == Some(self.sender));
        }
        let canonical = canonical(self.rpc, events.iter().map(|(log, _)| log.block.0)).await?;
        let mut own = own.into_iter();
        events.retain(|(log, _)| own.next() == Some(true) && is_canonical(&canonical, log.block));
        Ok(events)
    }
}

/// The hashes of canonical blocks by their numbers. A number without a block is left out.
pub(crate) async fn canonical(
    rpc: &Rpc,
    numbers: impl Iterator<Item = u64>,
) -> Result<BTreeMap<u64, B256>, RpcError> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    let calls: Vec<_> = numbers.iter().map(|number| Call::block(*number)).collect();
    let answers = rpc.batch(&calls).await?;
    let mut hashes = BTreeMap::new();
    for (call, answer) in calls.iter().zip(&answers) {
        if let Some(block) = answers::block(call, answer)? {
            hashes.insert(block.number, block.hash);
        }
    }
    Ok(hashes)
}

/// Whether a block is the canonical one of its number.
pub(crate) fn is_canonical(canonical: &BTreeMap<u64, B256>, block: (u64, B256)) -> bool {
    canonical.get(&block.0) == Some(&block.1)
}
