//! What becomes of a request for a block that ends without one.

use crate::chain::ProduceError;
use std::time::Duration;

/// Why there is no product.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Produce(#[from] ProduceError),
    #[error("the execution of block {number} panicked, please report this: {message}")]
    Panicked { number: u64, message: String },
    #[error("the execution of block {number} did not end in {} s", .waited.as_secs())]
    Hung { number: u64, waited: Duration },
}
