//! Which of Redis' errors need the operator, which pass, and which only mean that it can't take more now.

use redis::{ErrorKind, RedisError};

/// What an error asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays until the operator does what the text says.
    Refused(String),
    /// The consumer group, or the whole stream, is not there.
    NoGroup,
    /// It may pass: try again, on a new connection.
    Passing,
}

/// Judges an error.
pub(super) fn judge(error: &RedisError) -> Verdict {
    let text = error.to_string();
    let says = |code: &str| says(error, &text, code);
    let refused = |reason: &str| Verdict::Refused(reason.to_owned());
    if says("NOGROUP") || text.contains("no such key") {
        Verdict::NoGroup
    } else if says("NOAUTH") {
        refused(
            "it wants a password: put it into REDIS_PWD (with user:@ in the URL for the password alone, user@ for an \
             ACL user)",
        )
    } else if error.kind() == ErrorKind::AuthenticationFailed || says("WRONGPASS") {
        refused(
            "it rejects the user name or password: check REDIS_PWD and the URL, where user:@ stands for the password \
             alone and user@ for an ACL user",
        )
    } else if says("NOPERM") {
        Verdict::Refused(format!("{NOT_ALLOWED}: {text}"))
    } else if says("WRONGTYPE") {
        refused(
            "the topic's key, or that of its .dead or .lost, holds something else: choose another topic",
        )
    } else if text.contains("DB index is out of range") {
        refused("it has no database of this number: change the URL's path")
    } else if text.contains("unknown command") || text.contains("syntax error") {
        Verdict::Refused(format!("it is too old, at least Redis 6.2 is needed: {text}"))
    } else if error.kind() == ErrorKind::InvalidClientConfig {
        Verdict::Refused(text)
    } else {
        Verdict::Passing
    }
}

/// Whether an error has this code. The errors of a transaction have none of their own, and stand in the text as
/// the library writes them: in quotes, or by the name of its variant.
fn says(error: &RedisError, text: &str, code: &str) -> bool {
    let variant = match code {
        "NOPERM" => "NoPerm",
        "READONLY" => "ReadOnly",
        _ => "",
    };
    error.code() == Some(code)
        || text.contains(&format!("\"{code}\""))
        || (!variant.is_empty() && text.contains(variant))
}

/// Whether Redis answers, and yet does not store something: it is full, may not write, or the key is not for us. What
/// has another place must not wait for it then.
pub(super) fn cannot_store(error: &RedisError) -> bool {
    let text = error.to_string();
    ["OOM", "MISCONF", "READONLY", "NOREPLICAS", "NOPERM", "WRONGTYPE"]
        .iter()
        .any(|code| says(error, &text, code))
        || text.contains(NO_MORE_IDS)
}

/// `XADD` to a stream whose last id is the greatest there is.
const NO_MORE_IDS: &str = "exhausted the last possible ID";

/// Whether Redis is at its `maxmemory` and evicts nothing: it removes and hands out, and stores nothing new.
pub(super) fn is_full(error: &RedisError) -> bool {
    says(error, &error.to_string(), "OOM")
}

/// What the operator can do about a server that answers and does not write.
pub(super) fn advice(error: &RedisError) -> Option<&'static str> {
    let text = error.to_string();
    let table = [
        (
            "OOM",
            "Redis is full: raise its `maxmemory` (CONFIG SET maxmemory), or free some of its memory",
        ),
        ("READONLY", "this server is a replica: name the primary in the URL"),
        ("MISCONF", "Redis can't save its data to its disk: see its log, and make room there"),
        (
            "NOREPLICAS",
            "Redis has fewer replicas than its `min-replicas-to-write`: bring them back, or lower that",
        ),
    ];
    table.into_iter().find(|(code, _)| says(error, &text, code)).map(|(_, advice)| advice)
}

/// An error's text, with what to do about it where that is known.
pub(super) fn with_advice(error: &RedisError) -> String {
    match advice(error) {
        Some(advice) => format!("{error} ({advice})"),
        None => error.to_string(),
    }
}

const NOT_ALLOWED: &str = "the user lacks a permission: allow +@stream +@transaction +@sortedset +@connection on the \
                           keys TOPIC and TOPIC.*";

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Value;

    fn server_error(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(Value::extract_error)
            .unwrap_err()
    }

    #[test]
    fn what_is_not_stored_is_told_from_what_does_not_answer() {
        for line in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots",
            "READONLY You can't write against a read only replica.",
            "NOREPLICAS Not enough good replicas to write.",
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ] {
            assert!(cannot_store(&server_error(line)), "{line}");
        }
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "NOGROUP No such key 't'",
            "CLUSTERDOWN The cluster is down",
            "NOAUTH Authentication required.",
        ] {
            assert!(!cannot_store(&server_error(line)), "{line}");
        }
        for line in ["OOM command", "MISCONF Redis", "READONLY You", "NOREPLICAS Not"] {
            assert!(advice(&server_error(line)).is_some(), "{line}");
        }
        assert!(is_full(&server_error("OOM command")) && !is_full(&server_error("MISCONF x")));
    }

    #[test]
    fn what_needs_the_operator_is_told_from_what_passes() {
        for line in [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM this user has no permissions to run the 'xadd' command",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR DB index is out of range",
            "ERR unknown command 'XPENDING', with args beginning with:",
            "ERR syntax error",
        ] {
            assert!(matches!(judge(&server_error(line)), Verdict::Refused(_)), "{line}");
        }
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
            "MISCONF Redis is configured to save RDB snapshots",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "CLUSTERDOWN The cluster is down",
            "ERR something new",
        ] {
            assert_eq!(judge(&server_error(line)), Verdict::Passing, "{line}");
        }
        assert_eq!(judge(&server_error("NOGROUP No such key 't'")), Verdict::NoGroup);
    }
}
