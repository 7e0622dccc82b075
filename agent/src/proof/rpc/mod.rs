//! The proof chain's RPC: a client that waits no longer than it is told, reads no more than it
//! needs, and believes no answer that contradicts another.

mod batches;
mod endpoint;
mod error;
mod health;
mod limited;
mod methods;
mod pace;
mod reply;
mod transport;

pub use endpoint::Endpoint;
pub use error::{RpcError, RpcUrlError, is_about_the_question};
pub use health::Health;
pub use methods::{FoundLog, Head, Receipt};
pub use transport::{Answer, Call, Rpc, RpcLimits};

pub(super) use methods::answers;

#[cfg(test)]
mod tests;
