//! What goes wrong with a node, its targets and its chain, one scenario each, and what is left
//! afterwards.

mod history;
mod kills;
mod outages;
mod outcome;
mod pressure;
mod reorgs;
mod sync;

pub use outcome::{Outcome, print_table};

use super::scene::NodeScene;
use futures::future::LocalBoxFuture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How long a node may take to deliver everything after a fault, on a machine under load.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(300);

/// More blocks than the notifications that reth v2.5.1 buffers for an extension: 1,024 and 256.
const BEYOND_BUFFERS: u64 = 1_400;

/// For an extension that is registered with the node's manager whatever the node prunes.
const REGISTERED: [&str; 2] = ["--exex.bsp.register", "always"];

/// What a scenario is run with.
#[derive(Debug, Clone, Copy)]
pub struct FaultPlan {
    /// What chain and chances are derived from.
    pub seed: u64,
    /// How often a fault that can be repeated is.
    pub rounds: u64,
    /// Whether the extension is registered with the node's manager where it would not have to be.
    pub registered: bool,
}

impl FaultPlan {
    /// A node with the extension, not started, on a chain with at most this many scenarios a block.
    async fn scene(self, scenarios: usize) -> eyre::Result<NodeScene> {
        self.scene_starting_at(scenarios, 1).await
    }

    /// The same, delivering from another block on.
    async fn scene_starting_at(self, scenarios: usize, first: u64) -> eyre::Result<NodeScene> {
        let mut scene = NodeScene::starting_at(self.seed, scenarios, first).await?;
        if self.registered {
            scene.launch = scene.launch.and_args(REGISTERED);
        }
        Ok(scene)
    }

    /// The same on a chain whose beginning is on disk, imported without the extension. For
    /// scenarios that kill: reth v2.5.1 does not go on after an end amid its first write of
    /// transactions, see `docs/NODE.md`.
    async fn scene_on_disk(self, scenarios: usize) -> eyre::Result<NodeScene> {
        let mut scene = self.scene(scenarios).await?;
        let with_extension = scene.launch.clone();
        scene.launch = with_extension.clone().with_args(Vec::<String>::new());
        scene.start().await?;
        scene.extend(8).await?;
        scene.stop().await?;
        scene.launch = with_extension;
        Ok(scene)
    }

    fn dice(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// For `--only`, and the table.
    pub name: &'static str,
    run: fn(FaultPlan) -> LocalBoxFuture<'static, eyre::Result<Outcome>>,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Scenario {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// Where it can't be gone through with: the node does not follow, does not come back, or never
    /// delivers.
    pub async fn run(&self, plan: FaultPlan) -> eyre::Result<Outcome> {
        (self.run)(plan).await
    }

    /// All scenarios.
    pub const ALL: &[Self] = &[
        Self { name: "kill-at-random", run: |plan| Box::pin(kills::at_random(plan)) },
        Self { name: "kill-at-failpoints", run: |plan| Box::pin(kills::at_failpoints(plan)) },
        Self { name: "sigterm", run: |plan| Box::pin(kills::sigterm(plan)) },
        Self { name: "ahead-same-blocks", run: |plan| Box::pin(kills::ahead_of_node(plan)) },
        Self { name: "ahead-other-blocks", run: |plan| Box::pin(kills::ahead_of_fork(plan)) },
        Self { name: "redis-stopped", run: |plan| Box::pin(outages::redis_stopped(plan)) },
        Self { name: "redis-empty", run: |plan| Box::pin(outages::redis_empty(plan)) },
        Self { name: "redis-silent", run: |plan| Box::pin(outages::redis_silent(plan)) },
        Self { name: "redis-full", run: |plan| Box::pin(pressure::redis_full(plan)) },
        Self { name: "stream-deleted", run: |plan| Box::pin(pressure::stream_deleted(plan)) },
        Self { name: "stream-evicted", run: |plan| Box::pin(pressure::stream_evicted(plan)) },
        Self { name: "host-reboots", run: |plan| Box::pin(pressure::host_reboots(plan)) },
        Self { name: "stalled", run: |plan| Box::pin(outages::stalled(plan)) },
        Self { name: "exex-stalled", run: |plan| Box::pin(outages::exex_stalled(plan)) },
        Self { name: "disk-full", run: |plan| Box::pin(outages::disk_full(plan)) },
        Self { name: "reorgs-live", run: |plan| Box::pin(reorgs::live(plan)) },
        Self { name: "reorgs-in-outage", run: |plan| Box::pin(reorgs::in_outage(plan)) },
        Self { name: "reorgs-over-restart", run: |plan| Box::pin(reorgs::over_restart(plan)) },
        Self { name: "cursor-orphaned", run: |plan| Box::pin(reorgs::cursor_orphaned(plan)) },
        Self { name: "reorg-below-disk", run: |plan| Box::pin(reorgs::below_disk(plan)) },
        Self { name: "flip-flops", run: |plan| Box::pin(reorgs::flip_flops(plan)) },
        Self { name: "kept-for-target", run: |plan| Box::pin(history::kept_for_target(plan)) },
        Self { name: "target-never-up", run: |plan| Box::pin(history::target_never_up(plan)) },
        Self { name: "pruned", run: |plan| Box::pin(history::pruned(plan)) },
        Self { name: "pruning-cut-short", run: |plan| Box::pin(history::pruning_cut_short(plan)) },
        Self { name: "late-start", run: |plan| Box::pin(history::late_start(plan)) },
        Self { name: "synced-in-stages", run: |plan| Box::pin(sync::in_stages(plan)) },
        Self { name: "pruning-in-stages", run: |plan| Box::pin(sync::pruning_in_stages(plan)) },
        Self { name: "data-wiped", run: |plan| Box::pin(history::data_wiped(plan)) },
    ];
}
