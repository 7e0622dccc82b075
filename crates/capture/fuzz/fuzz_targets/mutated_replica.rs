//! A genuine segment with some bytes changed: only changes to values that the outcome does not
//! depend on pass.

#![no_main]

use alloy_primitives::{B256, U256};
use bsp_capture::{Outcome, VerifyOptions, verify_segment};
use bsp_codec::{AccountRead, Replica, avro::decode_segment};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const GENUINE: &[u8] = include_bytes!("../seeds/verify/dev.avro");

static REPLICA: LazyLock<Replica> =
    LazyLock::new(|| without_values(decode_segment(GENUINE).expect("a segment").replica));

fuzz_target!(|changes: Vec<(u16, u8)>| {
    let mut bytes = GENUINE.to_vec();
    for (position, difference) in changes {
        let position = usize::from(position) % bytes.len();
        bytes[position] ^= difference;
    }
    let Ok(segment) = decode_segment(&bytes) else { return };
    let verdict = verify_segment(&segment, &bytes, VerifyOptions::default());
    if verdict.outcome() == Outcome::Ok {
        assert_eq!(without_values(segment.replica), *REPLICA);
    }
});

/// No root over the parent state's values is in a replica, and a block need not depend on all of
/// them. Nothing depends on the total difficulty.
fn without_values(mut replica: Replica) -> Replica {
    replica.total_difficulty = U256::ZERO;
    for row in &mut replica.state.account_read {
        *row = AccountRead { address: row.address, ..Default::default() };
    }
    for row in &mut replica.state.storage_read {
        row.value = B256::ZERO;
    }
    for row in &mut replica.state.blockhash_read {
        row.block_hash = B256::ZERO;
    }
    replica
}
