//! The auditor of a node's targets: from the chain that the node was given, and what a target
//! holds, it finds gaps, entries that are not what they should be, and children that came before
//! their parents.

use super::{block::EngineBlock, target::Delivered};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::RangeInclusive,
    sync::Arc,
};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A canonical block never arrived.
    #[error("gap: block {} {} never arrived", .0.number, .0.hash)]
    Gap(BlockNumHash),
    /// A block arrived before its parent.
    #[error("order: block {} {} arrived before its parent", .0.number, .0.hash)]
    BeforeParent(BlockNumHash),
    /// An entry is of no block that the node ever had.
    #[error("unknown: {0} is of no block that the node was given")]
    Unknown(B256),
    /// An entry is not, byte for byte, what the block's own execution gives.
    #[error("altered: block {} {} is not what its execution gives", .0.number, .0.hash)]
    Altered(BlockNumHash),
    /// A block arrived again, though nothing made its first arrival doubtful.
    #[error("duplicate: block {} {} arrived {times} times", .block.number, .block.hash)]
    Duplicate {
        /// The block.
        block: BlockNumHash,
        /// How often.
        times: usize,
    },
    /// A block arrived that had to be left out.
    #[error("not left out: block {} {}", .0.number, .0.hash)]
    NotLeftOut(BlockNumHash),
}

/// What a target has to hold.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The canonical chain, from block 1 on.
    pub canonical: &'a [Arc<EngineBlock>],
    /// Every block that the node was ever given.
    pub known: &'a HashMap<B256, Arc<EngineBlock>>,
    /// The first block that was asked for.
    pub first: u64,
    /// The last block that is due yet; `None` if all are.
    pub last: Option<u64>,
    /// Blocks that nobody can execute any more, and that had to be left out.
    pub left_out: Option<RangeInclusive<u64>>,
    /// Whether a target may hold a block twice: something made the fate of a batch doubtful.
    pub may_repeat: bool,
}

/// What an audit of one target found.
#[derive(Debug, Clone, Default)]
pub struct TargetReport {
    /// The kind of target.
    pub target: &'static str,
    /// Entries in all.
    pub entries: usize,
    /// Canonical blocks that arrived.
    pub canonical: usize,
    /// Blocks that arrived and are not canonical any more.
    pub orphaned: usize,
    /// Entries beyond the first of their block.
    pub repeated: usize,
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, entries, canonical, orphaned, repeated, violations } = self;
        write!(
            f,
            "{target}: {entries} entries, {canonical} canonical blocks, {orphaned} orphaned, {repeated} repeated, \
             {} violations",
            violations.len()
        )?;
        for violation in violations.iter().take(10) {
            write!(f, "\n    VIOLATION {violation}")?;
        }
        Ok(())
    }
}

impl Expected<'_> {
    /// The canonical blocks that have to arrive.
    pub fn wanted(&self) -> impl Iterator<Item = &Arc<EngineBlock>> {
        self.canonical.iter().filter(|block| {
            let number = block.id.number;
            let due = number >= self.first && self.last.is_none_or(|last| number <= last);
            due && !self.is_left_out(number)
        })
    }

    /// Checks all entries of a target, in the order of their arrival.
    pub fn check(&self, target: &'static str, entries: &[Delivered]) -> TargetReport {
        let mut report = TargetReport { target, entries: entries.len(), ..Default::default() };
        let mut times: HashMap<B256, usize> = HashMap::new();
        for entry in entries {
            self.check_entry(entry, &times, &mut report.violations);
            *times.entry(entry.hash).or_default() += 1;
        }
        self.count(&times, &mut report);
        report
    }

    fn check_entry(
        &self,
        entry: &Delivered,
        before: &HashMap<B256, usize>,
        violations: &mut Vec<Violation>,
    ) {
        let Some(block) = self.known.get(&entry.hash) else {
            violations.push(Violation::Unknown(entry.hash));
            return;
        };
        if block.replica != entry.replica {
            violations.push(Violation::Altered(block.id));
        }
        if self.is_left_out(block.id.number) {
            violations.push(Violation::NotLeftOut(block.id));
        }
        let parent_wanted = block.id.number > self.first && !self.is_left_out(block.id.number - 1);
        if parent_wanted && !before.contains_key(&block.parent) {
            violations.push(Violation::BeforeParent(block.id));
        }
    }

    fn count(&self, times: &HashMap<B256, usize>, report: &mut TargetReport) {
        let canonical: HashSet<_> = self.canonical.iter().map(|block| block.id.hash).collect();
        report.canonical = times.keys().filter(|hash| canonical.contains(*hash)).count();
        report.orphaned = times.len() - report.canonical;
        report.repeated = times.values().map(|times| times - 1).sum();
        for block in self.wanted() {
            if !times.contains_key(&block.id.hash) {
                report.violations.push(Violation::Gap(block.id));
            }
        }
        if !self.may_repeat {
            let repeated = times.iter().filter(|(_, times)| **times > 1);
            report.violations.extend(repeated.filter_map(|(hash, times)| {
                let block = self.known.get(hash)?.id;
                Some(Violation::Duplicate { block, times: *times })
            }));
        }
    }

    fn is_left_out(&self, number: u64) -> bool {
        self.left_out.as_ref().is_some_and(|range| range.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks 1 to 3, and an orphan beside 3.
    fn chain() -> Vec<Arc<EngineBlock>> {
        let block = |number, name, parent| {
            Arc::new(EngineBlock {
                id: BlockNumHash::new(number, B256::with_last_byte(name)),
                parent: B256::with_last_byte(parent),
                replica: [name; 32],
                types: Default::default(),
                creations: 0,
                withdrawals: 0,
                authorizations: Default::default(),
                gas_used: 0,
                payload: serde_json::Value::Null,
            })
        };
        vec![block(1, 1, 0), block(2, 2, 1), block(3, 3, 2), block(3, 13, 2)]
    }

    fn entry(name: u8) -> Delivered {
        Delivered { hash: B256::with_last_byte(name), replica: [name; 32] }
    }

    fn violations(entries: &[Delivered]) -> Vec<Violation> {
        report(entries, false).violations
    }

    fn report(entries: &[Delivered], may_repeat: bool) -> TargetReport {
        let blocks = chain();
        let known = blocks.iter().map(|block| (block.id.hash, Arc::clone(block))).collect();
        let canonical = &blocks[..3];
        let expected =
            Expected { canonical, known: &known, first: 1, last: None, left_out: None, may_repeat };
        expected.check("test", entries)
    }

    #[test]
    fn a_good_target_is_good_and_counted() {
        let good = report(&[entry(1), entry(2), entry(13), entry(3)], false);
        assert!(good.violations.is_empty(), "{good}");
        assert_eq!((good.canonical, good.orphaned, good.repeated), (3, 1, 0));
    }

    #[test]
    fn each_fault_is_found() {
        let id = |index: usize| chain()[index].id;
        assert_eq!(violations(&[entry(1), entry(2)]), [Violation::Gap(id(2))]);
        assert_eq!(violations(&[entry(2), entry(1), entry(3)]), [Violation::BeforeParent(id(1))]);
        let all = [entry(1), entry(2), entry(3)];
        let unknown = entry(99);
        assert_eq!(
            violations(&[&all[..], &[unknown]].concat()),
            [Violation::Unknown(unknown.hash)]
        );
        let altered = Delivered { replica: [0; 32], ..entry(2) };
        assert_eq!(violations(&[entry(1), altered, entry(3)]), [Violation::Altered(id(1))]);
        let twice = [&all[..], &[entry(3)]].concat();
        assert_eq!(violations(&twice), [Violation::Duplicate { block: id(2), times: 2 }]);
        assert_eq!(report(&twice, true).repeated, 1);
        assert!(report(&twice, true).violations.is_empty());
    }
}
