//! The connections of a listener. Those that do nothing never keep a new one out.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    begun: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Activity>>,
}

/// What one of them is doing.
#[derive(Debug)]
struct Activity {
    /// When bytes last came or went, in milliseconds since the table began.
    last: AtomicU64,
    /// Whether a request is being handled.
    handling: AtomicBool,
    close: CancellationToken,
}

/// A place in the table, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, begun: Instant::now(), table: Mutex::default() })
    }

    /// A place for a new connection. Where all are taken, the connection on which nothing has moved
    /// for longest has to go; `None` if requests are being handled on all of them.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Connection> {
        let activity = Arc::new(Activity {
            last: AtomicU64::new(self.now()),
            handling: AtomicBool::new(false),
            close: CancellationToken::new(),
        });
        let mut table = self.table();
        if table.open.len() >= self.most {
            let idle = table.open.iter().filter(|(_, open)| !open.handling.load(Ordering::Relaxed));
            let stalest = idle.min_by_key(|(_, open)| open.last.load(Ordering::Relaxed));
            let id = stalest.map(|(id, _)| *id)?;
            table.open.remove(&id)?.close.cancel();
        }
        let id = table.next;
        table.next += 1;
        table.open.insert(id, Arc::clone(&activity));
        Some(Connection { id, activity, connections: Arc::clone(self) })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// When the place is needed for another one.
    pub(super) async fn evicted(&self) {
        self.activity.close.cancelled().await;
    }

    /// Whether nothing has moved for that long though no request is being handled.
    pub(super) fn has_stalled(&self, time: Duration) -> bool {
        let last = Duration::from_millis(self.activity.last.load(Ordering::Relaxed));
        let now = Duration::from_millis(self.connections.now());
        !self.activity.handling.load(Ordering::Relaxed) && now.saturating_sub(last) > time
    }

    /// The stream, watched.
    pub(super) fn watch(&self, stream: TcpStream) -> Watched {
        Watched {
            stream,
            activity: Arc::clone(&self.activity),
            connections: Arc::clone(&self.connections),
        }
    }

    /// Notes that a request is being handled, until what this returns is dropped.
    pub(super) fn handling(&self) -> Handling {
        self.activity.handling.store(true, Ordering::Relaxed);
        Handling(Arc::clone(&self.activity))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.id);
    }
}

/// While this is there, a request is being handled.
#[derive(Debug)]
pub(super) struct Handling(Arc<Activity>);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.handling.store(false, Ordering::Relaxed);
    }
}

/// A stream whose movements are noted.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Watched {
    fn moved<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.activity.last.store(self.connections.now(), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.moved(polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.moved(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.moved(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stalest_goes_and_never_one_at_work() {
        let connections = Connections::new(2);
        let (first, second) = (connections.admit().unwrap(), connections.admit().unwrap());
        first.activity.last.store(1, Ordering::Relaxed);
        second.activity.last.store(0, Ordering::Relaxed);
        let third = connections.admit().unwrap();
        assert!(second.activity.close.is_cancelled() && !first.activity.close.is_cancelled());
        drop(second);

        let at_work = first.handling();
        let fourth = connections.admit().unwrap();
        assert!(third.activity.close.is_cancelled() && !first.activity.close.is_cancelled());
        let also_at_work = fourth.handling();
        assert!(connections.admit().is_none());
        drop((at_work, also_at_work, first));
        assert!(connections.admit().is_some());
    }
}
