use super::*;
use crate::{
    fetch::{FetchLimits, Fetcher},
    store::{NewPin, Pin, StoreOptions},
};
use bsp_codec::dag::cid_of;
use tempfile::TempDir;

mod hostile;
mod stranger;
mod together;

/// A node of ours with its store.
struct Ours {
    _folder: TempDir,
    store: Store,
    peers: Peers,
}

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

impl Ours {
    async fn start(adjust: impl FnOnce(&mut PeerOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pins = folder.path().join("pins");
        std::fs::create_dir(&pins).unwrap();
        let store = Store::open(&pins, StoreOptions::default()).unwrap();
        let mut options = PeerOptions::new(folder.path().join("key"));
        options.listen = vec![TCP.parse().unwrap()];
        adjust(&mut options);
        let peers = Peers::start(store.clone(), &options).await.unwrap();
        Self { _folder: folder, store, peers }
    }

    /// A node that knows others from the start.
    async fn knowing(addresses: Vec<Multiaddr>) -> Self {
        Self::start(|options| options.peers = addresses).await
    }

    fn pin(&self, content: &[u8]) -> Pin {
        let mut import = self.store.import();
        import.update(content).unwrap();
        import.finish(NewPin::default()).unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        let sources: Vec<Arc<dyn BlockSource>> = vec![Arc::new(self.peers.clone())];
        Fetcher::new(self.store.clone(), sources, FetchLimits::default())
    }

    async fn until_connected(&self, peer: PeerId) {
        while !self.peers.connected().contains(&peer) {
            pause().await;
        }
    }

    async fn until_gone(&self, peer: PeerId) {
        while self.peers.connected().contains(&peer) {
            pause().await;
        }
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Bytes that no two parts have in common.
fn content(len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| at.to_le_bytes().iter().fold(at as u8, |sum, byte| sum ^ byte) ^ (at >> 13) as u8)
        .collect()
}
