//! A trustless gateway over the store, by the specification at
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>, and plain download of files.
//!
//! It answers from the store alone. Blocks are checked when they are read, so nothing is ever
//! served under the identifier of something else.

mod car;
mod conditional;
mod cors;
mod negotiate;
mod offer;

pub(super) use cors::allow_all;

use super::{
    api::PinnerApi,
    content_id,
    outflow::file_body,
    problem::{Problem, blocking},
};
use crate::store::Store;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bsp_codec::dag::Cid;
use conditional::Wanted;
use negotiate::{Asked, Format};
use offer::Offer;

/// The identifier of nothing, inline: clients ask for it to learn whether this is a gateway.
const PROBE: &str = "bafkqaaa";

pub(super) fn routes() -> Router<PinnerApi> {
    Router::new()
        .route("/ipfs/{cid}", get(content))
        .route("/ipfs/{cid}/", get(content))
        .route("/ipfs/{cid}/{*path}", get(below))
}

async fn content(
    State(api): State<PinnerApi>,
    Path(cid): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let asked = negotiate::asked(query.as_deref().unwrap_or_default(), &headers)?;
        if cid == PROBE {
            return probe(&asked);
        }
        let cid = content_id::parse_v1(&cid)?;
        let answer = match asked.format {
            Format::Raw => raw(api.store(), cid, &asked, &headers).await,
            Format::Car => archive(api.store(), cid, &asked, &headers).await,
            Format::File => file(api.store(), cid, &asked, &headers).await,
        };
        answer.map_err(|problem| if_only_cached(problem, &headers))
    };
    answer.await.unwrap_or_else(|problem| failure(&problem))
}

/// Files have nothing below them.
async fn below(Path((cid, _)): Path<(String, String)>) -> Response {
    let problem = match content_id::parse_v1(&cid) {
        Ok(cid) => Problem::not_found(format!(
            "there is nothing below /ipfs/{cid}: directories are not served"
        )),
        Err(problem) => problem,
    };
    failure(&problem)
}

async fn raw(
    store: &Store,
    cid: Cid,
    asked: &Asked,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let offer = Offer::block(cid, asked);
    let store = store.clone();
    let block = blocking(move || store.block(&cid)).await?.ok_or_else(|| not_here(&cid))?;
    if conditional::is_unchanged(headers, offer.etag()) {
        return Ok(offer.unchanged());
    }
    let len = block.len() as u64;
    Ok(match conditional::wanted(headers, len, offer.etag()) {
        Wanted::All => offer.all(len, block),
        Wanted::Part { from, len: part } => offer.part(from, part, len, slice(&block, from, part)),
        Wanted::Nothing => offer.out_of_range(len),
    })
}

fn slice(block: &Bytes, from: u64, len: u64) -> Bytes {
    let (from, len) = (usize::try_from(from).ok(), usize::try_from(len).ok());
    let range = from.zip(len).map(|(from, len)| from..from.saturating_add(len));
    let within = range.filter(|range| range.end <= block.len());
    within.map(|range| block.slice(range)).unwrap_or_default()
}

async fn file(
    store: &Store,
    cid: Cid,
    asked: &Asked,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let offer = Offer::file(cid, asked);
    let store = store.clone();
    let file =
        blocking(move || store.file(&cid)).await.map_err(|problem| ask_raw(&cid, problem))?;
    let file = file.ok_or_else(|| not_here(&cid))?;
    if conditional::is_unchanged(headers, offer.etag()) {
        return Ok(offer.unchanged());
    }
    let len = file.len();
    Ok(match conditional::wanted(headers, len, offer.etag()) {
        Wanted::All => offer.all(len, file_body(file, 0, len).await?),
        Wanted::Part { from, len: part } => {
            offer.part(from, part, len, file_body(file, from, part).await?)
        }
        Wanted::Nothing => offer.out_of_range(len),
    })
}

async fn archive(
    store: &Store,
    cid: Cid,
    asked: &Asked,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let offer = Offer::archive(cid, asked);
    let reader = store.clone();
    blocking(move || reader.block_len(&cid)).await?.ok_or_else(|| not_here(&cid))?;
    if conditional::is_unchanged(headers, offer.etag()) {
        return Ok(offer.unchanged());
    }
    Ok(offer.stream(car::archive(store, cid, asked.scope).await?))
}

fn ask_raw(cid: &Cid, problem: Problem) -> Problem {
    if problem.status != StatusCode::NOT_ACCEPTABLE {
        return problem;
    }
    Problem::new(problem.status, format!("{}: ask for /ipfs/{cid}?format=raw", problem.reason))
}

fn probe(asked: &Asked) -> Result<Response, Problem> {
    let cid = Cid::try_from(PROBE).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(match asked.format {
        Format::Raw => Offer::block(cid, asked).all(0, Body::empty()),
        Format::Car => Offer::archive(cid, asked).stream(car::empty_archive(cid)?.into()),
        Format::File => Offer::file(cid, asked).all(0, Body::empty()),
    })
}

fn not_here(cid: &Cid) -> Problem {
    Problem::not_found(format!("{cid} is not here"))
}

/// A client that wants no more than what is at hand is told so in another way.
fn if_only_cached(problem: Problem, headers: &HeaderMap) -> Problem {
    let control = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let only = control.is_some_and(|value| value.to_ascii_lowercase().contains("only-if-cached"));
    if only && problem.status == StatusCode::NOT_FOUND {
        return Problem::new(StatusCode::PRECONDITION_FAILED, problem.reason);
    }
    problem
}

pub(super) fn failure(problem: &Problem) -> Response {
    if problem.is_ours() {
        let error = &problem.reason;
        tracing::error!(target: "bsp::pinner", error, "The gateway can't serve what it holds");
    }
    let headers =
        [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (problem.status, headers, format!("{}\n", problem.reason)).into_response()
}
