//! Threads that execute blocks, for all lanes.
//!
//! A block that two lanes ask for is executed once: the second one joins the first one's job, or
//! finds the product among the last ones, which are kept within a budget in bytes. How much is
//! asked for at once is the lanes' business, see [`window`](super::window), so a target that takes
//! nothing does not keep the others from theirs.

mod worker;

pub(super) use worker::panic_message;

use super::{job_error::JobError, report::metrics::ProductionMetrics};
use crate::chain::{Chain, ProducedBlock};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// So many threads at most are replaced because they hang.
const MOST_LOST_THREADS: usize = 16;

/// The answer to a request.
#[derive(Debug, Clone)]
pub(super) struct Produced {
    pub(super) block: BlockNumHash,
    pub(super) result: Result<Arc<ProducedBlock>, JobError>,
}

/// The threads. They end after the pool was closed or dropped, each with the block it has in
/// flight.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<PoolShared>,
}

struct PoolShared {
    chain: Arc<dyn Chain>,
    cache_budget: usize,
    metrics: ProductionMetrics,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// For lanes at the tip: before the backlog, or a tip would wait for somebody's history.
    urgent: VecDeque<BlockNumHash>,
    backlog: VecDeque<BlockNumHash>,
    jobs: HashMap<B256, Job>,
    last_id: u64,
    /// The oldest first.
    cache: VecDeque<Arc<ProducedBlock>>,
    cached_bytes: usize,
    threads: usize,
    /// Jobs whose threads were replaced, and have to end when they come back.
    lost: HashSet<u64>,
    closed: bool,
}

/// A block that somebody waits for.
#[derive(Debug)]
struct Job {
    id: u64,
    block: BlockNumHash,
    started: Option<Instant>,
    replies: Vec<UnboundedSender<Produced>>,
}

impl Pool {
    /// Starts the threads. `cache_budget` is in bytes of replicas.
    pub(super) fn start(
        chain: Arc<dyn Chain>,
        workers: usize,
        cache_budget: usize,
    ) -> io::Result<Self> {
        let metrics = ProductionMetrics::default();
        let (state, changed) = Default::default();
        let pool =
            Self { shared: Arc::new(PoolShared { chain, cache_budget, metrics, state, changed }) };
        for _ in 0..workers.max(1) {
            worker::start(&pool.shared)?;
        }
        Ok(pool)
    }

    /// Asks for a block. The answer goes to `reply`; a job that nobody waits for any longer is not
    /// begun.
    pub(super) fn request(
        &self,
        block: BlockNumHash,
        urgent: bool,
        reply: &UnboundedSender<Produced>,
    ) {
        let mut state = self.shared.lock();
        if let Some(product) = state.cache.iter().find(|product| product.entry.hash == block.hash) {
            // The caller may be gone.
            let _ = reply.send(Produced { block, result: Ok(Arc::clone(product)) });
            return;
        }
        if let Some(job) = state.jobs.get_mut(&block.hash) {
            job.replies.retain(|reply| !reply.is_closed());
            job.replies.push(reply.clone());
            return;
        }
        state.last_id = state.last_id.wrapping_add(1);
        let (id, replies) = (state.last_id, vec![reply.clone()]);
        state.jobs.insert(block.hash, Job { id, block, started: None, replies });
        if urgent { &mut state.urgent } else { &mut state.backlog }.push_back(block);
        self.shared.changed.notify_all();
    }

    /// Ends the waiting for blocks that are in flight for longer than `limit`, and replaces the
    /// threads that work on them.
    pub(super) fn give_up_after(&self, limit: Duration) {
        // Not in the head of the loop, which would hold the lock to its end.
        let hung = self.shared.lock().take_hung(limit);
        for job in hung {
            job.answer(&Err(JobError::Hung { number: job.block.number, waited: limit }));
            let mut state = self.shared.lock();
            if state.lost.len() < MOST_LOST_THREADS {
                state.lost.insert(job.id);
                drop(state);
                if let Err(error) = worker::start(&self.shared) {
                    tracing::error!(target: "exex::bsp", %error, "A thread for executions can't be started");
                }
            }
        }
    }

    /// Has the threads end, and waits for that, but not longer than `limit`. Returns whether all
    /// did.
    pub(super) fn close(&self, limit: Duration) -> bool {
        let mut state = self.shared.lock();
        state.closed = true;
        state.urgent.clear();
        state.backlog.clear();
        state.jobs.clear();
        self.shared.changed.notify_all();
        let waited =
            self.shared.changed.wait_timeout_while(state, limit, |state| state.threads > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.threads == 0
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

impl PoolShared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PoolShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl State {
    /// The next block to work on, and its job's number. What nobody waits for is dropped.
    fn next_job(&mut self) -> Option<(u64, BlockNumHash)> {
        while let Some(block) = self.urgent.pop_front().or_else(|| self.backlog.pop_front()) {
            let Some(job) = self.jobs.get_mut(&block.hash) else { continue };
            if job.started.is_some() {
                continue;
            }
            if job.replies.iter().all(UnboundedSender::is_closed) {
                self.jobs.remove(&block.hash);
                continue;
            }
            job.started = Some(Instant::now());
            return Some((job.id, block));
        }
        None
    }

    /// Takes a finished job out, unless it was given up.
    fn finish(&mut self, id: u64, hash: B256) -> Option<Job> {
        self.jobs.get(&hash).is_some_and(|job| job.id == id).then(|| self.jobs.remove(&hash))?
    }

    fn take_hung(&mut self, limit: Duration) -> Vec<Job> {
        let hung = |job: &Job| job.started.is_some_and(|started| started.elapsed() > limit);
        self.jobs.extract_if(|_, job| hung(job)).map(|(_, job)| job).collect()
    }

    fn keep(&mut self, product: &Arc<ProducedBlock>, budget: usize) {
        self.cache.push_back(Arc::clone(product));
        self.cached_bytes = self.cached_bytes.saturating_add(product.entry.bytes());
        while self.cached_bytes > budget
            && let Some(oldest) = self.cache.pop_front()
        {
            self.cached_bytes = self.cached_bytes.saturating_sub(oldest.entry.bytes());
        }
    }
}

impl Job {
    fn answer(&self, result: &Result<Arc<ProducedBlock>, JobError>) {
        for reply in &self.replies {
            // The caller may be gone.
            let _ = reply.send(Produced { block: self.block, result: result.clone() });
        }
    }
}

#[cfg(test)]
mod tests;
