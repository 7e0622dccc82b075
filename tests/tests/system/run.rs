//! What most tests do: a scene with an agent at work, and the audit at its end.

use bsp_tests::{
    agent::AgentCommand,
    audit::Report,
    messages::Message,
    scene::{Scene, SceneConfig},
    servers::{
        anvil::Miner,
        process::Process,
        program::{Program, all_there},
    },
};
use rustix::process::Signal;
use std::time::Duration;

/// How long work may take on a machine under load.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// A scene with one agent.
pub(crate) struct Run {
    pub(crate) scene: Scene,
    pub(crate) command: AgentCommand,
    pub(crate) process: Process,
    _miner: Option<Miner>,
}

impl Run {
    /// Starts everything, on a proof chain with a block each 300 ms, or nothing where a server's
    /// program is missing.
    pub(crate) async fn on_chain(args: &[&str]) -> Option<Self> {
        if !all_there(&[Program::Redis, Program::Anvil]) {
            return None;
        }
        Some(Self::start(SceneConfig::of_chain().unwrap(), args).await)
    }

    /// Starts everything, with a ledger and local pins, or nothing where a server's program is
    /// missing.
    pub(crate) async fn on_ledger(args: &[&str]) -> Option<Self> {
        if !all_there(&[Program::Redis]) {
            return None;
        }
        Some(Self::start(SceneConfig::of_ledger().unwrap(), args).await)
    }

    pub(crate) async fn start(config: SceneConfig, args: &[&str]) -> Self {
        let mut scene = Scene::start(config).await.unwrap();
        let command = scene.agent("agent").unwrap().args(args);
        scene.watch().unwrap();
        let miner = scene.chain.as_ref().map(|it| it.anvil.keep_mining(Duration::from_millis(300)));
        let process = command.start().unwrap();
        let run = Self { scene, command, process, _miner: miner };
        run.is_up().await;
        run
    }

    /// Waits until the agent has begun to read. Before, a signal kills it, and an outage makes it
    /// give up.
    pub(crate) async fn is_up(&self) {
        self.is_up_after(1).await;
    }

    /// The same after this many starts, of which all but the last came so far too.
    pub(crate) async fn is_up_after(&self, starts: usize) {
        self.prints_so_often("Initializing Consumer", starts).await;
    }

    /// Feeds messages.
    pub(crate) async fn feed<'m>(&mut self, messages: impl IntoIterator<Item = &'m Message>) {
        for message in messages {
            self.scene.push(message).await.unwrap();
        }
    }

    /// Kills the agent and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.process.kill().await.unwrap();
        self.process = self.command.start().unwrap();
    }

    /// Waits until the agent prints this.
    pub(crate) async fn prints(&self, text: &str) {
        self.prints_so_often(text, 1).await;
    }

    async fn prints_so_often(&self, text: &str, times: usize) {
        let printed = bsp_tests::wait::wait_for(text, DEADLINE, async || {
            (self.process.output().matches(text).count() >= times).then_some(())
        });
        printed.await.unwrap_or_else(|error| panic!("{error}\n{}", self.scene.last_lines()));
    }

    /// Waits until the stream is empty.
    pub(crate) async fn settle(&mut self) {
        self.scene.settle(DEADLINE).await.unwrap();
    }

    /// Waits until all is done, ends the agent in order, and audits.
    pub(crate) async fn finish(mut self) -> Report {
        self.settle().await;
        self.end().await;
        let report = self.scene.audit().await.unwrap();
        assert!(report.violations.is_empty(), "{report}\n{}", self.scene.last_lines());
        report
    }

    /// Ends the agent in order.
    pub(crate) async fn end(&mut self) {
        self.process.signal(Signal::TERM).unwrap();
        let status = self.process.end_within(Duration::from_secs(60)).await.unwrap();
        assert!(status.success(), "{status}\n{}", self.scene.last_lines());
    }
}
