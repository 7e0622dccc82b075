//! A folder of chunk files: the `file://` target of bsp-geth v2.2.0, see [`bsp_codec::chunk`].

mod repair;
mod writer;

use crate::{Entry, Target, TargetError, TargetHealth, TargetUrl, outage::Outage};
use async_trait::async_trait;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::sync::CancellationToken;
use writer::{AppendError, ChunkWriter};

/// Appends to the chunk files of a folder, each batch synced.
///
/// It differs from bsp-geth v2.2.0 where that loses data: a session never takes the name of one that was, so
/// no file is ever truncated; what a crash left behind of a record is cut off before anything new is
/// written; and one process at a time writes to a folder.
#[derive(Debug)]
pub struct FileTarget {
    name: String,
    writer: Arc<Mutex<ChunkWriter>>,
    stop: CancellationToken,
    health: TargetHealth,
}

impl FileTarget {
    /// Opens a folder, makes it if it is not there, and begins a session with its first chunk.
    ///
    /// # Errors
    ///
    /// [`TargetError::Refused`], if the folder can't be made or written, or another process writes to it.
    pub fn open(folder: &Path, stop: CancellationToken) -> Result<Self, TargetError> {
        let name = TargetUrl::File(folder.to_owned()).to_string();
        match ChunkWriter::open(folder) {
            Ok(writer) => {
                let (writer, health) = (Arc::new(Mutex::new(writer)), TargetHealth::default());
                Ok(Self { name, writer, stop, health })
            }
            Err(error) => Err(TargetError::Refused { target: name, reason: error.to_string() }),
        }
    }
}

#[async_trait]
impl Target for FileTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let mut outage = Outage::new(&self.name, &self.stop, &self.health);
        while !batch.is_empty() {
            let (writer, entries) = (Arc::clone(&self.writer), batch.to_vec());
            let append =
                move || writer.lock().unwrap_or_else(PoisonError::into_inner).append(&entries);
            match tokio::task::spawn_blocking(append).await {
                Ok(Ok(())) => break,
                Ok(Err(AppendError::Io(error))) => outage.wait(&error).await?,
                Ok(Err(error @ AppendError::Entry { .. })) => {
                    let (target, reason) = (self.name.clone(), error.to_string());
                    return Err(TargetError::Refused { target, reason });
                }
                // The runtime is shutting down.
                Err(_) => return Err(outage.stopped()),
            }
        }
        outage.end();
        Ok(())
    }

    fn health(&self) -> TargetHealth {
        self.health.clone()
    }
}

#[cfg(test)]
mod tests;
