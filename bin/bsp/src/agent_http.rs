//! Asking a running agent through its HTTP server.

use crate::stream::plain;
use eyre::{Context, bail};
use serde_json::Value;
use std::{error::Error, time::Duration};

/// Where an agent listens unless it is told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:6061";

const DEADLINE: Duration = Duration::from_secs(15);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What the agent answers at a path.
///
/// # Errors
///
/// That nobody answers there, or not as an agent does; the message names the URL.
pub(crate) async fn get(url: &str, path: &str) -> eyre::Result<Value> {
    let shown = plain(&without_credentials(url));
    ask(url, path).await.wrap_err_with(|| format!("the agent at {shown} does not answer"))
}

async fn ask(url: &str, path: &str) -> eyre::Result<Value> {
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?;
    let url = format!("{}/{path}", url.trim_end_matches('/'));
    // The URL is told anyway, and might hold a password.
    let mut reply = client.get(url).send().await.map_err(in_short)?;
    if !reply.status().is_success() {
        bail!("its status is {}", reply.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(in_short)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            bail!("its answer is too long");
        }
    }
    serde_json::from_slice(&body).wrap_err("its answer is no JSON")
}

/// What is at the bottom of it: the layers between say only that a request failed.
fn in_short(error: reqwest::Error) -> eyre::Report {
    if error.is_timeout() {
        return eyre::eyre!("nothing came within {} s", DEADLINE.as_secs());
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    eyre::eyre!("{cause}")
}

pub(crate) fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}
