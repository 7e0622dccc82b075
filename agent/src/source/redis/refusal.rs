//! Which of Redis' errors need the operator, which pass, and which only mean that it can't take
//! more now.

use bsp_stream::{
    RedisUrl,
    server_error::{advice, has_any_code, has_code, is_login, with_advice},
};
use redis::{ErrorKind, RedisError};

/// What an error asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// It stays until the operator does what the text says.
    Refused(String),
    /// The consumer group, or the whole stream, is not there.
    NoGroup,
    /// It may pass: try again, on a new connection.
    Passing,
}

/// Judges an error.
pub(super) fn judge(error: &RedisError) -> ErrorClass {
    let text = error.to_string();
    let says = |code: &str| has_code(error, code);
    let refused = || ErrorClass::Refused(advice(error).unwrap_or("it refuses").to_owned());
    if says("NOGROUP") || text.contains("no such key") {
        ErrorClass::NoGroup
    } else if is_login(error) {
        refused()
    } else if says("NOPERM") {
        ErrorClass::Refused(format!("{NOT_ALLOWED}: {text}"))
    } else if says("WRONGTYPE") || text.contains("DB index is out of range") {
        refused()
    } else if text.contains("unknown command") || text.contains("syntax error") {
        ErrorClass::Refused(format!("it is too old, at least Redis 6.2 is needed: {text}"))
    } else if error.kind() == ErrorKind::InvalidClientConfig {
        ErrorClass::Refused(with_advice(error))
    } else {
        ErrorClass::Passing
    }
}

/// Whether Redis answers, and yet does not store something: it is full, may not write, or the key
/// is not for us. What has another place must not wait for it then.
pub(super) fn cannot_store(error: &RedisError) -> bool {
    has_any_code(error, &["OOM", "MISCONF", "READONLY", "NOREPLICAS", "NOPERM", "WRONGTYPE"])
        || error.to_string().contains(NO_MORE_IDS)
}

/// `XADD` to a stream whose last id is the greatest there is.
const NO_MORE_IDS: &str = "exhausted the last possible ID";

/// Whether a server that answers does not write, for a reason that needs the operator.
pub(super) fn cannot_write(error: &RedisError) -> bool {
    has_any_code(error, &["OOM", "READONLY", "MISCONF", "NOREPLICAS"])
}

const NOT_ALLOWED: &str = "the user lacks a permission: allow +@stream +@transaction +@sortedset +@connection on the \
                           keys TOPIC and TOPIC.*";

/// A full server gives out what it has, but only to a group that is there.
pub(super) fn full_without_group(url: &RedisUrl, error: &RedisError) -> String {
    format!(
        "the group {} is not there and can't be made: {}; start again then",
        url.group,
        with_advice(error)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_stream::server_error::from_server_line;

    fn server_error(line: &str) -> RedisError {
        from_server_line(line).unwrap()
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
            assert!(cannot_write(&server_error(line)), "{line}");
        }
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
            assert!(matches!(judge(&server_error(line)), ErrorClass::Refused(_)), "{line}");
        }
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
            "MISCONF Redis is configured to save RDB snapshots",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "CLUSTERDOWN The cluster is down",
            "ERR something new",
        ] {
            assert_eq!(judge(&server_error(line)), ErrorClass::Passing, "{line}");
        }
        assert_eq!(judge(&server_error("NOGROUP No such key 't'")), ErrorClass::NoGroup);
    }
}
