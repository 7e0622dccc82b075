//! The store in the agent's data folder.

mod takeover;

pub use takeover::{TakenOver, TakeoverError, take_over};

use super::{Content, PinError, Pinner, measured};
use crate::blocking::on_disk;
use async_trait::async_trait;
use bsp_pinner::{
    Cid,
    store::{NewPin, Store, StoreError},
};
use bytes::Bytes;
use std::io::{self, Read};

/// The longest content that is read back as a whole.
const MAX_CONTENT: u64 = 1 << 30;

/// A store as the agent's pinner.
#[derive(Debug, Clone)]
pub struct EmbeddedPinner {
    store: Store,
    shown: String,
}

impl EmbeddedPinner {
    /// A store that is open, and what to call it: its folder.
    pub fn new(store: Store, folder: &std::path::Path) -> Self {
        Self { store, shown: format!("pins in {}", folder.display()) }
    }

    /// The store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    async fn import(&self, content: &Content) -> Result<(), PinError> {
        let (store, given) = (self.store.clone(), content.clone());
        let pin = self.run(move || {
            let mut import = store.import();
            import.update(&given.bytes)?;
            import.finish(NewPin { name: given.name, ..NewPin::default() })
        });
        let root = pin.await?.root;
        if root == content.cid {
            return Ok(());
        }
        let (computed, returned) = (Box::new(content.cid), root.to_string());
        Err(PinError::OtherCid { pinner: self.name(), computed, returned })
    }

    /// Does something with the store, away from the runtime's threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PinError> {
        on_disk(work)
            .await
            .map_err(|error| PinError::Temporary { pinner: self.name(), reason: error.to_string() })
    }
}

#[async_trait]
impl Pinner for EmbeddedPinner {
    fn name(&self) -> String {
        self.shown.clone()
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.import(content)).await
    }

    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let (store, content) = (self.store.clone(), content.clone());
        self.run(move || holds(&store, &content)).await
    }

    async fn check(&self) -> Result<String, PinError> {
        let store = self.store.clone();
        let usage = self.run(move || store.usage()).await?;
        Ok(format!("{}: {} segments of {} MiB", self.name(), usage.pins, usage.disk_bytes >> 20))
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn local_content(&self, cid: &Cid) -> Result<Option<Bytes>, PinError> {
        let (store, cid) = (self.store.clone(), *cid);
        let read = move || {
            let Some(file) = store.file(&cid)? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(MAX_CONTENT).read_to_end(&mut bytes)?;
            Ok(Some(bytes.into()))
        };
        self.run(read).await
    }

    async fn confirm(&self, cid: &Cid) -> Result<(), PinError> {
        let (store, cid) = (self.store.clone(), *cid);
        self.run(move || store.confirm(&cid)).await.map(drop)
    }
}

/// Whether a pin holds exactly this content, and all of it can be read.
fn holds(store: &Store, content: &Content) -> Result<bool, StoreError> {
    if store.pinned(&content.cid)?.is_none() {
        return Ok(false);
    }
    match store.file(&content.cid) {
        Ok(Some(mut file)) => Ok(has_bytes(&mut file, &content.bytes)),
        Ok(None) | Err(StoreError::Missing(_) | StoreError::Damaged(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a reader gives exactly these bytes. One that fails does not.
fn has_bytes(reader: &mut impl Read, expected: &[u8]) -> bool {
    let mut piece = vec![0; 64 << 10];
    let mut rest = expected;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return rest.is_empty(),
            Ok(len) => match piece.get(..len).and_then(|read| rest.strip_prefix(read)) {
                Some(left) => rest = left,
                None => return false,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::test_server::content;
    use bsp_pinner::store::{PinState, StoreOptions};

    fn open(folder: &std::path::Path) -> EmbeddedPinner {
        let store = Store::open(folder, StoreOptions::default()).unwrap();
        EmbeddedPinner::new(store, folder)
    }

    #[tokio::test]
    async fn content_is_pinned_given_back_and_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let pins = folder.path().join("pins");
        let pinner = open(&pins);
        for len in [0, 1, 262_144, 700_000] {
            let content = content(len);
            assert!(!pinner.holds(&content).await.unwrap(), "{len}");
            assert_eq!(pinner.local_content(&content.cid).await.unwrap(), None);
            pinner.pin(&content).await.unwrap();
            pinner.pin(&content).await.unwrap();
            assert!(pinner.holds(&content).await.unwrap(), "{len}");
            let back = pinner.local_content(&content.cid).await.unwrap();
            assert_eq!(back, Some(content.bytes.clone()));
            let pin = pinner.store().pinned(&content.cid).unwrap().unwrap();
            assert_eq!((pin.name, pin.state), (content.name, PinState::Unconfirmed));
            pinner.confirm(&content.cid).await.unwrap();
            let pin = pinner.store().pinned(&content.cid).unwrap().unwrap();
            assert_eq!(pin.state, PinState::Confirmed);
        }
        assert!(pinner.check().await.unwrap().contains("4 segments"));
        drop(pinner);
        let pinner = open(&pins);
        assert!(pinner.holds(&content(700_000)).await.unwrap(), "after another start");
        pinner.store().unpin(&content(700_000).cid).unwrap();
        assert!(!pinner.holds(&content(700_000)).await.unwrap());
    }

    #[tokio::test]
    async fn another_cid_than_the_contents_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let pinner = open(&folder.path().join("pins"));
        let wrong = Content { cid: content(1).cid, ..content(2) };
        let error = pinner.pin(&wrong).await.unwrap_err();
        assert!(matches!(error, PinError::OtherCid { .. }), "{error:?}");
    }
}
