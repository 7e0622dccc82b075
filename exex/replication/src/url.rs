//! The URLs that name targets, as bsp-geth v2.2.0's `--replication.targets` takes them.

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use std::{borrow::Cow, fmt, path::PathBuf};
use url::{Host, Url};

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 6379;

/// Where a target is. [`Display`](fmt::Display) and [`Debug`] show no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetUrl {
    /// `redis[s]://[user[:password]@][host][:port][/db]?topic=KEY`
    Redis(RedisUrl),
    /// `file:///folder`
    File(PathBuf),
}

/// A stream of a Redis server.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether the connection is encrypted: `rediss`.
    pub tls: bool,
    /// A name or an address, by default `localhost`.
    pub host: String,
    /// By default 6379.
    pub port: u16,
    /// The ACL user; without a password it has no effect.
    pub user: Option<String>,
    /// The password, if any.
    pub password: Option<String>,
    /// The database, by default 0.
    pub db: u32,
    /// The stream's key.
    pub topic: String,
}

/// A text that is no target. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "target {number}: {reason}; expected redis://host:6379/0?topic=KEY, rediss://… or file:///folder"
)]
pub struct TargetUrlError {
    /// Which of the list, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl TargetUrl {
    /// Reads a list of URLs with commas between them. Empty items are ignored; a comma within a URL is written `%2C`.
    ///
    /// # Errors
    ///
    /// [`TargetUrlError`] for the first item that is no target.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, TargetUrlError> {
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .enumerate()
            .map(|(index, item)| {
                parse(item).map_err(|reason| TargetUrlError { number: index + 1, reason })
            })
            .collect()
    }
}

impl std::str::FromStr for TargetUrl {
    type Err = TargetUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| TargetUrlError { number: 1, reason })
    }
}

fn parse(text: &str) -> Result<TargetUrl, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "redis" => parse_redis(&url, false).map(TargetUrl::Redis),
        "rediss" => parse_redis(&url, true).map(TargetUrl::Redis),
        "file" => parse_file(&url).map(TargetUrl::File),
        other => Err(format!("unknown scheme {other:?}")),
    }
}

/// A fragment is ignored: the agent reads its consumer group from it, so one URL serves both.
fn parse_redis(url: &Url, tls: bool) -> Result<RedisUrl, String> {
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => decode(name, "host")?,
        Some(Host::Domain(_)) | None => DEFAULT_HOST.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
    };
    let present = |text: String| (!text.is_empty()).then_some(text);
    Ok(RedisUrl {
        tls,
        host,
        port: url.port().unwrap_or(DEFAULT_PORT),
        user: present(decode(url.username(), "user")?),
        password: present(decode(url.password().unwrap_or_default(), "password")?),
        db: parse_db(url.path())?,
        topic: parse_topic(url)?,
    })
}

fn parse_db(path: &str) -> Result<u32, String> {
    match path.trim_matches('/') {
        "" => Ok(0),
        db => db.parse().map_err(|_| format!("the path {path:?} is not the number of a database")),
    }
}

fn parse_topic(url: &Url) -> Result<String, String> {
    let mut topic = None;
    for (name, value) in url.query_pairs() {
        match &*name {
            "topic" => topic = topic.or_else(|| Some(value.into_owned())),
            other => return Err(format!("unknown parameter {other:?}")),
        }
    }
    topic.filter(|topic| !topic.is_empty()).ok_or_else(|| "there is no ?topic=KEY".to_owned())
}

fn parse_file(url: &Url) -> Result<PathBuf, String> {
    if url.query().is_some() {
        return Err("a folder has no parameters".to_owned());
    }
    match url.to_file_path() {
        Ok(folder) if url.host().is_none() => Ok(folder),
        _ => Err("a folder is written with three slashes".to_owned()),
    }
}

fn decode(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| format!("the {what} is not UTF-8"))
}

impl RedisUrl {
    /// How the redis crate is told. As with bsp-geth v2.2.0, a user without a password does not log in.
    pub(crate) fn connection_info(&self) -> redis::RedisResult<ConnectionInfo> {
        let (host, port) = (self.host.clone(), self.port);
        let address = if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut settings = RedisConnectionInfo::default().set_db(self.db.into());
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
            if let Some(user) = &self.user {
                settings = settings.set_username(user);
            }
        }
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(url) => url.fmt(f),
            Self::File(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, host, port, db, topic, .. } = self;
        let scheme = if *tls { "rediss" } else { "redis" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "{scheme}://{host}:{port}/{db}?topic={topic}")
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(text: &str) -> RedisUrl {
        match text.parse() {
            Ok(TargetUrl::Redis(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refusal(text: &str) -> String {
        text.parse::<TargetUrl>().unwrap_err().reason
    }

    #[test]
    fn a_full_redis_url() {
        let url = redis("rediss://al%40ice:p%2B+%26%3D%25@redis.example:7000/3?topic=repl+1#group");
        assert_eq!(
            url,
            RedisUrl {
                tls: true,
                host: "redis.example".to_owned(),
                port: 7000,
                user: Some("al@ice".to_owned()),
                password: Some("p++&=%".to_owned()),
                db: 3,
                topic: "repl 1".to_owned(),
            }
        );
    }

    #[test]
    fn what_a_redis_url_leaves_out() {
        for text in ["redis://?topic=t", "redis:///?topic=t", "redis://localhost:6379/0?topic=t#g"]
        {
            let url = redis(text);
            assert_eq!(url.to_string(), "redis://localhost:6379/0?topic=t", "{text}");
            assert_eq!((url.user, url.password), (None, None));
        }
        assert_eq!(redis("redis://[::1]/?topic=t").to_string(), "redis://[::1]:6379/0?topic=t");
    }

    #[test]
    fn a_user_without_password_does_not_log_in() {
        let info = redis("redis://username:@localhost:6379/0?topic=t").connection_info().unwrap();
        assert_eq!(info.redis_settings().username(), None);
        let info = redis("redis://username:secret@localhost?topic=t").connection_info().unwrap();
        assert_eq!(info.redis_settings().username(), Some("username"));
        assert_eq!(info.redis_settings().password(), Some("secret"));
    }

    #[test]
    fn a_list_ignores_empty_items_and_counts_the_others() {
        let list = TargetUrl::parse_list(",redis://h?topic=a, file:///var/lib/x ,,").unwrap();
        let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["redis://h:6379/0?topic=a", "file:///var/lib/x"]);
        assert_eq!(TargetUrl::parse_list(" , "), Ok(vec![]));
        assert_eq!(TargetUrl::parse_list("file:///x,,http://y").unwrap_err().number, 2);
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (text, reason) in [
            ("http://h?topic=t", "unknown scheme"),
            ("localhost:6379", "unknown scheme"),
            ("redis://h", "there is no ?topic=KEY"),
            ("redis://h?topic=", "there is no ?topic=KEY"),
            ("redis://h?topic=t&maxlen=3", "unknown parameter \"maxlen\""),
            ("redis://h/0/1?topic=t", "not the number of a database"),
            ("redis://h/zero?topic=t", "not the number of a database"),
            ("redis://h:99999?topic=t", "port"),
            ("redis://%ff@h?topic=t", "the user is not UTF-8"),
            ("file://folder", "three slashes"),
            ("file://host/folder", "three slashes"),
            ("file:///folder?topic=t", "no parameters"),
            ("", "relative URL"),
        ] {
            assert!(refusal(text).contains(reason), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn no_text_shows_the_password() {
        let secret = "hunter2";
        let url: TargetUrl = format!("redis://user:{secret}@h?topic=t").parse().unwrap();
        assert!(!format!("{url} {url:?}").contains(secret));
        let info = redis(&format!("redis://user:{secret}@h?topic=t")).connection_info().unwrap();
        assert!(!format!("{info:?}").contains(secret));
        for wrong in [
            "redis://u:hunter2@h",
            "redis://u:hunter2@h/x?topic=t",
            "redis://u:hunter2@h:x?topic=t",
        ] {
            let error = wrong.parse::<TargetUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
    }
}
