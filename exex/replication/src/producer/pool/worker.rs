//! One thread of the pool.

use super::PoolShared;
use crate::{
    chain::{Chain, ProduceError, ProducedBlock},
    failpoint,
    producer::job_error::JobError,
};
use alloy_eips::BlockNumHash;
use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    thread,
};

/// Starts a thread that works until the pool is closed.
pub(super) fn start(shared: &Arc<PoolShared>) -> io::Result<()> {
    shared.lock().threads += 1;
    let worker = Worker(Arc::clone(shared));
    // The worker is dropped, and so counted out, if no thread can be started.
    thread::Builder::new().name("bsp-worker".to_owned()).spawn(move || worker.run()).map(drop)
}

struct Worker(Arc<PoolShared>);

impl Worker {
    fn run(&self) {
        while let Some((id, block)) = self.wait_for_job() {
            let result = produce(&*self.0.chain, block).map(Arc::new);
            self.0.metrics.note(&result);
            failpoint::hit("after_produce");
            if !self.hand_over(id, block, &result) {
                break;
            }
        }
    }

    fn wait_for_job(&self) -> Option<(u64, BlockNumHash)> {
        let mut state = self.0.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.next_job() {
                return Some(job);
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns whether there is still a place for this thread.
    fn hand_over(
        &self,
        id: u64,
        block: BlockNumHash,
        result: &Result<Arc<ProducedBlock>, JobError>,
    ) -> bool {
        let mut state = self.0.lock();
        if let Some(job) = state.finish(id, block.hash) {
            job.answer(result);
        }
        if let Ok(product) = result {
            state.keep(product, self.0.cache_budget);
        }
        !state.lost.remove(&id)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.0.changed.notify_all();
    }
}

/// A panic here would be the node's end.
fn produce(chain: &dyn Chain, block: BlockNumHash) -> Result<ProducedBlock, JobError> {
    let product = catch_unwind(AssertUnwindSafe(|| chain.produce(block))).map_err(|panic| {
        JobError::Panicked { number: block.number, message: panic_message(&*panic) }
    })??;
    if (product.entry.number, product.entry.hash) == (block.number, block.hash) {
        return Ok(product);
    }
    let reason = format!("block {} {} came instead", product.entry.number, product.entry.hash);
    Err(ProduceError::Mismatch { number: block.number, hash: block.hash, reason }.into())
}

/// What a panic says.
pub(in crate::producer) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
