//! Why a request is not answered as it was meant. Each face says it in its own form.

use crate::{fetch::FetchError, store::StoreError};
use axum::http::StatusCode;
use std::io;
use tokio::task::JoinError;

/// A status, and a reason in one line for whoever sent the request.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) reason: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(super) fn not_found(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// Whether the server is at fault, not the request.
    pub(super) fn is_ours(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::UnsupportedCid(_)
            | StoreError::WrongBlock(_)
            | StoreError::Malformed { .. }
            | StoreError::Car(_) => StatusCode::BAD_REQUEST,
            StoreError::BlockTooLong { .. }
            | StoreError::FileTooLong { .. }
            | StoreError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            StoreError::Missing(_) => StatusCode::NOT_FOUND,
            StoreError::NotAFile { .. } => StatusCode::NOT_ACCEPTABLE,
            StoreError::OverBudget { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let status = match error {
            FetchError::Store(error) => return error.into(),
            FetchError::NotFound { .. } => StatusCode::NOT_FOUND,
            FetchError::Unavailable { .. } => StatusCode::BAD_GATEWAY,
            FetchError::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<io::Error> for Problem {
    /// Reading a stored file gives the store's own errors in this form.
    fn from(error: io::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            Err(error) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<JoinError> for Problem {
    fn from(_: JoinError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed at this request")
    }
}

/// Runs what waits for the disk, away from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static, E: Into<Problem> + Send + 'static>(
    run: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(run).await?.map_err(Into::into)
}
