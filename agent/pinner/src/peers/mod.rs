//! A node of libp2p that gives blocks of the store to peers, and gets blocks from them, by bitswap.
//!
//! Peers are given by address, so a group of operators is a network of its own. A distributed hash
//! table is an option, and where it begins is a setting without a default.
//!
//! Peers are trusted with nothing. The memory that one can take is bounded: one message at a time
//! that it sends, one answer at a time that it does not read, and a number of wants. Who breaks the
//! protocol, sends what nobody asked for, or does not read what it asked for, is disconnected.

mod answers;
mod ask;
mod behaviour;
mod connected;
mod framing;
mod identity;
mod node;
mod options;
mod redial;
mod routing;
mod stream;
#[cfg(test)]
mod tests;
mod wants;

pub use libp2p::{Multiaddr, PeerId};
pub use options::{DhtOptions, PeerOptions, PeersError};

use crate::{
    fetch::{BlockSource, SourceError},
    store::Store,
};
use ask::Ask;
use bsp_codec::dag::Cid;
use bytes::Bytes;
use connected::{Connected, Peer};
use futures::StreamExt as _;
use libp2p::{Swarm, core::transport::ListenerId, swarm::SwarmEvent};
use node::{Command, Node};
use options::with_id;
use redial::Redial;
use routing::Routing;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// How long the node may take until it listens.
const LISTEN: Duration = Duration::from_secs(10);

/// A running node. Clones share it; when the last one is dropped it stops.
#[derive(Debug, Clone)]
pub struct Peers {
    shared: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    id: PeerId,
    connected: Arc<Connected>,
    commands: mpsc::Sender<Command>,
    has_dht: bool,
    /// Who gave the last block is asked for the next one.
    giver: Mutex<Option<PeerId>>,
    providing: Option<JoinHandle<()>>,
    /// Dropped, it stops the node.
    _stop: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(providing) = &self.providing {
            providing.abort();
        }
    }
}

impl Peers {
    /// Starts a node over a store. On return it listens.
    ///
    /// # Errors
    ///
    /// [`PeersError`].
    pub async fn start(store: Store, options: &PeerOptions) -> Result<Self, PeersError> {
        let path = &options.key_file;
        let key = identity::load_or_make(path)
            .map_err(|source| PeersError::Key { path: path.clone(), source })?;
        let id = key.public().to_peer_id();
        let peers: Vec<_> = options.peers.iter().map(with_id).collect::<Result<_, _>>()?;
        let (incoming, streams) = mpsc::unbounded_channel();
        let (open, requests) = mpsc::channel(64);
        let mut swarm = behaviour::swarm(key, options, stream::Behaviour::new(incoming, requests))?;
        listen(&mut swarm, &options.listen).await?;
        let (commands, to_obey) = mpsc::channel(64);
        let connected =
            Arc::new(Connected::new(store.clone(), options.deadlines, open, commands.clone()));
        let dht = options.dht.as_ref();
        let node = Node {
            swarm,
            connected: connected.clone(),
            redial: Redial::new(peers),
            routing: Routing::new(dht.map(|dht| dht.protocol.clone())),
        };
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(node.run(to_obey, streams, stopped));
        let providing = dht
            .and_then(|dht| dht.provide)
            .map(|interval| tokio::spawn(routing::provide_pins(store, commands.clone(), interval)));
        let running = Running {
            id,
            connected,
            commands,
            has_dht: dht.is_some(),
            giver: Mutex::default(),
            providing,
            _stop: stop,
        };
        Ok(Self { shared: Arc::new(running) })
    }

    /// By which peers know this node.
    pub fn id(&self) -> PeerId {
        self.shared.id
    }

    /// Where this node can be reached, as far as it knows; each ends with `/p2p/ID`.
    pub async fn addresses(&self) -> Vec<Multiaddr> {
        let (told, addresses) = oneshot::channel();
        let _ = self.shared.commands.send(Command::Addresses(told)).await;
        addresses.await.unwrap_or_default()
    }

    /// The peers that are connected, in no order.
    pub fn connected(&self) -> Vec<PeerId> {
        self.shared.connected.ids()
    }

    /// Announces to the distributed hash table that this node has what a CID names. Whether a peer
    /// was told; false without a table.
    pub async fn provide(&self, root: &Cid) -> bool {
        self.shared.has_dht && routing::announce(&self.shared.commands, root).await
    }

    /// The peers to ask, the one that gave the last block first.
    fn to_ask(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.shared.connected.speaking();
        let giver = *self.shared.giver.lock().unwrap_or_else(PoisonError::into_inner);
        peers.sort_by_key(|peer| Some(peer.id) != giver);
        peers
    }

    async fn ask(&self, cid: &Cid) -> Option<(PeerId, Bytes)> {
        let connected = &self.shared.connected;
        let mut ask = Ask::new(connected, cid)?;
        ask.ask(self.to_ask());
        let block = ask.wait().await;
        if block.is_some() || !self.shared.has_dht {
            return block;
        }
        let (found, mut providers) = mpsc::channel(32);
        let find = Command::Find { multihash: cid.hash().to_bytes(), found };
        self.shared.commands.send(find).await.ok()?;
        let mut searching = true;
        while searching || ask.is_open() {
            tokio::select! {
                block = ask.wait(), if ask.is_open() => if block.is_some() {
                    return block;
                },
                provider = providers.recv(), if searching => match provider {
                    Some(id) => {
                        ask.ask(connected.get(id).into_iter().collect());
                    }
                    None => searching = false,
                },
            }
        }
        None
    }
}

#[async_trait::async_trait]
impl BlockSource for Peers {
    fn name(&self) -> String {
        "peers".to_owned()
    }

    async fn block(&self, cid: &Cid) -> Result<Bytes, SourceError> {
        let Some((from, block)) = self.ask(cid).await else {
            return Err(SourceError::NotFound { from: self.name() });
        };
        *self.shared.giver.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
        Ok(block)
    }
}

/// Listens on all addresses, each of which must be usable.
async fn listen(
    swarm: &mut Swarm<behaviour::Behaviour>,
    addresses: &[Multiaddr],
) -> Result<(), PeersError> {
    let failed = |address: &Multiaddr, reason: String| PeersError::Listen {
        address: address.clone(),
        reason,
    };
    for address in addresses {
        let listener =
            swarm.listen_on(address.clone()).map_err(|error| failed(address, error.to_string()))?;
        match timeout(LISTEN, until_listening(swarm, listener)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(failed(address, reason)),
            Err(_) => return Err(failed(address, "it takes too long".to_owned())),
        }
    }
    Ok(())
}

async fn until_listening(
    swarm: &mut Swarm<behaviour::Behaviour>,
    listener: ListenerId,
) -> Result<(), String> {
    let mut closed = HashSet::new();
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, .. } if listener_id == listener => {
                return Ok(());
            }
            SwarmEvent::ListenerError { listener_id, error } if listener_id == listener => {
                return Err(error.to_string());
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                return Err(reason
                    .err()
                    .map_or_else(|| "closed".to_owned(), |error| error.to_string()));
            }
            // Nobody is known yet to whom a connection would belong.
            SwarmEvent::ConnectionEstablished { peer_id, .. } if closed.insert(peer_id) => {
                let _ = swarm.disconnect_peer_id(peer_id);
            }
            _ => {}
        }
    }
}
