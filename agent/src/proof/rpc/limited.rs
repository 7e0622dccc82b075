//! Whether an answer says that there are too many requests.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Codes that say nothing else: HTTP's, also as JSON-RPC's, and providers' own.
const CODES: [i64; 4] = [429, -32029, -32055, -32999];

/// EIP-1474's "limit exceeded". Rate limits have it, and so have an event search over too many
/// blocks, and batches that are too large.
const LIMIT_EXCEEDED: i64 = -32005;

/// geth's code of a call that reverted.
const REVERTED: i64 = 3;

/// What rate limits say, in lower case: Alchemy, Ankr, Infura, OnFinality, QuickNode, Substrate's
/// nodes and others.
const TEXTS: [&str; 14] = [
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "too many requests",
    "too many connections",
    "request limit",
    "requests per second",
    "request count exceeded",
    "compute units per second",
    "credits limited",
    "concurrent requests",
    "quota",
    "throttl",
];

/// Whether an error object is that of a rate limit.
pub(super) fn is_rate_limit(method: &str, code: i64, message: &str) -> bool {
    let message = message.to_lowercase();
    // Whatever a contract says, it is no word of the RPC.
    if code == REVERTED || message.contains("revert") {
        return false;
    }
    // "Batched requests are not supported" and the like have the code too.
    if message.contains("batch") && !CODES.contains(&code) {
        return message.contains("rate limit") || message.contains("too many requests");
    }
    CODES.contains(&code)
        || TEXTS.iter().any(|text| message.contains(text))
        || (code == LIMIT_EXCEEDED && method != "eth_getLogs")
}

/// How long the RPC asks to wait: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    // One in the past asks for no wait.
    Some(SystemTime::from(date).duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_are_told_from_other_limits() {
        for (code, text) in [
            (429, "Your app has exceeded its compute units per second capacity"),
            (-32005, "project ID request rate exceeded"),
            (-32005, "daily request count exceeded, request rate limited"),
            (-32005, "limit exceeded"),
            (-32007, "50/second request limit reached - reduce calls per second"),
            (-32016, "over rate limit"),
            (-32029, "Too Many Requests, Please apply an OnFinality API key or contact us"),
            (-32090, "Too many requests, reason: call rate limit exhausted, retry in 10m0s"),
            (-32999, "RPC rate limit"),
            (-32000, "too many requests in this batch"),
        ] {
            assert!(is_rate_limit("eth_call", code, text), "{code} {text}");
        }
        for (method, code, text) in [
            ("eth_getLogs", -32005, "query returned more than 10000 results"),
            ("a batch", -32005, "Batched requests are not supported by this server"),
            ("a batch", -32010, "The batch request was too large"),
            ("eth_call", 3, "execution reverted: Max submissions limit exceeded"),
            ("eth_sendRawTransaction", -32000, "exceeds block gas limit"),
            ("eth_estimateGas", -32000, "gas limit is too high"),
        ] {
            assert!(!is_rate_limit(method, code, text), "{code} {text}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let asked =
            |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(asked("Mon, 01 Jan 2987 00:00:00 GMT") > Some(Duration::from_secs(3600)));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
