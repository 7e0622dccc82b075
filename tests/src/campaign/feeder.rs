//! Keeps the stream filled: new blocks of a dev chain, with duplicates, bad entries and hopeless
//! blocks among them.

use crate::{
    audit::Expect,
    messages::{Message, dev::DevBlocks, poison, unknown_fork},
    scene::Scene,
};
use bsp_codec::{Replica, supplement::Supplement};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, sync::mpsc, thread};

/// How many blocks are made ahead.
const AHEAD: usize = 32;

/// Feeds a scene.
#[derive(Debug)]
pub struct Feeder {
    blocks: mpsc::Receiver<eyre::Result<(Replica, Option<Supplement>)>>,
    dice: ChaCha8Rng,
    poison: Vec<poison::Poison>,
    fed: BTreeMap<&'static str, u64>,
    /// How many entries may wait in the stream.
    backlog: u64,
    /// How many more entries may be fed.
    budget: u64,
}

impl Feeder {
    /// A feeder that keeps this many entries in the stream, and feeds this many in all.
    ///
    /// # Errors
    ///
    /// Where the dev chain makes no blocks.
    pub fn new(seed: u64, backlog: u64, budget: u64) -> eyre::Result<Self> {
        // Of another chain, so that none of its blocks is fed as a good one too.
        let base = DevBlocks::new(seed.wrapping_add(1))?.next_executable()?;
        let mut chain = DevBlocks::new(seed)?;
        let (sender, blocks) = mpsc::sync_channel(AHEAD);
        // Ends with the receiver.
        thread::spawn(move || while sender.send(chain.next_supplemented()).is_ok() {});
        Ok(Self {
            blocks,
            dice: ChaCha8Rng::seed_from_u64(seed),
            poison: poison::all(&base)?,
            fed: BTreeMap::new(),
            backlog,
            budget,
        })
    }

    /// How often each kind of entry was fed.
    pub const fn fed(&self) -> &BTreeMap<&'static str, u64> {
        &self.fed
    }

    /// Fills the stream up. Does nothing while Redis is away.
    ///
    /// # Errors
    ///
    /// Where the dev chain makes no block or the proof chain does not take a setting.
    pub async fn fill(&mut self, scene: &mut Scene) -> eyre::Result<()> {
        let Ok(mut waiting) = scene.remaining().await else { return Ok(()) };
        while waiting < self.backlog && self.budget > 0 {
            if self.feed(scene).await.is_err() {
                return Ok(());
            }
            waiting += 1;
        }
        Ok(())
    }

    /// Puts this many bad entries at the end of the stream, of every kind in turn.
    ///
    /// # Errors
    ///
    /// Where Redis does not take them.
    pub async fn feed_poison(&mut self, scene: &mut Scene, count: usize) -> eyre::Result<()> {
        for at in 0..count {
            let message = self.poison[at % self.poison.len()].message.clone();
            self.push(scene, "bad entry in front of all others", &message).await?;
        }
        Ok(())
    }

    /// Puts this many blocks at the end of the stream, and as many more under the rules of a fork
    /// that no agent knows.
    ///
    /// # Errors
    ///
    /// Where the dev chain makes no block or Redis does not take one.
    pub async fn feed_unknown_fork(&mut self, scene: &mut Scene, count: usize) -> eyre::Result<()> {
        for _ in 0..count {
            let message = self.next_message()?.1;
            self.push(scene, "block", &message).await?;
        }
        for _ in 0..count {
            let message = unknown_fork::message(&self.blocks.recv()??.0)?;
            self.push(scene, "block of an unknown fork", &message).await?;
        }
        Ok(())
    }

    async fn feed(&mut self, scene: &mut Scene) -> eyre::Result<()> {
        let kind = match self.dice.random_range(0..100) {
            0..6 => "bad entry",
            6..12 => "block of a closed session",
            12..20 => "block, twice",
            _ => "block",
        };
        if kind == "bad entry" {
            let at = self.dice.random_range(0..self.poison.len());
            let message = self.poison[at].message.clone();
            return self.push(scene, kind, &message).await;
        }
        let (replica, mut message) = self.next_message()?;
        if kind == "block of a closed session"
            && let Some(chain) = &scene.chain
        {
            chain.contract.close_session(replica.network_id, replica.header.number).await?;
            message = message.expecting(Expect::ProvedOrSkipped);
        }
        self.push(scene, kind, &message).await?;
        if kind == "block, twice" {
            self.push(scene, kind, &message).await?;
        }
        Ok(())
    }

    /// The next block, now and then as bsp-geth writes it, without what the format leaves out, or
    /// with something else in the place of that.
    fn next_message(&mut self) -> eyre::Result<(Replica, Message)> {
        let (replica, supplement) = self.blocks.recv()??;
        let supplement = match self.dice.random_range(0..10) {
            0 => None,
            1 => Some(self.dice.random::<[u8; 9]>().to_vec()),
            2 => Some(Supplement::default().encode()),
            _ => supplement.map(|supplement| supplement.encode()),
        };
        let message = Message::of(&replica)?.with_supplement(supplement);
        Ok((replica, message))
    }

    async fn push(
        &mut self,
        scene: &mut Scene,
        kind: &'static str,
        message: &Message,
    ) -> eyre::Result<()> {
        scene.push(message).await?;
        *self.fed.entry(kind).or_default() += 1;
        self.budget = self.budget.saturating_sub(1);
        Ok(())
    }
}
