//! Capture changes nothing: receipts, gas, requests and state changes are those of plain execution.

use crate::support::{devblocks, plain};
use bsp_capture::{Capture, ChainSpec};

const SEEDS: std::ops::Range<u64> = 100..106;
const BLOCKS: usize = 20;

#[test]
fn dev_blocks_execute_as_without_an_inspector() {
    let spec = ChainSpec::dev();
    for block in SEEDS.flat_map(|seed| devblocks::blocks(seed, BLOCKS)) {
        let plain = plain::execute(&spec, block.parts(), block.transactions(), &block.parent);
        let captured: Capture = block.captured.clone();
        let captured = plain::Outcome::of_capture((captured, block.changes.clone()));
        assert_eq!(captured, plain, "{}", block.name());

        // Both lead to the sealed state root, which the chain computes on its own.
        let mut state = block.parent.clone();
        state.apply(&plain.changes);
        assert_eq!(state.state_root(), block.sealed.block.header.state_root, "{}", block.name());
    }
}
