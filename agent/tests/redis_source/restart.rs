//! A whole agent, stopped and started again, with a server that has forgotten everything meanwhile.

use crate::{
    fixture::{Fixture, TOPIC},
    server::{PATIENCE, free_port},
};
use bsp_agent::{
    Agent, StartError,
    alarm::{AlarmKind, Alarms},
    args::AgentArgs,
    config::AgentConfig,
    journal::JournalError,
    pin::TakeoverError,
};
use bsp_pinner::store::StoreError;
use bsp_tests::{
    messages::{Message, dev::DevBlocks},
    wait::wait_for,
};
use clap::Parser;
use std::{fs, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    agent: AgentArgs,
}

/// An agent that runs until it is stopped.
struct Running {
    stop: CancellationToken,
    alarms: Alarms,
    finished: mpsc::UnboundedReceiver<bsp_agent::journal::BlockRecord>,
    task: tokio::task::JoinHandle<()>,
}

impl Fixture {
    async fn start_agent(&self, more: &[&str]) -> Running {
        let url =
            format!("redis://127.0.0.1:{}/0?topic={TOPIC}#group", self.server.address().port());
        let (data, logs) = (self.data.path().join("data"), self.data.path().join("logs"));
        let (data, logs) = (data.to_str().unwrap(), logs.to_str().unwrap());
        let mut words = vec!["agent", "--redis-url", &url, "--data-dir", data];
        words.extend(["--log-folder", logs, "--proof", "ledger", "--block-divisor", "1"]);
        words.extend(["--verify", "roots", "--claim-idle", "600", "--pinner-addr", "off"]);
        words.extend(more);
        let args = Cli::try_parse_from(words).unwrap().agent;
        let config = AgentConfig::from_args(&args, &|_| None).unwrap();
        let (alarms, stop) = (Alarms::default(), CancellationToken::new());
        let (sender, finished) = mpsc::unbounded_channel();
        let start = async || {
            let (alarms, stop, sender) = (alarms.clone(), stop.clone(), sender.clone());
            match Agent::start_with(config.clone(), alarms, stop, Some(sender)).await {
                // A task of the agent before may hold a file for a moment, where a process would be
                // gone.
                Err(StartError::Journal(JournalError::InUse { .. })) => None,
                Err(StartError::Pins {
                    error: TakeoverError::Store(StoreError::InUse), ..
                }) => None,
                started => Some(started.unwrap()),
            }
        };
        let agent = wait_for("the journal is free", PATIENCE, start).await.unwrap();
        drop(sender);
        let task = tokio::spawn(async move { agent.run().await.unwrap() });
        Running { stop, alarms, finished, task }
    }

    fn proofs(&self) -> usize {
        let ledger = fs::read_to_string(self.data.path().join("data/ledger.jsonl"));
        ledger.unwrap_or_default().lines().count()
    }

    async fn push(&mut self, messages: &[Message]) {
        for message in messages {
            message.push(&mut self.redis, TOPIC).await.unwrap();
        }
    }

    async fn wait_until_empty(&mut self) {
        let empty = async {
            while self.remaining().await != (0, 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty).await.expect("something remains");
    }
}

impl Running {
    async fn wait_for_blocks(&mut self, count: usize) {
        for _ in 0..count {
            let block = tokio::time::timeout(PATIENCE, self.finished.recv());
            block.await.expect("a block is not finished").unwrap();
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_emptied_server_delivers_again_is_not_proved_again() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let replicas = DevBlocks::new(11).unwrap().take(4).unwrap();
    let messages: Vec<_> = replicas.iter().map(|replica| Message::of(replica).unwrap()).collect();
    fixture.push(&messages[..3]).await;
    let mut agent = fixture.start_agent(&[]).await;
    agent.wait_for_blocks(3).await;
    agent.stop().await;
    assert_eq!(fixture.proofs(), 3);

    // The producer has noticed, and delivers again what it had delivered.
    let _: redis::Value = fixture.ask(&["FLUSHALL"]).await;
    fixture.push(&messages).await;
    let mut agent = fixture.start_agent(&[]).await;
    agent.wait_for_blocks(1).await;
    fixture.wait_until_empty().await;
    assert!(agent.alarms.raised().is_empty(), "{:?}", agent.alarms.raised());
    agent.stop().await;
    assert_eq!(fixture.proofs(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_work_when_both_went_ends_and_waits_for_nothing() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let replicas = DevBlocks::new(12).unwrap().take(3).unwrap();
    let messages: Vec<_> = replicas.iter().map(|replica| Message::of(replica).unwrap()).collect();
    fixture.push(&messages).await;
    // Stored, and not pinned.
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let agent = fixture.start_agent(&["--ipfs-pinner-server", &nobody]).await;
    let alarms = agent.alarms.clone();
    crate::fixture::wait_for(|| alarms.raised().get(&AlarmKind::PinnerFailing).map(|_| ())).await;
    let segments = fixture.data.path().join("data/segments");
    let stored = || fs::read_dir(&segments).unwrap().count() == 3;
    crate::fixture::wait_for(|| stored().then_some(())).await;
    agent.stop().await;
    assert_eq!(fixture.proofs(), 0);

    let _: redis::Value = fixture.ask(&["FLUSHALL"]).await;
    let mut agent = fixture.start_agent(&[]).await;
    agent.wait_for_blocks(3).await;
    fixture.push(&messages).await;
    fixture.wait_until_empty().await;
    assert!(agent.alarms.raised().is_empty(), "{:?}", agent.alarms.raised());
    agent.stop().await;
    assert_eq!(fixture.proofs(), 3);
}
