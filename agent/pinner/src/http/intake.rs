//! Files on their way from requests into the store, in constant memory.

use super::problem::Problem;
use crate::store::{FileImport, NewPin, Pin, StoreError};
use bsp_codec::dag::{Cid, CidHasher};
use std::{mem, sync::Arc};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

/// Bytes that are handed to the disk's thread at once.
const BATCH_LEN: usize = 1 << 20;

/// What takes the pieces of a file.
pub(super) trait Sink: Send + Sized + 'static {
    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
}

impl Sink for FileImport {
    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.update(bytes)
    }
}

impl Sink for CidHasher {
    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.update(bytes);
        Ok(())
    }
}

/// A file of which pieces come. While one batch is hashed and written, the next one is received; no
/// thread waits for the sender.
#[derive(Debug)]
pub(super) struct Intake<S> {
    sink: Stage<S>,
    batch: Vec<u8>,
}

#[derive(Debug)]
enum Stage<S> {
    Ready(S),
    Busy(JoinHandle<Result<S, StoreError>>),
}

impl<S> Stage<S> {
    async fn ready(self) -> Result<S, Problem> {
        match self {
            Self::Ready(sink) => Ok(sink),
            Self::Busy(task) => Ok(task.await??),
        }
    }
}

impl<S: Sink> Intake<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { sink: Stage::Ready(sink), batch: Vec::new() }
    }

    /// Takes the next piece.
    pub(super) async fn take(mut self, piece: &[u8]) -> Result<Self, Problem> {
        self.batch.extend_from_slice(piece);
        if self.batch.len() < BATCH_LEN {
            return Ok(self);
        }
        self.hand_over().await
    }

    async fn hand_over(self) -> Result<Self, Problem> {
        let Self { sink, mut batch } = self;
        let mut sink = sink.ready().await?;
        let full = mem::take(&mut batch);
        let task = tokio::task::spawn_blocking(move || sink.take(&full).map(|()| sink));
        Ok(Self { sink: Stage::Busy(task), batch })
    }

    async fn end(self) -> Result<S, Problem> {
        let last = if self.batch.is_empty() { self } else { self.hand_over().await? };
        last.sink.ready().await
    }
}

impl Intake<FileImport> {
    /// Ends the file and pins it.
    pub(super) async fn pin(self, new: NewPin) -> Result<Pin, Problem> {
        let import = self.end().await?;
        super::problem::blocking(move || import.finish(new)).await
    }
}

impl Intake<CidHasher> {
    /// Ends the file.
    pub(super) async fn cid(self) -> Result<Cid, Problem> {
        Ok(self.end().await?.finish())
    }
}

/// Waits for a place among the uploads.
pub(super) async fn place(uploads: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    super::admission::place(uploads, "uploads").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::dag::cid_of;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn pieces_of_any_length_are_put_together(
            lens in proptest::collection::vec(0usize..900_000, 0..8),
        ) {
            let bytes = (0u32..).flat_map(u32::to_le_bytes);
            let whole: Vec<u8> = bytes.take(lens.iter().sum()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let cid = runtime.block_on(async {
                let mut intake = Intake::new(CidHasher::new());
                let mut rest = whole.as_slice();
                for len in lens {
                    let (piece, after) = rest.split_at(len);
                    intake = intake.take(piece).await.unwrap();
                    rest = after;
                }
                intake.cid().await.unwrap()
            });
            prop_assert_eq!(cid, cid_of(&whole));
        }
    }
}
