#![doc = include_str!("../README.md")]

#[cfg(feature = "bitswap")]
pub mod bitswap;
pub mod dag;
pub mod fetch;
pub mod http;
#[cfg(feature = "peers")]
pub mod peers;
#[cfg(feature = "bitswap")]
mod protobuf;
pub mod store;

pub use bsp_codec::dag::Cid;
