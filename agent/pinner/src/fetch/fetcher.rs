//! Asks the sources one after the other, checks what they give, and walks DAGs.

use super::{BlockSource, FetchError, SourceError};
use crate::{
    dag,
    store::{MAX_BLOCK_LEN, NewPin, Pin, Store, StoreError},
};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::HashSet,
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task, time::timeout};
use tracing::debug;

/// What a fetch may take before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchLimits {
    /// The most blocks of a DAG, each counted once.
    pub blocks: usize,
    /// The most levels of blocks below a root.
    pub depth: usize,
    /// The most bytes of a DAG, each block counted once.
    pub bytes: u64,
    /// How many blocks are asked for at once, by all callers together.
    pub concurrency: usize,
    /// How long a source may take for a block.
    pub per_block: Duration,
    /// How long a DAG may take.
    pub per_dag: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            blocks: 65_536,
            depth: 32,
            bytes: 1 << 30,
            concurrency: 16,
            per_block: Duration::from_secs(30),
            per_dag: Duration::from_secs(12 * 60),
        }
    }
}

/// Brings blocks into a store from the sources that are asked in their order. Clones share the
/// bound on what is asked for at once.
#[derive(Debug, Clone)]
pub struct Fetcher {
    store: Store,
    sources: Arc<[Arc<dyn BlockSource>]>,
    limits: FetchLimits,
    permits: Arc<Semaphore>,
}

/// Blocks of so many bytes together are put into the store in one call.
const BATCH_BYTES: usize = 4 << 20;

impl Fetcher {
    /// A fetcher for a store, with sources in the order in which they are asked: peers first.
    pub fn new(store: Store, sources: Vec<Arc<dyn BlockSource>>, limits: FetchLimits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        Self { store, sources: sources.into(), limits, permits }
    }

    /// Whether there is anyone to ask.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// One block, from the store or else from the first source that gives the right one. It is not
    /// put into the store.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn block(&self, cid: &Cid) -> Result<Bytes, FetchError> {
        Ok(self.find(cid, &AtomicUsize::new(0)).await?.0)
    }

    /// Brings the DAG under a root into the store, where garbage collection takes it after a while
    /// if nobody pins it. What is in the store already is not asked for.
    ///
    /// # Errors
    ///
    /// [`FetchError`]. What came until then stays in the store for as long.
    pub async fn bring(&self, root: &Cid) -> Result<(), FetchError> {
        let after = self.limits.per_dag;
        let walked = timeout(after, Walk::new(self, root).run()).await;
        walked.map_err(|_| FetchError::TimedOut { root: Box::new(*root), after })?
    }

    /// Brings the DAG under a root into the store and pins it.
    ///
    /// # Errors
    ///
    /// As for [`bring`](Self::bring).
    pub async fn dag(&self, root: &Cid, pin: NewPin) -> Result<Pin, FetchError> {
        self.bring(root).await?;
        let (store, root) = (self.store.clone(), *root);
        Ok(on_disk(move || store.pin(&root, pin)).await?)
    }

    /// A block, and whether it came from the store. `first` is the source to begin with: the one
    /// that had the last block, which spares asking the others for each.
    async fn find(&self, cid: &Cid, first: &AtomicUsize) -> Result<(Bytes, bool), FetchError> {
        if !dag::is_supported(cid) {
            return Err(StoreError::UnsupportedCid(Box::new(*cid)).into());
        }
        let (store, stored) = (self.store.clone(), *cid);
        if let Some(block) = on_disk(move || store.block(&stored)).await? {
            return Ok((block, true));
        }
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let mut tried = Vec::new();
        let begin = first.load(Ordering::Relaxed);
        let order = (begin..self.sources.len()).chain(0..begin.min(self.sources.len()));
        for index in order {
            match self.ask(&self.sources[index], cid).await {
                Ok(block) => {
                    first.store(index, Ordering::Relaxed);
                    return Ok((block, false));
                }
                Err(error) => {
                    debug!(target: "bsp::pinner", %cid, %error, "A source does not give a block");
                    tried.push(error);
                }
            }
        }
        let cid = Box::new(*cid);
        let absent = tried.iter().all(|error| matches!(error, SourceError::NotFound { .. }));
        Err(if absent {
            FetchError::NotFound { cid, tried }
        } else {
            FetchError::Unavailable { cid, tried }
        })
    }

    async fn ask(&self, source: &Arc<dyn BlockSource>, cid: &Cid) -> Result<Bytes, SourceError> {
        let limit = self.limits.per_block;
        let failed = |reason: String| SourceError::Failed { from: source.name(), reason };
        let block = timeout(limit, source.block(cid))
            .await
            .map_err(|_| failed(format!("no answer within {} seconds", limit.as_secs())))??;
        if block.len() > MAX_BLOCK_LEN {
            return Err(failed(format!("a block of {} bytes", block.len())));
        }
        let (named, bytes) = (*cid, block.clone());
        // A panic of the check is no proof that the block is right.
        if task::spawn_blocking(move || dag::names(&named, &bytes)).await.unwrap_or(false) {
            Ok(block)
        } else {
            Err(failed("a block that does not hash to the CID".to_owned()))
        }
    }
}

/// A block that is asked for, or that came.
struct Visit<T> {
    cid: Cid,
    depth: usize,
    block: T,
}

type Coming<'a> = BoxFuture<'a, Result<Visit<(Bytes, bool)>, FetchError>>;

/// One DAG on its way.
struct Walk<'a> {
    fetcher: &'a Fetcher,
    root: Cid,
    first_source: Arc<AtomicUsize>,
    seen: HashSet<Cid>,
    /// What is still to be asked for, the next last: depth first, so that it stays short.
    pending: Vec<Visit<()>>,
    bytes: u64,
    /// What came and is not in the store yet.
    batch: Vec<(Cid, Bytes)>,
    batch_bytes: usize,
}

impl<'a> Walk<'a> {
    fn new(fetcher: &'a Fetcher, root: &Cid) -> Self {
        Self {
            fetcher,
            root: *root,
            first_source: Arc::default(),
            seen: HashSet::from([*root]),
            pending: vec![Visit { cid: *root, depth: 0, block: () }],
            bytes: 0,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    async fn run(mut self) -> Result<(), FetchError> {
        let mut coming = FuturesUnordered::new();
        loop {
            while coming.len() < self.fetcher.limits.concurrency.max(1) {
                let Some(visit) = self.pending.pop() else { break };
                coming.push(self.ask(visit));
            }
            let Some(visit) = coming.next().await else { break };
            self.take(visit?)?;
            if self.batch_bytes >= BATCH_BYTES {
                self.keep_batch().await?;
            }
        }
        self.keep_batch().await
    }

    fn ask(&self, Visit { cid, depth, .. }: Visit<()>) -> Coming<'a> {
        let (fetcher, first) = (self.fetcher, self.first_source.clone());
        async move {
            let block = fetcher.find(&cid, &first).await?;
            Ok(Visit { cid, depth, block })
        }
        .boxed()
    }

    fn take(&mut self, visit: Visit<(Bytes, bool)>) -> Result<(), FetchError> {
        let limits = &self.fetcher.limits;
        let (block, stored) = visit.block;
        self.bytes = self.bytes.saturating_add(block.len() as u64);
        if self.bytes > limits.bytes {
            return Err(self.too_large(format!("{} bytes", limits.bytes)));
        }
        for link in dag::links(&visit.cid, &block)? {
            if visit.depth >= limits.depth {
                return Err(self.too_large(format!("{} levels", limits.depth)));
            }
            if self.seen.insert(link) {
                self.pending.push(Visit { cid: link, depth: visit.depth + 1, block: () });
            }
            if self.seen.len() > limits.blocks {
                return Err(self.too_large(format!("{} blocks", limits.blocks)));
            }
        }
        if !stored {
            self.batch_bytes += block.len();
            self.batch.push((visit.cid, block));
        }
        Ok(())
    }

    fn too_large(&self, limit: String) -> FetchError {
        FetchError::TooLarge { root: Box::new(self.root), limit }
    }

    async fn keep_batch(&mut self) -> Result<(), FetchError> {
        let batch = mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if !batch.is_empty() {
            let store = self.fetcher.store.clone();
            on_disk(move || store.put_blocks(&batch)).await?;
        }
        Ok(())
    }
}

/// Runs what waits for the disk on a thread that may.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
}
