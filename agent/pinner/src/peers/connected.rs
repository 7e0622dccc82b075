//! The peers that we are connected to, and the tasks that talk with each.

use super::{
    answers::{WantQueue, next_answer},
    framing::{FramingError, read_body, read_len, write_message},
    node::Command,
    options::Deadlines,
    stream::{Incoming, OpenError, OpenRequest},
    wants::Wants,
};
use crate::{
    bitswap::{Entry, MAX_MESSAGE_LEN, Message, MessageError},
    store::Store,
};
use futures::AsyncWriteExt as _;
use libp2p::{PeerId, Stream};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    task,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Memory for the messages that come in, of all peers together. A peer reads one message of the
/// greatest length at a time.
const INCOMING_BYTES: usize = 64 << 20;

/// How long a stream may be silent before it is closed.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// How long a stream may take to open.
const OPEN: Duration = Duration::from_secs(10);

/// How long a stream with our wants stays open when there are none.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of blocks that nobody wanted, in a row, after which a peer is left. Some come late, after
/// a want was cancelled.
const UNWANTED: u64 = 32 << 20;

/// The most changes of our wants that wait to be sent to a peer.
const PENDING_ENTRIES: usize = 1024;

/// What ends the connection to a peer.
#[derive(Debug, thiserror::Error)]
enum Violation {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("a message did not come to its end in time")]
    Slow,
    #[error("blocks that nobody wanted")]
    Unwanted,
}

/// All peers, and what their tasks share.
#[derive(Debug)]
pub(crate) struct Connected {
    store: Store,
    deadlines: Deadlines,
    pub(crate) wants: Wants,
    peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
    open: mpsc::Sender<OpenRequest>,
    commands: mpsc::Sender<Command>,
    incoming_bytes: Semaphore,
}

/// One peer, as long as there is a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    /// Whether it may speak bitswap, as far as is known.
    speaks: AtomicBool,
    stop: CancellationToken,
    asked_of_us: Mutex<WantQueue>,
    has_asked: Notify,
    entries: mpsc::Sender<Entry>,
    incoming_bytes: Semaphore,
    unwanted: AtomicU64,
}

impl Connected {
    pub(crate) fn new(
        store: Store,
        deadlines: Deadlines,
        open: mpsc::Sender<OpenRequest>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            store,
            deadlines,
            wants: Wants::default(),
            peers: Mutex::default(),
            open,
            commands,
            incoming_bytes: Semaphore::new(INCOMING_BYTES),
        }
    }

    /// Begins to talk with a peer.
    pub(crate) fn add(self: &Arc<Self>, id: PeerId) {
        let mut peers = self.peers();
        if peers.contains_key(&id) {
            return;
        }
        let (entries, to_send) = mpsc::channel(PENDING_ENTRIES);
        let peer = Arc::new(Peer {
            id,
            speaks: AtomicBool::new(true),
            stop: CancellationToken::new(),
            asked_of_us: Mutex::default(),
            has_asked: Notify::new(),
            entries,
            incoming_bytes: Semaphore::new(MAX_MESSAGE_LEN),
            unwanted: AtomicU64::new(0),
        });
        peers.insert(id, peer.clone());
        drop(peers);
        let (shared, this) = (self.clone(), peer.clone());
        tokio::spawn(peer.stop.clone().run_until_cancelled_owned(async move {
            shared.answer(&this).await;
        }));
        let (shared, this) = (self.clone(), peer.clone());
        tokio::spawn(peer.stop.clone().run_until_cancelled_owned(async move {
            shared.send_wants(&this, to_send).await;
        }));
    }

    /// Ends all that a peer's tasks do.
    pub(crate) fn remove(&self, id: PeerId) {
        if let Some(peer) = self.peers().remove(&id) {
            peer.stop.cancel();
            self.wants.lose(id);
        }
    }

    /// Ends all.
    pub(crate) fn clear(&self) {
        for (_, peer) in self.peers().drain() {
            peer.stop.cancel();
        }
    }

    /// The peers that may speak bitswap.
    pub(crate) fn speaking(&self) -> Vec<Arc<Peer>> {
        let peers = self.peers();
        peers.values().filter(|peer| peer.speaks.load(Ordering::Relaxed)).cloned().collect()
    }

    /// A peer that may speak bitswap.
    pub(crate) fn get(&self, id: PeerId) -> Option<Arc<Peer>> {
        self.peers().get(&id).cloned()
    }

    /// All peers.
    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.peers().keys().copied().collect()
    }

    /// Reads what a peer sends on a stream that it has opened.
    pub(crate) fn take(self: &Arc<Self>, incoming: Incoming) {
        let Some(peer) = self.peers().get(&incoming.peer).cloned() else { return };
        let shared = self.clone();
        let stop = peer.stop.clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let Incoming { mut stream, permit, .. } = incoming;
            peer.speaks.store(true, Ordering::Relaxed);
            if let Err(violation) = shared.read(&peer, &mut stream).await {
                debug!(
                    target: "bsp::pinner", peer = %peer.id, error = %violation,
                    "A peer breaks the rules of bitswap; the connection is closed"
                );
                let _ = shared.commands.send(Command::Disconnect(peer.id)).await;
            }
            drop(permit);
        }));
    }

    async fn read(&self, peer: &Arc<Peer>, stream: &mut Stream) -> Result<(), Violation> {
        loop {
            let len = match timeout(SILENCE, read_len(stream)).await {
                Ok(Ok(Some(len))) => len,
                // A stream that ends breaks no rule, however it ends.
                Ok(Ok(None) | Err(FramingError::Io(_))) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
            };
            let message = timeout(self.deadlines.message, self.read_message(peer, stream, len));
            match message.await.map_err(|_| Violation::Slow)? {
                Ok(()) => {}
                Err(Violation::Framing(FramingError::Io(_))) => return Ok(()),
                Err(violation) => return Err(violation),
            }
        }
    }

    async fn read_message(
        &self,
        peer: &Arc<Peer>,
        stream: &mut Stream,
        len: usize,
    ) -> Result<(), Violation> {
        let bytes = u32::try_from(len).unwrap_or(u32::MAX);
        // The semaphores are never closed. The peer's comes first: a peer that waits for itself
        // takes nothing from the others.
        let _own = peer.incoming_bytes.acquire_many(bytes).await;
        let _all = self.incoming_bytes.acquire_many(bytes).await;
        let body = read_body(stream, len).await.map_err(FramingError::from)?;
        let message = Message::read(body)?;
        self.receive(peer, message).await
    }

    async fn receive(&self, peer: &Arc<Peer>, message: Message) -> Result<(), Violation> {
        if let Some(list) = &message.wantlist
            && peer.asked_of_us().update(list)
        {
            peer.has_asked.notify_one();
        }
        if message.payload.is_empty() && message.presences.is_empty() {
            return Ok(());
        }
        let (wants, from) = (self.wants.clone(), peer.id);
        // A panic while hashing takes the blocks with it.
        let given = task::spawn_blocking(move || {
            let all: u64 = message.payload.iter().map(|block| block.data.len() as u64).sum();
            let unwanted = wants.receive(from, &message);
            (all > unwanted, unwanted)
        });
        match given.await {
            Ok((true, _)) => peer.unwanted.store(0, Ordering::Relaxed),
            Ok((false, bytes))
                if peer.unwanted.fetch_add(bytes, Ordering::Relaxed) + bytes > UNWANTED =>
            {
                return Err(Violation::Unwanted);
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers what a peer asks, at the pace at which it reads the answers.
    async fn answer(&self, peer: &Arc<Peer>) {
        loop {
            if peer.asked_of_us().has_unmet() {
                if timeout(self.deadlines.unmet, peer.has_asked.notified()).await.is_err() {
                    peer.asked_of_us().retry_unmet();
                }
            } else {
                peer.has_asked.notified().await;
            }
            match self.answer_all(peer).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    debug!(
                        target: "bsp::pinner", peer = %peer.id,
                        "A peer does not read what it asked for; the connection is closed"
                    );
                    let _ = self.commands.send(Command::Disconnect(peer.id)).await;
                    return;
                }
                Err(error) => {
                    debug!(
                        target: "bsp::pinner", peer = %peer.id, %error,
                        "A peer takes no answers; its wants are forgotten"
                    );
                    *peer.asked_of_us() = WantQueue::default();
                }
            }
        }
    }

    /// Sends answers over a new stream until there is nothing left to say.
    async fn answer_all(&self, peer: &Arc<Peer>) -> io::Result<()> {
        let mut stream = None;
        loop {
            let (store, asking) = (self.store.clone(), peer.clone());
            let answer = task::spawn_blocking(move || {
                next_answer(&store, |change| change(&mut asking.asked_of_us()))
            });
            let Some(answer) = answer.await.map_err(io::Error::other)? else { break };
            if answer.is_empty() {
                continue;
            }
            let mut open = match stream.take() {
                Some(open) => open,
                None => self.open(peer.id).await.map_err(io::Error::other)?,
            };
            timeout(self.deadlines.answer, write_message(&mut open, &answer)).await??;
            stream = Some(open);
        }
        match stream {
            Some(mut open) => timeout(OPEN, open.close()).await?,
            None => Ok(()),
        }
    }

    /// Sends changes of our wants as they come.
    async fn send_wants(&self, peer: &Arc<Peer>, mut entries: mpsc::Receiver<Entry>) {
        let mut stream = None;
        loop {
            let first = match timeout(IDLE, entries.recv()).await {
                Ok(Some(entry)) => entry,
                Ok(None) => return,
                Err(_) => {
                    stream = None;
                    continue;
                }
            };
            let mut changes = vec![first];
            while let Ok(entry) = entries.try_recv() {
                changes.push(entry);
            }
            let message = Message::of_wants(changes);
            // The peer may have closed the stream in the meantime: a new one tells.
            let sent = match stream.take() {
                Some(open) => self.send(open, &message).await.ok(),
                None => None,
            };
            stream = match sent {
                Some(open) => Some(open),
                None => match self.open(peer.id).await {
                    Ok(open) => self.send(open, &message).await.ok(),
                    Err(error) => {
                        debug!(target: "bsp::pinner", peer = %peer.id, %error, "A peer can't be asked");
                        peer.speaks.store(error != OpenError::Unsupported, Ordering::Relaxed);
                        None
                    }
                },
            };
            if stream.is_none() {
                self.wants.lose(peer.id);
            }
        }
    }

    async fn send(&self, mut stream: Stream, message: &Message) -> io::Result<Stream> {
        timeout(OPEN, write_message(&mut stream, message)).await??;
        Ok(stream)
    }

    async fn open(&self, peer: PeerId) -> Result<Stream, OpenError> {
        let (opened, stream) = oneshot::channel();
        let asked = async {
            let request = OpenRequest { peer, opened };
            self.open.send(request).await.map_err(|_| OpenError::Lost)?;
            stream.await.map_err(|_| OpenError::Lost)?
        };
        timeout(OPEN, asked).await.unwrap_or(Err(OpenError::Lost))
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Whether the change of our wants will be sent; not while too many wait.
    pub(crate) fn ask(&self, entry: Entry) -> bool {
        self.entries.try_send(entry).is_ok()
    }

    pub(super) fn asked_of_us(&self) -> MutexGuard<'_, WantQueue> {
        self.asked_of_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
