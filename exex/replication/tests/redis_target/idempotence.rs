//! A server that remembers what each producer has added.

use crate::{
    fixture::{entries, plain_target, target},
    resp_server::{State, start},
};
use bsp_replication::{Entry, RedisOptions, Target};
use tokio_util::sync::CancellationToken;

fn hashes(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{:#x}", entry.hash)).collect()
}

#[tokio::test]
async fn nothing_is_added_twice_even_if_it_was_deleted_meanwhile() {
    let (address, state) = start(State { cut: 3, ..State::default() }).await;
    let mut target = plain_target(address);
    target.deliver(&entries(0..20)).await.unwrap();
    target.deliver(&entries(20..21)).await.unwrap();
    assert_eq!(target.health().retries(), 3);
    assert_eq!(state.lock().unwrap().added, hashes(&entries(0..21)));
    // Another process.
    plain_target(address).deliver(&entries(15..25)).await.unwrap();
    assert_eq!(state.lock().unwrap().added, hashes(&entries(0..25)));
}

#[tokio::test]
async fn a_server_whose_version_promises_too_much_is_done_without() {
    let (address, state) = start(State { refuses_idmp: true, ..State::default() }).await;
    plain_target(address).deliver(&entries(0..5)).await.unwrap();
    assert_eq!(state.lock().unwrap().added, hashes(&entries(0..5)));
}

#[tokio::test]
async fn what_consumers_have_deleted_is_added_again_under_another_name() {
    let (address, state) = start(State::default()).await;
    plain_target(address).deliver(&entries(0..5)).await.unwrap();
    let options = RedisOptions::default().with_producer_id_of_its_own();
    let stop = CancellationToken::new();
    // Another run has a name of its own, too.
    for _ in 0..2 {
        let options = options.clone().with_producer_id_of_its_own();
        target(address, "", &options, &stop).deliver(&entries(0..5)).await.unwrap();
    }
    assert_eq!(state.lock().unwrap().added, hashes(&entries((0..5).cycle().take(15))));
}
