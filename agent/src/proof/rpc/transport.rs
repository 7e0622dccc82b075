//! JSON-RPC 2.0 over HTTP: deadlines, bounded answers, batches.

use super::{Endpoint, RpcError, RpcUrlError};
use crate::proof::outcome::{one_line, revert_data};
use alloy_json_rpc::ErrorPayload;
use bytes::BytesMut;
use futures::{StreamExt, future::join_all};
use reqwest::redirect;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// What an RPC is given.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// The time for one request and its whole answer.
    pub deadline: Duration,
    /// The longest answer, in bytes.
    pub max_answer: usize,
    /// The most calls in one batch. Common nodes take 100 and more.
    pub max_batch: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(10), max_answer: 16 * 1024 * 1024, max_batch: 100 }
    }
}

/// A method with its parameters.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
}

/// An RPC. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Rpc(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    client: reqwest::Client,
    limits: RpcLimits,
    /// The RPC has refused a batch: it gets single calls from then on.
    single: AtomicBool,
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: usize,
    method: &'a str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Response {
    id: Option<usize>,
    // `Option<Box<RawValue>>` would read the answer `null` as no answer.
    #[serde(default, deserialize_with = "some_raw")]
    result: Option<Box<RawValue>>,
    error: Option<ErrorPayload>,
}

fn some_raw<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

impl Rpc {
    /// An RPC at an address. Nothing is asked yet.
    pub fn new(endpoint: Endpoint, limits: RpcLimits) -> Result<Self, RpcUrlError> {
        let client = reqwest::Client::builder()
            .connect_timeout(limits.deadline)
            // A redirection would take the key in the address somewhere else.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| RpcUrlError::Client(error.without_url().to_string()))?;
        Ok(Self(Arc::new(Inner { endpoint, client, limits, single: AtomicBool::new(false) })))
    }

    /// Its address, to be shown.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Asks one thing.
    pub async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RpcError> {
        read(call.method, &self.single(call).await?)
    }

    /// Asks several things at once: an answer, or an error, for each, in their order. The outer error is one of
    /// the connection, all calls share it.
    pub async fn batch(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut answers = Vec::with_capacity(calls.len());
        for calls in calls.chunks(self.0.limits.max_batch.max(1)) {
            answers.extend(match calls {
                [call] => vec![keep_refusal(self.single(call).await)?],
                _ => self.chunk(calls).await?,
            });
        }
        Ok(answers)
    }

    async fn single(&self, call: &Call) -> Result<Box<RawValue>, RpcError> {
        let request = Request { jsonrpc: "2.0", id: 0, method: call.method, params: &call.params };
        let response: Response = self.post(call.method, &request).await?;
        self.answer(call.method, response)
    }

    async fn chunk(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        if self.0.single.load(Ordering::Relaxed) {
            return self.one_by_one(calls).await;
        }
        let requests: Vec<_> = calls
            .iter()
            .enumerate()
            .map(|(id, call)| Request {
                jsonrpc: "2.0",
                id,
                method: call.method,
                params: &call.params,
            })
            .collect();
        let answer: Box<RawValue> = self.post("a batch", &requests).await?;
        let Ok(responses) = serde_json::from_str::<Vec<Response>>(answer.get()) else {
            tracing::info!(rpc = %self.0.endpoint, "the RPC takes no batches: it gets single calls");
            self.0.single.store(true, Ordering::Relaxed);
            return self.one_by_one(calls).await;
        };
        self.in_order(calls, responses)
    }

    async fn one_by_one(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let answers = join_all(calls.iter().map(|call| self.single(call))).await;
        answers.into_iter().map(keep_refusal).collect()
    }

    fn in_order(&self, calls: &[Call], responses: Vec<Response>) -> Result<Vec<Answer>, RpcError> {
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        for response in responses {
            let Some(id) = response.id else { continue };
            if let (Some(call), Some(answer)) = (calls.get(id), answers.get_mut(id)) {
                *answer = Some(self.answer(call.method, response));
            }
        }
        let missing =
            |method| RpcError::Malformed { method, reason: "no answer in the batch".into() };
        calls
            .iter()
            .zip(answers)
            .map(|(call, answer)| keep_refusal(answer.unwrap_or_else(|| Err(missing(call.method)))))
            .collect()
    }

    fn answer(&self, method: &'static str, response: Response) -> Answer {
        match (response.error, response.result) {
            (Some(error), _) => Err(RpcError::Node {
                method,
                code: error.code,
                message: one_line(&self.0.endpoint.redact(&error.message)),
                data: revert_data(&error),
            }),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(malformed(method, "neither a result nor an error")),
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        method: &'static str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, RpcError> {
        let deadline = self.0.limits.deadline;
        let (status, bytes) = timeout(deadline, self.exchange(method, body))
            .await
            .map_err(|_| RpcError::Timeout { method, seconds: deadline.as_secs_f32() })??;
        // Some nodes put their errors into an HTTP error's body.
        match serde_json::from_slice(&bytes) {
            Ok(answer) => Ok(answer),
            Err(_) if !(200..300).contains(&status) => {
                Err(RpcError::HttpStatus { method, status, hint: hint(status) })
            }
            Err(error) => Err(malformed(method, &error.to_string())),
        }
    }

    async fn exchange(
        &self,
        method: &'static str,
        body: &(impl Serialize + Sync),
    ) -> Result<(u16, BytesMut), RpcError> {
        let failed = |error: reqwest::Error| RpcError::Connection {
            method,
            reason: one_line(&self.0.endpoint.redact(&chain(&error.without_url()))),
        };
        let request = self.0.client.post(self.0.endpoint.url().clone()).json(body);
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut bytes = BytesMut::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(failed)?;
            let limit = self.0.limits.max_answer;
            if bytes.len().saturating_add(chunk.len()) > limit {
                return Err(RpcError::TooLarge { method, limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }
}

/// The answer to one call.
pub type Answer = Result<Box<RawValue>, RpcError>;

/// Reads an answer as what its method returns.
pub(super) fn read<T: DeserializeOwned>(
    method: &'static str,
    raw: &RawValue,
) -> Result<T, RpcError> {
    serde_json::from_str(raw.get()).map_err(|error| malformed(method, &error.to_string()))
}

fn malformed(method: &'static str, reason: &str) -> RpcError {
    RpcError::Malformed { method, reason: one_line(reason) }
}

/// What a node refuses concerns one call; everything else concerns the whole connection.
fn keep_refusal(answer: Answer) -> Result<Answer, RpcError> {
    match answer {
        Err(error) if !matches!(error, RpcError::Node { .. }) => Err(error),
        answer => Ok(answer),
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": check the key in MB_RPC_URL",
        404 => ": check the path in MB_RPC_URL",
        429 => ": too many requests for this RPC",
        _ => "",
    }
}

/// An error with its causes, which say what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
