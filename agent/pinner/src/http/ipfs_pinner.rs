//! The paths of ipfs-pinner v1.2.7, whose clients are bsp-agent and refiner.
//!
//! | path | request | reply |
//! | --- | --- | --- |
//! | `/upload` | multipart form, files in fields of any name | `{"cid": "<cid>"}` for each file |
//! | `/cid` | the same | the same; nothing is kept |
//! | `/get` | `cid` in the query or in a form | the file, fetched if it is not here |
//! | `/health` | | `I'm healthy` |
//!
//! As there, the method does not matter, a reply of several files is their objects one after the
//! other, files of the same name replace one another, no file gives an empty reply, and what fails
//! gives status 500 and `{"error": "<text>"}`. Other than there, `/cid` keeps nothing, files come
//! in the order in which they were sent, the text of an error is always JSON, and bounds that
//! ipfs-pinner does not have give a status of their own: 413, 408, 503, 507.

use super::{
    MAX_NAME, Request,
    api::PinnerApi,
    body, content_id,
    form::Form,
    intake::{self, Intake, Sink},
    outflow::file_body,
    problem::{Problem, blocking},
};
use crate::store::NewPin;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use bsp_codec::dag::{Cid, CidHasher};
use std::fmt::Write;

/// The most files of one form.
const MAX_FILES: usize = 64;

/// The longest form of `/get`, in bytes.
const MAX_GET_FORM: u32 = 16 << 10;

pub(super) fn routes() -> Router<PinnerApi> {
    Router::new()
        .route("/upload", any(upload))
        .route("/cid", any(cid))
        .route("/get", any(get))
        .route("/health", any(async || "I'm healthy"))
}

async fn upload(State(api): State<PinnerApi>, request: Request) -> Response {
    let cids = async {
        let _place = intake::place(api.uploads()).await?;
        let files = files(&api, request, || api.store().import()).await?;
        let mut cids = Vec::with_capacity(files.len());
        for (name, file) in files {
            let pin = file.pin(NewPin { name: pin_name(name), ..NewPin::default() }).await?;
            cids.push(pin.root);
        }
        Ok(cids)
    };
    reply(cids.await)
}

async fn cid(State(api): State<PinnerApi>, request: Request) -> Response {
    let cids = async {
        let _place = intake::place(api.uploads()).await?;
        let files = files(&api, request, CidHasher::new).await?;
        let mut cids = Vec::with_capacity(files.len());
        for (_, file) in files {
            cids.push(file.cid().await?);
        }
        Ok(cids)
    };
    reply(cids.await)
}

/// The files of a form. A form that breaks off keeps none of them.
async fn files<S: Sink>(
    api: &PinnerApi,
    request: Request,
    sink: impl Fn() -> S,
) -> Result<Vec<(String, Intake<S>)>, Problem> {
    let mut form = Form::read(request, api.options().limits.body).await?;
    let mut files: Vec<(String, Intake<S>)> = Vec::new();
    while let Some(mut part) = form.next_part().await? {
        let Some(name) = part.file_name() else {
            part.skip().await?;
            continue;
        };
        let mut file = Intake::new(sink());
        while let Some(piece) = part.piece().await? {
            metrics::counter!("pinner_http_upload_bytes_total").increment(piece.len() as u64);
            file = file.take(&piece).await?;
        }
        files.retain(|(earlier, _)| *earlier != name);
        files.push((name, file));
        if files.len() > MAX_FILES {
            let reason = format!("the form has more than {MAX_FILES} files");
            return Err(Problem::bad_request(reason));
        }
    }
    Ok(files)
}

fn pin_name(mut name: String) -> String {
    while name.len() > MAX_NAME {
        name.pop();
    }
    name
}

fn reply(cids: Result<Vec<Cid>, Problem>) -> Response {
    match cids {
        Ok(cids) => cids
            .iter()
            .fold(String::new(), |mut text, cid| {
                // Writing into a string can't fail.
                let _ = write!(text, "{{\"cid\": \"{cid}\"}}");
                text
            })
            .into_response(),
        Err(problem) => failure(&problem),
    }
}

async fn get(State(api): State<PinnerApi>, request: Request) -> Response {
    let found = async {
        let wanted = wanted(request).await?;
        if wanted.is_empty() {
            return Ok(Body::empty());
        }
        let cid = content_id::parse(&wanted)?;
        match (local_file(&api, cid).await, api.fetcher()) {
            (Err(problem), Some(fetcher)) if problem.status == StatusCode::NOT_FOUND => {
                fetcher.bring(&cid).await?;
                local_file(&api, cid).await
            }
            (found, _) => found,
        }
    };
    match found.await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response(),
        Err(problem) => failure(&problem),
    }
}

async fn local_file(api: &PinnerApi, cid: Cid) -> Result<Body, Problem> {
    let store = api.store().clone();
    let file = blocking(move || store.file(&cid)).await?;
    let file = file.ok_or_else(|| Problem::not_found(format!("{cid} is not here")))?;
    let len = file.len();
    file_body(file, 0, len).await
}

/// The CID that the query or the form names; empty where neither does.
async fn wanted(request: Request) -> Result<String, Problem> {
    let (head, body) = request.into_parts();
    if let Some(cid) = field(head.uri.query().unwrap_or_default().as_bytes()) {
        return Ok(cid);
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match kind.unwrap_or_default() {
        kind if kind.starts_with("application/x-www-form-urlencoded") => {
            let form = body::whole(body, MAX_GET_FORM).await?;
            Ok(field(&form).unwrap_or_default())
        }
        kind if kind.starts_with("multipart/form-data") => {
            let request = Request::from_parts(head, body);
            cid_of_form(Form::read(request, u64::from(MAX_GET_FORM)).await?).await
        }
        _ => Ok(String::new()),
    }
}

fn field(pairs: &[u8]) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(pairs);
    pairs.find(|(name, _)| name == "cid").map(|(_, cid)| cid.into_owned())
}

async fn cid_of_form(mut form: Form) -> Result<String, Problem> {
    while let Some(mut part) = form.next_part().await? {
        if part.name() != "cid" {
            part.skip().await?;
            continue;
        }
        let mut value = Vec::new();
        while let Some(piece) = part.piece().await? {
            value.extend_from_slice(&piece);
        }
        return Ok(String::from_utf8_lossy(&value).into_owned());
    }
    Ok(String::new())
}

/// What fails gives status 500, as a client of ipfs-pinner expects, unless there the bound does not
/// exist.
pub(super) fn failure(problem: &Problem) -> Response {
    let status = match problem.status {
        status @ (StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::INSUFFICIENT_STORAGE) => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if problem.is_ours() {
        tracing::error!(target: "bsp::pinner", error = problem.reason, "A request to the pinner failed");
    }
    let body = format!("{{\"error\": {}}}", serde_json::Value::from(problem.reason.as_str()));
    (status, body).into_response()
}
