//! Entries that are wrong in every way: each goes to the dead letters as it came, and the line
//! moves on.

use crate::run::Run;
use bsp_tests::{
    audit::Expect,
    messages::{Message, dev::DevBlocks, poison, variant},
};

/// Larger than any entry of the small dev chain.
const MAX_MESSAGE_BYTES: usize = 400_000;

#[tokio::test]
async fn bad_entries_are_buried_and_good_ones_between_them_proved() {
    let limit = MAX_MESSAGE_BYTES.to_string();
    let Some(mut run) = Run::on_ledger(&["--max-message-bytes", &limit]).await else { return };
    let mut good = DevBlocks::new(21).unwrap();
    let base = DevBlocks::new(22).unwrap().next_executable().unwrap();
    let mut bad = poison::all(&base).unwrap();
    bad.push(poison::Poison {
        name: "oversized",
        message: Message {
            hash: Some(variant(&base, 1).hash.to_string().into_bytes()),
            data: Some((0..=MAX_MESSAGE_BYTES).map(|at| (at * at / 7) as u8).collect()),
            supplement: None,
            expect: Expect::Poison,
        },
    });
    for poison in &bad {
        let message = Message::of(&good.next_replica().unwrap()).unwrap();
        run.feed([&message, &poison.message]).await;
    }
    let report = run.finish().await;
    assert_eq!((report.proved, report.poison), (bad.len(), bad.len()));
}

#[tokio::test]
async fn a_block_that_comes_three_times_is_proved_once() {
    let Some(mut run) = Run::on_ledger(&[]).await else { return };
    let replicas = DevBlocks::new(23).unwrap().take(4).unwrap();
    let messages: Vec<_> = replicas.iter().map(|it| Message::of(it).unwrap()).collect();
    run.feed(&messages).await;
    run.feed(&messages).await;
    run.settle().await;
    // Also when it is long done.
    run.feed(&messages).await;
    let report = run.finish().await;
    assert_eq!((report.entries, report.proved, report.watched), (12, 4, 12));
}

#[tokio::test]
async fn two_blocks_of_one_height_are_both_proved() {
    let Some(mut run) = Run::on_chain(&[]).await else { return };
    let block = DevBlocks::new(24).unwrap().next_executable().unwrap();
    let messages = [
        Message::of(&block).unwrap(),
        Message::of(&variant(&block, 1)).unwrap(),
        Message::of(&variant(&block, 2)).unwrap(),
    ];
    run.feed(&messages).await;
    assert_eq!(run.finish().await.proved, 3);
}

#[tokio::test]
async fn a_forged_copy_does_not_keep_the_real_block_out() {
    let Some(mut run) = Run::on_ledger(&[]).await else { return };
    let block = DevBlocks::new(25).unwrap().next_executable().unwrap();
    // The same header, hence the same hash, and a state that it does not execute on.
    let forged = poison::lies_about_state(&block).unwrap();
    run.feed([&forged.message]).await;
    run.settle().await;
    run.feed([&Message::of(&block).unwrap()]).await;
    assert_eq!(run.finish().await.proved, 1);
}
