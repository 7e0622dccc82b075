//! The threads of a producer: one with a runtime for the lanes, and those of the pool.

use super::{
    ProducerConfig, ProducerError,
    cursors::Cursors,
    finished::Finished,
    lane::{Common, Lane},
    lookups::Lookups,
    metrics::TargetMetrics,
    pool::Pool,
    report::Report,
    status::StatusBoard,
    timing::Timing,
    watchdog::{Change, Watchdog},
    window::Limits,
};
use crate::{Chain, Target};
use futures::future::join_all;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::watch};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a thread has ended.
const LOOK: Duration = Duration::from_millis(5);

/// All that the threads work with.
pub(super) struct Parts {
    pub(super) chain: Arc<dyn Chain>,
    pub(super) targets: Vec<Box<dyn Target>>,
    pub(super) config: ProducerConfig,
    pub(super) timing: Timing,
    pub(super) stop: CancellationToken,
    pub(super) wake: watch::Receiver<Instant>,
    pub(super) board: Arc<StatusBoard>,
    pub(super) finished: Arc<Finished>,
}

/// Running threads. They are stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    halt: CancellationToken,
    stop: CancellationToken,
    grace: Duration,
    lanes: JoinHandle<()>,
}

impl Parts {
    pub(super) fn start(self) -> Result<Threads, ProducerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cursors = Arc::new(Cursors::open(&self.config.cursors)?);
        let shares = Shares::of(&self.config, self.targets.len());
        let workers = self.config.workers;
        let pool = Arc::new(Pool::start(Arc::clone(&self.chain), workers, shares.cache)?);
        let halt = self.stop.child_token();
        let common = Arc::new(Common {
            lookups: Lookups::new(Arc::clone(&self.chain), self.config.deliver),
            limits: Limits { workers, bytes: shares.lane },
            timing: self.timing,
            halt: halt.clone(),
            config: self.config.clone(),
            cursors,
            pool,
        });
        let (stop, grace) = (self.stop.clone(), self.timing.grace);
        let lanes = thread::Builder::new()
            .name("bsp-producer".to_owned())
            .spawn(move || self.run(runtime, &common))?;
        Ok(Threads { halt, stop, grace, lanes })
    }

    /// Until the producer is told to stop.
    fn run(self, runtime: Runtime, common: &Arc<Common>) {
        let (grace, halt, stop) = (self.timing.grace, common.halt.clone(), self.stop.clone());
        runtime.block_on(async {
            let watchdog = tokio::spawn(self.watchdog(common));
            let lanes = join_all(self.lanes(common).into_iter().map(Lane::run));
            let patience = async {
                halt.cancelled().await;
                tokio::time::sleep(grace).await;
                stop.cancel();
                tokio::time::sleep(grace).await;
            };
            tokio::select! {
                _ = lanes => {}
                () = patience => {
                    tracing::warn!(target: "exex::bsp", "a target does not end, and is left alone");
                }
            }
            watchdog.abort();
        });
        if !common.pool.close(grace) {
            tracing::warn!(target: "exex::bsp", "a block's execution does not end, and is left alone");
        }
        runtime.shutdown_timeout(grace);
    }

    fn lanes(self, common: &Arc<Common>) -> Vec<Lane> {
        let Self { targets, board, finished, wake, timing, .. } = self;
        let lane = |(index, target): (usize, Box<dyn Target>)| {
            let (board, finished) = (Arc::clone(&board), Arc::clone(&finished));
            let report =
                Report::new(index, target.name(), target.health(), board, finished, timing);
            Lane::new(Arc::clone(common), target, report, wake.clone())
        };
        targets.into_iter().enumerate().map(lane).collect()
    }

    fn watchdog(&self, common: &Common) -> impl Future<Output = ()> + use<> {
        let gauges: Vec<_> =
            self.targets.iter().map(|target| TargetMetrics::of(&target.name()).stalled).collect();
        let tell = move |index: usize, change| {
            if let Some(gauge) = gauges.get(index) {
                gauge.set(if change == Change::Stalled { 1.0 } else { 0.0 });
            }
        };
        let dog = Watchdog::new(self.targets.len(), self.config.max_behind, self.timing.stall);
        let (lookups, pool) = (common.lookups.clone(), Arc::clone(&common.pool));
        dog.run(self.timing.watch, lookups, pool, Arc::clone(&self.board), tell)
    }
}

impl Threads {
    /// Has them end, and waits for that, but not for ever.
    pub(super) fn stop(&self) {
        self.halt.cancel();
        // Two for the targets, one for the pool, one for lookups.
        let deadline = Instant::now() + self.grace * 4 + LOOK;
        while !self.lanes.is_finished() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.stop.cancel();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How the memory is divided. A target that takes nothing must leave the others theirs, so each lane has a share
/// of its own; the pool has one for blocks that several lanes need.
struct Shares {
    lane: usize,
    cache: usize,
}

impl Shares {
    fn of(config: &ProducerConfig, lanes: usize) -> Self {
        if lanes < 2 {
            return Self { lane: config.memory_budget, cache: 0 };
        }
        let share = config.memory_budget / (lanes + 1);
        Self { lane: share, cache: share }
    }
}
