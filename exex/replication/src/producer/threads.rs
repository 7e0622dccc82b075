//! The threads of a producer: one with a runtime for lanes and watchdog, one with a runtime for
//! each target, and those of the pool.

use super::{
    ProducerConfig, ProducerError,
    cursors::Cursors,
    finished::Finished,
    lane::{Common, Lane, lookups::Lookups, target_thread::TargetThread, window::Limits},
    pool::{Pool, panic_message},
    report::{Report, metrics::TargetMetrics, status::StatusBoard},
    timing::Timing,
    watchdog::{Change, Watchdog},
};
use crate::{chain::Chain, target::Target};
use futures::{FutureExt, future::join_all};
use std::{
    panic::AssertUnwindSafe,
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
        let watchdog = self.watchdog(Arc::clone(&common));
        let targets = self.lanes(&common)?;
        let lanes = thread::Builder::new()
            .name("bsp-producer".to_owned())
            .spawn(move || targets.run(runtime, watchdog, &common))?;
        Ok(Threads { halt, stop, grace, lanes })
    }

    fn lanes(self, common: &Arc<Common>) -> Result<Lanes, ProducerError> {
        let Self { targets, board, finished, wake, timing, stop, .. } = self;
        let abandon = CancellationToken::new();
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        for (index, target) in targets.into_iter().enumerate() {
            let (board, finished) = (Arc::clone(&board), Arc::clone(&finished));
            let report =
                Report::new(index, target.name(), target.health(), board, finished, timing);
            let (target, thread) = TargetThread::start(target, abandon.clone(), timing.grace)?;
            lanes.push(Lane::new(Arc::clone(common), target, report, wake.clone()));
            threads.push(thread);
        }
        Ok(Lanes { lanes, threads, abandon, stop, grace: timing.grace })
    }

    fn watchdog(&self, common: Arc<Common>) -> impl Future<Output = ()> + Send + use<> {
        let gauges: Vec<_> =
            self.targets.iter().map(|target| TargetMetrics::of(&target.name()).stalled).collect();
        let tell = move |index: usize, change| {
            if let Some(gauge) = gauges.get(index) {
                gauge.set(if change == Change::Stalled { 1.0 } else { 0.0 });
            }
        };
        let every = self.timing.watch;
        let mut dog = Watchdog::new(self.targets.len(), self.config.max_behind, self.timing.stall);
        let board = Arc::clone(&self.board);
        async move {
            loop {
                let watch = dog.run(every, &common.lookups, &common.pool, &board, &tell);
                let Err(panic) = AssertUnwindSafe(watch).catch_unwind().await;
                let message = panic_message(&*panic);
                tracing::error!(
                    target: "exex::bsp",
                    "The producer's watchdog panicked, and looks again; please report this: {message}"
                );
            }
        }
    }
}

/// All lanes, with the threads of their targets.
struct Lanes {
    lanes: Vec<Lane>,
    threads: Vec<JoinHandle<()>>,
    /// What is under way at a target is given up after this.
    abandon: CancellationToken,
    stop: CancellationToken,
    grace: Duration,
}

impl Lanes {
    /// Until the producer is told to stop.
    fn run(
        self,
        runtime: Runtime,
        watchdog: impl Future<Output = ()> + Send + 'static,
        common: &Common,
    ) {
        let Self { lanes, threads, abandon, stop, grace } = self;
        let halt = common.halt.clone();
        runtime.block_on(async {
            let watchdog = tokio::spawn(watchdog);
            let lanes = join_all(lanes.into_iter().map(Lane::run));
            let patience = async {
                halt.cancelled().await;
                tokio::time::sleep(grace).await;
                stop.cancel();
                tokio::time::sleep(grace).await;
            };
            tokio::select! {
                _ = lanes => {}
                () = patience => {
                    tracing::warn!(target: "exex::bsp", "A delivery does not end, and is given up");
                }
            }
            watchdog.abort();
        });
        abandon.cancel();
        let deadline = Instant::now() + grace;
        if !common.pool.close(grace) {
            tracing::warn!(target: "exex::bsp", "A block's execution does not end, and is left alone");
        }
        runtime.shutdown_timeout(grace);
        if !end_by(deadline, || threads.iter().all(JoinHandle::is_finished)) {
            tracing::warn!(target: "exex::bsp", "A target blocks its thread, and is left alone");
        }
    }
}

/// Waits until a thread has ended. Returns whether it has.
fn end_by(deadline: Instant, is_ended: impl Fn() -> bool) -> bool {
    while !is_ended() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

impl Threads {
    /// Has them end, and waits for that, but not for ever.
    pub(super) fn stop(&self) {
        self.halt.cancel();
        // Two for the deliveries, one for the pool and the targets' threads, one for lookups.
        let _ = end_by(Instant::now() + self.grace * 4 + LOOK, || self.lanes.is_finished());
        self.stop.cancel();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How the memory is divided. A target that takes nothing must leave the others theirs, so each
/// lane has a share of its own; the pool has one for blocks that several lanes need.
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
