//! Who may use the server, and how much of it.

use crate::fetch::Fetcher;
use bsp_common::secret::Secret;
use std::path::PathBuf;

/// How the server works.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// Who may use the private listener.
    pub access: Access,
    /// Host names, without ports, under which the private listener is reached besides `localhost`
    /// and IP addresses. A request for any other name is refused: a web page whose name was made to
    /// point at this machine would make one.
    pub hosts: Vec<String>,
    /// Bounds of requests and connections.
    pub limits: HttpLimits,
    /// Brings what is asked for on the private listener and is not here. Nothing is fetched
    /// without.
    pub fetcher: Option<Fetcher>,
    /// The file in which requests of the Pinning Service API survive a restart. Without one, those
    /// that were done keep their pins and lose their identifiers, and the others are forgotten.
    pub requests: Option<PathBuf>,
    /// Multiaddresses of this machine's own peer, to which clients of the Pinning Service API may
    /// bring what they ask to pin.
    pub delegates: Vec<String>,
}

/// Who may use the private listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Processes of this machine: the listener's address has to be a loopback address.
    #[default]
    ThisMachine,
    /// Whoever sends this token as `Authorization: Bearer <token>`.
    Token(Secret<String>),
    /// Whoever reaches it.
    Anyone,
}

/// Bounds, for each listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest body of a request, in bytes.
    pub body: u64,
    /// Connections at once. Beyond, the one that has been idle longest is closed for a new one.
    pub connections: usize,
    /// Requests being handled at once; more wait for a while.
    pub requests: usize,
    /// Uploads and imports among them.
    pub uploads: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { body: 1 << 30, connections: 256, requests: 64, uploads: 16 }
    }
}
