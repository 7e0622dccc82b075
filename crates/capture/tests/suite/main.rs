//! Capture and verification from the outside, through what the crate exports.
//!
//! One program rather than one a file: it links the EVM once.

mod bsp_geth;
#[path = "../../examples/ethereum_tests/cases.rs"]
mod cases;
mod code_sizes;
mod database_errors;
mod devchain_rows;
mod in_part;
mod mainnet;
mod official;
mod plain_execution;
mod read_order;
mod rules;
mod support;
#[path = "../../examples/read_order/vectors.rs"]
mod vectors;
mod verify;
