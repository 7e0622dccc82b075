//! Whether a port that does not do what its URL says speaks with TLS or without.

use crate::url::Node;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Until a server has answered the few bytes of a probe.
const DEADLINE: Duration = Duration::from_secs(2);

/// A TLS record with a handshake message that is too short: a server with TLS answers with an
/// alert.
const SHORT_HELLO: [u8; 10] = [22, 3, 1, 0, 5, 1, 0, 0, 1, 0];
/// A TLS alert, in its record.
const ALERT: [u8; 2] = [21, 3];

/// Whether Redis answers there without TLS.
pub(crate) async fn speaks_plainly(node: &Node) -> bool {
    matches!(first_bytes(node, b"PING\r\n").await, Some([b'+' | b'-', _]))
}

/// Whether a server answers there with TLS.
pub(crate) async fn speaks_tls(node: &Node) -> bool {
    first_bytes(node, &SHORT_HELLO).await == Some(ALERT)
}

/// The first two bytes of the answer, if there is one.
async fn first_bytes(node: &Node, question: &[u8]) -> Option<[u8; 2]> {
    let asked = async {
        let mut server = TcpStream::connect((node.host.as_str(), node.port)).await.ok()?;
        server.write_all(question).await.ok()?;
        let mut answer = [0; 2];
        server.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(DEADLINE, asked).await.ok().flatten()
}
