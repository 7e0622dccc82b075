//! The reth node with the block specimen producer built in.
//!
//! Everything that `reth` does, and with `--exex.bsp` a replica of every canonical block for the
//! network's agents.

use bsp_reth::BspCli;
use clap::Parser;
use std::io::{self, Write};

#[global_allocator]
static ALLOC: reth_cli_util::allocator::Allocator = reth_cli_util::allocator::new_allocator();

/// Linked in so that it replaces the C libraries' allocator too.
#[cfg(all(feature = "jemalloc", unix))]
use reth_cli_util::allocator::tikv_jemalloc_sys as _;

fn main() {
    reth_cli_util::sigsegv_handler::install();
    bsp_reth::set_version();
    let status = match bsp_reth::run(BspCli::parse()) {
        Ok(()) => 0,
        Err(error) => {
            // With its causes, without the place in the source where it was made.
            eprintln!("Error: {error:#}");
            1
        }
    };
    end(status)
}

/// Ends the process without C's exit handlers. Some of the node's threads still run by now, and
/// RocksDB's handlers destroy locks that they use: the process would abort now and then, and be
/// taken for one that crashed.
fn end(status: i32) -> ! {
    // Nobody is left to tell if it fails.
    let _ = io::stdout().flush();
    signal_hook::low_level::exit(status)
}
