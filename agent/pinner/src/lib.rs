#![doc = include_str!("../README.md")]

pub mod dag;
pub mod fetch;
mod protobuf;
pub mod store;

pub use bsp_codec::dag::Cid;
