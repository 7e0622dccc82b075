//! What a client has already, and which bytes it wants.

use axum::http::{HeaderMap, header};

/// The bytes that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// `len` bytes, at least one, all within the content.
    Part {
        from: u64,
        len: u64,
    },
    /// Bytes that there are not.
    Nothing,
}

/// Whether the client has what this tag names.
pub(super) fn is_unchanged(headers: &HeaderMap, etag: &str) -> bool {
    let sent = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|sent| sent.to_str().ok());
    sent.flat_map(|sent| sent.split(',')).any(|sent| {
        let sent = sent.trim();
        sent == "*" || sent.strip_prefix("W/").unwrap_or(sent) == etag
    })
}

/// The bytes that a request wants of a content of `len` bytes. Several ranges at once, and what is
/// no range, mean all, as HTTP allows.
pub(super) fn wanted(headers: &HeaderMap, len: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Wanted::All;
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    let ends = range.and_then(|range| range.trim().split_once('-'));
    let Some((first, last)) = ends else { return Wanted::All };
    match (number(first), number(last)) {
        // The last bytes.
        (None, Some(suffix)) if first.is_empty() => part(len.saturating_sub(suffix), len, len),
        (Some(first), None) if last.is_empty() => part(first, len, len),
        (Some(first), Some(last)) if first <= last => part(first, last.saturating_add(1), len),
        _ => Wanted::All,
    }
}

fn part(from: u64, end: u64, len: u64) -> Wanted {
    match end.min(len).checked_sub(from) {
        None | Some(0) => Wanted::Nothing,
        Some(part) => Wanted::Part { from, len: part },
    }
}

/// A number as HTTP writes it: digits alone.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;
    use proptest::prelude::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn ranges() {
        let part = |from, len| Wanted::Part { from, len };
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-4", part(2, 3)),
            ("bytes=2-", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=9-30", part(9, 1)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=18446744073709551615-", Wanted::Nothing),
            ("bytes=4-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=1-2,4-5", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
            ("lines=1-2", Wanted::All),
        ] {
            assert_eq!(wanted(&with(header::RANGE, range), 10, "\"a\""), expected, "{range}");
        }
        assert_eq!(wanted(&with(header::RANGE, "bytes=0-"), 0, ""), Wanted::Nothing);
    }

    #[test]
    fn a_range_of_something_else_is_not_wanted() {
        let mut headers = with(header::RANGE, "bytes=0-0");
        headers.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"a\""), Wanted::Part { from: 0, len: 1 });
        assert_eq!(wanted(&headers, 10, "\"b\""), Wanted::All);
    }

    #[test]
    fn tags() {
        for (sent, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(
                is_unchanged(&with(header::IF_NONE_MATCH, sent), "\"a\""),
                expected,
                "{sent}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_outside(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", len in 0u64..500) {
            let headers = with(header::RANGE, &range);
            if let Wanted::Part { from, len: part } = wanted(&headers, len, "") {
                prop_assert!(part > 0 && from + part <= len);
            }
        }
    }
}
