//! One request for a pin.

use super::super::{MAX_NAME, content_id, problem::Problem};
use bsp_codec::dag::Cid;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bounds that the specification sets.
const MAX_ORIGINS: usize = 20;
const MAX_META: usize = 1000;

/// The body of a request, as it comes.
#[derive(Debug, Deserialize)]
pub(super) struct PinBody {
    cid: String,
    name: Option<String>,
    origins: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The CID as it was written, which is how the client knows it.
    text: String,
    pub(super) name: String,
    origins: Vec<String>,
    pub(super) meta: BTreeMap<String, String>,
}

impl PinBody {
    pub(super) fn checked(self) -> Result<Wanted, Problem> {
        content_id::parse(&self.cid)?;
        let wanted = Wanted {
            text: self.cid,
            name: self.name.unwrap_or_default(),
            origins: self.origins.unwrap_or_default(),
            meta: self.meta.unwrap_or_default(),
        };
        if wanted.name.len() > MAX_NAME {
            return Err(Problem::bad_request(format!("the name has more than {MAX_NAME} bytes")));
        }
        if wanted.origins.len() > MAX_ORIGINS || wanted.meta.len() > MAX_META {
            let reason = format!("more than {MAX_ORIGINS} origins or {MAX_META} fields of meta");
            return Err(Problem::bad_request(reason));
        }
        Ok(wanted)
    }
}

impl Wanted {
    pub(super) fn cid(&self) -> Result<Cid, Problem> {
        content_id::parse(&self.text)
    }
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Queued,
    Pinning,
    Pinned,
    Failed,
}

impl Status {
    pub(super) const ALL: [Self; 4] = [Self::Queued, Self::Pinning, Self::Pinned, Self::Failed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pinning => "pinning",
            Self::Pinned => "pinned",
            Self::Failed => "failed",
        }
    }
}

/// A request, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PinRequest {
    /// Microseconds since 1970, unlike those of any other request.
    pub(super) created: u64,
    pub(super) wanted: Wanted,
    pub(super) status: Status,
    /// Why it failed; empty otherwise.
    pub(super) details: String,
    /// Whether the pin is there because of requests, and goes with the last of them.
    pub(super) owned: bool,
}

impl PinRequest {
    /// As the specification shows it, without the delegates.
    pub(super) fn shown(&self) -> Value {
        let Wanted { text, name, origins, meta } = &self.wanted;
        let mut pin = json!({ "cid": text, "origins": origins, "meta": meta });
        if let Some(fields) = pin.as_object_mut().filter(|_| !name.is_empty()) {
            fields.insert("name".to_owned(), json!(name));
        }
        let info = if self.details.is_empty() {
            json!({})
        } else {
            json!({ "status_details": self.details })
        };
        json!({
            "requestid": format!("{:016x}", self.created),
            "status": self.status.name(),
            "created": time_shown(self.created),
            "pin": pin,
            "info": info,
        })
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        let Wanted { text, name, origins, meta } = &self.wanted;
        let meta = meta.iter().map(|(key, value)| key.len() + value.len() + 80);
        let origins = origins.iter().map(|origin| origin.len() + 40);
        200 + text.len() + name.len() + self.details.len() + meta.chain(origins).sum::<usize>()
    }
}

fn time_shown(micros: u64) -> String {
    let time = i64::try_from(micros).ok().and_then(DateTime::<Utc>::from_timestamp_micros);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads a time as requests name it, in microseconds since 1970.
pub(super) fn time_of(text: &str) -> Result<u64, Problem> {
    let wrong = || Problem::bad_request("a time is expected in the form 2020-07-27T17:32:28Z");
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    u64::try_from(time.timestamp_micros()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for micros in [0, 1_595_871_148_000_001] {
            assert_eq!(time_of(&time_shown(micros)).unwrap(), micros);
        }
        assert_eq!(time_shown(1_595_871_148_000_000), "2020-07-27T17:32:28.000000Z");
        assert_eq!(time_of("2020-07-27T19:32:28+02:00").unwrap(), 1_595_871_148_000_000);
        for wrong in ["", "yesterday", "2020-07-27", "1969-07-27T17:32:28Z"] {
            assert!(time_of(wrong).is_err(), "{wrong}");
        }
    }
}
