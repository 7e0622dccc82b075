//! Which of Redis' errors need the operator, and which pass.

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
    // The errors of a transaction have no code of their own, and stand in the text as the library writes them.
    let says = |code: &str| error.code() == Some(code) || text.contains(&format!("\"{code}\""));
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
    } else if says("NOPERM") || text.contains("NoPerm") {
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
