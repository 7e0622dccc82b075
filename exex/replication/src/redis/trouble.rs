//! What an error says about what happened, and what to do about it.

use redis::{ErrorKind, RedisError};

/// Whether the server may have done what it was asked for all the same: there was no reply, or none that can be read.
pub(super) fn outcome_is_unknown(error: &RedisError) -> bool {
    // An error that the server tells has changed nothing.
    !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// Whether the server does not know the command in this form, or does not let us use it.
pub(super) fn is_unavailable(error: &RedisError) -> bool {
    matches!(error.code(), Some("ERR" | "NOPERM"))
}

/// The error, and what to do. All of it can be mended at the server, so all of it is waited for.
pub(super) fn explain(error: &RedisError) -> String {
    match advice(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

fn advice(error: &RedisError) -> Option<&'static str> {
    let login = "check the user and the password in the URL, or set them so at the server";
    let advice = match error.code() {
        Some("WRONGTYPE") => {
            "another kind of key has the topic's name: remove it, or use another ?topic="
        }
        Some("NOPERM") => "allow the user XADD, MULTI and EXEC, and the topic's key",
        Some("NOAUTH" | "WRONGPASS") => login,
        Some("OOM") => "the server has no memory left: let consumers catch up, or raise maxmemory",
        Some("MISCONF") => "the server can't write to its disk: see its log",
        Some("READONLY") => "this is a replica: name the primary in the URL, unless it becomes one",
        Some("MOVED" | "CROSSSLOT" | "CLUSTERDOWN") => {
            "name a server that is not part of a cluster"
        }
        _ if error.to_string().contains("invalid bulk length") => {
            "the block is longer than the server takes: raise its proto-max-bulk-len"
        }
        _ if error.kind() == ErrorKind::AuthenticationFailed => login,
        _ if error.to_string().contains("refused to switch database") => {
            "the server has no such database: check the path of the URL, or raise `databases`"
        }
        _ if error.to_string().contains("UnknownIssuer") => {
            "name the file of its certificate's authority in SSL_CERT_FILE"
        }
        _ => return None,
    };
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::ServerErrorKind;

    #[test]
    fn a_block_that_is_too_long_for_the_server_is_told_from_an_outage() {
        let kind = ErrorKind::Server(ServerErrorKind::ResponseError);
        let detail = "Protocol error: invalid bulk length".to_owned();
        let error = RedisError::from((kind, "An error was signalled by the server", detail));
        assert!(explain(&error).contains("raise its proto-max-bulk-len"), "{}", explain(&error));
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
