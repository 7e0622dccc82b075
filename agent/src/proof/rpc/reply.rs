//! What an HTTP answer holds: JSON-RPC's answers, or the reason why there are none.

use super::{Endpoint, RpcError, limited::is_rate_limit};
use crate::proof::outcome::one_line;
use alloy_json_rpc::ErrorPayload;
use bytes::BytesMut;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use std::time::Duration;

/// How much of an answer is shown that is no JSON.
const SHOWN_CHARS: usize = 60;

/// An answer to an HTTP request.
#[derive(Debug)]
pub(super) struct RpcReply<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) bytes: BytesMut,
}

/// A JSON-RPC answer.
#[derive(Debug, Deserialize)]
pub(super) struct Response {
    /// Of a request of ours. Erigon and others answer with strings.
    #[serde(default, deserialize_with = "number_or_text")]
    pub(super) id: Option<usize>,
    // `Option<Box<RawValue>>` would read the answer `null` as no answer.
    #[serde(default, deserialize_with = "some_raw")]
    pub(super) result: Option<Box<RawValue>>,
    pub(super) error: Option<ErrorPayload>,
}

fn some_raw<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// An id that is none of ours, whatever it is, is `None`.
fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|number| number.try_into().ok()),
    })
}

impl RpcReply<'_> {
    /// The answer to a single call. Its id is ignored: there is only one.
    pub(super) fn one(&self, method: &'static str) -> Result<Response, RpcError> {
        self.check_rate(method)?;
        let response = serde_json::from_slice::<Response>(&self.bytes);
        match response {
            Ok(response) if self.is_success() => Ok(response),
            // Some nodes put a call's error into an HTTP error's body.
            Ok(response) if response.error.is_some() && !self.is_refused_access() => Ok(response),
            Err(error) if self.is_success() => Err(self.malformed(method, &error)),
            _ => Err(self.http_status(method)),
        }
    }

    /// The answers to a batch, in whatever order. `None` if the RPC takes no batch like this: an
    /// HTTP error, or an error about how many requests there are, is an error of the connection and
    /// says nothing of that.
    pub(super) fn many(
        &self,
        method: &'static str,
        calls: usize,
    ) -> Result<Option<Vec<Response>>, RpcError> {
        self.check_rate(method)?;
        if !self.is_success() {
            // Nothing was wrong with the calls one by one, and a server in trouble says so with
            // 5xx.
            return match self.status {
                400 | 413 => Ok(None),
                _ => Err(self.http_status(method)),
            };
        }
        match serde_json::from_slice::<Vec<Response>>(&self.bytes) {
            // geth answers to a batch that is too large with one error in a list.
            Ok(list) => match list.as_slice() {
                [Response { error: Some(error), .. }] if calls > 1 => {
                    self.check_error(method, error)?;
                    Ok(None)
                }
                _ => Ok(Some(list)),
            },
            Err(error) => match serde_json::from_slice::<IgnoredAny>(&self.bytes) {
                Ok(_) => Ok(None),
                Err(_) => Err(self.malformed(method, &error)),
            },
        }
    }

    /// Whether the answer as a whole is that there are too many requests.
    fn check_rate(&self, method: &'static str) -> Result<(), RpcError> {
        let error = serde_json::from_slice::<Response>(&self.bytes).ok().and_then(|it| it.error);
        if self.status == 429 || (self.status == 503 && self.retry_after.is_some()) {
            let said = error.map_or_else(String::new, |error| format!(": {}", error.message));
            return Err(self.limited(method, &format!("HTTP status {}{said}", self.status)));
        }
        error.map_or(Ok(()), |error| self.check_error(method, &error))
    }

    fn check_error(&self, method: &'static str, error: &ErrorPayload) -> Result<(), RpcError> {
        match is_rate_limit(method, error.code, &error.message) {
            true => Err(self.limited(method, &format!("code {}: {}", error.code, error.message))),
            false => Ok(()),
        }
    }

    fn limited(&self, method: &'static str, reason: &str) -> RpcError {
        RpcError::RateLimited {
            method,
            reason: one_line(&self.endpoint.redact(reason)),
            pause: self.retry_after.unwrap_or_default(),
        }
    }

    const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// What the server says to the caller, whatever the call.
    const fn is_refused_access(&self) -> bool {
        matches!(self.status, 401..=403 | 407)
    }

    fn http_status(&self, method: &'static str) -> RpcError {
        RpcError::HttpStatus { method, status: self.status, hint: hint(self.status) }
    }

    fn malformed(&self, method: &'static str, error: &serde_json::Error) -> RpcError {
        let text = String::from_utf8_lossy(&self.bytes);
        let reason = if text.trim_start().starts_with(['{', '[']) {
            error.to_string()
        } else {
            let begin: String = text.trim_start().chars().take(SHOWN_CHARS).collect();
            format!(
                "HTTP status {} with {begin:?} in place of JSON: the address in MB_RPC_URL is hardly that of a JSON-RPC \
                 server, check it",
                self.status
            )
        };
        RpcError::Malformed { method, reason: one_line(&self.endpoint.redact(&reason)) }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ": it redirects, name the address that it redirects to in MB_RPC_URL",
        401 | 403 => ": check the key in MB_RPC_URL",
        402 => ": the plan is used up or not paid, see the provider's account",
        404 | 405 => ": check the path in MB_RPC_URL",
        407 => ": the proxy wants a user and password, check HTTP_PROXY and HTTPS_PROXY",
        500..=599 => {
            ": the server, or what stands before it, fails; if that stays, name another RPC in MB_RPC_URL"
        }
        _ => ": check MB_RPC_URL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::parse("https://rpc.example/v2/s3cret-s3cret").unwrap()
    }

    fn with<T>(status: u16, body: &str, look: impl FnOnce(&RpcReply<'_>) -> T) -> T {
        let endpoint = endpoint();
        look(&RpcReply { endpoint: &endpoint, status, retry_after: None, bytes: body.into() })
    }

    fn one(status: u16, body: &str) -> Result<Response, RpcError> {
        with(status, body, |reply| reply.one("eth_chainId"))
    }

    fn many(status: u16, body: &str) -> Result<Option<Vec<Response>>, RpcError> {
        with(status, body, |reply| reply.many("a batch", 2))
    }

    #[test]
    fn ids_may_be_numbers_or_texts() {
        let body = r#"{"jsonrpc": "2.0", "id": "0", "result": "0x504"}"#;
        assert_eq!(one(200, body).unwrap().result.unwrap().get(), r#""0x504""#);
        let body = r#"[{"id":"1","result":null},{"id":0,"result":2},{"id":null,"result":3},{"id":{},"result":4}]"#;
        let ids: Vec<_> = many(200, body).unwrap().unwrap().iter().map(|it| it.id).collect();
        assert_eq!(ids, [Some(1), Some(0), None, None]);
    }

    #[test]
    fn what_is_no_json_is_told_with_status_and_cure() {
        for body in ["<!DOCTYPE html><title>s3cret-s3cret</title>", "", "Bad\u{1b}[2J gateway"] {
            for error in [one(200, body).unwrap_err(), many(200, body).unwrap_err()] {
                let text = error.to_string();
                assert!(text.contains("HTTP status 200") && text.contains("MB_RPC_URL"), "{text}");
                assert!(!text.contains("s3cret-s3cret") && !text.contains('\u{1b}'), "{text}");
            }
            for status in [301, 302, 401, 403, 404, 407, 500, 502, 503, 520] {
                let (single, batch) = (one(status, body), many(status, body));
                for error in [single.unwrap_err(), batch.unwrap_err()] {
                    assert!(matches!(error, RpcError::HttpStatus { .. }), "{error}");
                    assert!(error.to_string().contains(&format!("status {status}: ")), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_rate_limit_is_told_apart_whatever_its_form() {
        let limited = |error: RpcError| matches!(error, RpcError::RateLimited { .. });
        for (status, body) in [
            (429, "error code: 1015"),
            (429, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"slow down"}}"#),
            (200, r#"{"jsonrpc":"2.0","error":{"code":429,"message":"s3cret-s3cret"}}"#),
            (200, r#"{"id":0,"error":{"code":-32005,"message":"limit exceeded"}}"#),
            (403, r#"{"id":0,"error":{"code":-32005,"message":"daily request count exceeded"}}"#),
            (400, r#"{"error":{"code":-32090,"message":"Too many requests"}}"#),
        ] {
            assert!(limited(one(status, body).unwrap_err()), "{body}");
            let error = many(status, body).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(limited(error), "{body}");
        }
        let list = r#"[{"id":0,"error":{"code":429,"message":""}}]"#;
        assert!(limited(many(200, list).unwrap_err()));
    }

    #[test]
    fn only_a_success_or_a_bad_request_says_that_batches_are_not_taken() {
        let error = r#"{"id":null,"error":{"code":-32005,"message":"Batched requests are not supported by this server"}}"#;
        let too_large = r#"[{"id":0,"error":{"code":-32600,"message":"batch too large"}}]"#;
        for (status, body) in
            [(200, error), (200, too_large), (200, "\"0x1\""), (400, error), (413, "too large")]
        {
            assert!(many(status, body).unwrap().is_none(), "{status} {body}");
        }
        for status in [401, 403, 404, 500, 502, 503] {
            assert!(many(status, error).is_err(), "{status}");
        }
        assert!(
            many(200, r#"[{"id":0,"error":{"code":3,"message":"x"}},{"id":1,"result":1}]"#)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_calls_error_in_an_http_errors_body_is_the_calls() {
        let body = r#"{"id":0,"error":{"code":3,"message":"execution reverted","data":"0x"}}"#;
        for status in [400, 500] {
            assert_eq!(one(status, body).unwrap().error.unwrap().code, 3);
        }
        assert!(one(403, body).is_err());
    }
}
