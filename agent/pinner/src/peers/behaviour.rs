//! What the node speaks with its peers, and over what.

use super::{
    options::{PeerOptions, PeersError, with_id},
    stream,
};
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder,
    connection_limits::{self, ConnectionLimits},
    identify,
    identity::Keypair,
    kad::{
        self,
        store::{MemoryStore, MemoryStoreConfig},
    },
    noise, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, yamux,
};
use std::time::Duration;

/// How long a connection stays open without streams.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The most connections of one peer: two that dial each other at once have two.
const PER_PEER: u32 = 4;

/// The most connections that are being set up, in each direction.
const PENDING: u32 = 64;

/// The most connections that this node opens.
const OUTGOING: u32 = 128;

/// The most keys for which providers are remembered, our own pins included.
const PROVIDED_KEYS: usize = 200_000;

/// How long a provider's record is kept, as in Kubo.
const PROVIDER_TTL: Duration = Duration::from_secs(48 * 60 * 60);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: stream::Behaviour,
    pub(crate) kad: Toggle<kad::Behaviour<MemoryStore>>,
}

/// Sets up a swarm that does not listen yet.
pub(crate) fn swarm(
    key: Keypair,
    options: &PeerOptions,
    streams: stream::Behaviour,
) -> Result<Swarm<Behaviour>, PeersError> {
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits(options)),
        identify: identify::Behaviour::new(
            identify::Config::new("ipfs/0.1.0".to_owned(), key.public())
                .with_agent_version(concat!("bsp-pinner/", env!("CARGO_PKG_VERSION")).to_owned()),
        ),
        ping: ping::Behaviour::default(),
        streams,
        kad: kademlia(key.public().to_peer_id(), options)?.into(),
    };
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(|error| PeersError::transport(&error))?
        .with_quic()
        .with_dns()
        .map_err(|error| PeersError::transport(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| PeersError::transport(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    for address in &options.external {
        swarm.add_external_address(address.clone());
    }
    Ok(swarm)
}

fn limits(options: &PeerOptions) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING))
        .with_max_pending_outgoing(Some(PENDING))
        .with_max_established_incoming(Some(options.max_incoming))
        .with_max_established_outgoing(Some(OUTGOING))
        .with_max_established_per_peer(Some(PER_PEER))
}

fn kademlia(
    id: PeerId,
    options: &PeerOptions,
) -> Result<Option<kad::Behaviour<MemoryStore>>, PeersError> {
    let Some(dht) = &options.dht else { return Ok(None) };
    let protocol = StreamProtocol::try_from_owned(dht.protocol.clone())
        .map_err(|_| PeersError::Protocol(dht.protocol.clone()))?;
    let mut config = kad::Config::new(protocol);
    // Pins are announced again by a task of its own, which knows what is pinned by then.
    config.set_provider_publication_interval(None).set_provider_record_ttl(Some(PROVIDER_TTL));
    // Providers alone are kept, no values.
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_provided_keys: PROVIDED_KEYS,
        ..MemoryStoreConfig::default()
    };
    let store = MemoryStore::with_config(id, store);
    let mut kad = kad::Behaviour::with_config(id, store, config);
    // Who listens answers others, too.
    let serves = !options.listen.is_empty();
    kad.set_mode(Some(if serves { kad::Mode::Server } else { kad::Mode::Client }));
    for address in &dht.bootstrap {
        let (id, address) = with_id(address)?;
        kad.add_address(&id, address);
    }
    Ok(Some(kad))
}
