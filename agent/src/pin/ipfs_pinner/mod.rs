//! The HTTP API of Covalent's ipfs-pinner, which its successor in ewm-das still answers.

use super::{
    Content, PinError, Pinner,
    http::{Compared, Service, UnusablePinner, chain_of},
    measured,
    reply::{self, UploadReply},
};
use async_trait::async_trait;
use bsp_common::Secret;
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use std::time::Duration;
use url::Url;

/// Time for an upload and its reply. ipfs-pinner gives itself as much.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);

/// Time for `/health`, which ipfs-pinner can be told to delay by 30 s.
const HEALTH_DEADLINE: Duration = Duration::from_secs(10);

/// A server with ipfs-pinner's HTTP API.
#[derive(Debug, Clone)]
pub struct IpfsPinner {
    service: Service,
    deadline: Duration,
}

impl IpfsPinner {
    /// A client of the server with this base URL, with or without a slash at its end. User and
    /// password in it are sent as HTTP Basic authentication, a token as a bearer's.
    ///
    /// # Errors
    ///
    /// If the URL is unusable, or the machine's TLS settings are unusable.
    pub fn new(base: &Url, token: Option<Secret<String>>) -> Result<Self, UnusablePinner> {
        Ok(Self { service: Service::new(base, token)?, deadline: UPLOAD_DEADLINE })
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
            self.service.request(Method::POST, self.service.url(&["upload"]), self.deadline);
        let request = request.multipart(Form::new().part("file", part));
        let (status, body) =
            self.service.answer(request).await.map_err(|reason| self.temporary(reason))?;
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

    fn temporary(&self, reason: String) -> PinError {
        PinError::Temporary { pinner: self.name(), reason }
    }
}

#[async_trait]
impl Pinner for IpfsPinner {
    fn name(&self) -> String {
        format!("ipfs-pinner at {}", self.service.shown())
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.upload(content)).await
    }

    /// Fetches the content: the API has no other question for it.
    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let mut url = self.service.url(&["get"]);
        url.query_pairs_mut().append_pair("cid", &content.cid.to_string());
        let request = self.service.request(Method::GET, url, self.deadline);
        let compared = self.service.compare(request, &content.bytes).await;
        match compared.map_err(|reason| self.temporary(reason))? {
            Compared::Same => Ok(true),
            // What a gateway says of content that it can't find, in time or at all.
            Compared::Other | Compared::Status(404 | 410 | 500 | 504) => Ok(false),
            Compared::Status(status) => {
                Err(self.temporary(format!("/get answers status {status}")))
            }
        }
    }

    async fn check(&self) -> Result<String, PinError> {
        let url = self.service.url(&["health"]);
        let request = self.service.request(Method::GET, url, HEALTH_DEADLINE);
        let (status, body) =
            self.service.answer(request).await.map_err(|reason| self.temporary(reason))?;
        let said = reply::quote(String::from_utf8_lossy(&body).trim());
        if status == 200 {
            return Ok(format!("{} says: {said}", self.name()));
        }
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Err(self.temporary(format!("/health answers status {status}{said}")))
    }
}

#[cfg(test)]
mod tests;
