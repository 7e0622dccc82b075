//! What ipfs-pinner, and its successor in ewm-das, answer to an upload.
//!
//! A JSON object: `{"cid": "<cid>"}`, or `{"error": "<text>"}` in which ipfs-pinner does not escape
//! the text. The HTTP status says nothing for sure: an error may come with 200, and no file at all
//! is answered by 200 and an empty body.

use cid::Cid;
use serde::Deserialize;
use serde_json::Value;

/// Characters of somebody else's text that go into an error.
const MAX_QUOTE: usize = 200;

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadReply {
    /// The content is kept under this name, in whatever form the server wrote it.
    Kept(String),
    /// It is not, or that can't be told; why in one line.
    Failed(String),
}

#[derive(Deserialize)]
struct Fields {
    cid: Option<Value>,
    error: Option<Value>,
}

impl UploadReply {
    /// Reads a reply. `status` is the HTTP status.
    pub(super) fn parse(status: u16, body: &[u8]) -> Self {
        let said = match serde_json::from_slice(body) {
            Ok(Fields { error: Some(Value::String(error)), .. }) => Self::Failed(quote(&error)),
            Ok(Fields { error: Some(error), .. }) => Self::Failed(quote(&error.to_string())),
            Ok(Fields { cid: Some(Value::String(cid)), .. }) => Self::Kept(cid),
            Ok(Fields { .. }) => Self::Failed("the reply names no CID".to_owned()),
            Err(error) => Self::Failed(unreadable(body, &error)),
        };
        match said {
            Self::Kept(_) if status != 200 => Self::Failed(format!("status {status}")),
            Self::Failed(reason) if status != 200 => {
                Self::Failed(format!("status {status}: {reason}"))
            }
            said => said,
        }
    }
}

/// Whether the server's name for the content is the content's.
pub(super) fn names(returned: &str, computed: &Cid) -> bool {
    Cid::try_from(returned).is_ok_and(|returned| returned == *computed)
}

fn unreadable(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return "the reply is empty".to_owned();
    }
    unescaped_error(text)
        .map_or_else(|| format!("the reply is not a JSON object ({error}): {}", quote(text)), quote)
}

/// The text of `{"error": "<text>"}` where the text has quotes or line ends that make it no JSON.
fn unescaped_error(text: &str) -> Option<&str> {
    text.strip_prefix('{')?
        .trim_start()
        .strip_prefix("\"error\"")?
        .trim_start()
        .strip_prefix(':')?
        .trim_start()
        .strip_prefix('"')?
        .strip_suffix('}')?
        .trim_end()
        .strip_suffix('"')
}

/// The beginning of a text, in one line.
pub(super) fn quote(text: &str) -> String {
    let line = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut quoted: String = line.take(MAX_QUOTE).collect();
    if text.chars().nth(MAX_QUOTE).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

    fn failure(status: u16, body: &str) -> String {
        match UploadReply::parse(status, body.as_bytes()) {
            UploadReply::Failed(reason) => reason,
            kept @ UploadReply::Kept(_) => panic!("{kept:?}"),
        }
    }

    #[test]
    fn a_cid_is_taken_from_an_object_alone() {
        let body = format!("{{\"cid\": \"{CID}\"}}");
        assert_eq!(UploadReply::parse(200, body.as_bytes()), UploadReply::Kept(CID.to_owned()));
        assert_eq!(failure(201, &body), "status 201");
        for (body, reason) in [
            ("", "the reply is empty"),
            (" \n", "the reply is empty"),
            ("{}", "the reply names no CID"),
            ("{\"cid\": 7}", "the reply names no CID"),
            (&format!("{body}{body}"), "not a JSON object"),
            (&format!("{{\"cid\": \"{CID}\", \"cid\": \"{CID}\"}}"), "not a JSON object"),
            (&format!("\"{CID}\""), "not a JSON object"),
            (CID, "not a JSON object"),
            ("<html>502 Bad Gateway</html>", "502 Bad Gateway"),
        ] {
            assert!(failure(200, body).contains(reason), "{body}: {}", failure(200, body));
        }
    }

    #[test]
    fn an_error_wins() {
        let body = format!("{{\"cid\": \"{CID}\", \"error\": \"disk is full\"}}");
        assert_eq!(failure(200, &body), "disk is full");
        assert_eq!(failure(500, "{\"error\": \"disk is full\"}"), "status 500: disk is full");
        assert_eq!(failure(200, "{\"error\": {\"code\": 1}}"), "{\"code\":1}");
    }

    #[test]
    fn an_error_may_be_unescaped() {
        for body in [
            "{\"error\": \"open \"/x\": no such\nfile\"}",
            "{ \"error\" :\"open \"/x\": no such\nfile\" }\n",
        ] {
            assert_eq!(failure(200, body), "open \"/x\": no such file");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let reason = failure(200, &format!("{{\"error\": \"{}\"}}", "é".repeat(1000)));
        assert_eq!(reason.chars().count(), MAX_QUOTE + 1);
    }

    #[test]
    fn a_cid_may_be_written_in_another_base() {
        let cid = Cid::try_from(CID).unwrap();
        let hex: String = cid.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(names(CID, &cid));
        assert!(names(&format!("f{hex}"), &cid));
        for other in ["", "bafy", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"] {
            assert!(!names(other, &cid), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_answered_in_a_line(status in any::<u16>(), body in any::<Vec<u8>>()) {
            if let UploadReply::Failed(reason) = UploadReply::parse(status, &body) {
                prop_assert!(!reason.contains(char::is_control));
            }
        }

        #[test]
        fn any_object_is_answered(error in "[\"{}:a \\\\]*") {
            let body = format!("{{\"error\": \"{error}\"}}");
            prop_assert!(matches!(UploadReply::parse(200, body.as_bytes()), UploadReply::Failed(_)));
        }
    }
}
