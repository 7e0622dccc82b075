//! Why an RPC gave no answer that can be used.

use alloy_primitives::Bytes;
use std::time::Duration;

/// Why an RPC gave no answer that can be used. No message holds the RPC's URL, which may have a key
/// in it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No whole answer in time.
    #[error("{method}: no answer within {seconds} s")]
    Timeout {
        /// What was asked.
        method: &'static str,
        /// The deadline.
        seconds: f32,
    },
    /// The connection failed.
    #[error("{method}: {reason}")]
    Connection {
        /// What was asked.
        method: &'static str,
        /// Why.
        reason: String,
    },
    /// An HTTP error without a JSON-RPC error in it.
    #[error("{method}: HTTP status {status}{hint}")]
    HttpStatus {
        /// What was asked.
        method: &'static str,
        /// For example 503.
        status: u16,
        /// What to do, where the status tells.
        hint: &'static str,
    },
    /// The RPC answers that there are too many requests, or one waited too long for its turn after
    /// such an answer.
    #[error(
        "{method}: the RPC limits the rate of requests ({reason}); the next one follows in {} s. If that goes on, take a \
         larger plan, or name another RPC in MB_RPC_URL",
        pause.as_secs_f32().ceil()
    )]
    RateLimited {
        /// What was asked.
        method: &'static str,
        /// In the RPC's words, in one line.
        reason: String,
        /// Until the next request may begin.
        pause: Duration,
    },
    /// The answer is longer than any that is needed.
    #[error("{method}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// What was asked.
        method: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The answer is no JSON-RPC, or has another form than the method's.
    #[error("{method}: the answer can't be read: {reason}")]
    Malformed {
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The node refuses.
    #[error("{method}: {message} (code {code})")]
    Node {
        /// What was asked.
        method: &'static str,
        /// JSON-RPC's code, or the node's own.
        code: i64,
        /// Its text, in one line.
        message: String,
        /// A revert's data.
        data: Option<Bytes>,
    },
    /// The answer contradicts another one, or itself.
    #[error("{method}: not plausible: {reason}")]
    Implausible {
        /// What was asked.
        method: &'static str,
        /// What it contradicts.
        reason: String,
    },
}

impl RpcError {
    /// Whether it says nothing of what was asked, only that there was too much of it.
    pub const fn is_rate_limit(&self) -> bool {
        matches!(self, Self::RateLimited { .. })
    }
}

/// A URL that can't be used for an RPC. Holds no part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcUrlError {
    /// Not a URL.
    #[error("MB_RPC_URL is not a URL: {0}")]
    Invalid(url::ParseError),
    /// Neither HTTP nor HTTPS.
    #[error(
        "MB_RPC_URL does not begin with http:// or https://: WebSocket and IPC are not supported"
    )]
    Scheme,
    /// The HTTP client can't be made.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

/// Whether an RPC's error may be due to how much was asked for. An RPC that does not answer at all
/// would only be asked more.
pub const fn is_about_the_question(error: &RpcError) -> bool {
    match error {
        RpcError::Node { .. } | RpcError::TooLarge { .. } | RpcError::Timeout { .. } => true,
        // Asking more often is no answer to a limit of requests, nor to a key that is refused.
        RpcError::HttpStatus { status, .. } => !matches!(status, 401 | 403 | 429),
        _ => false,
    }
}
