//! A service with the IPFS Pinning Service API: it is told a CID and where to find the content, and
//! fetches it on its own.

mod reply;

use super::{
    Content, PinError, Pinner,
    http::{Service, UnusablePinner},
    measured,
    reply::quote,
};
use async_trait::async_trait;
use bsp_common::{Secret, backoff};
use reply::{PinObject, Progress, Request};
use reqwest::{Method, RequestBuilder};
use std::time::{Duration, Instant};
use url::Url;

/// Time for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Time until the service has fetched the content. After it, the attempt counts as failed, and the
/// next one takes the same request up.
const FETCH_DEADLINE: Duration = Duration::from_secs(300);

/// The longest pause between two looks at a request.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The most characters of a name that the API allows.
const MAX_NAME: usize = 255;

/// A service with the Pinning Service API.
#[derive(Debug, Clone)]
pub struct PinningService {
    service: Service,
    origins: Vec<String>,
    deadline: Duration,
}

impl PinningService {
    /// A client of the service with this base URL, below which `pins` is. `origins` are multiaddrs
    /// at which the service finds the content, each with its peer id.
    ///
    /// # Errors
    ///
    /// If the URL is unusable, or the machine's TLS settings are unusable.
    pub fn new(
        base: &Url,
        token: Option<Secret<String>>,
        origins: Vec<String>,
    ) -> Result<Self, UnusablePinner> {
        Ok(Self { service: Service::new(base, token)?, origins, deadline: FETCH_DEADLINE })
    }

    /// The same with another time until the content is fetched, instead of 300 s.
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn request(&self, content: &Content) -> Result<(), PinError> {
        let started = Instant::now();
        let mut request = match self.find(content, "queued,pinning,pinned,failed").await? {
            Some(known) if known.progress != Progress::Failed => known,
            // A failed request is replaced, so that they do not pile up.
            known => self.ask(content, known.as_ref()).await?,
        };
        let mut looks = 0;
        loop {
            match request.progress {
                Progress::Pinned => return Ok(()),
                Progress::Failed => {
                    let why = request.details.as_deref().unwrap_or("it does not say why");
                    return Err(self.temporary(format!("the request failed: {}", quote(why))));
                }
                Progress::Waiting if started.elapsed() >= self.deadline => {
                    let seconds = self.deadline.as_secs();
                    return Err(self.temporary(format!(
                        "the content is not fetched after {seconds} s: check that the service can reach the origins"
                    )));
                }
                Progress::Waiting => {}
            }
            tokio::time::sleep(backoff::doubled(backoff::FIRST_PAUSE, looks, LONGEST_PAUSE)).await;
            looks += 1;
            let url = self.service.url(&["pins", &request.id]);
            request = self.ask_for(self.get(url), content).await?;
        }
    }

    /// The request for this content that has come farthest, if there is one.
    async fn find(&self, content: &Content, status: &str) -> Result<Option<Request>, PinError> {
        let mut url = self.service.url(&["pins"]);
        let cid = content.cid.to_string();
        url.query_pairs_mut().extend_pairs([("cid", &*cid), ("status", status), ("limit", "10")]);
        let (status, body) = self.answer(self.get(url)).await?;
        let found = reply::found(status, &body).map_err(|reason| self.temporary(reason))?;
        let same = found.into_iter().filter(|request| request.is_for(&content.cid));
        Ok(same.max_by_key(|request| request.progress))
    }

    /// Requests the pin anew, in the place of an earlier request or not.
    async fn ask(
        &self,
        content: &Content,
        instead_of: Option<&Request>,
    ) -> Result<Request, PinError> {
        let path: Vec<&str> = match instead_of {
            Some(request) => vec!["pins", &request.id],
            None => vec!["pins"],
        };
        let pin = PinObject {
            cid: content.cid.to_string(),
            name: content.name.chars().take(MAX_NAME).collect(),
            origins: &self.origins,
        };
        let request = self.service.request(Method::POST, self.service.url(&path), ANSWER_DEADLINE);
        self.ask_for(request.json(&pin), content).await
    }

    async fn ask_for(
        &self,
        request: RequestBuilder,
        content: &Content,
    ) -> Result<Request, PinError> {
        let (status, body) = self.answer(request).await?;
        let told = reply::request(status, &body).map_err(|reason| self.temporary(reason))?;
        if told.is_for(&content.cid) {
            return Ok(told);
        }
        let (computed, returned) = (Box::new(content.cid), quote(&told.cid));
        Err(PinError::OtherCid { pinner: self.name(), computed, returned })
    }

    fn get(&self, url: Url) -> RequestBuilder {
        self.service.request(Method::GET, url, ANSWER_DEADLINE)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), PinError> {
        self.service.answer(request).await.map_err(|reason| self.temporary(reason))
    }

    fn temporary(&self, reason: String) -> PinError {
        PinError::Temporary { pinner: self.name(), reason }
    }
}

#[async_trait]
impl Pinner for PinningService {
    fn name(&self) -> String {
        format!("pinning service at {}", self.service.shown())
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.request(content)).await
    }

    /// Whether the service says that it does: the API gives no content back.
    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let found = self.find(content, "pinned").await?;
        Ok(found.is_some_and(|request| request.progress == Progress::Pinned))
    }

    async fn check(&self) -> Result<String, PinError> {
        let mut url = self.service.url(&["pins"]);
        url.query_pairs_mut().append_pair("limit", "1");
        let (status, body) = self.answer(self.get(url)).await?;
        reply::found(status, &body).map_err(|reason| self.temporary(reason))?;
        Ok(format!("{} lists its pins", self.name()))
    }
}

#[cfg(test)]
mod tests;
