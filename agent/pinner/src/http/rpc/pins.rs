//! `pin/ls`, `pin/add`, `pin/rm`.

use super::{
    super::{
        api::PinnerApi,
        problem::{Problem, blocking},
    },
    answered,
    args::Args,
};
use crate::store::{NewPin, Pin, Store};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use bsp_codec::dag::Cid;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::io;

/// Pins that are read at once.
const PAGE: usize = 500;

pub(super) async fn ls(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let listed = async {
        let args = Args::of(query.as_deref());
        let (form, kind) = (Form::of(&args)?, args.text("type").unwrap_or("all"));
        if !matches!(kind, "all" | "recursive" | "direct" | "indirect") {
            return Err(Problem::bad_request("the types are all, recursive, direct and indirect"));
        }
        let named = args.cids()?;
        // All pins here are of whole DAGs.
        if !matches!(kind, "all" | "recursive") {
            return Ok(form.response(Body::from(form.of_pins(&[]))));
        }
        if named.is_empty() {
            return Ok(form.response(all(api.store().clone(), form)));
        }
        let pins = pinned(api.store().clone(), named).await?;
        Ok(form.response(Body::from(form.of_pins(&pins))))
    };
    answered(listed.await)
}

pub(super) async fn add(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let added = async {
        let args = Args::of(query.as_deref());
        let name = args.text("name").unwrap_or_default();
        if name.len() > super::super::MAX_NAME {
            return Err(Problem::bad_request("the name has more than 255 bytes"));
        }
        if !args.flag("recursive", true)? {
            return Err(Problem::bad_request("only whole DAGs are pinned: leave recursive out"));
        }
        let cids = args.some_cids()?;
        for cid in &cids {
            api.pin(*cid, NewPin { name: name.to_owned(), ..NewPin::default() }).await?;
        }
        Ok(names(&cids))
    };
    answered(added.await)
}

pub(super) async fn rm(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let removed = async {
        let cids = Args::of(query.as_deref()).some_cids()?;
        // Where one of them is not pinned, none is removed.
        pinned(api.store().clone(), cids.clone()).await?;
        let (store, each) = (api.store().clone(), cids.clone());
        blocking(move || each.iter().try_for_each(|cid| store.unpin(cid).map(drop))).await?;
        Ok(names(&cids))
    };
    answered(removed.await)
}

async fn pinned(store: Store, cids: Vec<Cid>) -> Result<Vec<Pin>, Problem> {
    blocking(move || {
        let pin = |cid| {
            store.pinned(cid)?.ok_or_else(|| Problem::not_found(format!("{cid} is not pinned")))
        };
        cids.iter().map(pin).collect::<Result<Vec<_>, Problem>>()
    })
    .await
}

fn names(cids: &[Cid]) -> Response {
    let names: Vec<_> = cids.iter().map(ToString::to_string).collect();
    Json(json!({ "Pins": names })).into_response()
}

/// How pins are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One object.
    Map,
    /// A line for each.
    Lines,
}

impl Form {
    fn of(args: &Args) -> Result<Self, Problem> {
        Ok(if args.flag("stream", false)? { Self::Lines } else { Self::Map })
    }

    const fn begin(self) -> &'static str {
        match self {
            Self::Map => "{\"Keys\":{",
            Self::Lines => "",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Map => "}}\n",
            Self::Lines => "",
        }
    }

    fn entry(self, pin: &Pin, first: bool) -> String {
        let (cid, name) = (pin.root.to_string(), Value::from(pin.name.as_str()));
        match self {
            Self::Map => {
                let comma = if first { "" } else { "," };
                format!("{comma}\"{cid}\":{{\"Type\":\"recursive\",\"Name\":{name}}}")
            }
            Self::Lines => {
                format!("{{\"Cid\":\"{cid}\",\"Type\":\"recursive\",\"Name\":{name}}}\n")
            }
        }
    }

    fn entries(self, pins: &[Pin], mut first: bool) -> String {
        let mut text = String::new();
        for pin in pins {
            text.push_str(&self.entry(pin, first));
            first = false;
        }
        text
    }

    fn of_pins(self, pins: &[Pin]) -> String {
        [self.begin(), &self.entries(pins, true), self.end()].concat()
    }

    fn response(self, body: Body) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// All pins, page by page.
fn all(store: Store, form: Form) -> Body {
    let begin = stream::once(async move { Ok::<_, io::Error>(Bytes::from(form.begin())) });
    let end = stream::once(async move { Ok(Bytes::from(form.end())) });
    let pages = stream::try_unfold(Some((store, None::<Cid>)), move |state| async move {
        let Some((store, after)) = state else { return Ok(None) };
        let reader = store.clone();
        let read = tokio::task::spawn_blocking(move || reader.pins(after.as_ref(), PAGE));
        let pins = read.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let page = Bytes::from(form.entries(&pins, after.is_none()));
        let next = pins.last().map(|last| (store, Some(last.root)));
        Ok(next.map(|next| (page, Some(next))))
    });
    Body::from_stream(begin.chain(pages).chain(end))
}
