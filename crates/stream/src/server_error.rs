//! What a server's error says, and what the operator can do about it. What follows from it is for
//! each half to decide: the agent refuses to start with a wrong password, the producer waits for
//! the right one.

use redis::{ErrorKind, RedisError};

/// Whether an error has a code, such as `OOM`. The errors of a transaction have none of their own,
/// and stand in the text as the library writes them: in quotes, or by the name of its variant.
pub fn has_code(error: &RedisError, code: &str) -> bool {
    let variant = match code {
        "NOPERM" => "NoPerm",
        "READONLY" => "ReadOnly",
        _ => "",
    };
    if error.code() == Some(code) {
        return true;
    }
    let text = error.to_string();
    text.contains(&format!("\"{code}\"")) || (!variant.is_empty() && text.contains(variant))
}

/// Whether an error has one of these codes.
pub fn has_any_code(error: &RedisError, codes: &[&str]) -> bool {
    codes.iter().any(|code| has_code(error, code))
}

/// Whether the server is at its `maxmemory` and evicts nothing: it removes and hands out, and
/// stores nothing new.
pub fn is_full(error: &RedisError) -> bool {
    has_code(error, "OOM")
}

/// Whether the server rejects the login, or wants one.
pub fn is_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || has_any_code(error, &["NOAUTH", "WRONGPASS"])
}

/// Whether the server may have done what it was asked for all the same: there was no reply, or none
/// that can be read.
pub fn outcome_is_unknown(error: &RedisError) -> bool {
    // An error that the server tells has changed nothing.
    !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// By code, what the operator can do.
const BY_CODE: [(&str, &str); 12] = [
    (
        "OOM",
        "Redis is full: raise its `maxmemory` (CONFIG SET maxmemory), or let consumers catch up",
    ),
    (
        "READONLY",
        "this server is a replica: name the primary in the URL, unless this one becomes it",
    ),
    ("MISCONF", "Redis can't save its data to its disk: see its log, and make room there"),
    (
        "NOREPLICAS",
        "Redis has fewer replicas than its `min-replicas-to-write`: bring them back, or lower that",
    ),
    (
        "NOAUTH",
        "authentication required: set REDIS_PWD (with user:@ in the URL for the password alone, user@ for an ACL user)",
    ),
    (
        "WRONGPASS",
        "the user name or password is rejected: check REDIS_PWD and the URL, where user:@ stands for the password alone \
         and user@ for an ACL user",
    ),
    (
        "WRONGTYPE",
        "the topic's key, or that of its .dead or .lost, holds something else: remove it, or choose another topic",
    ),
    (
        "NOPERM",
        "the user lacks a permission: a producer needs XADD, MULTI and EXEC on the key TOPIC, an agent +@stream \
         +@transaction +@sortedset +@connection on the keys TOPIC and TOPIC.*",
    ),
    ("MOVED", IN_A_CLUSTER),
    ("CROSSSLOT", IN_A_CLUSTER),
    ("CLUSTERDOWN", "the cluster is down: see `CLUSTER INFO` on its nodes"),
    ("LOADING", "Redis loads its data, and is there soon"),
];

const IN_A_CLUSTER: &str = "this server is part of a cluster: write redis+cluster:// in the URL";

/// By a part of the text, what the operator can do.
const BY_TEXT: [(&str, &str); 9] = [
    (
        "invalid bulk length",
        "the block is longer than the server takes: raise its proto-max-bulk-len",
    ),
    (
        "DB index is out of range",
        "the server has no such database: check the path of the URL, or raise `databases`",
    ),
    (
        "refused to switch database",
        "the server has no such database: check the path of the URL, or raise `databases`",
    ),
    (
        "UnknownIssuer",
        "name the file of the authority that signed the server's certificate in REDIS_TLS_CA_FILE or SSL_CERT_FILE",
    ),
    (
        "CaUsedAsEndEntity",
        "the server shows the certificate of an authority as its own: have that authority sign another one for the server, \
         or make the server's own with basicConstraints=critical,CA:FALSE",
    ),
    (
        "NotValidForName",
        "the server's certificate is for another name: connect to a name that its subjectAltName lists",
    ),
    (
        "CertificateRequired",
        "the server wants a certificate of its clients: name one in REDIS_TLS_CERT_FILE and its key in REDIS_TLS_KEY_FILE, \
         or set tls-auth-clients to no at the server",
    ),
    (
        "fatal alert: UnknownCA",
        "the server does not know the authority that signed the certificate in REDIS_TLS_CERT_FILE: see its tls-ca-cert-file",
    ),
    (
        "KeyMismatch",
        "the key in REDIS_TLS_KEY_FILE does not belong to the certificate in REDIS_TLS_CERT_FILE",
    ),
];

/// What the operator can do about an error, where that is known.
pub fn advice(error: &RedisError) -> Option<&'static str> {
    let by_code = BY_CODE.iter().find(|(code, _)| has_code(error, code));
    if let Some((_, advice)) = by_code {
        return Some(advice);
    }
    let text = error.to_string();
    let by_text = BY_TEXT.iter().find(|(part, _)| text.contains(part));
    if let Some((_, advice)) = by_text {
        return Some(advice);
    }
    (error.kind() == ErrorKind::AuthenticationFailed).then_some(
        "the login is rejected: check REDIS_PWD, and the user name and password in the URL",
    )
}

/// An error's text, with what to do about it where that is known.
pub fn with_advice(error: &RedisError) -> String {
    match advice(error) {
        Some(advice) => format!("{error} ({advice})"),
        None => error.to_string(),
    }
}

/// The error that a server's line makes, for tests.
#[doc(hidden)]
pub fn from_server_line(line: &str) -> Option<RedisError> {
    let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
    reply.and_then(redis::Value::extract_error).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::ServerErrorKind;

    fn of(line: &str) -> RedisError {
        from_server_line(line).unwrap()
    }

    #[test]
    fn what_a_server_says_has_its_advice() {
        for (line, part) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
            ("MISCONF Redis is configured to save RDB snapshots", "disk"),
            ("READONLY You can't write against a read only replica.", "primary"),
            ("NOREPLICAS Not enough good replicas to write.", "min-replicas"),
            ("NOAUTH Authentication required.", "REDIS_PWD"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "rejected"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "another topic"),
            ("MOVED 866 127.0.0.1:7002", "redis+cluster"),
            ("CLUSTERDOWN The cluster is down", "CLUSTER INFO"),
            ("ERR DB index is out of range", "databases"),
        ] {
            let told = with_advice(&of(line));
            assert!(told.contains(part), "{told}");
        }
        for line in ["ERR something new", "NOGROUP No such key 't'"] {
            assert_eq!(advice(&of(line)), None, "{line}");
        }
        assert!(is_full(&of("OOM command")) && !is_full(&of("MISCONF x")));
        assert!(is_login(&of("NOAUTH x")) && is_login(&of("WRONGPASS x")) && !is_login(&of("OOM")));
    }

    #[test]
    fn a_block_that_is_too_long_for_the_server_is_told_from_an_outage() {
        let kind = ErrorKind::Server(ServerErrorKind::ResponseError);
        let detail = "Protocol error: invalid bulk length".to_owned();
        let error = RedisError::from((kind, "An error was signalled by the server", detail));
        assert!(with_advice(&error).contains("raise its proto-max-bulk-len"));
    }

    #[test]
    fn only_a_reply_tells_what_happened() {
        let reply = RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "no"));
        assert!(!outcome_is_unknown(&reply));
        for kind in [ErrorKind::Io, ErrorKind::Parse, ErrorKind::UnexpectedReturnType] {
            assert!(outcome_is_unknown(&RedisError::from((kind, "no"))), "{kind:?}");
        }
    }
}
