//! The headers of an answer.

use super::negotiate::Asked;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bsp_codec::dag::Cid;

/// Content never changes under its identifier.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=29030400, immutable");

/// The longest file name that is taken from a request, in characters.
const MAX_FILE_NAME: usize = 128;

/// One content in one format.
#[derive(Debug)]
pub(super) struct Offer {
    cid: Cid,
    kind: &'static str,
    etag: String,
    file_name: String,
    /// Whether parts of it can be asked for.
    in_parts: bool,
}

impl Offer {
    pub(super) fn block(cid: Cid, asked: &Asked) -> Self {
        let kind = "application/vnd.ipld.raw";
        Self { etag: format!("\"{cid}.raw\""), ..Self::of(cid, kind, asked, ".bin") }
    }

    pub(super) fn archive(cid: Cid, asked: &Asked) -> Self {
        let kind = "application/vnd.ipld.car; version=1; order=dfs; dups=n";
        let etag = format!("\"{cid}.car.dfs.{}\"", asked.scope.name());
        Self { etag, in_parts: false, ..Self::of(cid, kind, asked, ".car") }
    }

    pub(super) fn file(cid: Cid, asked: &Asked) -> Self {
        Self::of(cid, "application/octet-stream", asked, "")
    }

    fn of(cid: Cid, kind: &'static str, asked: &Asked, suffix: &str) -> Self {
        let named = asked.file_name.as_deref().map(plain_name).filter(|name| !name.is_empty());
        let file_name = named.unwrap_or_else(|| format!("{cid}{suffix}"));
        Self { cid, kind, etag: format!("\"{cid}\""), file_name, in_parts: true }
    }

    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// All of it, `len` bytes.
    pub(super) fn all(&self, len: u64, body: impl Into<Body>) -> Response {
        let len = [(header::CONTENT_LENGTH, len.to_string())];
        (StatusCode::OK, len, self.headers(), body.into()).into_response()
    }

    /// All of it, of a length that is not known.
    pub(super) fn stream(&self, body: Body) -> Response {
        (StatusCode::OK, self.headers(), body).into_response()
    }

    /// `part` bytes of `len`, from a position on.
    pub(super) fn part(&self, from: u64, part: u64, len: u64, body: impl Into<Body>) -> Response {
        let range = format!("bytes {from}-{}/{len}", (from + part).saturating_sub(1));
        let more = [(header::CONTENT_LENGTH, part.to_string()), (header::CONTENT_RANGE, range)];
        (StatusCode::PARTIAL_CONTENT, more, self.headers(), body.into()).into_response()
    }

    /// The client has it already.
    pub(super) fn unchanged(&self) -> Response {
        (StatusCode::NOT_MODIFIED, self.headers()).into_response()
    }

    /// There are no such bytes in it.
    pub(super) fn out_of_range(&self, len: u64) -> Response {
        let range = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
        let reason = format!("the content has {len} bytes\n");
        (StatusCode::RANGE_NOT_SATISFIABLE, range, reason).into_response()
    }

    fn headers(&self) -> HeaderMap {
        let attachment = format!("attachment; filename=\"{}\"", self.file_name);
        let texts = [
            (header::ETAG, self.etag.clone()),
            (header::CONTENT_DISPOSITION, attachment),
            (HeaderName::from_static("x-ipfs-path"), format!("/ipfs/{}", self.cid)),
            (HeaderName::from_static("x-ipfs-roots"), self.cid.to_string()),
        ];
        let texts =
            texts.into_iter().filter_map(|(name, text)| Some((name, text.try_into().ok()?)));
        let mut headers: HeaderMap = texts.collect();
        let parts = if self.in_parts { "bytes" } else { "none" };
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static(parts));
        headers.insert(header::CACHE_CONTROL, FOREVER);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers
    }
}

/// A file name of a request, made harmless.
fn plain_name(name: &str) -> String {
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ' ')
    };
    let name = name.chars().take(MAX_FILE_NAME);
    let name: String = name.map(|next| if plain(next) { next } else { '_' }).collect();
    name.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless() {
        assert_eq!(plain_name("1-22433670-replica.avro"), "1-22433670-replica.avro");
        assert_eq!(plain_name("../../a\"b\r\nc"), "_.._a_b__c");
        assert_eq!(plain_name("..."), "");
    }
}
