//! Keys, passwords and URLs that carry them: how they travel through the program without being
//! seen.

use std::{convert::Infallible, fmt, str::FromStr};
use url::Url;

/// A value that is printed as `[secret]`. Taking it out is visible in the code.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for whoever needs it. Not for printing.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl FromStr for Secret<String> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The part of a URL that may be shown: scheme, host and port. Services take tokens in any other
/// part of it.
///
/// ```
/// use bsp_common::secret::url_shown;
///
/// let url = "https://user:password@rpc.example:8545/v3/token?key=1".parse().unwrap();
/// assert_eq!(url_shown(&url), "https://rpc.example:8545");
/// ```
pub fn url_shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(
        || format!("{}://{host}", url.scheme()),
        |port| format!("{}://{host}:{port}", url.scheme()),
    )
}

/// A text that somebody else made, with all but the scheme of each URL in it left out.
///
/// ```
/// use bsp_common::secret::hide_urls;
///
/// assert_eq!(
///     hide_urls("unexpected argument 'redis://:pw@host:1/0?topic=t' found"),
///     "unexpected argument 'redis://…' found",
/// );
/// ```
pub fn hide_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://…");
        let end = after.find(ends_url).unwrap_or(after.len());
        rest = after.get(end..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

const fn ends_url(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t' | '\'' | '"' | '>' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret: Secret<String> = "hunter2".parse().unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn all_urls_of_a_text_are_hidden() {
        assert_eq!(hide_urls("no URL"), "no URL");
        assert_eq!(
            hide_urls("from http://a:b@c to (https://d/e?f): refused"),
            "from http://… to (https://…): refused"
        );
    }

    #[test]
    fn a_default_port_is_not_invented() {
        assert_eq!(url_shown(&"http://pinner/".parse().unwrap()), "http://pinner");
    }
}
