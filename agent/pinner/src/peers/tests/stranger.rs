//! A peer that a test moves by hand, message by message.

use super::*;
use crate::{
    bitswap::Message,
    peers::{
        framing::{read_body, read_len, write_message},
        stream::{Behaviour, Incoming, OpenRequest},
    },
};
use libp2p::{Stream, identity::Keypair};

pub(super) struct Stranger {
    pub(super) id: PeerId,
    open: mpsc::Sender<OpenRequest>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    /// The stream on which messages come; messages of others are dropped with their stream.
    reading: Option<Incoming>,
}

impl Stranger {
    /// Connected to a node of ours.
    pub(super) async fn at(node: &Ours) -> Self {
        let key = Keypair::generate_ed25519();
        let id = key.public().to_peer_id();
        let (taken, incoming) = mpsc::unbounded_channel();
        let (open, requests) = mpsc::channel(1);
        let options = PeerOptions::new("");
        let mut swarm = behaviour::swarm(key, &options, Behaviour::new(taken, requests)).unwrap();
        let [address] = node.peers.addresses().await.try_into().unwrap();
        swarm.dial(address).unwrap();
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        node.until_connected(id).await;
        Self { id, open, incoming, reading: None }
    }

    /// A stream to a node of ours.
    pub(super) async fn open(&self, node: &Ours) -> Stream {
        loop {
            let (opened, stream) = oneshot::channel();
            self.open.send(OpenRequest { peer: node.peers.id(), opened }).await.unwrap();
            // The node may know of the connection before we do.
            if let Ok(stream) = stream.await {
                return stream.unwrap();
            }
            pause().await;
        }
    }

    pub(super) async fn send(&self, node: &Ours, message: &Message) {
        let mut stream = self.open(node).await;
        write_message(&mut stream, message).await.unwrap();
        futures::AsyncWriteExt::close(&mut stream).await.unwrap();
    }

    /// The next message that our node sends, on whichever stream.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            let incoming = match &mut self.reading {
                Some(incoming) => incoming,
                None => self.reading.insert(self.incoming.recv().await.unwrap()),
            };
            if let Ok(Some(len)) = read_len(&mut incoming.stream).await {
                let body = read_body(&mut incoming.stream, len).await.unwrap();
                return Message::read(body).unwrap();
            }
            self.reading = None;
        }
    }

    /// A stream that our node opens, not read.
    pub(super) async fn unread(&mut self) -> Incoming {
        self.incoming.recv().await.unwrap()
    }
}
