//! The HTTP API of Covalent's ipfs-pinner, which its successor in ewm-das still answers.

use super::{
    Content, PinError, Pinner,
    reply::{self, UploadReply},
};
use crate::{
    http_client::{builder_for, proxy_for, through},
    metrics,
};
use async_trait::async_trait;
use bsp_common::secret::url_shown;
use reqwest::{
    Body, Client, RequestBuilder, Response,
    multipart::{Form, Part},
};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use url::Url;

/// Time for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Time for an upload and its reply. ipfs-pinner gives itself as much.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);

/// Time for `/health`, which ipfs-pinner can be told to delay by 30 s.
const HEALTH_DEADLINE: Duration = Duration::from_secs(10);

/// A server with ipfs-pinner's HTTP API.
#[derive(Clone)]
pub struct IpfsPinner {
    upload: Url,
    get: Url,
    health: Url,
    client: Client,
    proxy: Option<String>,
    deadline: Duration,
}

/// Why a pinner can't be had at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IpfsPinnerError {
    /// Nothing can be added to the URL.
    #[error("--ipfs-pinner-server is no base URL: give one like http://127.0.0.1:3001/")]
    Url,
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client for the pinner: {0}")]
    Client(String),
}

impl IpfsPinner {
    /// A client of the server with this base URL, with or without a slash at its end. User and
    /// password in it are sent as HTTP Basic authentication.
    ///
    /// # Errors
    ///
    /// If the URL is unusable, or the machine's TLS settings are unusable.
    pub fn new(base: &Url) -> Result<Self, IpfsPinnerError> {
        let client = builder_for(base)
            .connect_timeout(CONNECT_DEADLINE)
            .build()
            .map_err(|error| IpfsPinnerError::Client(chain_of(&error)))?;
        let [upload, get, health] = ["upload", "get", "health"].map(|name| endpoint(base, name));
        let (upload, get, health) = (upload?, get?, health?);
        let proxy = proxy_for(base);
        Ok(Self { upload, get, health, client, proxy, deadline: UPLOAD_DEADLINE })
    }

    /// The same with another time for an upload and its reply, instead of 60 s.
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn upload(&self, content: &Content) -> Result<(), PinError> {
        let length = content.bytes.len() as u64;
        let part = Part::stream_with_length(Body::from(content.bytes.clone()), length)
            .file_name("specimen")
            .mime_str("application/octet-stream")
            .map_err(|error| self.temporary(chain_of(&error.without_url())))?;
        let request =
            self.client.post(self.upload.clone()).multipart(Form::new().part("file", part));
        let (status, body) = self.answer(request.timeout(self.deadline)).await?;
        match UploadReply::parse(status, &body) {
            UploadReply::Kept(cid) if reply::names(&cid, &content.cid) => Ok(()),
            UploadReply::Kept(cid) => Err(PinError::OtherCid {
                pinner: self.name(),
                computed: Box::new(content.cid),
                returned: reply::quote(&cid),
            }),
            UploadReply::Failed(reason) => Err(self.temporary(reason)),
        }
    }

    /// Status and body of an answer that is no redirect.
    async fn answer(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), PinError> {
        let failed = |error: reqwest::Error| {
            self.temporary(reason_of(error) + &through(self.proxy.as_deref()))
        };
        let response = request.send().await.map_err(failed)?;
        if response.status().is_redirection() {
            return Err(self.temporary(
                "redirects to another URL: give that one as --ipfs-pinner-server".to_owned(),
            ));
        }
        let status = response.status().as_u16();
        let body = bounded(response).await.map_err(failed)?;
        body.map(|body| (status, body)).ok_or_else(|| {
            self.temporary(format!("the reply is longer than {} bytes", reply::MAX_LEN))
        })
    }

    fn temporary(&self, reason: String) -> PinError {
        PinError::Temporary { pinner: self.name(), reason }
    }
}

#[async_trait]
impl Pinner for IpfsPinner {
    fn name(&self) -> String {
        format!("ipfs-pinner at {}", url_shown(&self.upload))
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        let started = Instant::now();
        let result = self.upload(content).await;
        metrics::record_pin(started.elapsed(), result.is_ok());
        result
    }

    /// Fetches the content: the API has no other question for it.
    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let mut url = self.get.clone();
        url.query_pairs_mut().append_pair("cid", &content.cid.to_string());
        let request = self.client.get(url).timeout(self.deadline);
        let failed = |error: reqwest::Error| {
            self.temporary(reason_of(error) + &through(self.proxy.as_deref()))
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            // What a gateway says of content that it can't find, in time or at all.
            return match status.as_u16() {
                404 | 410 | 500 | 504 => Ok(false),
                status => Err(self.temporary(format!("/get answers status {status}"))),
            };
        }
        let mut expected = &content.bytes[..];
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            match expected.strip_prefix(&chunk[..]) {
                Some(rest) => expected = rest,
                None => return Ok(false),
            }
        }
        Ok(expected.is_empty())
    }

    async fn check(&self) -> Result<String, PinError> {
        let request = self.client.get(self.health.clone()).timeout(HEALTH_DEADLINE);
        let (status, body) = self.answer(request).await?;
        let said = reply::quote(String::from_utf8_lossy(&body).trim());
        if status == 200 {
            Ok(format!("{} says: {said}", self.name()))
        } else {
            Err(self.temporary(format!("/health answers status {status}: {said}")))
        }
    }
}

impl std::fmt::Debug for IpfsPinner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IpfsPinner").field(&url_shown(&self.upload)).finish()
    }
}

/// A path below the base URL. A query of the base, a token for example, is kept.
fn endpoint(base: &Url, name: &str) -> Result<Url, IpfsPinnerError> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| IpfsPinnerError::Url)?.pop_if_empty().push(name);
    Ok(url)
}

/// The body, or `None` if it is too long.
async fn bounded(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > reply::MAX_LEN {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What went wrong, without the URL.
fn reason_of(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no complete answer in time".to_owned();
    }
    reply::quote(&chain_of(&error.without_url()))
}

/// An error and what caused it, as reqwest's own texts do not say what happened.
fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
