//! What the services have in common that are asked over HTTP.

use super::reply::quote;
use crate::http_client::{builder_for, proxy_for, through};
use bsp_common::{Secret, secret::url_shown};
use reqwest::{Client, Method, RequestBuilder, Response};
use std::{error::Error, fmt, time::Duration};
use url::Url;

/// Bytes of an answer that are read. A right one has some hundred.
pub(super) const MAX_ANSWER: usize = 64 << 10;

/// Time for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Why a service can't be asked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusablePinner {
    /// Nothing can be added to the URL.
    #[error("the pinner's URL is no base URL: give one like http://127.0.0.1:3001/")]
    Url,
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client for the pinner: {0}")]
    Client(String),
    /// What the environment says of a bucket can't be used.
    #[error("the bucket can't be used: {0}")]
    Bucket(String),
}

/// A service at a base URL.
#[derive(Clone)]
pub(super) struct Service {
    base: Url,
    client: Client,
    proxy: Option<String>,
    token: Option<Secret<String>>,
}

impl Service {
    /// User and password in the URL are sent as HTTP Basic authentication, a token as a bearer's.
    pub(super) fn new(base: &Url, token: Option<Secret<String>>) -> Result<Self, UnusablePinner> {
        if base.cannot_be_a_base() {
            return Err(UnusablePinner::Url);
        }
        let client = builder_for(base)
            .connect_timeout(CONNECT_DEADLINE)
            .build()
            .map_err(|error| UnusablePinner::Client(chain_of(&error)))?;
        Ok(Self { base: base.clone(), client, proxy: proxy_for(base), token })
    }

    /// Scheme, host and port.
    pub(super) fn shown(&self) -> String {
        url_shown(&self.base)
    }

    /// A URL below the base, with or without a slash at its end. A query of the base, a token for
    /// example, is kept.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// A request that is given up after a time.
    pub(super) fn request(&self, method: Method, url: Url, deadline: Duration) -> RequestBuilder {
        let request = self.client.request(method, url).timeout(deadline);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Status and body of an answer that is no redirect and not too long; otherwise what is wrong,
    /// in one line.
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
        let mut response = self.send(request).await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("the reply is longer than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }

    /// Compares the body of an answer with what it should be. No more of it is read than that
    /// takes.
    pub(super) async fn compare(
        &self,
        request: RequestBuilder,
        expected: &[u8],
    ) -> Result<Compared, String> {
        let mut response = self.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            return Ok(Compared::Status(status.as_u16()));
        }
        let mut rest = expected;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            match rest.strip_prefix(&chunk[..]) {
                Some(left) => rest = left,
                None => return Ok(Compared::Other),
            }
        }
        Ok(if rest.is_empty() { Compared::Same } else { Compared::Other })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        if response.status().is_redirection() {
            return Err("redirects to another URL: give that one instead".to_owned());
        }
        Ok(response)
    }

    fn failed(&self, error: reqwest::Error) -> String {
        reason_of(error) + &through(self.proxy.as_deref())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// What came where some bytes were expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// These bytes.
    Same,
    /// Others, more, or less.
    Other,
    /// A status that is no success.
    Status(u16),
}

/// What went wrong, without the URL.
pub(super) fn reason_of(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no complete answer in time".to_owned();
    }
    quote(&chain_of(&error.without_url()))
}

/// An error and what caused it, as reqwest's own texts do not say what happened.
pub(super) fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
