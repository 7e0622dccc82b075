//! How the agent ends.

use crate::program::{Agent, Run, logged};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs, io,
    io::Write,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// An agent that waits for chunks in an empty folder.
fn waiting(folder: &Path, stdout: Stdio) -> Child {
    fs::create_dir(folder.join("chunks")).unwrap();
    let source = format!("--source=file://{}", folder.join("chunks").display());
    let args = [&source, "--proof=ledger", "--consumer-timeout=1"];
    let mut agent = Agent::new(folder, &args).with_operators_environment();
    agent.command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the log holds a text.
fn wait_for_log(folder: &Path, text: &str) {
    let started = Instant::now();
    let log = folder.join("logs/log.log");
    while !fs::read_to_string(&log).unwrap_or_default().contains(text) {
        assert!(started.elapsed() < Duration::from_secs(60), "{text:?} is not logged");
        thread::sleep(Duration::from_millis(10));
    }
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_ends_it_well() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let folder = tempfile::tempdir().unwrap();
        let child = waiting(folder.path(), Stdio::piped());
        wait_for_log(folder.path(), "--consumer-timeout has no effect");
        send(&child, signal);
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{run:?}");
        assert!(logged(folder.path()).contains(name), "{run:?}");
        assert!(run.stdout.contains(name), "{run:?}");
        run.expect_no_secret();
    }
}

/// `timeout` signals the process and then its group.
#[test]
fn two_signals_at_once_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let child = waiting(folder.path(), Stdio::piped());
    wait_for_log(folder.path(), "--consumer-timeout has no effect");
    // Both are there when it goes on.
    for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        send(&child, signal);
    }
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!logged(folder.path()).contains("ends at once"), "{run:?}");
}

#[test]
fn the_log_says_what_is_configured_and_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let child = waiting(folder.path(), Stdio::piped());
    wait_for_log(folder.path(), "--consumer-timeout has no effect");
    wait_for_log(folder.path(), "The agent records proofs in a ledger");
    send(&child, Signal::TERM);
    child.wait_with_output().unwrap();
    let log = logged(folder.path());
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_default();
    let chunks = folder.path().join("chunks");
    assert!(line("The agent starts").contains("version="), "{log}");
    let settings = line("The agent takes block replicas");
    for part in [
        &*format!("source=\"file://{}\"", chunks.display()),
        "block_divisor=3",
        "verify=\"execute\"",
        "pinner=\"embedded\"",
        "data=./bsp-agent-data",
    ] {
        assert!(settings.contains(part), "{part}: {log}");
    }
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("The agent has ended"), "{log}");
    for part in ["acknowledged=0", "skipped=0", "refused=0", "unselected=0", "dead_letters=0"] {
        assert!(last.contains(part), "{part}: {log}");
    }
}

#[test]
fn a_terminal_that_does_not_read_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let (_unread, mut full) = io::pipe().unwrap();
    // What Linux keeps of a pipe that nobody reads.
    full.write_all(&[b'x'; 65_536]).unwrap();
    let child = waiting(folder.path(), full.into());
    wait_for_log(folder.path(), "--consumer-timeout has no effect");
    send(&child, Signal::TERM);
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(logged(folder.path()).contains("SIGTERM"), "{run:?}");
}
