//! Blocks of which the network's format leaves something out, with what bsp-reth delivers beside
//! them.

use crate::run::Run;
use bsp_tests::messages::{Message, dev::DevBlocks};
use std::collections::HashSet;

#[tokio::test]
async fn with_the_third_field_every_block_is_executed_whole_before_it_is_proved() {
    let Some(mut run) = Run::on_chain(&[]).await else { return };
    let mut blocks = DevBlocks::new(11).unwrap();
    let mut all = HashSet::new();
    // Those that can't be executed without what lies beside them, each once with it and, of other
    // blocks, without.
    let (mut with, mut without) = (0, HashSet::new());
    while with < 3 || without.len() < 3 {
        let (replica, supplement) = blocks.next_supplemented().unwrap();
        let mut message = Message::of(&replica).unwrap();
        let has_type_4 = replica.transactions.iter().any(|tx| tx.tx_type == 4);
        if has_type_4 && with >= 3 {
            without.insert(replica.hash);
        } else {
            with += usize::from(has_type_4);
            message = message.with_supplement(supplement.map(|supplement| supplement.encode()));
        }
        all.insert(replica.hash);
        run.feed([&message]).await;
    }
    run.settle().await;
    run.end().await;
    let whole = run.scene.executed_whole("agent").unwrap();
    assert_eq!(whole, all.difference(&without).copied().collect());
    let report = run.scene.audit().await.unwrap();
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(report.proved, all.len());
}
