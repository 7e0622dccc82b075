//! Read sets against reth's own tracers. `node-oracle` does the same for as many blocks as wanted.

use crate::DEADLINE;
use bsp_tests::{
    node::{
        oracle::{BlockTraces, ReadSet, Table, compare},
        program,
        scene::NodeScene,
    },
    servers::program::{Program, all_there},
};

#[tokio::test]
async fn every_difference_from_the_tracers_has_a_known_cause() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = NodeScene::new(2, 6).await.unwrap();
    scene.start().await.unwrap();
    scene.extend(40).await.unwrap();
    let rpc = scene.node().unwrap().rpc();
    let mut table = Table::default();
    for number in 1..=40 {
        let reads = ReadSet::of(rpc, number).await.unwrap();
        let traces = BlockTraces::of(rpc, number).await.unwrap();
        compare(rpc, number, &reads, &traces, &mut table).await.unwrap();
    }
    assert!(table.violations.is_empty(), "{table}");
    let types: Vec<_> = table.transactions.keys().copied().collect();
    assert_eq!(types, [0, 1, 2, 3, 4], "{table}");
    assert!(table.accounts > 300 && table.slots > 50 && table.codes > 100, "{table}");
    scene.settle(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn what_is_left_out_or_put_in_is_noticed() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = NodeScene::new(2, 6).await.unwrap();
    scene.start().await.unwrap();
    scene.extend(8).await.unwrap();
    let rpc = scene.node().unwrap().rpc();
    for number in 1..=8 {
        let reads = ReadSet::of(rpc, number).await.unwrap();
        let traces = BlockTraces::of(rpc, number).await.unwrap();
        for spoilt in spoilt(&reads, &traces) {
            let mut table = Table::default();
            compare(rpc, number, &spoilt, &traces, &mut table).await.unwrap();
            assert!(!table.violations.is_empty(), "block {number}: {spoilt:?}");
        }
    }
}

/// The read set with one thing wrong, in several ways.
fn spoilt(reads: &ReadSet, traces: &BlockTraces) -> Vec<ReadSet> {
    let mut all = Vec::new();
    let touched = reads.accounts.iter().position(|row| traces.accounts.contains_key(&row.address));
    if let Some(index) = touched {
        let mut missing = reads.clone();
        missing.accounts.remove(index);
        all.push(missing);
        let mut extra = reads.clone();
        extra.accounts[index].address.0[0] ^= 1;
        all.push(extra);
        let mut wrong = reads.clone();
        wrong.accounts[index].balance += alloy_primitives::U256::ONE;
        all.push(wrong);
    }
    let mut extra = reads.clone();
    let mut slot = extra.slots[0].clone();
    slot.address.0[0] ^= 1;
    slot.value.0[0] ^= 1;
    extra.slots.push(slot);
    all.push(extra);
    all
}
