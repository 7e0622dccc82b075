//! Connections to one server, to the master that sentinels name, or to a cluster, each with its
//! deadlines.

use crate::{
    probe::{speaks_plainly, speaks_tls},
    tls::TlsFiles,
    url::{RedisUrl, Topology},
};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisFuture, RedisResult,
    TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::{fmt, io, time::Duration};

/// Until a connection is made, with TLS, authentication and, with sentinels or a cluster, the
/// search for the right server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// After this time without a connection with TLS, the server is asked whether it speaks without.
const PATIENCE_WITH_TLS: Duration = Duration::from_secs(3);

/// Until the reply to one command is there as a whole. The largest entries, 64 MiB, need 20 Mbit/s.
pub const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// Makes connections for a URL.
#[derive(Clone)]
pub struct Connector {
    url: RedisUrl,
    tls: TlsFiles,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connector {
    /// For a URL, with the files for TLS if it needs any.
    pub fn new(url: RedisUrl, tls: &TlsFiles) -> Self {
        Self { url, tls: tls.clone() }
    }

    /// The URL.
    pub const fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// A new connection, whose replies may take as long as the deadline.
    ///
    /// # Errors
    ///
    /// Where no server answers within ten seconds, rejects the login, or a file for TLS can't be
    /// used. A server that does not speak as the URL says, with TLS or without, is told as such.
    /// Nothing is tried again.
    pub async fn connect(&self, reply_deadline: Duration) -> RedisResult<Connection> {
        if self.url.tls {
            use_one_crypto_provider();
            return tokio::select! {
                connection = self.try_once(reply_deadline) => connection,
                error = self.no_tls_there() => Err(error),
            };
        }
        match self.try_once(reply_deadline).await {
            Err(error) if is_cut_off(&error) => Err(self.tls_there().await.unwrap_or(error)),
            result => result,
        }
    }

    async fn try_once(&self, reply_deadline: Duration) -> RedisResult<Connection> {
        let connecting = async {
            let certificates = self.certificates().await?;
            match &self.url.topology {
                Topology::Single => self.single(certificates, reply_deadline).await,
                Topology::Sentinel { master } => {
                    self.sentinel(master, certificates, reply_deadline).await
                }
                Topology::Cluster => self.cluster(certificates, reply_deadline).await,
            }
        };
        tokio::time::timeout(CONNECT_DEADLINE, connecting).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Ends if a server answers without TLS, after a time in which one with TLS would have
    /// answered.
    async fn no_tls_there(&self) -> RedisError {
        tokio::time::sleep(PATIENCE_WITH_TLS).await;
        for node in &self.url.nodes {
            if speaks_plainly(node).await {
                let scheme = self.url.scheme();
                let without = scheme.replacen("rediss", "redis", 1);
                return other_end(format!(
                    "{node} answers without TLS: write {without}:// in place of {scheme}://, or name its port for TLS"
                ));
            }
        }
        std::future::pending().await
    }

    async fn tls_there(&self) -> Option<RedisError> {
        for node in &self.url.nodes {
            if speaks_tls(node).await {
                let scheme = self.url.scheme();
                let with = scheme.replacen("redis", "rediss", 1);
                return Some(other_end(format!(
                    "{node} answers with TLS: write {with}:// in place of {scheme}://"
                )));
            }
        }
        None
    }

    async fn single(
        &self,
        certificates: Option<TlsCertificates>,
        reply_deadline: Duration,
    ) -> RedisResult<Connection> {
        let address = self.addresses().into_iter().next().ok_or_else(no_node)?;
        let info = self.info(address)?;
        let client = match certificates {
            Some(certificates) => redis::Client::build_with_tls(info, certificates)?,
            None => redis::Client::open(info)?,
        };
        let connection =
            client.get_multiplexed_async_connection_with_config(&deadlines(reply_deadline)).await?;
        Ok(Connection::Single(connection))
    }

    async fn sentinel(
        &self,
        master: &str,
        certificates: Option<TlsCertificates>,
        reply_deadline: Duration,
    ) -> RedisResult<Connection> {
        let connection = self
            .sentinel_client(master, certificates)?
            .get_async_connection_with_config(&deadlines(reply_deadline))
            .await?;
        Ok(Connection::Single(connection))
    }

    fn sentinel_client(
        &self,
        master: &str,
        certificates: Option<TlsCertificates>,
    ) -> RedisResult<SentinelClient> {
        let mut builder =
            SentinelClientBuilder::new(self.addresses(), master, SentinelServerType::Master)?
                .set_client_to_redis_db(i64::from(self.url.db));
        if self.url.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(user) = self.url.user() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = self.url.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        builder.build()
    }

    async fn cluster(
        &self,
        certificates: Option<TlsCertificates>,
        reply_deadline: Duration,
    ) -> RedisResult<Connection> {
        let nodes = self
            .addresses()
            .into_iter()
            .map(|address| self.info(address))
            .collect::<RedisResult<Vec<_>>>()?;
        let mut builder = ClusterClient::builder(nodes)
            .connection_timeout(CONNECT_DEADLINE)
            .response_timeout(reply_deadline)
            // Redirections count as well. The rest is the caller's, who tells the operator.
            .retries(2)
            .use_protocol(ProtocolVersion::RESP2);
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates);
        }
        Ok(Connection::Cluster(Box::new(builder.build()?.get_async_connection().await?)))
    }

    fn addresses(&self) -> Vec<ConnectionAddr> {
        let address = |host: String, port| match self.url.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        self.url.nodes.iter().map(|node| address(node.host.clone(), node.port)).collect()
    }

    fn info(&self, address: ConnectionAddr) -> RedisResult<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default()
            .set_db(i64::from(self.url.db))
            .set_protocol(ProtocolVersion::RESP2);
        if let Some(user) = self.url.user() {
            settings = settings.set_username(user);
        }
        if let Some(password) = self.url.password() {
            settings = settings.set_password(password);
        }
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }

    async fn certificates(&self) -> RedisResult<Option<TlsCertificates>> {
        if self.url.tls { self.tls.read().await } else { Ok(None) }
    }
}

/// rustls picks its cryptography on its own only while a single one is compiled in, and panics
/// otherwise.
fn use_one_crypto_provider() {
    // An error means that the program has chosen one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn deadlines(reply: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_DEADLINE))
        .set_response_timeout(Some(reply))
}

fn too_late() -> RedisError {
    let text = format!("no connection within {} s", CONNECT_DEADLINE.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

/// Not for the operator alone to mend: a server may be started again with another setting.
fn other_end(text: String) -> RedisError {
    io::Error::new(io::ErrorKind::InvalidData, text).into()
}

/// Whether the server ended the connection, as one with TLS does that is spoken to without.
fn is_cut_off(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

fn no_node() -> RedisError {
    (ErrorKind::InvalidClientConfig, "the URL names no server").into()
}

/// A connection. Clones share it.
#[derive(Clone)]
pub enum Connection {
    /// To one server: the only one, or the master that sentinels name.
    Single(MultiplexedConnection),
    /// To all servers of a cluster.
    Cluster(Box<ClusterConnection>),
}

impl Connection {
    /// Whether two keys can change in one transaction.
    pub const fn has_all_keys(&self) -> bool {
        matches!(self, Self::Single(_))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
