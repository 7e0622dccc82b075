//! The operator's URL of a Redis stream.
//!
//! ```text
//! redis[s]://[user[:password]@][host][:port][/db]?topic=STREAM[#GROUP]
//! redis[s]+sentinel://[user[:password]@]host[:port][,…]/MASTER[/db]?topic=STREAM[#GROUP]
//! redis[s]+cluster://[user[:password]@]host[:port][,host[:port]…]?topic=STREAM[#GROUP]
//! ```
//!
//! One URL serves both halves: bsp-geth v2.2.0 ignores the fragment, bsp-agent v1.9.2 takes it as
//! the consumer group. What the former accepts is accepted, and so are the latter's URLs.
//!
//! | part | when absent |
//! | --- | --- |
//! | host | `localhost` (one server only) |
//! | port | 6379, of a sentinel 26379 |
//! | db | 0; a cluster has no other |
//! | topic | an error |
//! | group | [`DEFAULT_GROUP`] |
//!
//! # User name and password
//!
//! The password comes from the URL or from the environment (`REDIS_PWD`). Without one nothing is
//! authenticated, and the user name is not used: documented command lines carry a placeholder
//! (`redis://username:@host`), which today's agent ignores and a server without ACL would reject.
//! For the same reason `name:@` with a password from the environment means the password alone,
//! while `name@` names an ACL user. Both apply to the Redis servers; sentinels are asked without.

use crate::env::password_from_env;
use bsp_common::Secret;
use std::fmt;

/// The consumer group of a URL without a fragment.
pub const DEFAULT_GROUP: &str = "bsp-agent";

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Why a URL can't be used. No message repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL of Redis.
    #[error(
        "the Redis URL must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or \
         rediss+cluster://"
    )]
    Scheme,
    /// No stream is named.
    #[error(
        "the Redis URL names no stream: add ?topic=NAME, for example redis://localhost:6379/0?topic=replication"
    )]
    NoTopic,
    /// Several streams are named.
    #[error("the Redis URL names more than one stream: leave one topic=NAME in its query")]
    SeveralTopics,
    /// A query parameter that means nothing.
    #[error("the Redis URL's query may hold one topic=NAME and nothing else; it holds {0:?}")]
    Parameter(String),
    /// A host that is no host.
    #[error("the Redis URL's host number {0} can't be read: write host, host:port or [IPv6]:port")]
    Host(usize),
    /// Several hosts where there is one.
    #[error("several hosts need redis+sentinel:// or redis+cluster://")]
    SeveralHosts,
    /// An invalid database number.
    #[error(
        "the Redis URL's path must be one database number, as in redis://localhost:6379/0?topic=NAME"
    )]
    Database,
    /// A sentinel URL without its master.
    #[error(
        "the path of a sentinel URL is the master's name and optionally a database, as in /mymaster/0"
    )]
    Master,
    /// A cluster URL with a database.
    #[error("a Redis cluster has database 0 only: leave the path of the URL empty")]
    ClusterDatabase,
    /// An invalid percent escape.
    #[error("the Redis URL's {0} holds a bad percent escape: write % as %25")]
    Escape(&'static str),
    /// A sign after the host that ends a user name and password: they hold a sign that ends a host.
    #[error(
        "the Redis URL holds an @ after its host: in a user name or password write / as %2F, ? as %3F and # as %23; \
         elsewhere write @ as %40"
    )]
    Credentials,
    /// Two passwords.
    #[error("the password in the Redis URL and the one in REDIS_PWD differ: give one of them")]
    TwoPasswords,
}

/// How the servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// One server.
    Single,
    /// The nodes are sentinels, which know where the master of this name is.
    Sentinel {
        /// The master's name.
        master: String,
    },
    /// The nodes are some of a cluster's, which know the others.
    Cluster,
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A parsed URL. `Debug` and `Display` show neither user name nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether to use TLS, to the sentinels too.
    pub tls: bool,
    /// What the nodes are.
    pub topology: Topology,
    /// At least one.
    pub nodes: Vec<Node>,
    /// Number of the database.
    pub db: u32,
    /// The stream.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    user: Option<String>,
    password: Option<Secret<String>>,
}

impl RedisUrl {
    /// Parses a URL; `environment_password` is that of `REDIS_PWD`, where empty means none.
    pub fn parse(text: &str, environment_password: Option<&str>) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let (tls, kind) = scheme_of(scheme)?;
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if rest.get(host_end..).is_some_and(|tail| tail.contains('@')) {
            return Err(UrlError::Credentials);
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (userinfo, hosts),
            None => ("", authority),
        };

        let (user, password) = credentials(userinfo, environment_password)?;
        let (topology, db) = topology(kind, path)?;
        let nodes = nodes(hosts, &topology)?;
        let group = unescape(fragment, "fragment")?;
        Ok(Self {
            tls,
            topology,
            nodes,
            db,
            topic: topic(query)?,
            group: if group.is_empty() { DEFAULT_GROUP.to_owned() } else { group },
            user,
            password: password.map(Secret::new),
        })
    }

    /// Parses a URL, with the password of the environment (`REDIS_PWD`) if there is one.
    pub fn parse_with_environment(text: &str) -> Result<Self, UrlError> {
        let password = password_from_env();
        Self::parse(text, password.as_ref().map(|password| password.expose().as_str()))
    }

    /// One server without TLS, user or password.
    pub fn single(host: &str, port: u16, db: u32, topic: &str) -> Self {
        Self {
            tls: false,
            topology: Topology::Single,
            nodes: vec![Node { host: host.to_owned(), port }],
            db,
            topic: topic.to_owned(),
            group: DEFAULT_GROUP.to_owned(),
            user: None,
            password: None,
        }
    }

    /// The ACL user, if there is a password too.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password: keep it out of everything that is shown.
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.expose().as_str())
    }

    /// The stream alone, without the group: what both halves call it.
    pub fn stream(&self) -> String {
        let shown = self.to_string();
        let group = self.group.len() + "#".len();
        shown.get(..shown.len() - group).unwrap_or(&shown).to_owned()
    }

    /// What stands before `://`.
    pub const fn scheme(&self) -> &'static str {
        match (&self.topology, self.tls) {
            (Topology::Single, false) => "redis",
            (Topology::Single, true) => "rediss",
            (Topology::Sentinel { .. }, false) => "redis+sentinel",
            (Topology::Sentinel { .. }, true) => "rediss+sentinel",
            (Topology::Cluster, false) => "redis+cluster",
            (Topology::Cluster, true) => "rediss+cluster",
        }
    }

    /// The stream that takes what can't be handled.
    pub fn dead_topic(&self) -> String {
        format!("{}.dead", self.topic)
    }

    /// The sorted set that remembers what was trimmed before it was handled.
    pub fn lost_topic(&self) -> String {
        format!("{}.lost", self.topic)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "{}{node}", if index == 0 { "" } else { "," })?;
        }
        match &self.topology {
            Topology::Single => write!(f, "/{}", self.db)?,
            Topology::Sentinel { master } => write!(f, "/{master}/{}", self.db)?,
            Topology::Cluster => {}
        }
        write!(f, "?topic={}#{}", self.topic, self.group)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

fn scheme_of(scheme: &str) -> Result<(bool, Kind), UrlError> {
    match scheme.to_ascii_lowercase().as_str() {
        "redis" => Ok((false, Kind::Single)),
        "rediss" => Ok((true, Kind::Single)),
        "redis+sentinel" => Ok((false, Kind::Sentinel)),
        "rediss+sentinel" => Ok((true, Kind::Sentinel)),
        "redis+cluster" => Ok((false, Kind::Cluster)),
        "rediss+cluster" => Ok((true, Kind::Cluster)),
        _ => Err(UrlError::Scheme),
    }
}

type Credentials = (Option<String>, Option<String>);

fn credentials(userinfo: &str, environment: Option<&str>) -> Result<Credentials, UrlError> {
    let (user, in_url) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(unescape(password, "password")?)),
        None => (userinfo, None),
    };
    let user = Some(unescape(user, "user name")?).filter(|user| !user.is_empty());
    let environment = environment.filter(|password| !password.is_empty());
    match (in_url.as_deref(), environment) {
        (Some(""), Some(password)) => Ok((None, Some(password.to_owned()))),
        (None | Some(""), None) => Ok((None, None)),
        (None, Some(password)) => Ok((user, Some(password.to_owned()))),
        (Some(password), Some(other)) if password != other => Err(UrlError::TwoPasswords),
        (Some(password), _) => Ok((user, Some(password.to_owned()))),
    }
}

fn topology(kind: Kind, path: &str) -> Result<(Topology, u32), UrlError> {
    match kind {
        Kind::Single => Ok((Topology::Single, database(path)?)),
        Kind::Cluster if matches!(path, "" | "0") => Ok((Topology::Cluster, 0)),
        Kind::Cluster => Err(UrlError::ClusterDatabase),
        Kind::Sentinel => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            let master = unescape(master, "path")?;
            if master.is_empty() {
                return Err(UrlError::Master);
            }
            Ok((Topology::Sentinel { master }, database(db).map_err(|_| UrlError::Master)?))
        }
    }
}

fn database(path: &str) -> Result<u32, UrlError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(0);
    }
    number(path).ok_or(UrlError::Database)
}

/// Decimal digits alone: `parse` would take a sign as well.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn nodes(hosts: &str, topology: &Topology) -> Result<Vec<Node>, UrlError> {
    let port = match topology {
        Topology::Sentinel { .. } => SENTINEL_PORT,
        Topology::Single | Topology::Cluster => REDIS_PORT,
    };
    let nodes = hosts
        .split(',')
        .enumerate()
        .map(|(index, host)| node(host, port).ok_or(UrlError::Host(index + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    match topology {
        Topology::Single if nodes.len() > 1 => Err(UrlError::SeveralHosts),
        Topology::Single => Ok(nodes),
        _ if hosts.is_empty() => Err(UrlError::Host(1)),
        _ => Ok(nodes),
    }
}

fn node(text: &str, default_port: u16) -> Option<Node> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = match port {
        None | Some("") => default_port,
        Some(port) => number(port).filter(|port| *port != 0)?,
    };
    let is_host = |c: char| !(c.is_whitespace() || c.is_control() || "@:[]%/\\".contains(c));
    let bracketed = text.starts_with('[');
    if !bracketed && !host.chars().all(is_host) {
        return None;
    }
    let host = if host.is_empty() { "localhost" } else { host };
    Some(Node { host: host.to_owned(), port })
}

fn topic(query: &str) -> Result<String, UrlError> {
    let mut topic = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "topic" {
            return Err(UrlError::Parameter(name.chars().take(40).collect()));
        }
        if topic.is_some() {
            return Err(UrlError::SeveralTopics);
        }
        topic = Some(value.into_owned());
    }
    topic.filter(|topic| !topic.is_empty()).ok_or(UrlError::NoTopic)
}

/// Percent escapes as bytes of UTF-8; everything else, `+` too, as it is.
fn unescape(text: &str, part: &'static str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|&c| char::from(c).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(UrlError::Escape(part));
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| UrlError::Escape(part))?);
        rest = tail.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Escape(part))
}

#[cfg(test)]
mod tests;
