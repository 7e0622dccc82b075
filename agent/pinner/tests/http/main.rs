//! The HTTP faces of a store, asked as others ask them.

mod gateway;
mod hostile;
mod ipfs_pinner;
mod listening;
mod pins;
mod rpc;
mod support;
