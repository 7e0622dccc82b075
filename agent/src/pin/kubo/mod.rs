//! Kubo's RPC, and what answers in the same way, as Filebase does.
//!
//! Content goes there as a CARv1 by `dag/import`, so that the service can cut it in no other way.

mod reply;

use super::{
    Content, PinError, Pinner,
    car_body::CarBody,
    http::{Compared, Service, UnusablePinner, chain_of},
    measured,
    reply::quote,
};
use crate::blocking::on_disk;
use async_trait::async_trait;
use bsp_codec::dag::Dag;
use bsp_common::Secret;
use cid::Cid;
use reply::{Imported, Pinned};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use std::time::Duration;
use url::Url;

/// Time for an import and its reply.
const IMPORT_DEADLINE: Duration = Duration::from_secs(60);

/// Time for a question.
const QUESTION_DEADLINE: Duration = Duration::from_secs(10);

/// A service with Kubo's RPC.
#[derive(Debug, Clone)]
pub struct KuboPinner {
    service: Service,
    deadline: Duration,
}

impl KuboPinner {
    /// A client of the service with this base URL, below which `api/v0` begins. The token, if there
    /// is one, is a bearer's.
    ///
    /// # Errors
    ///
    /// If the URL is unusable, or the machine's TLS settings are unusable.
    pub fn new(base: &Url, token: Option<Secret<String>>) -> Result<Self, UnusablePinner> {
        Ok(Self { service: Service::new(base, token)?, deadline: IMPORT_DEADLINE })
    }

    /// The same with another time for an import and its reply, instead of 60 s.
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn import(&self, content: &Content) -> Result<(), PinError> {
        let car = CarBody::of(content).await;
        if car.root() != content.cid {
            return Err(self.other_cid(content, &car.root().to_string()));
        }
        let length = car.len();
        let part = Part::stream_with_length(car.into_body(), length)
            .file_name(format!("{}.car", content.cid))
            .mime_str("application/vnd.ipld.car")
            .map_err(|error| self.temporary(chain_of(&error.without_url())))?;
        let url = self.call(&["dag", "import"], &[("pin-roots", "true")]);
        let request = self.service.request(Method::POST, url, self.deadline);
        let request = request.multipart(Form::new().part("file", part));
        let (status, body) = self.answer(request).await?;
        match reply::imported(status, &body, &content.cid) {
            Imported::Pinned => Ok(()),
            Imported::Other(root) => Err(self.other_cid(content, &root)),
            Imported::Failed(reason) => Err(self.temporary(reason)),
        }
    }

    /// Whether a pin holds everything below a root.
    async fn is_pinned(&self, cid: &Cid) -> Result<bool, PinError> {
        let arguments = [("arg", &*cid.to_string()), ("type", "recursive")];
        let url = self.call(&["pin", "ls"], &arguments);
        let request = self.service.request(Method::POST, url, QUESTION_DEADLINE);
        let (status, body) = self.answer(request).await?;
        match reply::pinned(status, &body, cid) {
            Pinned::Yes => Ok(true),
            Pinned::No => Ok(false),
            Pinned::Unknown(reason) => Err(self.temporary(reason)),
        }
    }

    /// Whether the service gives this block back, without asking others for it.
    async fn has_block(&self, cid: &Cid, block: &[u8]) -> Result<bool, PinError> {
        let arguments = [("arg", &*cid.to_string()), ("offline", "true")];
        let url = self.call(&["block", "get"], &arguments);
        let request = self.service.request(Method::POST, url, QUESTION_DEADLINE);
        let compared = self.service.compare(request, block).await;
        match compared.map_err(|reason| self.temporary(reason))? {
            Compared::Same => Ok(true),
            // Kubo answers 500 to whatever it does not find.
            Compared::Other | Compared::Status(404 | 410 | 500 | 504) => Ok(false),
            Compared::Status(status) => {
                Err(self.temporary(format!("block/get answers status {status}")))
            }
        }
    }

    fn call(&self, path: &[&str], arguments: &[(&str, &str)]) -> Url {
        let mut url = self.service.url(&[&["api", "v0"], path].concat());
        url.query_pairs_mut().extend_pairs(arguments);
        url
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), PinError> {
        self.service.answer(request).await.map_err(|reason| self.temporary(reason))
    }

    fn temporary(&self, reason: String) -> PinError {
        PinError::Temporary { pinner: self.name(), reason }
    }

    fn other_cid(&self, content: &Content, returned: &str) -> PinError {
        let returned = quote(returned);
        PinError::OtherCid { pinner: self.name(), computed: Box::new(content.cid), returned }
    }
}

#[async_trait]
impl Pinner for KuboPinner {
    fn name(&self) -> String {
        format!("Kubo's RPC at {}", self.service.shown())
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.import(content)).await
    }

    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        if !self.is_pinned(&content.cid).await? {
            return Ok(false);
        }
        let bytes = content.bytes.clone();
        let blocks = on_disk(move || {
            let dag = Dag::build(&bytes);
            let owned = |(cid, block): (Cid, &[u8])| (cid, bytes::Bytes::copy_from_slice(block));
            dag.blocks().map(owned).collect::<Vec<_>>()
        });
        for (cid, block) in blocks.await {
            if !self.has_block(&cid, &block).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn check(&self) -> Result<String, PinError> {
        let url = self.call(&["version"], &[]);
        let request = self.service.request(Method::POST, url, QUESTION_DEADLINE);
        let (status, body) = self.answer(request).await?;
        let version = reply::version(status, &body).map_err(|reason| self.temporary(reason))?;
        Ok(format!("{} says: version {version}", self.name()))
    }
}

#[cfg(test)]
mod tests;
