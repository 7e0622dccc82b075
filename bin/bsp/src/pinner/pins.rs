//! The store itself, or the agent that has it open.

use super::PlaceArgs;
use crate::{agent_http::without_credentials, stream::plain};
use bsp_agent::pin::token_of_file;
use bsp_codec::dag::Cid;
use bsp_common::Secret;
use bsp_pinner::store::{NewPin, Store, StoreError, StoreOptions};
use eyre::{Context, ContextCompat, bail};
use reqwest::{
    RequestBuilder, Response,
    multipart::{Form, Part},
};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

/// Where an agent serves its pins unless it is told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:3001";

/// Time for an answer that is not a file.
const DEADLINE: Duration = Duration::from_secs(60);

/// The most bytes of an answer that is not a file: a list of half a million pins.
const MAX_ANSWER: usize = 64 << 20;

/// What a file is read by.
const PIECE: usize = 1 << 20;

/// Pinned segments.
pub(super) enum Pins {
    /// In a folder that no agent has open.
    Store(Store),
    /// Of a running agent.
    Agent(Agent),
}

/// An agent that serves its pins.
pub(super) struct Agent {
    url: String,
    token: Option<Secret<String>>,
}

impl Pins {
    /// The store, or the agent that has it open.
    pub(super) fn open(place: &PlaceArgs) -> eyre::Result<Self> {
        if place.url.is_none()
            && let Some(store) = open_store(place)?
        {
            return Ok(Self::Store(store));
        }
        let token = place.token_file.as_deref().map(token_of_file).transpose()?;
        let url = place.url.clone().unwrap_or_else(|| DEFAULT_URL.to_owned());
        Ok(Self::Agent(Agent { url, token }))
    }

    /// Pins a file, and returns its CID.
    pub(super) fn pin_file(&self, path: &Path) -> eyre::Result<Cid> {
        let mut file = File::open(path)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        match self {
            Self::Store(store) => {
                let (mut import, mut piece) = (store.import(), vec![0; PIECE]);
                loop {
                    let read = file.read(&mut piece)?;
                    match piece.get(..read) {
                        None | Some([]) => break,
                        Some(read) => import.update(read)?,
                    }
                }
                Ok(import.finish(NewPin { name, ..NewPin::default() })?.root)
            }
            Self::Agent(agent) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                let form = Form::new().part("file", Part::bytes(bytes).file_name(name));
                let said = agent.json(agent.post("upload")?.multipart(form))?;
                let cid = said["cid"].as_str().unwrap_or_default();
                cid.parse().wrap_err("the agent answers no CID")
            }
        }
    }

    /// Whether there was such a pin.
    pub(super) fn unpin(&self, cid: &Cid) -> eyre::Result<bool> {
        match self {
            Self::Store(store) => Ok(store.unpin(cid)?.is_some()),
            Self::Agent(agent) => {
                let answer = agent.json(agent.post(&format!("api/v0/pin/rm?arg={cid}"))?);
                match answer {
                    Ok(_) => Ok(true),
                    Err(error) if format!("{error:#}").contains("not pinned") => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// The store of a data folder; `None` if an agent has it open.
pub(super) fn open_store(place: &PlaceArgs) -> eyre::Result<Option<Store>> {
    let folder = place.data_dir.join("pins");
    eyre::ensure!(
        place.data_dir.is_dir(),
        "{} is not there: name an agent's --data-dir",
        place.data_dir.display()
    );
    match Store::open(&folder, StoreOptions::default()) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::InUse) => Ok(None),
        Err(error) => Err(error).wrap_err_with(|| folder.display().to_string()),
    }
}

impl Agent {
    pub(super) fn post(&self, path: &str) -> eyre::Result<RequestBuilder> {
        self.request(reqwest::Method::POST, path)
    }

    pub(super) fn get(&self, path: &str) -> eyre::Result<RequestBuilder> {
        self.request(reqwest::Method::GET, path)
    }

    fn request(&self, method: reqwest::Method, path: &str) -> eyre::Result<RequestBuilder> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.request(method, format!("{}/{path}", self.url.trim_end_matches('/')));
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }

    /// An answer in JSON.
    pub(super) fn json(&self, request: RequestBuilder) -> eyre::Result<Value> {
        let mut lines = self.json_lines(request)?.into_iter();
        lines.next().wrap_err("the answer is empty")
    }

    /// An answer with a JSON value a line.
    pub(super) fn json_lines(&self, request: RequestBuilder) -> eyre::Result<Vec<Value>> {
        let answer = async {
            let mut answer = self.sent(request.timeout(DEADLINE)).await?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(error))? {
                body.extend_from_slice(&chunk);
                eyre::ensure!(body.len() <= MAX_ANSWER, "{}: the answer is too long", self.shown());
            }
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let values = lines.map(serde_json::from_slice);
            values.collect::<Result<_, _>>().wrap_err("the answer is no JSON")
        };
        crate::stream::run(answer)?
    }

    /// Writes an answer to a file.
    pub(super) fn copy(&self, request: RequestBuilder, out: &mut dyn Write) -> eyre::Result<()> {
        let copied = async {
            let mut answer = self.sent(request).await?;
            while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(error))? {
                out.write_all(&chunk)?;
            }
            Ok(())
        };
        crate::stream::run(copied)?
    }

    async fn sent(&self, request: RequestBuilder) -> eyre::Result<Response> {
        let answer = request.send().await.map_err(|error| self.failed(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let said = answer.text().await.unwrap_or_default();
        let said: String = plain(said.trim()).chars().take(200).collect();
        bail!("{} answers status {status}: {said}", self.shown())
    }

    fn failed(&self, error: reqwest::Error) -> eyre::Report {
        eyre::eyre!(error.without_url()).wrap_err(format!(
            "the store is in use by an agent, and nobody answers at {}: name the agent's --pinner-addr with --url, or stop \
             the agent",
            self.shown()
        ))
    }

    fn shown(&self) -> String {
        plain(&without_credentials(&self.url))
    }
}
