//! The RPC's address, and the part of it that may be shown.

use super::RpcUrlError;
use std::fmt;
use url::Url;

/// An HTTP or HTTPS address. Its user, password, path and query may be keys: only scheme, host and
/// port are ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Pieces of a URL that are shorter are no keys, and too common in texts to be struck out.
const SHORTEST_SECRET: usize = 8;

impl Endpoint {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, RpcUrlError> {
        let url = Url::parse(text.trim()).map_err(RpcUrlError::Invalid)?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            _ => Err(RpcUrlError::Scheme),
        }
    }

    pub(super) const fn url(&self) -> &Url {
        &self.0
    }

    /// Strikes out of somebody's text what may be a key.
    pub(super) fn redact(&self, text: &str) -> String {
        let query = self.0.query_pairs().map(|(_, value)| value.into_owned());
        let path = self.0.path_segments().into_iter().flatten().map(str::to_owned);
        let user = [self.0.username().to_owned(), self.0.password().unwrap_or("").to_owned()];
        query
            .chain(path)
            .chain(user)
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .fold(text.to_owned(), |text, secret| text.replace(&secret, "…"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or("");
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let cases = [
            ("https://rpc.example/v2/s3cret-s3cret?key=t0ken-t0ken", "https://rpc.example"),
            ("http://user:passw0rd-x@rpc.example:8545", "http://rpc.example:8545"),
            (" http://[::1]:1/\n", "http://[::1]:1"),
        ];
        for (text, shown) in cases {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(format!("{endpoint:?}"), format!("Endpoint({shown})"));
        }
        let endpoint = Endpoint::parse(cases[0].0).unwrap();
        assert_eq!(
            endpoint.redact("no such project s3cret-s3cret, key t0ken-t0ken"),
            "no such project …, key …"
        );
    }

    #[test]
    fn other_schemes_are_refused_without_the_address() {
        for text in ["ws://host/s3cret-s3cret", "localhost:8545", "s3cret-s3cret", ""] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("MB_RPC_URL ") && !error.contains("s3cret-"), "{error}");
        }
    }
}
