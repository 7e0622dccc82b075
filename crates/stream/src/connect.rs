//! Connections to one server, to the master that sentinels name, or to a cluster, each with its
//! deadlines.

use crate::url::{RedisUrl, Topology};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisFuture, RedisResult,
    TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Until a connection is made, with TLS, authentication and, with sentinels or a cluster, the
/// search for the right server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Until the reply to one command is there as a whole. The largest entries, 64 MiB, need 20 Mbit/s.
pub const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// Makes connections for a URL.
#[derive(Clone)]
pub struct Connector {
    url: RedisUrl,
    ca_file: Option<PathBuf>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connector {
    /// With a PEM file of the certificate authorities to trust instead of the built-in ones.
    pub fn new(url: RedisUrl, ca_file: Option<&Path>) -> Self {
        Self { url, ca_file: ca_file.map(Path::to_owned) }
    }

    /// The URL.
    pub const fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// A new connection, whose replies may take as long as the deadline.
    ///
    /// # Errors
    ///
    /// Where no server answers within ten seconds, rejects the login, or the file of authorities
    /// can't be used. Nothing is tried again.
    pub async fn connect(&self, reply_deadline: Duration) -> RedisResult<Connection> {
        if self.url.tls {
            use_one_crypto_provider();
        }
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

    /// Read again for each connection, so that a renewed file is taken up.
    async fn certificates(&self) -> RedisResult<Option<TlsCertificates>> {
        let Some(path) = self.ca_file.as_ref().filter(|_| self.url.tls) else { return Ok(None) };
        let unusable = |reason: &str| {
            let detail = format!("{}: {reason}", path.display());
            RedisError::from((ErrorKind::InvalidClientConfig, "cannot use the CA file", detail))
        };
        let pem = tokio::fs::read(path).await.map_err(|error| unusable(&error.to_string()))?;
        if !pem.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
            return Err(unusable("it holds no certificate in PEM form"));
        }
        Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(pem) }))
    }
}

const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

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
    std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("no connection within {} s", CONNECT_DEADLINE.as_secs()),
    )
    .into()
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
