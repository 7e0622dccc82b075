//! A provider's gateway in front of the proof chain's RPC: it can answer from nodes that lag
//! behind, or keep the reason of a revert to itself.

use alloy_primitives::{U64, hex};
use alloy_sol_types::{SolCall, sol};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};

sol! {
    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) external;
}

/// What is wrong with the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GatewayFault {
    /// Nothing.
    #[default]
    None,
    /// Two of five requests reach a node that has not seen the last blocks.
    Lagging {
        /// How many blocks it has not seen.
        blocks: u64,
    },
    /// Submissions revert without data when they are called or estimated; everything else is told
    /// as it is.
    RevertsWithoutReason,
}

/// A running gateway.
#[derive(Debug)]
pub struct RpcGateway {
    address: SocketAddr,
    fault: Arc<Mutex<GatewayFault>>,
    task: JoinHandle<()>,
}

impl RpcGateway {
    /// Starts one in front of a server, without a fault.
    ///
    /// # Errors
    ///
    /// Where there is no free port.
    pub async fn start(server: SocketAddr) -> eyre::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let fault = Arc::new(Mutex::new(GatewayFault::None));
        let upstream = Upstream {
            client: reqwest::Client::new(),
            url: format!("http://{server}"),
            fault: Arc::clone(&fault),
            requests: Arc::default(),
        };
        let router = Router::new().route("/", post(answer)).with_state(upstream);
        let task = tokio::spawn(async move {
            // The task's end is the server's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, fault, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is wrong from now on.
    pub fn set(&self, fault: GatewayFault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for RpcGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Upstream {
    client: reqwest::Client,
    url: String,
    fault: Arc<Mutex<GatewayFault>>,
    requests: Arc<AtomicU64>,
}

async fn answer(State(upstream): State<Upstream>, body: Bytes) -> Response {
    match upstream.answer(&body).await {
        Ok(reply) => axum::Json(reply).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Upstream {
    async fn answer(&self, body: &[u8]) -> eyre::Result<Value> {
        let request: Value = serde_json::from_slice(body)?;
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        // One node answers all of a batch.
        let lags = self.requests.fetch_add(1, Ordering::Relaxed) % 5 < 2;
        let head = match fault {
            GatewayFault::Lagging { blocks } if lags => {
                Some(self.height().await?.saturating_sub(blocks))
            }
            _ => None,
        };
        match request {
            Value::Array(calls) => {
                let mut answers = Vec::with_capacity(calls.len());
                for call in calls {
                    answers.push(self.one(call, fault, head).await?);
                }
                Ok(Value::Array(answers))
            }
            call => self.one(call, fault, head).await,
        }
    }

    async fn one(
        &self,
        call: Value,
        fault: GatewayFault,
        head: Option<u64>,
    ) -> eyre::Result<Value> {
        if fault == GatewayFault::RevertsWithoutReason && is_tried_submission(&call) {
            let error = json!({ "code": 3, "message": "execution reverted", "data": "0x" });
            return Ok(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }));
        }
        let Some(head) = head else { return self.forward(&call).await };
        let answer = self.forward(&as_of(call.clone(), head)).await?;
        Ok(seen_from(&call, answer, head))
    }

    async fn forward(&self, call: &Value) -> eyre::Result<Value> {
        Ok(self.client.post(&self.url).json(call).send().await?.json().await?)
    }

    async fn height(&self) -> eyre::Result<u64> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let answer = self.forward(&call).await?;
        Ok(serde_json::from_value::<U64>(answer["result"].clone())?.to())
    }
}

fn method(call: &Value) -> &str {
    call["method"].as_str().unwrap_or_default()
}

/// A submission that is called or estimated, not one that is sent.
fn is_tried_submission(call: &Value) -> bool {
    let transaction = &call["params"][0];
    let input = transaction["input"].as_str().or_else(|| transaction["data"].as_str());
    let selector = hex::encode_prefixed(submitBlockSpecimenProofCall::SELECTOR);
    matches!(method(call), "eth_call" | "eth_estimateGas")
        && input.is_some_and(|input| input.starts_with(&selector))
}

/// The call as a node means it whose last block is `head`.
fn as_of(mut call: Value, head: u64) -> Value {
    let at = match method(&call) {
        "eth_getBlockByNumber" => 0,
        "eth_call" | "eth_getTransactionCount" | "eth_getBalance" => 1,
        _ => return call,
    };
    if let Some(tag) = call["params"].get_mut(at)
        && tag == "latest"
    {
        *tag = json!(U64::from(head));
    }
    call
}

/// The answer without what a node does not know whose last block is `head`.
fn seen_from(call: &Value, mut answer: Value, head: u64) -> Value {
    let is_later = |item: &Value, field: &str| {
        let number = item.get(field).cloned().map(serde_json::from_value::<U64>);
        matches!(number, Some(Ok(number)) if number.to::<u64>() > head)
    };
    let Some(result) = answer.get_mut("result") else { return answer };
    match method(call) {
        "eth_blockNumber" => *result = json!(U64::from(head)),
        "eth_getTransactionReceipt" | "eth_getTransactionByHash"
            if is_later(result, "blockNumber") =>
        {
            *result = Value::Null;
        }
        "eth_getBlockByNumber" if is_later(result, "number") => *result = Value::Null,
        "eth_getLogs" => {
            if let Some(logs) = result.as_array_mut() {
                logs.retain(|log| !is_later(log, "blockNumber"));
            }
        }
        _ => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_lags_knows_nothing_of_later_blocks() {
        let call = |method: &str| json!({ "id": 1, "method": method, "params": ["0x1"] });
        let seen = |method: &str, result: Value| {
            seen_from(&call(method), json!({ "id": 1, "result": result }), 7)["result"].clone()
        };
        assert_eq!(seen("eth_blockNumber", json!("0xa")), json!("0x7"));
        let receipt = |number: &str| json!({ "blockNumber": number, "status": "0x1" });
        assert_eq!(seen("eth_getTransactionReceipt", receipt("0x8")), Value::Null);
        assert_eq!(seen("eth_getTransactionReceipt", receipt("0x7")), receipt("0x7"));
        let logs = json!([receipt("0x6"), receipt("0x9")]);
        assert_eq!(seen("eth_getLogs", logs), json!([receipt("0x6")]));
        assert_eq!(seen("eth_getBlockByNumber", json!({ "number": "0x8" })), Value::Null);
    }

    #[test]
    fn the_last_block_is_the_lagging_nodes_own() {
        let call = |params: Value| json!({ "method": "eth_call", "params": params });
        assert_eq!(as_of(call(json!([{}, "latest"])), 7), call(json!([{}, "0x7"])));
        assert_eq!(as_of(call(json!([{}, "0x9"])), 7), call(json!([{}, "0x9"])));
    }

    #[test]
    fn only_a_tried_submission_loses_its_reason() {
        let selector = hex::encode_prefixed(submitBlockSpecimenProofCall::SELECTOR);
        let call =
            |method: &str, input: &str| json!({ "method": method, "params": [{ "input": input }] });
        assert!(is_tried_submission(&call("eth_call", &format!("{selector}00"))));
        assert!(is_tried_submission(&call("eth_estimateGas", &selector)));
        assert!(!is_tried_submission(&call("eth_call", "0x01020304")));
        assert!(!is_tried_submission(&call("eth_sendRawTransaction", &selector)));
    }
}
