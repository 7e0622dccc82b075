//! From a candidate block to a verified replica.

use super::{authorizations::recovered_authorizations, folder::DevFolder, payloads::PayloadFolder};
use alloy_primitives::B256;
use bsp_capture::{
    BlockParts, Capture, CaptureError, ChainSpec, CheckName, CheckResult, ExecutionSpec, Outcome,
    RecoveredAuthorizations, Verdict, VerifyOptions, capture_with_changes, verify_segment,
};
use bsp_codec::{
    Profile, Replica, ReplicaKind, Segment, avro,
    convert::{SourceBlock, export_block},
    dag, digest, rlp,
    supplement::Supplement,
};
use bsp_devchain::{Candidate, Coverage, DevBlock, DevChain, Executed, StateError, WorldState};
use bsp_replication::Entry;
use eyre::Context;
use std::time::{Duration, Instant};

/// The embedded chain, and what a producer does with each of its blocks: capture, encode, and
/// verify the outcome.
#[derive(Debug)]
pub(crate) struct Producer {
    chain: DevChain,
    spec: ChainSpec,
    folder: DevFolder,
    payloads: Option<PayloadFolder>,
}

/// A block whose replica is ready for delivery.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) transactions: usize,
    pub(crate) gas_used: u64,
    /// Rows of the account, storage, code and blockhash lists.
    pub(crate) rows: [usize; 4],
    /// Of the segment that was verified, and that the agent has to come to as well.
    pub(crate) avro_bytes: usize,
    pub(crate) cid: String,
    pub(crate) specimen_hash: B256,
    /// Whether it has EIP-7702 authorization lists, which lie beside the segment.
    pub(crate) has_authorizations: bool,
    /// From the proposal to the verified replica.
    pub(crate) time: Duration,
}

impl Producer {
    /// The rules are those of the chain's genesis file. Payloads are written where a folder is
    /// given.
    pub(crate) fn new(chain: DevChain, folder: DevFolder, payloads: Option<PayloadFolder>) -> Self {
        let spec = ChainSpec::from_genesis(chain.genesis());
        Self { chain, spec, folder, payloads }
    }

    pub(crate) const fn coverage(&self) -> &Coverage {
        self.chain.coverage()
    }

    /// Makes the next block and its replica.
    pub(crate) fn advance(&mut self) -> eyre::Result<(Made, Entry)> {
        let begun = Instant::now();
        let (block, captured) = self.produce()?;
        let number = block.block.header.number;
        let replica = export(&self.spec, &block, &captured, Profile::Network)?;
        let entry = Entry {
            hash: replica.hash,
            number,
            replica: rlp::encode_replica(&replica, Profile::Network)?.into(),
            supplement: supplement(&block, &captured).map(Into::into),
        };
        let segment = Segment::of(replica);
        let avro = avro::encode_segment(&segment, Profile::Network)?;
        let authorizations = recovered_authorizations(&block.block.body.transactions)?;
        verify(&block, &captured, &avro, authorizations.as_deref(), &self.spec)
            .wrap_err_with(|| format!("block {number} did not verify; please report this"))?;
        if let Some(supplement) = &entry.supplement {
            self.folder.keep_supplement(&segment.replica.segment_name(), supplement)?;
        }
        if let Some(lists) = &authorizations {
            self.folder.keep_authorizations(&segment.replica.segment_name(), lists)?;
        }
        let made = Made {
            number,
            hash: entry.hash,
            transactions: block.block.body.transactions.len(),
            gas_used: captured.gas_used,
            rows: row_counts(&segment.replica),
            avro_bytes: avro.len(),
            cid: dag::cid_of(&avro).to_string(),
            specimen_hash: digest::specimen_hash(&avro),
            has_authorizations: authorizations.is_some(),
            time: begun.elapsed(),
        };
        Ok((made, entry))
    }

    /// Proposes a block, executes it with the recorder at work, and seals it.
    fn produce(&mut self) -> eyre::Result<(DevBlock, Capture)> {
        let candidate = self.chain.next_candidate()?;
        let (captured, executed) = execute(&self.spec, &candidate, self.chain.state())?;
        let block = self.chain.seal(candidate, executed)?;
        captured.check(&block.block.header)?;
        if let Some(payloads) = &mut self.payloads {
            payloads.add(&block)?;
        }
        Ok((block, captured))
    }
}

fn execute(
    spec: &ChainSpec,
    candidate: &Candidate,
    parent: &WorldState,
) -> Result<(Capture, Executed), CaptureError<StateError>> {
    let block = BlockParts {
        header: &candidate.header,
        ommers: &[],
        withdrawals: Some(&candidate.withdrawals),
    };
    let (captured, bundle) =
        capture_with_changes(spec, block, candidate.transactions.iter().cloned(), parent)?;
    let executed = Executed {
        receipts: captured.receipts.iter().cloned().map(Into::into).collect(),
        requests: captured.requests.clone(),
        gas_used: captured.gas_used,
        blob_gas_used: captured.blob_gas_used,
        bundle,
    };
    Ok((captured, executed))
}

fn export(
    spec: &ChainSpec,
    block: &DevBlock,
    captured: &Capture,
    profile: Profile,
) -> eyre::Result<Replica> {
    let source = SourceBlock {
        network_id: spec.chain_id(),
        header: &block.block.header,
        transactions: &block.block.body.transactions,
        ommers: &block.block.body.ommers,
        withdrawals: block.block.body.withdrawals.as_ref(),
        senders: &block.senders,
        receipts: &captured.receipts,
    };
    Ok(export_block(&source, captured.reads.lists.clone(), ReplicaKind::Replica, profile)?)
}

/// What the network's profile leaves out of the block.
fn supplement(block: &DevBlock, captured: &Capture) -> Option<Vec<u8>> {
    let (hash, body) = (block.block.header.hash_slow(), &block.block.body);
    let codes = captured.reads.code_sizes();
    let supplement = Supplement::of_block(hash, &body.transactions, codes);
    (!supplement.is_empty()).then(|| supplement.encode())
}

/// Reads the segment back and re-executes it. The format leaves authorization lists out; a block
/// that has some is given them for its own segment, and proves in the complete profile that they
/// are all that is missing.
fn verify(
    block: &DevBlock,
    captured: &Capture,
    avro: &[u8],
    authorizations: Option<&[u8]>,
    spec: &ChainSpec,
) -> eyre::Result<()> {
    let Some(authorizations) = authorizations else {
        return expect_ok(&verify_bytes(avro, spec, None)?, &[]);
    };
    let lists = RecoveredAuthorizations::from_json(authorizations)?;
    let verdict = verify_bytes(avro, spec, Some(&lists))?;
    expect_ok(&verdict, &[CheckName::TransactionsRoot, CheckName::Senders])?;
    let complete = Segment::of(export(spec, block, captured, Profile::Complete)?);
    let bytes = avro::encode_segment(&complete, Profile::Complete)?;
    expect_ok(&verify_bytes(&bytes, spec, None)?, &[])
}

fn verify_bytes(
    avro: &[u8],
    spec: &ChainSpec,
    authorizations: Option<&RecoveredAuthorizations>,
) -> eyre::Result<Verdict> {
    let segment = avro::decode_segment(avro)?;
    let options = VerifyOptions { spec: Some(spec), authorizations, ..Default::default() };
    Ok(verify_segment(&segment, avro, options))
}

/// Every check has to be ok, but for those that the format makes impossible.
fn expect_ok(verdict: &Verdict, impossible: &[CheckName]) -> eyre::Result<()> {
    if verdict.outcome() == Outcome::Ok {
        return Ok(());
    }
    for (name, result) in verdict.checks() {
        match result {
            CheckResult::Ok { .. } => {}
            CheckResult::Impossible { .. } if impossible.contains(&name) => {}
            other => eyre::bail!("{name}: {other:?}"),
        }
    }
    Ok(())
}

fn row_counts(replica: &Replica) -> [usize; 4] {
    let state = &replica.state;
    [
        state.account_read.len(),
        state.storage_read.len(),
        state.code_read.len(),
        state.blockhash_read.len(),
    ]
}
