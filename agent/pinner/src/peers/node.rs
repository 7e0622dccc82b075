//! The task that runs the node: connections, dialling, and what goes through the hash table.

use super::{
    behaviour::{Behaviour, BehaviourEvent},
    connected::Connected,
    redial::Redial,
    routing::Routing,
    stream::Incoming,
};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm, identify, ping,
    swarm::{
        SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

/// How often it is looked up which peers are to be dialled again.
const TICK: Duration = Duration::from_millis(250);

/// What the node is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close all connections to a peer.
    Disconnect(PeerId),
    /// Say where it listens.
    Addresses(oneshot::Sender<Vec<Multiaddr>>),
    /// Find providers of a multihash and connect to them; each is sent once it is connected.
    Find { multihash: Vec<u8>, found: mpsc::Sender<PeerId> },
    /// Announce that this node has a multihash; whether a peer was told.
    Provide { multihash: Vec<u8>, told: oneshot::Sender<bool> },
}

pub(crate) struct Node {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) connected: Arc<Connected>,
    pub(crate) redial: Redial,
    pub(crate) routing: Routing,
}

impl Node {
    /// Runs until the last handle is gone.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut incoming: mpsc::UnboundedReceiver<Incoming>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                event = self.swarm.select_next_some() => self.take(event),
                Some(command) = commands.recv() => self.obey(command),
                Some(incoming) = incoming.recv() => self.connected.take(incoming),
                _ = tick.tick() => self.dial_again(),
            }
        }
        self.connected.clear();
    }

    fn take(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. } => {
                if num_established.get() == 1 {
                    debug!(target: "bsp::pinner", peer = %peer_id, address = %endpoint.get_remote_address(), "A peer is connected");
                }
                self.connected.add(peer_id);
                self.redial.reached(peer_id);
                self.routing.reached(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
                debug!(target: "bsp::pinner", peer = %peer_id, cause, "A peer is gone");
                self.connected.remove(peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. }
                if !self.swarm.is_connected(&peer) =>
            {
                self.routing.missed(peer);
                if self.redial.missed(peer, Instant::now()) {
                    warn!(target: "bsp::pinner", %peer, %error, "A peer can't be reached; it is dialled again with growing pauses");
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                info!(target: "bsp::pinner", %address, peer = %self.swarm.local_peer_id(), "The node listens for peers");
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                warn!(target: "bsp::pinner", ?addresses, %error, "The node does not listen for peers there any more; restart it");
            }
            SwarmEvent::Behaviour(event) => self.take_behaviour(event),
            _ => {}
        }
    }

    fn take_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            // A peer that is silent holds its place no longer. One that does not speak the protocol
            // may.
            BehaviourEvent::Ping(ping::Event { peer, connection, result: Err(error) })
                if !matches!(error, ping::Failure::Unsupported) =>
            {
                debug!(target: "bsp::pinner", %peer, %error, "A peer does not answer; the connection is closed");
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.routing.met(&mut self.swarm, peer_id, &info);
            }
            BehaviourEvent::Kad(event) => self.routing.take(&mut self.swarm, event),
            _ => {}
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Disconnect(peer) => {
                // An error only says that it is gone already.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Addresses(told) => {
                let id = *self.swarm.local_peer_id();
                let addresses = self.swarm.listeners().chain(self.swarm.external_addresses());
                let addresses = addresses.filter_map(|address| address.clone().with_p2p(id).ok());
                let _ = told.send(addresses.collect());
            }
            Command::Find { multihash, found } => {
                self.routing.find(&mut self.swarm, &multihash, found);
            }
            Command::Provide { multihash, told } => {
                self.routing.provide(&mut self.swarm, &multihash, told);
            }
        }
    }

    fn dial_again(&mut self) {
        let swarm = &mut self.swarm;
        for (peer, addresses) in self.redial.due(Instant::now(), |peer| swarm.is_connected(peer)) {
            let dial = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses);
            // What fails at once is reported as an event, too.
            let _ = swarm.dial(dial.build());
        }
    }
}
