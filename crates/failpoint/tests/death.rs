//! A process that dies where it is told to.
#![cfg(feature = "enabled")]

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
};

/// What the processes of the other tests do.
#[test]
#[ignore = "started by the other tests"]
fn victim() {
    for round in 1..=3 {
        println!("round {round}");
        bsp_failpoint::hit(&["here"], "here");
    }
}

fn run_victim(failpoint: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .env("BSP_FAILPOINT", failpoint)
        .output()
        .unwrap()
}

#[test]
fn it_dies_at_the_chosen_time() {
    let output = run_victim("here:2");
    assert_eq!(output.status.signal(), Some(9));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("round 2") && !text.contains("round 3"), "{text}");
}

#[test]
fn it_lives_where_another_point_is_chosen_or_it_only_stalls() {
    for failpoint in ["there", "here:4", "stall:here:0", "here:first"] {
        assert!(run_victim(failpoint).status.success(), "{failpoint}");
    }
}
