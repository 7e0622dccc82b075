#![doc = include_str!("../README.md")]
//!
//! An entry of the stream has the fields `hash` (`0x` and 64 lower-case hex digits) and `data` (the
//! replica's RLP as a raw snappy block), as bsp-geth v2.2.0 writes them, and `supplement` where the
//! replica leaves something out of its block.

pub mod connect;
mod env;
mod probe;
pub mod server_error;
mod stream_id;
mod tls;
pub mod url;

pub use connect::{Connection, Connector};
pub use env::password_from_env;
pub use stream_id::{NotAStreamId, StreamId};
pub use tls::TlsFiles;
pub use url::{RedisUrl, UrlError};
