//! Streams of bitswap over libp2p's connections: opened on request, and taken from peers up to a
//! number a connection.
//!
//! `libp2p-stream` would do, but it drops a stream that comes while the one before is not yet
//! taken, and Kubo answers over many streams at once.

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{
            ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
        },
    },
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The one protocol that is spoken.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// The most streams of a connection that are read at once. Kubo answers over eight.
const STREAMS_PER_CONNECTION: usize = 16;

/// A stream that a peer has opened; it counts against the connection's until it is dropped.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) peer: PeerId,
    pub(crate) stream: Stream,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Why a stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the peer does not speak {PROTOCOL}")]
    Unsupported,
    #[error("the connection is lost, or the peer does not take a stream")]
    Lost,
}

type Opened = oneshot::Sender<Result<Stream, OpenError>>;

/// Asks for a stream to a peer; dropped without an answer where there is no connection.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(crate) peer: PeerId,
    pub(crate) opened: Opened,
}

#[derive(Debug)]
pub(crate) struct Behaviour {
    incoming: mpsc::UnboundedSender<Incoming>,
    requests: mpsc::Receiver<OpenRequest>,
}

impl Behaviour {
    /// `incoming` holds no more than [`STREAMS_PER_CONNECTION`] for each connection.
    pub(crate) const fn new(
        incoming: mpsc::UnboundedSender<Incoming>,
        requests: mpsc::Receiver<OpenRequest>,
    ) -> Self {
        Self { incoming, requests }
    }

    fn handler(&self, peer: PeerId) -> Handler {
        Handler {
            peer,
            incoming: self.incoming.clone(),
            permits: Arc::new(Semaphore::new(STREAMS_PER_CONNECTION)),
            to_open: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.requests.poll_recv(cx) {
            Poll::Ready(Some(OpenRequest { peer, opened })) => {
                Poll::Ready(ToSwarm::NotifyHandler {
                    peer_id: peer,
                    handler: NotifyHandler::Any,
                    event: opened,
                })
            }
            _ => Poll::Pending,
        }
    }
}

/// The streams of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    peer: PeerId,
    incoming: mpsc::UnboundedSender<Incoming>,
    permits: Arc<Semaphore>,
    to_open: VecDeque<Opened>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Opened;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Opened;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Opened, Infallible>> {
        let Some(opened) = self.to_open.pop_front() else { return Poll::Pending };
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), opened);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, opened: Opened) {
        self.to_open.push_back(opened);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, (), Opened>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                ..
            }) => {
                // Beyond the limit a stream is reset, which its opener notices.
                if let Ok(permit) = self.permits.clone().try_acquire_owned() {
                    let incoming = Incoming { peer: self.peer, stream, permit };
                    // Nobody takes streams any more only while the node stops.
                    let _ = self.incoming.send(incoming);
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: opened,
            }) => {
                let _ = opened.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: opened, error }) => {
                let _ = opened.send(Err(match error {
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    _ => OpenError::Lost,
                }));
            }
            _ => {}
        }
    }
}
