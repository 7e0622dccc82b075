//! The connection to a server, made when it is needed, and what the server says of itself.

use bsp_stream::{Connection, Connector, connect::REPLY_DEADLINE};
use redis::{RedisResult, Value, from_redis_value};
use std::collections::HashMap;

/// The first release with `XADD … IDMP`.
const IDEMPOTENT_SINCE: (u32, u32) = (8, 6);
/// The first release with `XADD … NOMKSTREAM`.
const NOMKSTREAM_SINCE: (u32, u32) = (6, 2);

/// The setting that bounds the values that a server takes. Whoever sends a longer one is
/// disconnected in the middle of it.
const LONGEST_VALUE: &str = "proto-max-bulk-len";

/// At most one connection.
pub(super) struct Link {
    connector: Connector,
    /// `None` before the first use, and after trouble.
    open: Option<OpenConnection>,
    /// The connection before, of which the server may not have read everything yet.
    given_up: Option<Session>,
    /// Whether `IDMP` may be used where the server's version has it.
    may_be_idempotent: bool,
    /// Whether `NOMKSTREAM` may be used.
    may_leave_unmade: bool,
}

/// A connection that is there.
pub(super) struct OpenConnection {
    pub(super) connection: Connection,
    session: Option<Session>,
    /// Whether the server tells on its own what was added already.
    pub(super) is_idempotent: bool,
    /// Whether it can be told not to make a stream that is not there.
    pub(super) can_leave_unmade: bool,
    version: Option<(u32, u32)>,
    /// How the server may lose what it has confirmed, and what to do.
    pub(super) risks: Vec<&'static str>,
    /// How long a value the server takes, in bytes, if it tells.
    pub(super) longest_value: Option<u64>,
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

impl OpenConnection {
    /// To a server of which nothing is known.
    fn unknown(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            session: None,
            is_idempotent: false,
            can_leave_unmade: true,
            version: None,
            risks: Vec::new(),
            longest_value: None,
            is_continuous: false,
        }
    }
}

impl Link {
    pub(super) const fn new(connector: Connector) -> Self {
        Self {
            connector,
            open: None,
            given_up: None,
            may_be_idempotent: true,
            may_leave_unmade: true,
        }
    }

    /// The connection, made now if there is none.
    pub(super) async fn open(&mut self) -> RedisResult<&mut OpenConnection> {
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
    ///
    /// A server that tells no version may also be too old for `NOMKSTREAM`.
    pub(super) fn do_without(&mut self, idempotence: bool) {
        if idempotence {
            self.may_be_idempotent = false;
        } else if self.open.as_ref().is_some_and(|open| open.version.is_none()) {
            self.may_leave_unmade = false;
        }
    }

    async fn connect(&mut self) -> RedisResult<OpenConnection> {
        // A pipeline is about 8 MB long, so the deadline allows for 2 Mbit/s.
        let mut connection = self.connector.connect(REPLY_DEADLINE).await?;
        let mut open = introduce(&mut connection).await?;
        open.is_idempotent &= self.may_be_idempotent;
        open.can_leave_unmade &= self.may_leave_unmade;
        if let (Some(before), Some(now)) = (&self.given_up, &open.session)
            && before.run_id == now.run_id
        {
            // What the server has not read of the old connection, it must not add behind our back
            // later on.
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL").arg("ID").arg(before.client_id);
            let killed = kill.query_async::<u64>(&mut connection).await;
            tracing::debug!(target: "exex::bsp", ?killed, "The former connection was closed");
        }
        self.given_up = None;
        Ok(open)
    }
}

/// Asks the server what it is. One that does not tell is taken for an old one; so is a cluster,
/// which is many servers: each would have to be asked.
async fn introduce(connection: &mut Connection) -> RedisResult<OpenConnection> {
    if let Connection::Cluster(_) = connection {
        return Ok(OpenConnection::unknown(connection));
    }
    let mut questions = redis::pipe();
    questions.ignore_errors().cmd("INFO").arg("server").cmd("CLIENT").arg("ID");
    questions.cmd("INFO").arg("memory").cmd("INFO").arg("persistence");
    questions.cmd("CONFIG").arg("GET").arg(LONGEST_VALUE);
    let replies: Vec<RedisResult<Value>> = questions.query_async(connection).await?;
    let mut replies = replies.into_iter().map(Result::ok);
    let text = |reply: Option<Option<Value>>| {
        reply.flatten().and_then(|info| from_redis_value::<String>(info).ok()).unwrap_or_default()
    };
    let info = text(replies.next());
    let client_id = replies.next().flatten().and_then(|id| from_redis_value(id).ok());
    let risks = risks(&text(replies.next()), &text(replies.next()));
    let longest_value = replies.next().flatten().and_then(longest_value);
    let (run_id, version) = (field(&info, "run_id").map(str::to_owned), version(&info));
    Ok(OpenConnection {
        session: run_id.zip(client_id).map(|(run_id, client_id)| Session { run_id, client_id }),
        is_idempotent: version.is_some_and(|version| version >= IDEMPOTENT_SINCE),
        can_leave_unmade: version.is_none_or(|version| version >= NOMKSTREAM_SINCE),
        version,
        risks,
        longest_value,
        ..OpenConnection::unknown(connection)
    })
}

/// The server's answer to a question for [`LONGEST_VALUE`].
fn longest_value(answer: Value) -> Option<u64> {
    let settings: HashMap<String, String> = from_redis_value(answer).ok()?;
    settings.get(LONGEST_VALUE)?.parse().ok()
}

/// What the sections `memory` and `persistence` say of how a stream may be lost. A policy that
/// evicts only keys that expire evicts no stream.
fn risks(memory: &str, persistence: &str) -> Vec<&'static str> {
    let is_bounded = field(memory, "maxmemory").is_some_and(|bytes| bytes != "0");
    let evicts = field(memory, "maxmemory_policy").is_some_and(|it| it.starts_with("allkeys"));
    let evicting = (is_bounded && evicts).then_some(
        "it may evict the stream, with everything in it, when its memory is full: set `maxmemory-policy noeviction`",
    );
    let forgetting = (field(persistence, "aof_enabled") == Some("0")).then_some(
        "it writes no append-only file, so a restart loses the last entries or all of them, which are then delivered again: set `appendonly yes`",
    );
    evicting.into_iter().chain(forgetting).collect()
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
    fn a_server_that_may_lose_a_stream_says_so() {
        let memory = |bytes, policy| {
            format!("# Memory\r\nmaxmemory:{bytes}\r\nmaxmemory_policy:{policy}\r\n")
        };
        let count = |memory: &str, persistence: &str| risks(memory, persistence).len();
        assert_eq!(count(&memory(100, "allkeys-lru"), "aof_enabled:0\r\n"), 2);
        assert_eq!(count(&memory(100, "allkeys-lru"), "aof_enabled:1\r\n"), 1);
        for (bytes, policy) in [(0, "allkeys-lru"), (9, "volatile-lru"), (9, "noeviction")] {
            assert_eq!(count(&memory(bytes, policy), "aof_enabled:1\r\n"), 0, "{policy}");
        }
        assert_eq!(count("", ""), 0, "a server that does not tell");
    }

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
