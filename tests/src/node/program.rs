//! The node's program. It is built in a workspace of its own, so tests take it from where the
//! environment says.

use eyre::OptionExt;
use std::{env, path::PathBuf};

/// The environment variable that names the program.
pub const VARIABLE: &str = "BSP_RETH_BIN";

/// `bsp-reth`, if the environment names it.
pub fn find() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// [`find`], or an error that says how to get it.
///
/// # Errors
///
/// Where the environment names none.
pub fn require() -> eyre::Result<PathBuf> {
    find().ok_or_eyre("there is no bsp-reth: build it, and name its file in BSP_RETH_BIN")
}

/// Whether there is one. If not, says so for a test that is about to pass without testing.
pub fn is_there() -> bool {
    if find().is_none() {
        eprintln!("SKIPPED: there is no bsp-reth; build it, and name its file in {VARIABLE}");
    }
    find().is_some()
}
