//! A client of a trustless gateway: blocks over HTTP, from a server that need not be trusted.

use super::{BlockSource, SourceError};
use crate::store::MAX_BLOCK_LEN;
use bsp_codec::dag::Cid;
use bsp_common::{Secret, secret::url_shown, text::with_causes};
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
    redirect::{Attempt, Policy},
};
use std::{net::IpAddr, time::Duration};
use url::{Host, Url};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a block may take, from the connection to its last byte.
const ANSWER: Duration = Duration::from_secs(30);

/// How often a gateway may send us on, at most.
const REDIRECTIONS: usize = 3;

/// Why a gateway can't be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The URL has no host, or another scheme.
    #[error("{0} is not the URL of a gateway: http://HOST or https://HOST is expected")]
    Url(String),
    /// The token holds what no header can.
    #[error("the token of the gateway {0} holds characters that no HTTP header can")]
    Token(String),
    /// No HTTP client can be made.
    #[error("no HTTP client can be made for the gateway {0}: {1}")]
    Client(String, String),
}

/// A gateway, asked for one block at a time with `?format=raw`.
///
/// It may send us on to its own host or one below it, on the same port, or from `http` to `https`.
/// A redirection to anywhere else is not followed: no gateway makes this program ask hosts that
/// only this program reaches.
#[derive(Debug)]
pub struct Gateway {
    base: Url,
    shown: String,
    token: Option<HeaderValue>,
    client: Client,
}

impl Gateway {
    /// A gateway at `http(s)://HOST[:PORT]`, optionally with a bearer token. A path is kept: blocks
    /// are asked for below `PATH/ipfs/`.
    ///
    /// # Errors
    ///
    /// [`GatewayError`].
    pub fn new(base: &Url, token: Option<&Secret<String>>) -> Result<Self, GatewayError> {
        let shown = url_shown(base);
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(GatewayError::Url(shown));
        }
        let token =
            token.map(|token| bearer(token).ok_or_else(|| GatewayError::Token(shown.clone())));
        let token = token.transpose()?;
        let from = base.clone();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(Policy::custom(move |attempt| follow(&from, attempt)));
        // A service beside this program is never asked through a proxy.
        if is_local(base) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| GatewayError::Client(shown.clone(), with_causes(&error)))?;
        Ok(Self { base: base.clone(), shown, token, client })
    }

    fn url_of(&self, cid: &Cid) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/ipfs/{cid}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(Some("format=raw"));
        url.set_fragment(None);
        url
    }

    async fn body(&self, mut response: Response) -> Result<Bytes, SourceError> {
        let too_long = || self.failed(format!("a block of more than {MAX_BLOCK_LEN} bytes"));
        if response.content_length().is_some_and(|len| len > MAX_BLOCK_LEN as u64) {
            return Err(too_long());
        }
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + piece.len() > MAX_BLOCK_LEN {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    fn failed(&self, reason: String) -> SourceError {
        SourceError::Failed { from: self.name(), reason }
    }

    fn broken(&self, error: reqwest::Error) -> SourceError {
        if error.is_timeout() {
            return self.failed("no answer in time".to_owned());
        }
        self.failed(with_causes(&error.without_url()))
    }
}

#[async_trait::async_trait]
impl BlockSource for Gateway {
    fn name(&self) -> String {
        format!("gateway {}", self.shown)
    }

    async fn block(&self, cid: &Cid) -> Result<Bytes, SourceError> {
        let mut request =
            self.client.get(self.url_of(cid)).header(ACCEPT, "application/vnd.ipld.raw");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|error| self.broken(error))?;
        match response.status() {
            StatusCode::OK => self.body(response).await,
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(SourceError::NotFound { from: self.name() })
            }
            status if status.is_redirection() => {
                Err(self.failed(format!("{status} to a place that is not followed")))
            }
            status => Err(self.failed(status.to_string())),
        }
    }
}

fn bearer(token: &Secret<String>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn follow(from: &Url, attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() <= REDIRECTIONS && belongs_to(from, attempt.url()) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// Whether a gateway at `from` may send us to `to`.
fn belongs_to(from: &Url, to: &Url) -> bool {
    let same_place =
        from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    let upgrade = (from.scheme(), to.scheme()) == ("http", "https")
        && from.port().is_none()
        && to.port().is_none();
    let host = match (from.host(), to.host()) {
        (Some(Host::Domain(from)), Some(Host::Domain(to))) => {
            to == from || to.strip_suffix(from).is_some_and(|below| below.ends_with('.'))
        }
        (from, to) => from == to,
    };
    host && (same_place || upgrade)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateways_own_hosts_are_followed() {
        let belongs =
            |from: &str, to: &str| belongs_to(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        for (from, to) in [
            ("https://gw.example/", "https://gw.example/ipfs/x"),
            ("https://gw.example/", "https://bafy.ipfs.gw.example/"),
            ("http://gw.example/", "https://gw.example/"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/other"),
        ] {
            assert!(belongs(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("https://gw.example/", "http://gw.example/"),
            ("https://gw.example/", "https://evilgw.example/"),
            ("https://gw.example/", "https://gw.example:8443/"),
            ("https://gw.example/", "http://169.254.169.254/"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:6379/"),
            ("http://10.0.0.1/", "http://9.10.0.0.1/"),
        ] {
            assert!(!Url::parse(to).is_ok_and(|_| belongs(from, to)), "{from} {to}");
        }
    }

    #[test]
    fn blocks_are_asked_for_below_the_path() {
        let cid = bsp_codec::dag::cid_of(b"");
        for (base, path) in [("http://gw.example", ""), ("http://gw.example/a/?b#c", "/a")] {
            let gateway = Gateway::new(&base.parse().unwrap(), None).unwrap();
            let url = format!("http://gw.example{path}/ipfs/{cid}?format=raw");
            assert_eq!(gateway.url_of(&cid).as_str(), url);
        }
        assert!(Gateway::new(&"ftp://gw.example".parse().unwrap(), None).is_err());
        assert!(Gateway::new(&"unix:/run/gw".parse().unwrap(), None).is_err());
    }
}
