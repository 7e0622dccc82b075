//! What several of the tests need.

use bsp_capture::Capture;

pub(crate) mod devblocks;
pub(crate) mod plain;
pub(crate) mod scene;
pub(crate) mod shared_data;
pub(crate) mod world;

/// What an execution on the lists alone has to give as well: all but the sizes of codes that are not listed, which are then
/// those of stand-ins.
pub(crate) fn without_code_sizes(captured: &Capture) -> Capture {
    let mut captured = captured.clone();
    captured.reads.size_only_codes.iter_mut().for_each(|code| code.size = 0);
    captured
}
