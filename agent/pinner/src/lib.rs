#![doc = include_str!("../README.md")]

pub mod fetch;
pub mod store;

pub use bsp_codec::dag::Cid;
