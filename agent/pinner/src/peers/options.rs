//! Settings of the node, and what can be wrong with them.

use bsp_common::text::with_causes;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::{io, path::PathBuf, time::Duration};

/// How the node meets peers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerOptions {
    /// The file with the node's key. It is made if it is not there; its folder must be.
    pub key_file: PathBuf,
    /// Where to listen, such as `/ip4/0.0.0.0/tcp/4001` and `/ip4/0.0.0.0/udp/4001/quic-v1`.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which others reach this node, where they differ from `listen`.
    pub external: Vec<Multiaddr>,
    /// Peers to stay connected to, each an address that ends with `/p2p/ID`.
    pub peers: Vec<Multiaddr>,
    /// The most connections that others may open to this node.
    pub max_incoming: u32,
    /// Finding providers through a distributed hash table; `None` for not at all.
    pub dht: Option<DhtOptions>,
    /// What peers are given time for. Tests have less of it.
    pub(crate) deadlines: Deadlines,
}

/// How long things may take that depend on a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// A message that comes, once its length is there.
    pub(crate) message: Duration,
    /// An answer of about a megabyte that the peer is to read.
    pub(crate) answer: Duration,
    /// Until it is looked up whether a block is here now that a peer wanted earlier.
    pub(crate) unmet: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            message: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            unmet: Duration::from_secs(5),
        }
    }
}

/// How the node takes part in a Kademlia table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DhtOptions {
    /// The name of its protocol. A group of operators may have one of its own.
    pub protocol: String,
    /// Where to begin, each an address that ends with `/p2p/ID`.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to announce what is pinned, by the roots alone, and how often to repeat it.
    pub provide: Option<Duration>,
}

impl PeerOptions {
    /// Options with a key and nothing else: the node listens nowhere and has no peers.
    pub fn new(key_file: impl Into<PathBuf>) -> Self {
        Self {
            key_file: key_file.into(),
            listen: Vec::new(),
            external: Vec::new(),
            peers: Vec::new(),
            max_incoming: 128,
            dht: None,
            deadlines: Deadlines::default(),
        }
    }
}

impl Default for DhtOptions {
    fn default() -> Self {
        Self { protocol: "/ipfs/kad/1.0.0".to_owned(), bootstrap: Vec::new(), provide: None }
    }
}

/// Why the node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeersError {
    /// The key can't be read or made.
    #[error("the key of the node in {}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// An address does not say which peer is there.
    #[error("the address {0} does not end with /p2p/ID, the peer's identity")]
    Address(Multiaddr),
    /// The protocol of the table has no valid name.
    #[error("the protocol {0} of the distributed hash table does not begin with /")]
    Protocol(String),
    /// A transport can't be set up.
    #[error("{0}")]
    Transport(String),
    /// Nothing can listen there.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: Multiaddr,
        /// What went wrong.
        reason: String,
    },
}

impl PeersError {
    pub(crate) fn transport(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Transport(with_causes(error))
    }
}

/// An address and the peer that is there.
pub(crate) fn with_id(address: &Multiaddr) -> Result<(PeerId, Multiaddr), PeersError> {
    match address.iter().last() {
        Some(Protocol::P2p(id)) => Ok((id, address.clone())),
        _ => Err(PeersError::Address(address.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_peer_ends_with_its_identity() {
        let id = PeerId::random();
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/4001/p2p/{id}").parse().unwrap();
        assert_eq!(with_id(&address).unwrap(), (id, address));
        let address = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
        assert!(matches!(with_id(&address), Err(PeersError::Address(_))));
    }
}
