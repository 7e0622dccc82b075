//! The auditor: from what was fed, what Redis, the proof chain, the pinner and the disk say, and
//! the agents' list of skipped blocks, it finds what was lost, proved twice, proved without being
//! there, or acknowledged early.
//!
//! It shares no code with the agent or the codec: another AVRO reader, another way to the hashes
//! and identifiers, plain JSON-RPC.

pub mod dag;
pub mod disk;
pub mod executions;
pub mod fed;
pub mod packs;
pub mod proofs;
pub mod segment;
pub mod skips;
pub mod stream;
pub mod violation;
pub mod watch;

pub use disk::{AgentFolders, Pins};
pub use fed::{BlockRef, Expect, FedEntry};
pub use proofs::{ProofBook, ProofRecord};
pub use stream::StreamName;
pub use violation::Violation;

use redis::aio::MultiplexedConnection;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

/// Where to look.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The stream, if there is one.
    pub stream: Option<StreamName>,
    /// The proofs.
    pub proofs: ProofBook,
    /// The pinned content.
    pub pins: Pins,
    /// Each agent's folders.
    pub folders: Vec<AgentFolders>,
    /// The blocks that agents skipped, with their reasons.
    pub skipped: HashMap<BlockRef, String>,
}

/// What an audit found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Entries that were fed.
    pub entries: usize,
    /// Blocks that are proved as they should be.
    pub proved: usize,
    /// Blocks that are skipped with a reason.
    pub skipped: usize,
    /// Blocks that were not selected, and are kept.
    pub unselected: usize,
    /// Blocks that are held: the stream has them still.
    pub held: usize,
    /// Bad entries.
    pub poison: usize,
    /// Entries whose acknowledgement was seen, and checked at that moment.
    pub watched: usize,
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} entries: {} blocks proved, {} skipped with a reason, {} not selected and kept, {} held, {} bad entries; \
             {} acknowledgements checked as they happened",
            self.entries,
            self.proved,
            self.skipped,
            self.unselected,
            self.held,
            self.poison,
            self.watched,
        )?;
        for violation in &self.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}

impl Audit {
    /// Looks at everything.
    ///
    /// # Errors
    ///
    /// Where a server does not answer or a file can't be read: nothing is known then.
    pub async fn run(
        &self,
        fed: &[FedEntry],
        redis: &mut MultiplexedConnection,
    ) -> eyre::Result<Report> {
        let mut report = Report {
            entries: fed.len(),
            poison: fed.iter().filter(|entry| entry.expect == Expect::Poison).count(),
            ..Report::default()
        };
        if let Some(stream) = &self.stream {
            report.violations.extend(stream::check(stream, &self.folders, fed, redis).await?);
        }
        let proofs = self.proofs.all().await?;
        self.check_blocks(fed, &proofs, &mut report)?;
        check_unasked(fed, &proofs, &mut report);
        Ok(report)
    }

    /// Adds what a watcher has seen: an acknowledgement without a proof is right only for a block
    /// that was skipped.
    pub fn add_seen(&self, seen: watch::Seen, report: &mut Report) {
        report.watched = seen.checked;
        report.violations.extend(seen.violations);
        for (id, block) in seen.without_proof {
            if !self.skipped.contains_key(&block) {
                let fault = "no file carries a proof of it that is on record".to_owned();
                report.violations.push(Violation::AcknowledgedEarly { id, block, fault });
            }
        }
    }

    /// Each block once, however often it was fed.
    fn check_blocks(
        &self,
        fed: &[FedEntry],
        proofs: &[ProofRecord],
        report: &mut Report,
    ) -> eyre::Result<()> {
        let blocks: BTreeMap<&BlockRef, &FedEntry> =
            fed.iter().filter_map(|entry| Some((entry.expect.block()?, entry))).collect();
        let mut by_block: HashMap<_, Vec<&ProofRecord>> = HashMap::new();
        for proof in proofs {
            let key = (proof.chain_id, proof.height, proof.block_hash);
            by_block.entry(key).or_default().push(proof);
        }
        for (block, entry) in blocks {
            let key = (block.network_id, block.number, block.hash);
            let proofs = by_block.get(&key).map(Vec::as_slice).unwrap_or_default();
            match &entry.expect {
                Expect::Unselected(_) => self.check_unselected(block, entry, report),
                // A proof of it is one that nobody asked for, a letter one too many.
                Expect::Held(_) => report.held += 1,
                expect => self.check_selected(block, expect, proofs, report)?,
            }
        }
        Ok(())
    }

    fn check_unselected(&self, block: &BlockRef, entry: &FedEntry, report: &mut Report) {
        match disk::fault_of_unselected(&self.folders, block, entry.payload) {
            Some(fault) => {
                report.violations.push(Violation::UnselectedLost { block: block.clone(), fault });
            }
            None => report.unselected += 1,
        }
    }

    fn check_selected(
        &self,
        block: &BlockRef,
        expect: &Expect,
        proofs: &[&ProofRecord],
        report: &mut Report,
    ) -> eyre::Result<()> {
        match proofs {
            [] => self.check_skipped(block, expect, report)?,
            [proof] => {
                let violations = self.check_proved(block, proof)?;
                report.proved += usize::from(violations.is_empty());
                report.violations.extend(violations);
            }
            several => report.violations.push(Violation::ProvedAgain {
                block: block.clone(),
                times: several.len(),
                proofs: several.iter().map(|proof| proof.id).collect(),
            }),
        }
        Ok(())
    }

    fn check_skipped(
        &self,
        block: &BlockRef,
        expect: &Expect,
        report: &mut Report,
    ) -> eyre::Result<()> {
        let block = block.clone();
        let Some(reason) = self.skipped.get(&block).filter(|reason| !reason.is_empty()) else {
            report.violations.push(Violation::Unproved(block));
            return Ok(());
        };
        if matches!(expect, Expect::Proved(_)) {
            let reason = reason.clone();
            report.violations.push(Violation::SkippedWithoutNeed { block, reason });
            return Ok(());
        }
        let prefix = block.segment();
        let mut names = Vec::new();
        for folder in &self.folders {
            names.extend(disk::finished_names(folder, &prefix, &prefix)?);
        }
        if names.is_empty() {
            report.violations.push(Violation::FileMissing { block, name: format!("{prefix}…") });
        } else {
            report.skipped += 1;
        }
        Ok(())
    }

    /// The file of a proof, and whether it, the proof and the pinned content say the same.
    fn check_proved(&self, block: &BlockRef, proof: &ProofRecord) -> eyre::Result<Vec<Violation>> {
        let Some(file) = disk::segment_file(&self.folders, &block.segment(), proof.id)? else {
            let name = format!("{}-{}", block.segment(), proof.id);
            return Ok(vec![Violation::FileMissing { block: block.clone(), name }]);
        };
        let mut violations = Vec::new();
        if let Some(fault) = disk::fault_of_file(&file.bytes, block) {
            let path = file.path.clone();
            violations.push(Violation::FileWrong { block: block.clone(), path, fault });
        }
        for (what, proved, actual) in disk::differences(proof, &file.bytes) {
            violations.push(Violation::ProofWrong { block: block.clone(), what, proved, actual });
        }
        let cid = proof.url.strip_prefix("ipfs://").unwrap_or_default();
        if let Some(fault) = self.pins.fault(cid, &file.bytes, &self.folders)? {
            let cid = proof.url.clone();
            violations.push(Violation::NotRetrievable { block: block.clone(), cid, fault });
        }
        Ok(violations)
    }
}

fn check_unasked(fed: &[FedEntry], proofs: &[ProofRecord], report: &mut Report) {
    let selected: HashSet<_> = fed
        .iter()
        .filter_map(|entry| match &entry.expect {
            Expect::Proved(block) | Expect::ProvedOrSkipped(block) => {
                Some((block.network_id, block.number, block.hash))
            }
            Expect::Unselected(_) | Expect::Held(_) | Expect::Poison => None,
        })
        .collect();
    for proof in proofs {
        if !selected.contains(&(proof.chain_id, proof.height, proof.block_hash)) {
            report.violations.push(Violation::ProvedUnasked {
                network_id: proof.chain_id,
                number: proof.height,
                block_hash: proof.block_hash,
                proof: proof.id,
            });
        }
    }
}
