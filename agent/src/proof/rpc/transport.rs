//! JSON-RPC 2.0 over HTTP: deadlines, bounded answers, batches, and no more requests than the RPC
//! takes.

use super::{
    Endpoint, RpcError, RpcUrlError,
    batches::Batches,
    limited::{is_rate_limit, retry_after},
    pace::Pace,
    reply::{Response, RpcReply},
};
use crate::{
    http_client::{builder_for, proxy_for, through},
    proof::outcome::{one_line, revert_data},
};
use bytes::BytesMut;
use futures::{StreamExt, future::join_all};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Single calls under way at once, in place of a batch that the RPC does not take.
const SINGLE_CALLS_AT_ONCE: usize = 4;

/// What an RPC is given.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// The time for one request and its whole answer.
    pub deadline: Duration,
    /// The longest answer, in bytes.
    pub max_answer: usize,
    /// The most calls in one batch. Common nodes take 100 and more.
    pub max_batch: usize,
    /// How long a request waits for its turn, if the RPC has said that there are too many.
    pub patience: Duration,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            max_answer: 16 * 1024 * 1024,
            max_batch: 100,
            patience: Duration::from_secs(120),
        }
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
    /// The proxy that stands between, to be shown.
    proxy: Option<String>,
    pace: Pace,
    batches: Batches,
}

#[derive(Serialize)]
struct RpcRequest<'a> {
    jsonrpc: &'static str,
    id: usize,
    method: &'a str,
    params: &'a Value,
}

impl Rpc {
    /// An RPC at an address. Nothing is asked yet.
    pub fn new(endpoint: Endpoint, limits: RpcLimits) -> Result<Self, RpcUrlError> {
        let client = builder_for(endpoint.url())
            .connect_timeout(limits.deadline)
            .build()
            .map_err(|error| RpcUrlError::Client(error.without_url().to_string()))?;
        let proxy = proxy_for(endpoint.url());
        let (pace, batches) = (Pace::default(), Batches::of(limits.max_batch));
        Ok(Self(Arc::new(Inner { endpoint, client, limits, proxy, pace, batches })))
    }

    /// Its address, to be shown.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Asks one thing.
    pub async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RpcError> {
        read(call.method, &self.single(call).await?)
    }

    /// Asks several things at once: an answer, or an error, for each, in their order. The outer
    /// error is one of the connection, all calls share it.
    pub async fn batch(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut rest = calls;
        while !rest.is_empty() {
            let limit = self.0.batches.limit();
            if limit == 1 || rest.len() == 1 {
                answers.extend(self.one_by_one(rest).await?);
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(limit));
            match self.chunk(now).await? {
                Some(taken) => answers.extend(taken),
                // Smaller ones from now on.
                None if self.0.batches.limit() < now.len() => continue,
                None => answers.extend(self.one_by_one(now).await?),
            }
            rest = later;
        }
        Ok(answers)
    }

    pub(super) async fn single(&self, call: &Call) -> Result<Box<RawValue>, RpcError> {
        let request =
            RpcRequest { jsonrpc: "2.0", id: 0, method: call.method, params: &call.params };
        let read = |reply: &RpcReply<'_>| self.answer(call.method, reply.one(call.method)?);
        self.exchange(call.method, &request, read).await
    }

    /// Asks in one batch. `None`: the RPC does not take it.
    async fn chunk(&self, calls: &[Call]) -> Result<Option<Vec<Answer>>, RpcError> {
        let requests: Vec<_> = calls
            .iter()
            .enumerate()
            .map(|(id, call)| RpcRequest {
                jsonrpc: "2.0",
                id,
                method: call.method,
                params: &call.params,
            })
            .collect();
        let read = |reply: &RpcReply<'_>| {
            let responses = reply.many("a batch", calls.len())?;
            responses.map(|responses| self.in_order(calls, responses)).transpose()
        };
        let answers = self.exchange("a batch", &requests, read).await?;
        self.learn(calls.len(), answers.is_some());
        Ok(answers)
    }

    fn learn(&self, calls: usize, is_taken: bool) {
        let rpc = &self.0.endpoint;
        if is_taken {
            if self.0.batches.taken(calls) {
                tracing::info!(%rpc, "The RPC takes batches again");
            }
            return;
        }
        match self.0.batches.refused(calls) {
            Some(1) => tracing::info!(%rpc, "The RPC takes no batches: it gets single calls"),
            Some(limit) => {
                tracing::info!(%rpc, limit, "The RPC takes no batch of {calls} calls: it gets smaller ones");
            }
            None => {}
        }
    }

    async fn one_by_one(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut answers = Vec::with_capacity(calls.len());
        for calls in calls.chunks(SINGLE_CALLS_AT_ONCE) {
            // An error of the connection ends it: the rest would meet the same.
            for answer in join_all(calls.iter().map(|call| self.single(call))).await {
                answers.push(keep_refusal(answer)?);
            }
        }
        Ok(answers)
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
            (Some(error), _) if is_rate_limit(method, error.code, &error.message) => {
                let reason = format!("code {}: {}", error.code, error.message);
                let reason = one_line(&self.0.endpoint.redact(&reason));
                Err(RpcError::RateLimited { method, reason, pause: Duration::ZERO })
            }
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

    /// Sends a request in its turn, and reads the answer. How the RPC answers sets the pace of the
    /// next ones.
    async fn exchange<T>(
        &self,
        method: &'static str,
        body: &(impl Serialize + Sync),
        read: impl FnOnce(&RpcReply<'_>) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let RpcLimits { deadline, patience, .. } = self.0.limits;
        let pace = &self.0.pace;
        let turn = timeout(patience, pace.turn()).await.map_err(|_| RpcError::RateLimited {
            method,
            reason: format!("no turn within {} s", patience.as_secs()),
            pause: pace.wait(),
        })?;
        let sent = Instant::now();
        let reply = timeout(deadline, self.post(method, body)).await;
        let took = sent.elapsed().as_secs_f64();
        metrics::histogram!("agent_proof_rpc_seconds", "method" => method).record(took);
        let reply =
            reply.map_err(|_| RpcError::Timeout { method, seconds: deadline.as_secs_f32() })??;
        match read(&reply) {
            Err(RpcError::RateLimited { method, reason, pause }) => {
                metrics::counter!("agent_proof_rpc_rate_limited_total").increment(1);
                let pause = pace.refused(turn, Some(pause));
                Err(RpcError::RateLimited { method, reason, pause })
            }
            result => {
                if pace.served(turn) {
                    let rpc = &self.0.endpoint;
                    tracing::info!(%rpc, "The RPC no longer limits the rate of requests");
                }
                result
            }
        }
    }

    async fn post(
        &self,
        method: &'static str,
        body: &(impl Serialize + Sync),
    ) -> Result<RpcReply<'_>, RpcError> {
        let endpoint = &self.0.endpoint;
        let failed = |error: reqwest::Error| RpcError::Connection {
            method,
            reason: one_line(&endpoint.redact(&chain(&error.without_url())))
                + &through(self.0.proxy.as_deref()),
        };
        let request = self.0.client.post(endpoint.url().clone()).json(body);
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
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
        Ok(RpcReply { endpoint, status, retry_after, bytes })
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

/// An error with its causes, which say what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
