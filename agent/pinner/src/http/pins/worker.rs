//! Fetches what is asked for and not here.

use super::{
    super::{api::PinnerApi, problem::blocking},
    record::PinRequest,
};
use crate::{fetch::Fetcher, store::NewPin};
use tokio_util::sync::CancellationToken;

/// Works on the requests that are queued, one after the other, until it is stopped. What is being
/// fetched then begins again at the next start.
pub(in super::super) async fn fetch_queued(api: &PinnerApi, stop: &CancellationToken) {
    let Some(fetcher) = api.fetcher() else { return stop.cancelled().await };
    while stop.run_until_cancelled(api.requests().queued()).await.is_some() {
        while let Some(request) = api.requests().claim() {
            if stop.run_until_cancelled(fetch(api, fetcher, request)).await.is_none() {
                return;
            }
        }
    }
}

async fn fetch(api: &PinnerApi, fetcher: &Fetcher, request: PinRequest) {
    let name = request.wanted.name.clone();
    let failure = match request.wanted.cid() {
        Ok(cid) => {
            let fetched = fetcher.dag(&cid, NewPin { name, ..NewPin::default() }).await;
            fetched.err().map(|error| error.to_string())
        }
        Err(problem) => Some(problem.reason),
    };
    let shared = api.clone();
    let noted = blocking(move || shared.requests().finish(request, failure, shared.store())).await;
    if let Err(problem) = noted {
        tracing::error!(
            target: "bsp::pinner", error = problem.reason,
            "What became of a pin request can't be noted; it begins again at the next start",
        );
    }
}
