//! Small things that both halves need: pauses between attempts, sizes as people write them, secrets that are not printed,
//! and the file of an embedded database.

pub mod backoff;
mod byte_size;
pub mod database;
pub mod secret;

pub use backoff::Backoff;
pub use byte_size::{ByteSize, InvalidByteSize};
pub use secret::Secret;
