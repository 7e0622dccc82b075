//! Commands that read.

use super::{
    super::{
        api::PinnerApi,
        outflow::file_body,
        problem::{Problem, blocking},
    },
    answered,
    args::Args,
};
use crate::{dag, store::Store};
use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use bsp_codec::dag::Cid;
use serde_json::json;

pub(super) async fn block_get(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let block = async {
        let cid = Args::of(query.as_deref()).cid()?;
        Ok(bytes(block(api.store(), cid).await?))
    };
    answered(block.await)
}

pub(super) async fn block_stat(
    State(api): State<PinnerApi>,
    RawQuery(query): RawQuery,
) -> Response {
    let stat = async {
        let cid = Args::of(query.as_deref()).cid()?;
        let store = api.store().clone();
        let len = blocking(move || store.block_len(&cid)).await?.ok_or_else(|| not_here(&cid))?;
        Ok(Json(json!({ "Key": cid.to_string(), "Size": len })).into_response())
    };
    answered(stat.await)
}

/// The node itself where its own codec is asked for, else as dag-json.
pub(super) async fn dag_get(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let node = async {
        let args = Args::of(query.as_deref());
        let cid = args.cid()?;
        let own = match cid.codec() {
            dag::RAW => "raw",
            dag::DAG_PB => "dag-pb",
            _ => "dag-cbor",
        };
        match args.text("output-codec") {
            Some(codec) if codec == own => Ok(bytes(block(api.store(), cid).await?)),
            None | Some("dag-json") if cid.codec() == dag::RAW => {
                let block = block(api.store(), cid).await?;
                let text = data_encoding::BASE64_NOPAD.encode(&block);
                Ok(Json(json!({ "/": { "bytes": text } })).into_response())
            }
            _ => Err(Problem::bad_request(format!(
                "{cid} is given as it is: ask with output-codec={own}"
            ))),
        }
    };
    answered(node.await)
}

pub(super) async fn cat(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let content = async {
        let args = Args::of(query.as_deref());
        let cid = args.cid()?;
        let (offset, length) = (args.number("offset")?.unwrap_or(0), args.number("length")?);
        let store = api.store().clone();
        let file = blocking(move || store.file(&cid)).await?.ok_or_else(|| not_here(&cid))?;
        let rest = file.len().checked_sub(offset).ok_or_else(|| {
            Problem::bad_request(format!("the file has {} bytes, less than the offset", file.len()))
        })?;
        let len = length.unwrap_or(u64::MAX).min(rest);
        Ok(bytes(file_body(file, offset, len).await?))
    };
    answered(content.await)
}

async fn block(store: &Store, cid: Cid) -> Result<Bytes, Problem> {
    let store = store.clone();
    blocking(move || store.block(&cid)).await?.ok_or_else(|| not_here(&cid))
}

fn not_here(cid: &Cid) -> Problem {
    Problem::not_found(format!("block was not found locally (offline): ipld: could not find {cid}"))
}

/// Bytes that a client writes out as they come.
fn bytes(body: impl IntoResponse) -> Response {
    let kind = (header::CONTENT_TYPE.as_str(), "application/octet-stream");
    ([kind, ("x-stream-output", "1")], body).into_response()
}
