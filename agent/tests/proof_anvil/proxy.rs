//! Stands between the agent and the node, and answers as it is told: late, never, wrongly, or with
//! something else.

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// What becomes of a request.
pub(crate) enum Fault {
    /// The node's own answer.
    None,
    /// The node does not see it. Another answer, or an error object.
    Answer(Value),
    /// The node sees it, its answer is changed.
    Change(fn(&mut Value)),
    /// The node sees it, nobody answers.
    Silence,
}

/// What becomes of a call of a method with its parameters.
pub(crate) type Rule = Box<dyn FnMut(&str, &Value) -> Fault + Send>;

/// What becomes of a whole HTTP request.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    Good,
    /// No answer ever.
    Hang,
    /// HTTP 500 with a page.
    Broken,
    /// No JSON.
    Garbage,
    /// More than anybody wants.
    Endless,
    /// Batches are refused.
    NoBatch,
}

/// A running proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    node: String,
    rule: Arc<Mutex<Rule>>,
    wire: Arc<Mutex<Wire>>,
    client: reqwest::Client,
}

impl Proxy {
    /// Starts one before a node. It ends with the test's runtime. Returns its address as well.
    pub(crate) async fn start(node: &str) -> (Self, String) {
        let proxy = Self {
            node: node.to_owned(),
            rule: Arc::new(Mutex::new(Box::new(|_, _| Fault::None))),
            wire: Arc::new(Mutex::new(Wire::Good)),
            client: reqwest::Client::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handler = proxy.clone();
        let app = Router::new()
            .fallback(post(move |body: Bytes| async move { handler.handle(&body).await }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (proxy, url)
    }

    pub(crate) fn rule(&self, rule: impl FnMut(&str, &Value) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(crate) fn wire(&self, wire: Wire) {
        *self.wire.lock().unwrap() = wire;
    }

    async fn handle(&self, body: &[u8]) -> Response {
        let request: Value = serde_json::from_slice(body).unwrap();
        let wire = *self.wire.lock().unwrap();
        match wire {
            Wire::Hang => std::future::pending().await,
            Wire::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "<h1>sorry</h1>").into_response(),
            Wire::Garbage => "\u{0}{{{not json".into_response(),
            Wire::Endless => {
                let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20]));
                Body::from_stream(futures::stream::repeat_with(chunk)).into_response()
            }
            Wire::NoBatch if request.is_array() => {
                let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}});
                axum::Json(error).into_response()
            }
            Wire::Good | Wire::NoBatch => match self.answers(request).await {
                Some(answers) => axum::Json(answers).into_response(),
                None => std::future::pending().await,
            },
        }
    }

    async fn answers(&self, request: Value) -> Option<Value> {
        match request {
            Value::Array(calls) => {
                let mut answers = Vec::new();
                for call in calls {
                    answers.push(self.answer(call).await?);
                }
                // In another order than they were asked.
                answers.reverse();
                Some(Value::Array(answers))
            }
            call => self.answer(call).await,
        }
    }

    async fn answer(&self, call: Value) -> Option<Value> {
        let fault = (self.rule.lock().unwrap())(call["method"].as_str().unwrap(), &call["params"]);
        if let Fault::Answer(mut answer) = fault {
            answer["jsonrpc"] = json!("2.0");
            answer["id"] = call["id"].clone();
            return Some(answer);
        }
        let response = self.client.post(&self.node).json(&call).send().await.ok()?;
        let mut answer: Value = response.json().await.ok()?;
        match fault {
            Fault::Change(change) => change(&mut answer["result"]),
            Fault::Silence => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                return None;
            }
            Fault::None | Fault::Answer(_) => {}
        }
        Some(answer)
    }
}
