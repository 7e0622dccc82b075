//! A server that remembers what each producer has added.

use crate::{
    fixture::{entries, plain_target},
    resp_server::{State, start},
};
use bsp_replication::{Entry, Target};

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
