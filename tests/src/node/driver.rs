//! The consensus client of the tests: makes blocks and branches, has the node import them, and
//! remembers all of them.

use super::{
    block::EngineBlock,
    engine::{EngineApi, ForkChoice},
    process::Node,
};
use crate::{messages::dev::DevBlocks, wait::wait_for};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use eyre::Context;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// One branch: blocks above a height, and what makes more of them.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Height of the last block that it shares with the chain that it left.
    base: u64,
    maker: DevBlocks,
    blocks: Vec<Arc<EngineBlock>>,
}

/// Drives one node's chain.
#[derive(Debug)]
pub struct ChainDriver {
    canonical: Branch,
    genesis: B256,
    known: HashMap<B256, Arc<EngineBlock>>,
    branches: u64,
    depths: Depths,
    pace: Pace,
}

/// How many blocks below the tip the consensus client stands by; `None` says that it stands by
/// none.
#[derive(Debug, Clone, Copy)]
pub struct Depths {
    /// For safe blocks.
    pub safe: Option<u64>,
    /// For finalized ones.
    pub finalized: Option<u64>,
}

/// How the node did at importing.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// Blocks that it took, each time that it took them.
    pub imported: u64,
    /// How often it had to be given a block again.
    pub repeated: u64,
    /// How often another branch became canonical.
    pub switches: u64,
    /// The longest time from a block's `newPayload` to the answer to its fork choice.
    pub slowest: Duration,
    /// The times of all blocks that were imported singly.
    pub times: Vec<Duration>,
}

impl ChainDriver {
    /// A driver of the chain of a seed, with at most this many scenarios a block.
    ///
    /// # Errors
    ///
    /// Where a contract of the chain does not assemble.
    pub fn new(seed: u64, scenarios: usize) -> eyre::Result<Self> {
        let maker = DevBlocks::with_scenarios(seed, scenarios)?;
        Ok(Self {
            genesis: maker.chain().head_hash(),
            canonical: Branch { base: 0, maker, blocks: Vec::new() },
            known: HashMap::new(),
            branches: 0,
            depths: Depths { safe: Some(128), finalized: Some(128) },
            pace: Pace::default(),
        })
    }

    /// The chain's genesis description.
    pub const fn genesis(&self) -> &alloy_genesis::Genesis {
        self.canonical.maker.chain().genesis()
    }

    /// Sets from which depth on blocks are safe and finalized.
    pub const fn set_depths(&mut self, depths: Depths) {
        self.depths = depths;
    }

    /// The canonical tip.
    pub fn tip(&self) -> BlockNumHash {
        let last = self.canonical.blocks.last();
        last.map_or(BlockNumHash::new(0, self.genesis), |block| block.id)
    }

    /// Height of the last block that the consensus client calls final, 0 if there is none.
    pub fn finalized(&self) -> u64 {
        let depth = self.depths.finalized;
        depth.and_then(|depth| self.tip().number.checked_sub(depth)).unwrap_or_default()
    }

    /// The canonical chain from block 1 on.
    pub fn canonical(&self) -> &[Arc<EngineBlock>] {
        &self.canonical.blocks
    }

    /// Every block that the node was ever given.
    pub const fn known(&self) -> &HashMap<B256, Arc<EngineBlock>> {
        &self.known
    }

    /// How the node did.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Makes this many blocks, and has them imported one by one.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn extend(&mut self, node: &Node, count: u64) -> eyre::Result<()> {
        for _ in 0..count {
            let block = self.canonical.next()?;
            self.learn(&block);
            self.import(node.engine(), &block).await?;
        }
        self.expect_tip(node).await
    }

    /// A branch from the tip, with other blocks than those that the driver will make next.
    pub fn fork(&mut self) -> Branch {
        self.branches += 1;
        let maker = self.canonical.maker.branch(self.branches);
        Branch { base: self.tip().number, maker, blocks: Vec::new() }
    }

    /// Makes blocks until the branch is `length` blocks long, and has it become canonical at once.
    /// Returns what was canonical before, from the same base on.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn switch(
        &mut self,
        node: &Node,
        mut branch: Branch,
        length: usize,
    ) -> eyre::Result<Branch> {
        while branch.blocks.len() < length {
            let block = branch.next()?;
            self.learn(&block);
        }
        // Those of a branch that was canonical before too: the node may have forgotten them.
        for block in &branch.blocks {
            self.pace.repeated += node.engine().new_payload(block).await?;
            self.pace.imported += 1;
        }
        let split = usize::try_from(branch.base)?;
        let abandoned = Branch {
            base: branch.base,
            maker: std::mem::replace(&mut self.canonical.maker, branch.maker),
            blocks: self.canonical.blocks.split_off(split),
        };
        self.canonical.blocks.extend(branch.blocks);
        node.engine().fork_choice(self.choice()).await?;
        self.pace.switches += 1;
        self.expect_tip(node).await?;
        Ok(abandoned)
    }

    /// Gives a restarted node the canonical blocks that it lost or never had. Returns how many
    /// those were.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn catch_up(&mut self, node: &Node) -> eyre::Result<usize> {
        let missing = self.catch_up_to(node, self.tip().number).await?;
        if missing == 0 {
            node.engine().fork_choice(self.choice()).await?;
        }
        self.expect_tip(node).await?;
        Ok(missing)
    }

    /// Gives a restarted node the canonical blocks that it lost or never had, up to a height, and
    /// not those above.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn catch_up_to(&mut self, node: &Node, height: u64) -> eyre::Result<usize> {
        let mut shared = node.tip().await?.number.min(self.tip().number);
        while node.hash_at(shared).await? != Some(self.hash_at(shared)) {
            eyre::ensure!(shared > 0, "the node has another genesis block");
            shared -= 1;
        }
        let lost = usize::try_from(shared)?..usize::try_from(height.max(shared))?;
        let missing = self.canonical.blocks.get(lost).unwrap_or_default().to_vec();
        for block in &missing {
            self.import(node.engine(), block).await?;
        }
        Ok(missing.len())
    }

    /// Tells a node of the tip and gives it no block, as a consensus client does with one that was
    /// away for long, until it has fetched them all from its peers.
    ///
    /// # Errors
    ///
    /// Where it does not get there in time.
    pub async fn sync_from_peers(&mut self, node: &Node, deadline: Duration) -> eyre::Result<()> {
        let before = node.tip().await?.number;
        wait_for("the node has the tip from its peers", deadline, async || {
            // It does not answer for as long as it writes many blocks at once.
            node.engine().point_at(self.choice()).await.ok().filter(|is_there| *is_there)
        })
        .await?;
        self.pace.imported += self.tip().number.saturating_sub(before);
        self.expect_tip(node).await
    }

    fn hash_at(&self, number: u64) -> B256 {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        index
            .and_then(|index| self.canonical.blocks.get(index))
            .map_or(self.genesis, |block| block.id.hash)
    }

    fn learn(&mut self, block: &Arc<EngineBlock>) {
        self.known.insert(block.id.hash, Arc::clone(block));
    }

    async fn import(&mut self, engine: &EngineApi, block: &EngineBlock) -> eyre::Result<()> {
        let begun = Instant::now();
        self.pace.repeated += engine.new_payload(block).await?;
        let head = block.id.hash;
        engine.fork_choice(ForkChoice { head, ..self.choice_below(block.id.number) }).await?;
        let taken = begun.elapsed();
        self.pace.imported += 1;
        self.pace.slowest = self.pace.slowest.max(taken);
        self.pace.times.push(taken);
        Ok(())
    }

    fn choice(&self) -> ForkChoice {
        let tip = self.tip();
        ForkChoice { head: tip.hash, ..self.choice_below(tip.number) }
    }

    fn choice_below(&self, tip: u64) -> ForkChoice {
        let below = |depth: Option<u64>| {
            let number = depth.and_then(|depth| tip.checked_sub(depth));
            number.map_or(B256::ZERO, |number| self.hash_at(number))
        };
        let Depths { safe, finalized } = self.depths;
        ForkChoice { head: B256::ZERO, safe: below(safe), finalized: below(finalized) }
    }

    /// The node goes by what it was told, not by what its targets do.
    async fn expect_tip(&self, node: &Node) -> eyre::Result<()> {
        let tip = node.tip().await.wrap_err("the node's tip")?;
        eyre::ensure!(tip == self.tip(), "the node is at {tip:?}, told {:?}", self.tip());
        Ok(())
    }
}

impl Branch {
    fn next(&mut self) -> eyre::Result<Arc<EngineBlock>> {
        let block = Arc::new(EngineBlock::next(&mut self.maker)?);
        self.blocks.push(Arc::clone(&block));
        Ok(block)
    }

    /// How many blocks it has above its base.
    pub const fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether it has no blocks yet.
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Height of the last block that it shares with the chain that it left.
    pub const fn base(&self) -> u64 {
        self.base
    }
}
