//! The part of Kubo's RPC that others call, under `/api/v0/`: POST alone, arguments in the query.
//!
//! | command | arguments | answer |
//! | --- | --- | --- |
//! | `version` | | `{"Version", …}` |
//! | `dag/import` | CARv1 files in a form; `pin-roots` (true), `stats` | a line for each root |
//! | `dag/get` | `arg`; `output-codec` | the node, as JSON where it is raw or dag-pb |
//! | `block/get`, `block/stat` | `arg` | the block, `{"Key","Size"}` |
//! | `cat` | `arg`; `offset`, `length` | the file |
//! | `pin/ls` | any number of `arg`; `type`, `stream` | `{"Keys":{"<cid>":{"Type":"recursive"}}}` |
//! | `pin/add`, `pin/rm` | one or more `arg`; `name` | `{"Pins":["<cid>"]}` |
//!
//! What fails gives `{"Message", "Code", "Type"}`, as there: with status 400 if the arguments are
//! at fault, else 500 (its clients take 404 for a command that does not exist).

mod args;
mod content;
mod import;
mod pins;

use super::{api::PinnerApi, problem::Problem};
use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<PinnerApi> {
    let commands = Router::new()
        .route("/version", post(version))
        .route("/dag/import", post(import::dag_import))
        .route("/dag/get", post(content::dag_get))
        .route("/block/get", post(content::block_get))
        .route("/block/stat", post(content::block_stat))
        .route("/cat", post(content::cat))
        .route("/pin/ls", post(pins::ls))
        .route("/pin/add", post(pins::add))
        .route("/pin/rm", post(pins::rm));
    Router::new().nest("/api/v0", commands)
}

/// The version is this program's own: who looks for Kubo's abilities should not find them.
async fn version() -> Json<Value> {
    Json(json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "Commit": "",
        "Repo": "",
        "System": format!("{}/{}", std::env::consts::ARCH, std::env::consts::OS),
        "Golang": "",
    }))
}

/// JSON values, one a line.
fn lines(values: &[Value]) -> Response {
    let mut text = String::new();
    for value in values {
        text.push_str(&value.to_string());
        text.push('\n');
    }
    let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-chunked-output", "1")];
    (headers, text).into_response()
}

/// An answer, or the error in Kubo's form.
fn answered(answer: Result<Response, Problem>) -> Response {
    answer.unwrap_or_else(|problem| failure(&problem))
}

pub(super) fn failure(problem: &Problem) -> Response {
    let status = match problem.status {
        StatusCode::NOT_FOUND | StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        status => status,
    };
    if problem.is_ours() {
        tracing::error!(target: "bsp::pinner", error = problem.reason, "A command to the pinner failed");
    }
    // 1 is an error of the client.
    let code = u8::from(status.is_client_error());
    let body = Json(json!({ "Message": problem.reason, "Code": code, "Type": "error" }));
    (status, body).into_response()
}
