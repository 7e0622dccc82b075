//! Errors as JSON-RPC tells them.

use super::block_selector::ResolveError;
use bsp_replication::{ChainError, ProduceError};
use jsonrpsee::types::{ErrorObjectOwned, error::INTERNAL_ERROR_CODE};

/// There is no such block (EIP-1474).
const NOT_FOUND: i32 = -32_001;
/// It may be there later (EIP-1474).
const UNAVAILABLE: i32 = -32_002;
/// The node is busy (EIP-1474).
const LIMIT_EXCEEDED: i32 = -32_005;
/// The node has pruned what is asked for, as in the execution API's specification.
const PRUNED: i32 = 4_444;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Produce(#[from] ProduceError),
    #[error("unknown kind; expected block-replica, block-specimen or block-result")]
    UnknownKind,
    #[error("too many blocks are being executed for other callers; try again")]
    Busy,
    #[error("the execution ended in a panic")]
    Panic,
}

impl From<Refusal> for ErrorObjectOwned {
    fn from(refusal: Refusal) -> Self {
        let (code, hint) = code_and_hint(&refusal);
        let separator = if hint.is_empty() { "" } else { "; " };
        Self::owned(code, format!("{refusal}{separator}{hint}"), None::<()>)
    }
}

const fn code_and_hint(refusal: &Refusal) -> (i32, &'static str) {
    match refusal {
        Refusal::Resolve(ResolveError::Chain(_)) | Refusal::Produce(ProduceError::Chain(_)) => {
            (INTERNAL_ERROR_CODE, "see the node's log")
        }
        Refusal::Resolve(_) => (NOT_FOUND, ""),
        Refusal::Produce(ProduceError::UnknownBlock(_)) => {
            (NOT_FOUND, "it may have been left by a reorg")
        }
        Refusal::Produce(ProduceError::NotReady { .. }) => (UNAVAILABLE, "try again"),
        Refusal::Produce(ProduceError::Pruned { .. }) => {
            (PRUNED, "ask a node that keeps more history")
        }
        Refusal::Produce(ProduceError::BeforeDefinition { .. }) | Refusal::UnknownKind => {
            (jsonrpsee::types::error::INVALID_PARAMS_CODE, "")
        }
        Refusal::Produce(ProduceError::Unsupported { .. }) => {
            (INTERNAL_ERROR_CODE, "upgrade bsp-reth")
        }
        Refusal::Produce(ProduceError::Mismatch { .. }) => {
            (INTERNAL_ERROR_CODE, "try again; if it stays, the node's database is damaged")
        }
        Refusal::Produce(ProduceError::TooLarge { .. }) => {
            (INTERNAL_ERROR_CODE, "no version can make it in this format")
        }
        Refusal::Produce(_) | Refusal::Panic => (INTERNAL_ERROR_CODE, "see the node's log"),
        Refusal::Busy => (LIMIT_EXCEEDED, ""),
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        Self::Produce(error.into())
    }
}
