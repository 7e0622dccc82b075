//! Listening and answering.

use super::{
    api::PinnerApi,
    connections::{Connection, Connections},
    options::Access,
    pins::fetch_queued,
};
use axum::Router;
use futures::future::join_all;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Time for the head of a request, and for the next one on a connection that is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Time that a client may leave an answer unread.
const STALL_DEADLINE: Duration = Duration::from_secs(60);

/// Time that answers under way get when the server is told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Wait after a connection could not be taken, for lack of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pin requests that are worked on at once. One of them may wait long for content that nobody has.
const FETCHES_AT_ONCE: usize = 4;

/// Bytes of a request that are read ahead, and the longest head.
const READ_AHEAD: usize = 128 << 10;

/// What a listener shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Everything, for the operator's own programs.
    Private,
    /// `/ipfs/<cid>`, for everybody.
    Public,
}

impl Face {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Other machines could change the store.
    #[error(
        "{address} can be reached from other machines, which could then pin and unpin: set a token, \
         or allow access without one, or listen on 127.0.0.1; to serve content alone, use the public \
         listener"
    )]
    Exposed {
        /// Host and port.
        address: SocketAddr,
    },
    /// Another process has the port.
    #[error("{address} is in use: give another port, or end the process that listens there")]
    InUse {
        /// Host and port.
        address: SocketAddr,
    },
    /// The port is reserved.
    #[error("{address} is not allowed: give a port of 1024 or more")]
    Denied {
        /// Host and port.
        address: SocketAddr,
    },
    /// The host is not of this machine.
    #[error("{address} is no address of this machine ({source}): give another one")]
    Address {
        /// Host and port.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A listener that does not answer yet.
#[derive(Debug)]
pub struct PinnerServer {
    listener: TcpListener,
    api: PinnerApi,
    face: Face,
}

impl PinnerServer {
    /// Takes the address. Port 0 is a free port.
    ///
    /// # Errors
    ///
    /// [`ServerError::Exposed`] for the private face on anything but a loopback address, if
    /// [`Access::ThisMachine`] is all that is allowed; the others if the address can't be had.
    pub async fn bind(
        api: PinnerApi,
        face: Face,
        address: SocketAddr,
    ) -> Result<Self, ServerError> {
        let alone = api.options().access == Access::ThisMachine;
        if face == Face::Private && alone && !address.ip().to_canonical().is_loopback() {
            return Err(ServerError::Exposed { address });
        }
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener, api, face }),
            Err(source) => Err(match source.kind() {
                io::ErrorKind::AddrInUse => ServerError::InUse { address },
                io::ErrorKind::PermissionDenied => ServerError::Denied { address },
                _ => ServerError::Address { address, source },
            }),
        }
    }

    /// Where it listens, with the port that was chosen if port 0 was asked for.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is stopped. Answers that are under way then get some seconds more. A
    /// private listener also works on the pin requests that are queued.
    pub async fn serve(self, stop: CancellationToken) {
        let workers = if self.face == Face::Private { FETCHES_AT_ONCE } else { 0 };
        let api = self.api.clone();
        let fetched = join_all((0..workers).map(|_| fetch_queued(&api, &stop)));
        tokio::join!(self.answer_all(stop.clone()), fetched);
    }

    async fn answer_all(self, stop: CancellationToken) {
        let router = self.api.router(self.face);
        let connections = Connections::new(self.api.options().limits.connections);
        let open = metrics::gauge!("pinner_http_connections", "listener" => self.face.name());
        let mut tasks = JoinSet::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            while tasks.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    // If there is no place, the stream is closed here.
                    if let Some(connection) = connections.admit() {
                        tasks.spawn(answer(stream, router.clone(), connection, stop.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        target: "bsp::pinner", %error, "The HTTP server can't take a connection"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            open.set(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
        }
        drop(self.listener);
        let ended = async { while tasks.join_next().await.is_some() {} };
        // What has not ended by then is broken off with the tasks.
        let _ = tokio::time::timeout(STOP_DEADLINE, ended).await;
    }
}

/// Answers one connection. Its errors are the client's affair.
async fn answer(
    stream: TcpStream,
    router: Router,
    connection: Connection,
    stop: CancellationToken,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let handling = connection.handling();
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            drop(handling);
            answer
        }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .max_buf_size(READ_AHEAD)
            .serve_connection(TokioIo::new(connection.watch(stream)), service)
    );
    let mut look = tokio::time::interval(STALL_DEADLINE / 4);
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            () = connection.evicted() => return,
            () = stop.cancelled(), if !stopping => {
                served.as_mut().graceful_shutdown();
                stopping = true;
            }
            _ = look.tick() => if connection.has_stalled(STALL_DEADLINE) { return },
        }
    }
}
