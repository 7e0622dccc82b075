//! What is said to a pinning service, and what it answers.

use crate::pin::reply::{names, quote};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// The longest name of a request that is taken.
const MAX_ID: usize = 512;

/// What is to be pinned.
#[derive(Debug, Serialize)]
pub(super) struct PinObject<'a> {
    pub(super) cid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) origins: &'a [String],
}

/// How far a request is. The farthest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Failed,
    /// Queued, or being fetched.
    Waiting,
    Pinned,
}

/// What a service says of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) cid: String,
    pub(super) progress: Progress,
    pub(super) details: Option<String>,
}

impl Request {
    pub(super) fn is_for(&self, cid: &Cid) -> bool {
        names(&self.cid, cid)
    }
}

#[derive(Deserialize)]
struct PinStatus {
    requestid: String,
    status: String,
    pin: NamedPin,
    #[serde(default)]
    info: Option<Info>,
}

#[derive(Deserialize)]
struct NamedPin {
    cid: String,
}

#[derive(Deserialize)]
struct Info {
    status_details: Option<String>,
}

#[derive(Deserialize)]
struct PinResults {
    results: Vec<PinStatus>,
}

#[derive(Deserialize)]
struct Failure {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
    details: Option<String>,
}

impl TryFrom<PinStatus> for Request {
    type Error = String;

    fn try_from(told: PinStatus) -> Result<Self, String> {
        let PinStatus { requestid, status, pin, info } = told;
        if requestid.is_empty() || requestid.len() > MAX_ID {
            return Err("the request's id is empty or too long".to_owned());
        }
        let progress = match &*status {
            "queued" | "pinning" => Progress::Waiting,
            "pinned" => Progress::Pinned,
            "failed" => Progress::Failed,
            other => return Err(format!("the status {} is not known", quote(other))),
        };
        let details = info.and_then(|info| info.status_details);
        Ok(Self { id: requestid, cid: pin.cid, progress, details })
    }
}

/// Reads an answer about one request.
pub(super) fn request(status: u16, body: &[u8]) -> Result<Request, String> {
    parsed::<PinStatus>(status, body)?.try_into()
}

/// Reads a list of requests.
pub(super) fn found(status: u16, body: &[u8]) -> Result<Vec<Request>, String> {
    parsed::<PinResults>(status, body)?.results.into_iter().map(Request::try_from).collect()
}

fn parsed<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<T, String> {
    if matches!(status, 200 | 202) {
        return serde_json::from_slice(body).map_err(|error| {
            quote(&format!("the reply is not that of a pinning service: {error}"))
        });
    }
    let said = match serde_json::from_slice(body) {
        Ok(Failure { error: Reason { reason, details } }) => {
            quote(&[reason, details.unwrap_or_default()].join(" "))
        }
        Err(_) => quote(String::from_utf8_lossy(body).trim()),
    };
    Err(format!("status {status}: {}", said.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_status_of_the_api_is_known() {
        let told = |status: &str, id: &str| {
            let body = serde_json::json!({
                "requestid": id, "status": status, "created": "2020-07-27T17:32:28Z",
                "pin": { "cid": "bafy", "name": "x" }, "delegates": [],
                "info": { "status_details": "queue position: 7" }
            });
            request(202, body.to_string().as_bytes())
        };
        for (status, progress) in [
            ("queued", Progress::Waiting),
            ("pinning", Progress::Waiting),
            ("pinned", Progress::Pinned),
            ("failed", Progress::Failed),
        ] {
            let request = told(status, "7").unwrap();
            assert_eq!((request.progress, &*request.id, &*request.cid), (progress, "7", "bafy"));
            assert_eq!(request.details.as_deref(), Some("queue position: 7"));
        }
        assert!(told("lost", "7").unwrap_err().contains("lost"));
        assert!(told("pinned", "").is_err() && told("pinned", &"7".repeat(513)).is_err());
    }

    #[test]
    fn an_error_is_told_with_its_status() {
        let body = br#"{"error":{"reason":"UNAUTHORIZED","details":"Access token is missing"}}"#;
        let error = request(401, body).unwrap_err();
        assert_eq!(error, "status 401: UNAUTHORIZED Access token is missing");
        assert_eq!(found(502, b"Bad Gateway\n").unwrap_err(), "status 502: Bad Gateway");
        assert!(found(200, b"[]").unwrap_err().contains("pinning service"));
    }

    proptest! {
        #[test]
        fn any_body_is_answered_in_a_line(status in any::<u16>(), body in any::<Vec<u8>>()) {
            for error in [request(status, &body).err(), found(status, &body).err()] {
                prop_assert!(error.is_none_or(|error| !error.contains(char::is_control)));
            }
        }
    }
}
