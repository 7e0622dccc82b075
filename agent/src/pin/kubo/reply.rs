//! What Kubo's RPC answers.
//!
//! `dag/import` answers a JSON object a line, for each root `{"Root": {"Cid": {"/": "<cid>"},
//! "PinErrorMsg": ""}}`, and others, such as statistics. An error is `{"Message": "<text>", "Code":
//! 0, "Type": "error"}`, with status 500, or as a line after others that came with 200.

use crate::pin::reply::{names, quote};
use cid::Cid;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `dag/import` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Imported {
    /// The root is pinned.
    Pinned,
    /// Another one is, in the service's words.
    Other(String),
    /// None is; why in one line.
    Failed(String),
}

/// What `pin/ls` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pinned {
    Yes,
    No,
    /// Why that can't be told, in one line.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    root: Option<Root>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    cid: Link,
    #[serde(default)]
    pin_error_msg: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "/")]
    cid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default)]
    keys: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
}

/// Reads the answer to an import with this root.
pub(super) fn imported(status: u16, body: &[u8], root: &Cid) -> Imported {
    if status != 200 {
        return Imported::Failed(failure(status, body));
    }
    let mut is_pinned = false;
    for line in serde_json::Deserializer::from_slice(body).into_iter::<Line>() {
        match line {
            Err(error) => {
                let reason = format!("the reply is not a line of JSON a root: {error}");
                return Imported::Failed(quote(&reason));
            }
            Ok(Line { message: Some(message), .. }) => return Imported::Failed(quote(&message)),
            Ok(Line { root: Some(Root { cid, .. }), .. }) if !names(&cid.cid, root) => {
                return Imported::Other(cid.cid);
            }
            Ok(Line { root: Some(Root { pin_error_msg, .. }), .. }) => {
                if !pin_error_msg.is_empty() {
                    return Imported::Failed(format!("not pinned: {}", quote(&pin_error_msg)));
                }
                is_pinned = true;
            }
            Ok(_) => {}
        }
    }
    if is_pinned {
        Imported::Pinned
    } else {
        Imported::Failed("the reply names no root, so nothing says that it is pinned".to_owned())
    }
}

/// Reads the answer to the question for one pin.
pub(super) fn pinned(status: u16, body: &[u8], root: &Cid) -> Pinned {
    if status == 200 {
        return match serde_json::from_slice(body) {
            Ok(Listing { keys }) if keys.keys().any(|key| names(key, root)) => Pinned::Yes,
            Ok(_) => Pinned::No,
            Err(error) => {
                Pinned::Unknown(quote(&format!("pin/ls answers no list of pins: {error}")))
            }
        };
    }
    let said = serde_json::from_slice::<Failure>(body).map(|failure| failure.message);
    match said {
        Ok(message) if message.contains("is not pinned") => Pinned::No,
        _ => Pinned::Unknown(failure(status, body)),
    }
}

/// Reads the answer to `version`.
pub(super) fn version(status: u16, body: &[u8]) -> Result<String, String> {
    match serde_json::from_slice(body) {
        Ok(Version { version }) if status == 200 => Ok(quote(&version)),
        _ => Err(format!("version answers {}", failure(status, body))),
    }
}

/// A status, and what the service says with it.
fn failure(status: u16, body: &[u8]) -> String {
    let said = match serde_json::from_slice(body) {
        Ok(Failure { message }) => quote(&message),
        Err(_) => quote(String::from_utf8_lossy(body).trim()),
    };
    format!("status {status}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::dag::cid_of;
    use proptest::prelude::*;

    fn line(cid: &Cid, error: &str) -> String {
        let root = serde_json::json!({ "Cid": { "/": cid.to_string() }, "PinErrorMsg": error });
        serde_json::json!({ "Root": root }).to_string()
    }

    #[test]
    fn a_root_is_pinned_if_a_line_says_so() {
        let root = cid_of(b"content");
        let pinned = line(&root, "");
        let with_statistics = format!("{pinned}\n{{\"Stats\":{{\"BlockCount\":3}}}}\n");
        for body in [&pinned, &with_statistics, &format!("{pinned}\n{pinned}\n")] {
            assert_eq!(imported(200, body.as_bytes(), &root), Imported::Pinned, "{body}");
        }
        let other = line(&cid_of(b"other"), "");
        let both = format!("{pinned}\n{other}");
        assert!(matches!(imported(200, both.as_bytes(), &root), Imported::Other(_)));
    }

    #[test]
    fn anything_else_is_a_failure() {
        let root = cid_of(b"content");
        let failed = |status, body: &str| match imported(status, body.as_bytes(), &root) {
            Imported::Failed(reason) => reason,
            other => panic!("{body}: {other:?}"),
        };
        let pinned = line(&root, "");
        for (status, body, reason) in [
            (200, "", "names no root"),
            (200, "{\"Stats\":{}}", "names no root"),
            (200, &*line(&root, "disk quota"), "not pinned: disk quota"),
            (200, &*format!("{pinned}\n{{\"Message\":\"cut\",\"Type\":\"error\"}}"), "cut"),
            (200, "<html>", "not a line of JSON"),
            (200, &*format!("{pinned}\n{{"), "not a line of JSON"),
            (500, "{\"Message\":\"no space\",\"Code\":0}", "status 500: no space"),
            (401, "denied\n", "status 401: denied"),
            (202, &*pinned, "status 202"),
        ] {
            assert!(failed(status, body).contains(reason), "{body}: {}", failed(status, body));
        }
    }

    #[test]
    fn a_pin_is_looked_for_by_its_name() {
        let root = cid_of(b"content");
        let keys = |cid: Cid| {
            let keys = serde_json::json!({ cid.to_string(): { "Type": "recursive" } });
            serde_json::json!({ "Keys": keys }).to_string()
        };
        assert_eq!(pinned(200, keys(root).as_bytes(), &root), Pinned::Yes);
        assert_eq!(pinned(200, keys(cid_of(b"other")).as_bytes(), &root), Pinned::No);
        assert_eq!(pinned(200, b"{}", &root), Pinned::No);
        let missing = format!("{{\"Message\":\"path '{root}' is not pinned\"}}");
        assert_eq!(pinned(500, missing.as_bytes(), &root), Pinned::No);
        assert!(matches!(pinned(500, b"{\"Message\":\"locked\"}", &root), Pinned::Unknown(_)));
        assert!(matches!(pinned(200, b"pins", &root), Pinned::Unknown(_)));
    }

    proptest! {
        #[test]
        fn any_body_is_answered_in_a_line(status in any::<u16>(), body in any::<Vec<u8>>()) {
            let root = cid_of(b"content");
            if let Imported::Failed(reason) = imported(status, &body, &root) {
                prop_assert!(!reason.contains(char::is_control));
            }
            let _ = (pinned(status, &body, &root), version(status, &body));
        }
    }
}
