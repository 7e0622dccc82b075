//! The agent, in this process.

use alloy_primitives::B256;
use bsp_agent::{
    Agent, AgentError,
    alarm::{Alarm, AlarmKind, Alarms},
    config::AgentConfig,
    journal::{BlockRecord, Journal},
};
use eyre::bail;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// An agent at work.
#[derive(Debug)]
pub(crate) struct DevAgent {
    tasks: TaskTracker,
    run: JoinHandle<Result<(), AgentError>>,
    finished: UnboundedReceiver<BlockRecord>,
    alarms: Alarms,
    stop: CancellationToken,
    pins: Option<SocketAddr>,
}

impl DevAgent {
    /// Starts it. The token is for it and for what it is fed by.
    pub(crate) async fn start(config: AgentConfig, stop: CancellationToken) -> eyre::Result<Self> {
        let alarms = Alarms::default();
        let (sender, finished) = mpsc::unbounded_channel();
        let agent = Agent::start_with(config, alarms.clone(), stop.clone(), Some(sender)).await?;
        let pins = agent.pins_served_at();
        let tasks = TaskTracker::new();
        let run = tasks.spawn(agent.run());
        tasks.close();
        Ok(Self { tasks, run, finished, alarms, stop, pins })
    }

    /// What would need the operator's attention.
    pub(crate) fn raised(&self) -> BTreeMap<AlarmKind, Alarm> {
        self.alarms.raised()
    }

    /// Where what it pins can be fetched.
    pub(crate) const fn pins(&self) -> Option<SocketAddr> {
        self.pins
    }

    /// Serves what is pinned until an interrupt.
    ///
    /// # Errors
    ///
    /// That it ends on its own.
    pub(crate) async fn serve(&mut self, interrupt: &CancellationToken) -> eyre::Result<()> {
        while let Some(finished) = interrupt.run_until_cancelled(self.next_finished()).await {
            finished?;
        }
        Ok(())
    }

    /// The next block that it is done with.
    ///
    /// # Errors
    ///
    /// That it ends on its own, which it has no reason to.
    pub(crate) async fn next_finished(&mut self) -> eyre::Result<BlockRecord> {
        tokio::select! {
            biased;
            Some(record) = self.finished.recv() => Ok(record),
            ended = &mut self.run => {
                ended??;
                bail!("the agent has ended by itself; please report this")
            }
        }
    }

    /// Cancels its token, lets it park what is in flight, and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// The blocks that an agent with these settings is done with since an earlier run.
pub(crate) fn settled(config: &AgentConfig) -> eyre::Result<HashMap<B256, BlockRecord>> {
    let mut settled = HashMap::new();
    let path = config.segments.data_dir.join("journal.redb");
    Journal::open(&path, Alarms::default())?.for_each(|record| {
        if record.stage.is_final() {
            settled.insert(record.block.hash, record);
        }
    })?;
    Ok(settled)
}
