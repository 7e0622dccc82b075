//! The connection to a server, made when it is needed, and what the server says of itself.

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult,
    TlsCertificates, Value, aio::MultiplexedConnection, from_redis_value,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a connection may take to be there, login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a pipeline may take, from its first byte to the last reply. It is about 8 MB long, so this allows for 2 Mbit/s.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The first release with `XADD … IDMP`.
const IDEMPOTENT_SINCE: (u32, u32) = (8, 6);

/// What a file of certificate authorities must have.
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// At most one connection.
pub(super) struct Link {
    server: ConnectionInfo,
    /// Whom to trust instead of the built-in authorities; `None` also where nothing is encrypted.
    ca_file: Option<PathBuf>,
    /// `None` before the first use, and after trouble.
    open: Option<Open>,
    /// The connection before, of which the server may not have read everything yet.
    given_up: Option<Session>,
    /// Whether `IDMP` may be used where the server's version has it.
    may_be_idempotent: bool,
}

/// A connection that is there.
pub(super) struct Open {
    pub(super) connection: MultiplexedConnection,
    session: Option<Session>,
    /// Whether the server tells by itself what was added already.
    pub(super) is_idempotent: bool,
    /// Whether it is known that the stream has lost nothing before this connection.
    pub(super) is_continuous: bool,
}

/// A connection, as its server calls it.
#[derive(Debug, PartialEq, Eq)]
struct Session {
    /// New at each start of the server.
    run_id: String,
    client_id: u64,
}

impl Link {
    pub(super) const fn new(server: ConnectionInfo, ca_file: Option<PathBuf>) -> Self {
        Self { server, ca_file, open: None, given_up: None, may_be_idempotent: true }
    }

    /// The connection, made now if there is none.
    pub(super) async fn open(&mut self) -> RedisResult<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        Ok(self.open.insert(open))
    }

    /// Gives the connection up after trouble.
    pub(super) fn close(&mut self) {
        if let Some(session) = self.open.take().and_then(|open| open.session) {
            self.given_up = Some(session);
        }
    }

    /// For a server that refuses `IDMP` although its version has it.
    pub(super) fn do_without_idempotence(&mut self) {
        self.may_be_idempotent = false;
    }

    /// The file is read anew for each connection, so that a renewed one is taken up.
    fn client(&self) -> RedisResult<Client> {
        match &self.ca_file {
            None => Client::open(self.server.clone()),
            Some(path) => {
                let root_cert = Some(read_authorities(path)?);
                let certificates = TlsCertificates { client_tls: None, root_cert };
                Client::build_with_tls(self.server.clone(), certificates)
            }
        }
    }

    async fn connect(&mut self) -> RedisResult<Open> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let mut connection =
            self.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut open = introduce(&mut connection).await?;
        open.is_idempotent &= self.may_be_idempotent;
        if let (Some(before), Some(now)) = (&self.given_up, &open.session)
            && before.run_id == now.run_id
        {
            // What the server has not read of the old connection, it must not add behind our back later on.
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL").arg("ID").arg(before.client_id);
            let killed = kill.query_async::<u64>(&mut connection).await;
            tracing::debug!("the connection before was ended: {killed:?}");
        }
        self.given_up = None;
        Ok(open)
    }
}

fn read_authorities(path: &Path) -> RedisResult<Vec<u8>> {
    let unusable = |reason: String| {
        let detail = format!("{}: {reason}", path.display());
        RedisError::from((ErrorKind::InvalidClientConfig, "cannot use the CA file", detail))
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if !pem.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
        return Err(unusable("it holds no certificate in PEM form".to_owned()));
    }
    Ok(pem)
}

/// Asks the server what it is. One that does not tell is taken for an old one.
async fn introduce(connection: &mut MultiplexedConnection) -> RedisResult<Open> {
    let mut questions = redis::pipe();
    questions.ignore_errors().cmd("INFO").arg("server").cmd("CLIENT").arg("ID");
    let replies: Vec<RedisResult<Value>> = questions.query_async(connection).await?;
    let mut replies = replies.into_iter().map(Result::ok);
    let info = replies.next().flatten().and_then(|info| from_redis_value::<String>(info).ok());
    let info = info.unwrap_or_default();
    let client_id = replies.next().flatten().and_then(|id| from_redis_value(id).ok());
    let run_id = field(&info, "run_id").map(str::to_owned);
    Ok(Open {
        connection: connection.clone(),
        session: run_id.zip(client_id).map(|(run_id, client_id)| Session { run_id, client_id }),
        is_idempotent: version(&info).is_some_and(|version| version >= IDEMPOTENT_SINCE),
        is_continuous: false,
    })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn version(info: &str) -> Option<(u32, u32)> {
    let mut parts = field(info, "redis_version")?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_a_server_says() {
        let info = |version: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\nrun_id:ab1\r\n"
            )
        };
        assert_eq!(version(&info("7.0.15")), Some((7, 0)));
        assert_eq!(version(&info("8.6.0-rc1")), Some((8, 6)));
        assert_eq!(version(&info("10.0")), Some((10, 0)));
        assert!(version(&info("10.0")) > Some(IDEMPOTENT_SINCE));
        for odd in ["", "8", "x.y"] {
            assert_eq!(version(&info(odd)), None, "{odd}");
        }
        assert_eq!(version("server_name:valkey"), None);
        assert_eq!(field(&info("8.6"), "run_id"), Some("ab1"));
    }
}
