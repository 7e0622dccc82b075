//! The node with the Execution Extension, against real servers. The program is taken from
//! BSP_RETH_BIN.

mod commands;
mod deliver;
mod faults;
mod following;
mod limits;
mod oracle;
mod pool;
mod proving;
mod start;

use std::time::Duration;

/// How long work may take on a machine under load.
const DEADLINE: Duration = Duration::from_secs(180);
