use super::*;
use crate::{
    chain::{ChainError, DeliverAt, ProduceError},
    target::Entry,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Produces what it is asked for, once it may.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    produced: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Chain for Gate {
    fn tip(&self, _: DeliverAt) -> Result<Option<BlockNumHash>, ChainError> {
        Ok(None)
    }

    fn finalized(&self) -> Result<Option<BlockNumHash>, ChainError> {
        Ok(None)
    }

    fn hash_at(&self, _: u64) -> Result<Option<B256>, ChainError> {
        Ok(None)
    }

    fn produce(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError> {
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
        self.produced.fetch_add(1, Ordering::SeqCst);
        let number = if block.number == 13 { 0 } else { block.number };
        Ok(ProducedBlock {
            parent: B256::ZERO,
            entry: Entry {
                hash: block.hash,
                number,
                replica: Bytes::from_static(&[0; 10]),
                supplement: None,
            },
            gas_used: 0,
            transactions: 0,
            capture_time: Duration::ZERO,
            encode_time: Duration::ZERO,
        })
    }
}

fn block(number: u64) -> BlockNumHash {
    BlockNumHash { number, hash: B256::with_last_byte(number as u8) }
}

fn start(workers: usize, cache: usize) -> (Arc<Gate>, Pool) {
    let gate = Arc::new(Gate::default());
    let pool = Pool::start(Arc::clone(&gate) as _, workers, cache).unwrap();
    (gate, pool)
}

fn ask(pool: &Pool, number: u64, urgent: bool) -> UnboundedReceiver<Produced> {
    let (sender, receiver) = unbounded_channel();
    pool.request(block(number), urgent, &sender);
    receiver
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_block_is_produced_once_for_all_who_ask() {
    let (gate, pool) = start(2, 100);
    let mut early = [ask(&pool, 1, false), ask(&pool, 1, true)];
    gate.open();
    for receiver in &mut early {
        assert_eq!(receiver.blocking_recv().unwrap().result.unwrap().entry.number, 1);
    }
    // Later ones get what is kept.
    assert!(ask(&pool, 1, false).blocking_recv().unwrap().result.is_ok());
    assert_eq!(gate.produced.load(Ordering::SeqCst), 1);
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let (gate, pool) = start(1, 25);
    gate.open();
    for number in [1, 2, 3, 3, 2, 1] {
        assert!(ask(&pool, number, false).blocking_recv().unwrap().result.is_ok());
    }
    assert_eq!(gate.produced.load(Ordering::SeqCst), 4);
}

#[test]
fn the_tip_goes_before_the_backlog() {
    let (gate, pool) = start(1, 0);
    let (sender, mut receiver) = unbounded_channel();
    pool.request(block(1), false, &sender);
    wait_until(|| pool.shared.lock().jobs[&block(1).hash].started.is_some());
    pool.request(block(2), false, &sender);
    pool.request(block(90), true, &sender);
    gate.open();
    let order = [(); 3].map(|()| receiver.blocking_recv().unwrap().block.number);
    assert_eq!(order, [1, 90, 2]);
}

#[test]
fn what_nobody_waits_for_is_not_begun() {
    let (gate, pool) = start(1, 0);
    let mut first = ask(&pool, 1, false);
    wait_until(|| pool.shared.lock().jobs[&block(1).hash].started.is_some());
    drop(ask(&pool, 2, false));
    let mut third = ask(&pool, 3, false);
    gate.open();
    assert!(first.blocking_recv().unwrap().result.is_ok());
    assert!(third.blocking_recv().unwrap().result.is_ok());
    assert_eq!(gate.produced.load(Ordering::SeqCst), 2);
    assert!(pool.shared.lock().jobs.is_empty());
}

#[test]
fn another_block_than_was_asked_for_fails_its_check() {
    let (gate, pool) = start(1, 0);
    gate.open();
    let error = ask(&pool, 13, false).blocking_recv().unwrap().result.unwrap_err();
    assert!(matches!(error, JobError::Produce(ProduceError::Mismatch { .. })), "{error}");
}

#[test]
fn a_thread_that_hangs_is_replaced_and_ends_when_it_comes_back() {
    let (gate, pool) = start(1, 0);
    let mut waiting = ask(&pool, 1, false);
    wait_until(|| pool.shared.lock().jobs[&block(1).hash].started.is_some());
    wait_until(|| {
        pool.give_up_after(Duration::from_millis(1));
        !waiting.is_empty()
    });
    let error = waiting.blocking_recv().unwrap().result.unwrap_err();
    assert!(matches!(error, JobError::Hung { .. }), "{error}");
    assert_eq!(pool.shared.lock().threads, 2);
    gate.open();
    assert!(ask(&pool, 2, false).blocking_recv().unwrap().result.is_ok());
    wait_until(|| pool.shared.lock().threads == 1);
    assert!(pool.close(Duration::from_secs(30)));
}
