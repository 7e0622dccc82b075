#![doc = include_str!("../README.md")]

pub mod backoff;
mod byte_size;
pub mod database;
pub mod disk;
pub mod files;
pub mod secret;
pub mod text;

pub use backoff::Backoff;
pub use byte_size::{ByteSize, InvalidByteSize};
pub use secret::Secret;
