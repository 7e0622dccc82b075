//! The URLs that name targets, as bsp-geth v2.2.0's `--replication.targets` takes them, and
//! sentinels and clusters besides.

use bsp_stream::{RedisUrl, UrlError};
use std::{fmt, path::PathBuf};
use url::Url;

/// Where a target is. [`Display`](fmt::Display) and [`Debug`] show no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetUrl {
    /// `redis[s]://[user[:password]@][host][:port][/db]?topic=KEY`, or one of the forms for
    /// sentinels and clusters, see [`bsp_stream::url`]. A consumer group in it is the agent's, and
    /// means nothing to a target.
    Redis(Box<RedisUrl>),
    /// `file:///folder`
    File(PathBuf),
}

/// A text that is no target. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("target {number}: {reason}")]
pub struct TargetUrlError {
    /// Which of the list, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub reason: TargetUrlProblem,
}

/// What is wrong with a target's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetUrlProblem {
    /// Neither a stream nor a folder.
    #[error("expected redis://host:6379/0?topic=KEY, rediss://… or file:///folder")]
    Scheme,
    /// It names no Redis stream.
    #[error(transparent)]
    Redis(#[from] UrlError),
    /// What follows a comma is not a URL.
    #[error(
        "a comma ends a URL, and what follows it is not one: within a user name, a password or a topic write it as %2C"
    )]
    Comma,
    /// It names no folder.
    #[error("a folder is written with three slashes and without parameters: file:///folder")]
    Folder,
}

impl TargetUrl {
    /// Reads a list of URLs with commas between them. Empty items are ignored; a comma within a URL
    /// is written `%2C`, but for those between the hosts of sentinels and clusters. `password` is
    /// that of `REDIS_PWD`, for servers whose URL has none.
    ///
    /// # Errors
    ///
    /// [`TargetUrlError`] for the first item that is no target.
    pub fn parse_list(list: &str, password: Option<&str>) -> Result<Vec<Self>, TargetUrlError> {
        let items = items(list);
        let is_rest = |index: usize| {
            index > 0 && items.get(index).is_some_and(|item: &String| !item.contains("://"))
        };
        let parse = |(index, item): (usize, &String)| {
            Self::parse(item, password).map_err(|reason| {
                let comma = is_rest(index) || is_rest(index + 1);
                let reason = if comma { TargetUrlProblem::Comma } else { reason };
                TargetUrlError { number: index + 1, reason }
            })
        };
        items.iter().enumerate().map(parse).collect()
    }

    /// Reads one URL. `password` is that of `REDIS_PWD`, for a server whose URL has none.
    ///
    /// # Errors
    ///
    /// [`TargetUrlProblem`].
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, TargetUrlProblem> {
        let (scheme, _) = text.split_once("://").ok_or(TargetUrlProblem::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "file" => folder(text).map(Self::File),
            _ => match RedisUrl::parse(text, password) {
                Ok(url) => Ok(Self::Redis(Box::new(url))),
                Err(UrlError::Scheme) => Err(TargetUrlProblem::Scheme),
                // Several servers may have passwords of their own.
                Err(UrlError::TwoPasswords) => {
                    Ok(Self::Redis(Box::new(RedisUrl::parse(text, None)?)))
                }
                Err(error) => Err(error.into()),
            },
        }
    }
}

impl std::str::FromStr for TargetUrl {
    type Err = TargetUrlProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, None)
    }
}

/// The items of a list. What follows a comma belongs to the item before it while that names several
/// hosts.
fn items(list: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for piece in list.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        match items.last_mut() {
            Some(last) if !piece.contains("://") && ends_in_hosts(last) => {
                last.push(',');
                last.push_str(piece);
            }
            _ => items.push(piece.to_owned()),
        }
    }
    items
}

/// Whether a URL of sentinels or a cluster ends before its path.
fn ends_in_hosts(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    scheme.contains('+') && !rest.contains(['/', '?', '#'])
}

fn folder(text: &str) -> Result<PathBuf, TargetUrlProblem> {
    let url = Url::parse(text).map_err(|_| TargetUrlProblem::Folder)?;
    match url.to_file_path() {
        Ok(folder) if url.host().is_none() && url.query().is_none() => Ok(folder),
        _ => Err(TargetUrlProblem::Folder),
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(url) => f.write_str(&url.stream()),
            Self::File(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<TargetUrl>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    fn refusal(text: &str) -> String {
        text.parse::<TargetUrl>().unwrap_err().to_string()
    }

    #[test]
    fn a_target_is_called_by_its_stream() {
        for text in ["redis://?topic=t", "redis:///?topic=t", "redis://localhost:6379/0?topic=t#g"]
        {
            assert_eq!(shown(text), "redis://localhost:6379/0?topic=t", "{text}");
        }
        assert_eq!(shown("redis://[::1]/?topic=t"), "redis://[::1]:6379/0?topic=t");
        assert_eq!(
            shown("redis+sentinel://a,b:1/main/3?topic=t#g"),
            "redis+sentinel://a:26379,b:1/main/3?topic=t"
        );
        assert_eq!(shown("redis+cluster://a,b:1?topic=t#g"), "redis+cluster://a:6379,b:1?topic=t");
    }

    #[test]
    fn a_list_ignores_empty_items_and_counts_the_others() {
        let list = TargetUrl::parse_list(",redis://h?topic=a, file:///var/lib/x ,,", None).unwrap();
        let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["redis://h:6379/0?topic=a", "file:///var/lib/x"]);
        assert_eq!(TargetUrl::parse_list(" , ", None), Ok(vec![]));
        assert_eq!(TargetUrl::parse_list("file:///x,,http://y", None).unwrap_err().number, 2);
    }

    #[test]
    fn commas_between_hosts_are_no_commas_between_urls() {
        let list = "redis+sentinel://a:1,b:2,c/main?topic=t,file:///x,redis+cluster://d,e?topic=u";
        let list = TargetUrl::parse_list(list, None).unwrap();
        let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "redis+sentinel://a:1,b:2,c:26379/main/0?topic=t",
                "file:///x",
                "redis+cluster://d:6379,e:6379?topic=u"
            ]
        );
        assert_eq!(TargetUrl::parse_list("redis://h?topic=t,h:7", None).unwrap_err().number, 2);
        assert_eq!(TargetUrl::parse_list("file:///x,h:7", None).unwrap_err().number, 2);
    }

    #[test]
    fn a_comma_within_a_url_is_told() {
        for (list, number) in [
            ("redis://:pa,ss@h?topic=t", 1),
            ("file:///x,redis://:pa,ss@h?topic=t", 2),
            ("redis://h?topic=a,b", 2),
        ] {
            let error = TargetUrl::parse_list(list, None).unwrap_err();
            assert_eq!(error, TargetUrlError { number, reason: TargetUrlProblem::Comma }, "{list}");
        }
        let list = TargetUrl::parse_list("redis://:pa%2Css@h?topic=a%2Cb", None).unwrap();
        assert!(matches!(&list[..], [TargetUrl::Redis(url)] if url.password() == Some("pa,ss")));
    }

    #[test]
    fn a_redis_url_is_refused_in_the_agents_words() {
        for text in [
            "redis://:p#ss@h?topic=t",
            "redis://:a/b@h?topic=t",
            "redis://:a?b@h?topic=t",
            "redis://:100%@h?topic=t",
            "redis://h?topic=r&topic=s",
            "redis://h:x?topic=t",
            "redis://h",
        ] {
            let agents = RedisUrl::parse(text, None).unwrap_err().to_string();
            assert_eq!(refusal(text), agents, "{text}");
        }
    }

    #[test]
    fn the_password_of_the_environment_is_for_urls_without_one() {
        let list = "redis://user:@a?topic=t,redis://:own@b?topic=t,file:///x";
        let list = TargetUrl::parse_list(list, Some("given")).unwrap();
        let passwords: Vec<_> = list
            .iter()
            .map(|target| match target {
                TargetUrl::Redis(url) => url.password(),
                TargetUrl::File(_) => None,
            })
            .collect();
        assert_eq!(passwords, [Some("given"), Some("own"), None]);
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (text, reason) in [
            ("http://h?topic=t", "expected redis://"),
            ("localhost:6379", "expected redis://"),
            ("", "expected redis://"),
            ("redis://h", "names no stream"),
            ("redis://h?topic=t&maxlen=3", "maxlen"),
            ("redis://h/zero?topic=t", "one database number"),
            ("redis://h:99999?topic=t", "host"),
            ("file://folder", "three slashes"),
            ("file://host/folder", "three slashes"),
            ("file:///folder?topic=t", "without parameters"),
        ] {
            assert!(refusal(text).contains(reason), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn no_text_shows_the_password() {
        let secret = "hunter2";
        let url: TargetUrl = format!("redis://user:{secret}@h?topic=t").parse().unwrap();
        assert!(!format!("{url} {url:?}").contains(secret));
        for wrong in [
            "redis://u:hunter2@h",
            "redis://u:hunter2@h/x?topic=t",
            "redis://u:hunter2@h:x?topic=t",
        ] {
            let error = TargetUrl::parse_list(wrong, None).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
    }
}
