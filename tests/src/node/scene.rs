//! A node with two targets, a stream behind a proxy and a folder, and the chain that it is given.

use super::{
    audit::{Expected, TargetReport},
    driver::{Branch, ChainDriver},
    launch::{Blocks, NodeLaunch},
    process::Node,
    program,
    status::StatusTarget,
    target::TargetView,
};
use crate::{proxy::FaultProxy, servers::redis::RedisServer, wait::wait_for};
use eyre::{Context, OptionExt};
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// The stream's key.
pub const TOPIC: &str = "replication";

/// Everything around one node.
#[derive(Debug)]
pub struct NodeScene {
    folder: TempDir,
    /// The stream's server.
    pub redis: RedisServer,
    /// In front of it.
    pub proxy: FaultProxy,
    /// The chain.
    pub driver: ChainDriver,
    /// How the node is started.
    pub launch: NodeLaunch,
    node: Option<Node>,
    views: Vec<TargetView>,
    /// The first block that was asked for.
    pub first: u64,
    /// The last block that is due yet; `None` if all are.
    pub last: Option<u64>,
    /// Blocks that nobody can execute any more.
    pub left_out: Option<RangeInclusive<u64>>,
    /// Whether a target may hold a block twice.
    pub may_repeat: bool,
}

impl NodeScene {
    /// Starts Redis, and prepares a node with the extension and both targets, from block 1 on. It
    /// is not started.
    ///
    /// # Errors
    ///
    /// Where there is no node's program, or Redis does not start.
    pub async fn new(seed: u64, scenarios: usize) -> eyre::Result<Self> {
        Self::starting_at(seed, scenarios, 1).await
    }

    /// The same from another block on.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub async fn starting_at(seed: u64, scenarios: usize, first: u64) -> eyre::Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis = RedisServer::start().await?;
        let proxy = FaultProxy::start(redis.address()).await?;
        let driver = ChainDriver::new(seed, scenarios)?;
        let replicas = folder.path().join("replicas");
        let targets =
            format!("redis://{}/0?topic={TOPIC},file://{}", proxy.address(), replicas.display());
        let launch = NodeLaunch::new(
            program::require()?,
            folder.path().join("node"),
            driver.genesis(),
            Blocks::Driven,
        )?
        .with_args(["--exex.bsp", "--exex.bsp.targets", &targets, "--exex.bsp.file-min-free=0"])
        .and_args(["--exex.bsp.start-block", &first.to_string()]);
        let views = vec![TargetView::stream(redis.client()?, TOPIC), TargetView::folder(&replicas)];
        Ok(Self {
            folder,
            redis,
            proxy,
            driver,
            launch,
            node: None,
            views,
            first,
            last: None,
            left_out: None,
            may_repeat: false,
        })
    }

    /// The scene's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder target.
    pub fn replicas(&self) -> PathBuf {
        self.folder.path().join("replicas")
    }

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub async fn start(&mut self) -> eyre::Result<()> {
        self.node = Some(self.launch.start().await?);
        Ok(())
    }

    /// The node.
    ///
    /// # Errors
    ///
    /// Where it was not started.
    pub fn node(&self) -> eyre::Result<&Node> {
        self.node.as_ref().ok_or_eyre("the node is not running")
    }

    /// The node, for whom the scene is to be without one.
    ///
    /// # Errors
    ///
    /// Where it was not started.
    pub fn take_node(&mut self) -> eyre::Result<Node> {
        self.node.take().ok_or_eyre("the node is not running")
    }

    /// Gives a node back.
    pub fn put_node(&mut self, node: Node) {
        self.node = Some(node);
    }

    /// Kills the node as `kill -9` does.
    ///
    /// # Errors
    ///
    /// Where it was not started.
    pub async fn kill(&mut self) -> eyre::Result<()> {
        self.take_node()?.kill().await
    }

    /// Ends the node in order.
    ///
    /// # Errors
    ///
    /// Where it does not end in order.
    pub async fn stop(&mut self) -> eyre::Result<()> {
        self.take_node()?.stop().await
    }

    /// Has the node import this many new blocks.
    ///
    /// # Errors
    ///
    /// Where it does not follow.
    pub async fn extend(&mut self, count: u64) -> eyre::Result<()> {
        let node = self.node.as_ref().ok_or_eyre("the node is not running")?;
        let extended = self.driver.extend(node, count).await;
        self.explained(extended)
    }

    /// Replaces the last `depth` blocks, made now, by one more.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn reorganise(&mut self, depth: u64) -> eyre::Result<()> {
        let branch = self.driver.fork();
        self.extend(depth).await?;
        self.switch(branch, depth + 1).await.map(drop)
    }

    /// Makes a branch canonical, which is made `length` blocks long. Returns what was canonical
    /// before.
    ///
    /// # Errors
    ///
    /// Where the node does not follow.
    pub async fn switch(&mut self, branch: Branch, length: u64) -> eyre::Result<Branch> {
        let node = self.node.as_ref().ok_or_eyre("the node is not running")?;
        let switched = self.driver.switch(node, branch, usize::try_from(length)?).await;
        self.explained(switched)
    }

    /// The same with a restarted node, which may not even have the branch's base any more.
    ///
    /// # Errors
    ///
    /// Where it does not follow.
    pub async fn adopt_after_loss(&mut self, branch: Branch, length: u64) -> eyre::Result<Branch> {
        let node = self.node.as_ref().ok_or_eyre("the node is not running")?;
        let caught_up = self.driver.catch_up_to(node, branch.base()).await;
        self.explained(caught_up)?;
        self.switch(branch, length).await
    }

    /// Gives a restarted node the blocks that it lost. Returns how many those were.
    ///
    /// # Errors
    ///
    /// Where it does not follow.
    pub async fn catch_up(&mut self) -> eyre::Result<usize> {
        let node = self.node.as_ref().ok_or_eyre("the node is not running")?;
        let caught_up = self.driver.catch_up(node).await;
        self.explained(caught_up)
    }

    /// Waits until every target was seen to hold every canonical block.
    ///
    /// # Errors
    ///
    /// Where one does not at the deadline, with what the extension says of itself.
    pub async fn settle(&mut self, deadline: Duration) -> eyre::Result<()> {
        self.seen("every target has every block", deadline, |scene| scene.missing() == 0).await
    }

    /// Waits until the targets were seen to be as they should.
    ///
    /// # Errors
    ///
    /// Where they are not at the deadline, with what is missing and what the node says of itself.
    pub async fn seen(
        &mut self,
        what: &str,
        deadline: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> eyre::Result<()> {
        let mut unreadable = None;
        let seen = wait_for(what, deadline, async || {
            // A server that is away is asked again.
            unreadable = self.look().await.err();
            (unreadable.is_none() && done(self)).then_some(())
        });
        let Err(error) = seen.await else { return Ok(()) };
        let status = match &self.node {
            Some(node) => node.bsp_status().await,
            None => Err(eyre::eyre!("no node")),
        };
        let (missing, lines) = (self.missing(), self.last_lines(25));
        Err(error.wrap_err(format!(
            "{missing} blocks missing; last look: {unreadable:?}; status: {status:?}\n{lines}"
        )))
    }

    /// Waits until the extension has written down that every target has the tip. An end before that
    /// makes a delivery doubtful.
    ///
    /// # Errors
    ///
    /// Where it does not in time.
    pub async fn recorded(&self, deadline: Duration) -> eyre::Result<()> {
        let (node, tip) = (self.node()?, self.driver.tip().number);
        wait_for("every cursor is at the tip", deadline, async || {
            let status = node.bsp_status().await.ok()?;
            let at_tip =
                |target: &StatusTarget| target.cursor.as_ref().is_some_and(|it| it.number == tip);
            status.targets.iter().all(at_tip).then_some(())
        })
        .await
    }

    /// Waits until one kind of target was seen to hold every canonical block.
    ///
    /// # Errors
    ///
    /// Where it does not at the deadline.
    pub async fn settle_one(&mut self, target: &str, deadline: Duration) -> eyre::Result<()> {
        self.seen(&format!("{target} has every block"), deadline, |scene| {
            let expected = scene.expected();
            let mut views = scene.views.iter().filter(|view| view.name() == target);
            views.all(|view| expected.wanted().all(|block| view.has(&block.id.hash)))
        })
        .await
    }

    /// The lowest height that any target has an entry of.
    ///
    /// # Errors
    ///
    /// Where no target has any.
    pub fn first_delivered(&self) -> eyre::Result<u64> {
        let known = self.driver.known();
        let entries = self.views.iter().flat_map(TargetView::entries);
        let numbers = entries.filter_map(|entry| known.get(&entry.hash));
        numbers.map(|block| block.id.number).min().ok_or_eyre("nothing was delivered")
    }

    /// How many entries are missing now, over all targets.
    pub fn missing(&self) -> usize {
        let expected = self.expected();
        let missing =
            |view: &TargetView| expected.wanted().filter(|block| !view.has(&block.id.hash)).count();
        self.views.iter().map(missing).sum()
    }

    /// What the stream held so far is gone: everything has to be seen in it again.
    ///
    /// # Errors
    ///
    /// Where the server has no address.
    pub fn forget_stream(&mut self) -> eyre::Result<()> {
        for view in self.views.iter_mut().filter(|view| view.name() == "redis") {
            *view = TargetView::stream(self.redis.client()?, TOPIC);
        }
        Ok(())
    }

    /// Looks at all targets.
    ///
    /// # Errors
    ///
    /// Where one can't be read.
    pub async fn look(&mut self) -> eyre::Result<()> {
        for view in &mut self.views {
            view.read().await?;
        }
        Ok(())
    }

    /// The targets.
    pub fn views(&self) -> &[TargetView] {
        &self.views
    }

    /// What every target has to hold.
    pub fn expected(&self) -> Expected<'_> {
        Expected {
            canonical: self.driver.canonical(),
            known: self.driver.known(),
            first: self.first,
            last: self.last,
            left_out: self.left_out.clone(),
            may_repeat: self.may_repeat,
        }
    }

    /// Looks at all targets once more, and audits them. The node's own chain must be the driver's.
    ///
    /// # Errors
    ///
    /// Where a target can't be read, or the node has another chain.
    pub async fn audit(&mut self) -> eyre::Result<Vec<TargetReport>> {
        self.look().await?;
        if let Some(node) = &self.node {
            let (has, told) = (node.tip().await?, self.driver.tip());
            eyre::ensure!(has == told, "the node is at {has:?}, told {told:?}");
        }
        let expected = self.expected();
        let reports = self.views.iter().map(|view| expected.check(view.name(), view.entries()));
        Ok(reports.collect())
    }

    /// With the end of what the node printed, where it did not follow.
    fn explained<T>(&self, result: eyre::Result<T>) -> eyre::Result<T> {
        result.wrap_err_with(|| self.last_lines(25))
    }

    /// The end of what the node printed.
    pub fn last_lines(&self, count: usize) -> String {
        let log = self.printed();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Everything that the node's processes have printed.
    pub fn printed(&self) -> String {
        let log = std::fs::read(self.launch.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}
