//! The proof chain's RPC: a client that waits no longer than it is told, reads no more than it needs, and believes
//! no answer that contradicts another.

mod endpoint;
mod error;
mod health;
mod methods;
mod transport;

pub use endpoint::Endpoint;
pub use error::{RpcError, RpcUrlError};
pub use health::Health;
pub use methods::{FoundLog, Head, Receipt};
pub use transport::{Answer, Call, Rpc, RpcLimits};

pub(super) use methods::answers;
