//! What a pinner has still to be given, when others were enough for the proof.

use crate::{
    pin::{Content, PinError, Pinner},
    retry::{GivenUp, Retry},
};
use bytes::Bytes;
use cid::Cid;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// Contents that may wait for one pinner.
const MOST_WAITING: usize = 100_000;

/// Bytes that are held in memory for it, where no other pinner of this process has them.
const MOST_BYTES: usize = 64 << 20;

/// A content that waits.
#[derive(Debug)]
pub(super) struct Late {
    name: String,
    cid: Cid,
    /// `None` if a pinner of this process gives them back.
    bytes: Option<Bytes>,
}

impl From<Content> for Late {
    fn from(Content { name, cid, bytes }: Content) -> Self {
        Self { name, cid, bytes: Some(bytes) }
    }
}

/// The queue of one pinner, and the task that works on it.
#[derive(Debug)]
pub(super) struct Behind {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pinner: Arc<dyn Pinner>,
    /// Gives contents back without asking anybody else.
    local: Option<Arc<dyn Pinner>>,
    waiting: Mutex<VecDeque<Late>>,
    bytes: AtomicUsize,
    more: Notify,
    retry: Retry,
}

impl Behind {
    pub(super) fn start(
        pinner: Arc<dyn Pinner>,
        local: Option<Arc<dyn Pinner>>,
        retry: Retry,
    ) -> Self {
        let (waiting, more) = (Mutex::default(), Notify::new());
        let shared = Shared { pinner, local, waiting, bytes: AtomicUsize::new(0), more, retry };
        let shared = Arc::new(shared);
        let (alarms, work) = (shared.retry.alarms.clone(), Arc::clone(&shared).work());
        tokio::spawn(alarms.guard("the task that pins what is behind", work));
        Self { shared }
    }

    /// Takes a content for later. What is too much is left out, and told.
    pub(super) fn add(&self, mut late: Late) {
        let shared = &self.shared;
        if shared.local.is_some() {
            late.bytes = None;
        }
        let size = late.bytes.as_ref().map_or(0, Bytes::len);
        let mut waiting = shared.waiting();
        if waiting.len() >= MOST_WAITING || shared.bytes.load(Ordering::Relaxed) + size > MOST_BYTES
        {
            metrics::counter!("agent_pins_left_out_total").increment(1);
            let (name, cid) = (&late.name, late.cid);
            tracing::warn!(segment = %name, %cid, "Too much waits for {}; it does not get this one", shared.pinner.name());
            return;
        }
        shared.bytes.fetch_add(size, Ordering::Relaxed);
        metrics::gauge!("agent_pins_behind").increment(1);
        waiting.push_back(late);
        shared.more.notify_one();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Late>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: Arc<Self>) {
        while !self.retry.stop.is_cancelled() {
            let Some(late) = self.waiting().pop_front() else {
                tokio::select! {
                    () = self.more.notified() => {}
                    () = self.retry.stop.cancelled() => {}
                }
                continue;
            };
            self.catch_up(&late).await;
            self.bytes.fetch_sub(late.bytes.as_ref().map_or(0, Bytes::len), Ordering::Relaxed);
            metrics::gauge!("agent_pins_behind").decrement(1);
        }
        let left = self.waiting().len();
        if left > 0 {
            let pinner = self.pinner.name();
            tracing::warn!(segments = left, %pinner, "The pinner does not get these segments: the agent ends");
        }
    }

    async fn catch_up(&self, late: &Late) {
        let what = format!("pinning {}, which is proved", late.name);
        let done = self.retry.until_done(what, || self.pin(late)).await;
        if let Err(GivenUp::Final(error)) = done {
            super::tell_refusal(&self.retry, &late.name, &error);
        }
    }

    async fn pin(&self, late: &Late) -> Result<(), PinError> {
        let bytes = match (&late.bytes, &self.local) {
            (Some(bytes), _) => Some(bytes.clone()),
            (None, Some(local)) => local.local_content(&late.cid).await?,
            (None, None) => None,
        };
        let bytes = bytes.ok_or_else(|| PinError::Gone { cid: Box::new(late.cid) })?;
        self.pinner.pin(&Content { name: late.name.clone(), cid: late.cid, bytes }).await
    }
}
