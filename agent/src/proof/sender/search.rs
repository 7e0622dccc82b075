//! Finds this operator's own proof of a block on the chain.

use crate::proof::{
    Claim, Proof,
    contract::{BlockSpecimenProductionProofSubmitted, records, submitted},
    rpc::{Call, FoundLog, Receipt, Rpc, RpcError, answers},
};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use std::collections::BTreeMap;

/// Blocks in one question for logs. Public RPCs take between 1000 and 10000.
const CHUNK: u64 = 1000;

/// The least that a refusing RPC is asked for.
const LEAST_CHUNK: u64 = 16;

/// Finds proofs that a sender sent to a contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) sender: Address,
    pub(super) contract: Address,
}

/// What was found of a block.
#[derive(Debug)]
pub(super) enum Found {
    /// The claim's proof.
    Proof(Proof),
    /// The sender has proved another specimen, or another URL, for the block.
    Other { transaction: B256, event: BlockSpecimenProductionProofSubmitted },
    /// Nothing of this sender.
    Nothing,
}

impl Search<'_> {
    /// Looks at transactions that were signed for the claim. Returns the head, and the one that proved it, if any.
    pub(super) async fn transactions(
        &self,
        claim: &Claim,
        known: &[B256],
    ) -> Result<(u64, Option<Proof>), RpcError> {
        let calls: Vec<_> = known.iter().map(|hash| Call::receipt(*hash)).collect();
        let answers = self.rpc.batch(&calls).await?;
        let mut mined = Vec::new();
        for ((call, answer), hash) in calls.iter().zip(&answers).zip(known) {
            mined.extend(answers::receipt(call, answer, *hash)?);
        }
        mined.retain(|receipt| receipt.success && self.is_record(receipt, claim));
        let canonical = canonical(self.rpc, mined.iter().map(|receipt| receipt.block.0)).await?;
        let head = self.rpc.head().await?.number;
        let proof = mined.into_iter().find(|receipt| is_canonical(&canonical, receipt.block));
        Ok((
            head,
            proof.map(|receipt| Proof { id: receipt.transaction, mined_in: Some(receipt.block) }),
        ))
    }

    fn is_record(&self, receipt: &Receipt, claim: &Claim) -> bool {
        let logs = receipt.logs.iter().map(|(emitter, log)| (*emitter, log));
        records(logs, self.contract, claim)
    }

    /// Looks through the contract's events, newest first, at most so many blocks back. Returns the head as well.
    pub(super) async fn events(&self, claim: &Claim, back: u64) -> Result<(u64, Found), RpcError> {
        let head = self.rpc.head().await?.number;
        let oldest = head.saturating_sub(back);
        let (mut end, mut chunk) = (head, CHUNK);
        let mut other = None;
        loop {
            let start = end.saturating_sub(chunk - 1).max(oldest);
            let topic = BlockSpecimenProductionProofSubmitted::SIGNATURE_HASH;
            let logs = match self.rpc.logs(self.contract, topic, start..=end).await {
                Ok(logs) => logs,
                // Too many blocks, or too many logs, each RPC says it in its own way.
                Err(error) if chunk > LEAST_CHUNK => {
                    tracing::debug!(chunk, "fewer blocks at once: {error}");
                    chunk /= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (log, event) in self.own(claim, logs).await? {
                if event.proves(claim) {
                    let proof = Proof { id: log.transaction, mined_in: Some(log.block) };
                    return Ok((head, Found::Proof(proof)));
                }
                other = Some(Found::Other { transaction: log.transaction, event });
            }
            match start.checked_sub(1) {
                Some(before) if before >= oldest => end = before,
                _ => return Ok((head, other.unwrap_or(Found::Nothing))),
            }
        }
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
pub(super) async fn canonical(
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
pub(super) fn is_canonical(canonical: &BTreeMap<u64, B256>, block: (u64, B256)) -> bool {
    canonical.get(&block.0) == Some(&block.1)
}
