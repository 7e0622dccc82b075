//! Content identifiers as a request names them.

use super::problem::Problem;
use crate::dag::{DAG_PB, is_supported};
use bsp_codec::dag::Cid;
use cid::Version;

/// The longest text that is looked at. A CID of SHA-256 has 59 characters in base32, 69 with all
/// bits written out in a smaller alphabet.
const MAX_TEXT: usize = 128;

/// Characters of a wrong text that are repeated in the answer.
const MAX_QUOTE: usize = 80;

/// Reads a CID of any version. Version 0 becomes the same content's version 1.
pub(super) fn parse(text: &str) -> Result<Cid, Problem> {
    // The parser would take what follows `/ipfs/`, wherever in the text that stands.
    let cid = (text.len() <= MAX_TEXT && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| Cid::try_from(text).ok())
        .flatten()
        .ok_or_else(|| Problem::bad_request(format!("'{}' is not a CID", quoted(text))))?;
    let cid = if cid.version() == Version::V0 { Cid::new_v1(DAG_PB, *cid.hash()) } else { cid };
    supported(&cid)?;
    Ok(cid)
}

/// Reads a CID of version 1.
pub(super) fn parse_v1(text: &str) -> Result<Cid, Problem> {
    let cid = parse(text)?;
    if text.len() == 46 && text.starts_with("Qm") {
        return Err(Problem::bad_request(format!("a CIDv0 is not served: ask for {cid}")));
    }
    Ok(cid)
}

/// What the store can hold.
fn supported(cid: &Cid) -> Result<(), Problem> {
    if is_supported(cid) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "{cid} has codec 0x{:x} and a multihash of type 0x{:x} with {} bytes; supported are raw \
         (0x55), dag-pb (0x70) and dag-cbor (0x71), with SHA-256 (0x12) of 32 bytes",
        cid.codec(),
        cid.hash().code(),
        cid.hash().digest().len(),
    )))
}

/// The beginning of somebody else's text, in one line and without quotes.
pub(super) fn quoted(text: &str) -> String {
    let plain = |character: char| {
        if character.is_control() || matches!(character, '"' | '\'' | '\\') {
            '.'
        } else {
            character
        }
    };
    text.chars().take(MAX_QUOTE).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";

    fn refusal(text: &str) -> String {
        let problem = parse_v1(text).unwrap_err();
        assert!(problem.status.is_client_error(), "{text}");
        problem.reason
    }

    #[test]
    fn the_forms_of_one_cid_are_equal() {
        let cid = parse(HELLO).unwrap();
        for base in [cid::multibase::Base::Base58Btc, cid::multibase::Base::Base36Lower] {
            assert_eq!(parse(&cid.to_string_of_base(base).unwrap()).unwrap(), cid);
        }
        assert_eq!(parse_v1(HELLO).unwrap(), cid);
    }

    #[test]
    fn version_0_is_named_as_version_1() {
        let old = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
        let new = parse(old).unwrap();
        assert_eq!((new.version(), new.codec()), (Version::V1, DAG_PB));
        assert_eq!(refusal(old), format!("a CIDv0 is not served: ask for {new}"));
    }

    #[test]
    fn what_the_store_cannot_hold_is_refused_with_a_reason() {
        let cid = parse(HELLO).unwrap();
        let json = Cid::new_v1(0x0129, *cid.hash()).to_string();
        assert!(refusal(&json).contains("codec 0x129"), "{}", refusal(&json));
        // The identity hash, SHA-256 cut to 20 bytes, blake2b.
        for (code, len) in [(0u64, 5), (0x12, 20), (0xb220, 32)] {
            let hash = cid.hash().digest().get(..len).unwrap();
            let hash = cid::multihash::Multihash::<64>::wrap(code, hash).unwrap();
            let reason = refusal(&Cid::new_v1(0x55, hash).to_string());
            assert!(reason.contains("multihash"), "{reason}");
        }
        let with_path = format!("/ipfs/{HELLO}");
        for text in
            ["", "hello", "../../etc/passwd", "b\0", with_path.as_str(), &"b".repeat(10_000)]
        {
            assert!(refusal(text).ends_with("is not a CID"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            if let Err(problem) = parse(&text) {
                prop_assert!(problem.reason.len() < 1000);
            }
        }
    }
}
