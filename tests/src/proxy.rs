//! A TCP connection that can be made to fail, while in use.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What happens to connections. A change reaches those that are open too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All bytes go through.
    Pass,
    /// Connections are closed as soon as they are made, open ones at once.
    Refuse,
    /// Connections are taken, and nothing ever comes back.
    BlackHole,
    /// A connection is cut once this many bytes have gone through in one direction.
    CutAfter {
        /// How many bytes, counted from the change of the mode or the connection's beginning,
        /// whichever is later.
        bytes: u64,
    },
    /// What is sent to the server arrives, and a connection is cut in place of the next bytes that
    /// come back.
    CutReply,
    /// Bytes go through so slowly.
    Slow {
        /// In each direction.
        bytes_per_second: u64,
    },
    /// Each piece goes through so much later.
    Delay {
        /// In each direction.
        by: Duration,
    },
}

/// A proxy in front of one server.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one on a free port of the loopback, in [`Mode::Pass`].
    ///
    /// # Errors
    ///
    /// Where there is no free port.
    pub async fn start(server: SocketAddr) -> eyre::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mode, modes) = watch::channel(Mode::Pass);
        let task = tokio::spawn(serve(listener, server, modes));
        Ok(Self { address, mode, task })
    }

    /// Where clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// What happens now.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, modes: watch::Receiver<Mode>) {
    // Aborting the task drops the set, which closes all connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connection(client, server, modes.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, server: SocketAddr, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow_and_update() == Mode::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let modes = Arc::new(modes);
    // Whichever direction ends first ends both.
    tokio::select! {
        () = pass_on(from_client, to_server, (*modes).clone(), Direction::ToServer) => {}
        () = pass_on(from_server, to_client, (*modes).clone(), Direction::Back) => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    Back,
}

/// Passes one direction on, until either side closes it or the mode does.
async fn pass_on<R, W>(
    mut from: R,
    mut to: W,
    mut modes: watch::Receiver<Mode>,
    direction: Direction,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    loop {
        let mode = *modes.borrow_and_update();
        let room = match mode {
            Mode::Refuse => return,
            Mode::CutAfter { bytes } if passed >= bytes => return,
            Mode::CutAfter { bytes } => bytes - passed,
            // A tenth of a second's share, so that a change of the mode is soon seen.
            Mode::Slow { bytes_per_second } => (bytes_per_second / 10).max(1),
            Mode::Pass | Mode::BlackHole | Mode::CutReply | Mode::Delay { .. } => u64::MAX,
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let read = tokio::select! {
            read = from.read(&mut buffer[..room]), if mode != Mode::BlackHole => read,
            changed = modes.changed() => {
                if changed.is_err() {
                    return;
                }
                passed = 0;
                continue;
            }
        };
        let Ok(length @ 1..) = read else { return };
        match mode {
            Mode::CutReply if direction == Direction::Back => return,
            Mode::Slow { .. } => tokio::time::sleep(Duration::from_millis(100)).await,
            Mode::Delay { by } => tokio::time::sleep(by).await,
            _ => {}
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        passed += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(bytes).await?;
        let mut back = vec![0; bytes.len()];
        stream.read_exact(&mut back).await?;
        Ok(back)
    }

    #[tokio::test]
    async fn a_mode_reaches_open_connections_and_ends_with_the_next_mode() {
        let proxy = FaultProxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");

        proxy.set(Mode::BlackHole);
        let silent =
            tokio::time::timeout(Duration::from_millis(200), exchange(&mut stream, b"lost")).await;
        assert!(silent.is_err());

        proxy.set(Mode::Refuse);
        assert!(exchange(&mut stream, b"refused").await.is_err());
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(exchange(&mut stream, b"refused").await.is_err());

        proxy.set(Mode::Delay { by: Duration::from_millis(1) });
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(exchange(&mut stream, b"back").await.unwrap(), b"back");
    }

    #[tokio::test]
    async fn a_reply_is_cut_off_after_the_server_has_read_what_was_sent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap()).await.unwrap();
        proxy.set(Mode::CutReply);
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(b"sent").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut read = [0; 4];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"sent");
        server.write_all(b"reply").await.unwrap();
        assert!(client.read_exact(&mut read).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_is_cut_after_its_bytes() {
        let proxy = FaultProxy::start(echo().await).await.unwrap();
        proxy.set(Mode::CutAfter { bytes: 10 });
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(exchange(&mut stream, b"12345").await.unwrap(), b"12345");
        assert!(exchange(&mut stream, b"1234567890").await.is_err());
    }
}
