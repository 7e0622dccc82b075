//! One agent, killed again and again while it works.

use super::{
    feeder::Feeder,
    plan::{Death, Life},
    table::Table,
    trouble::Trouble,
};
use crate::{agent::AgentCommand, scene::Scene, servers::process::Process, wait::wait_for};
use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

/// How often a life is checked.
const PERIOD: Duration = Duration::from_millis(25);

/// How long a life waits for its failpoint before it ends at whatever it does.
const FAILPOINT_DEADLINE: Duration = Duration::from_secs(4);

/// SIGKILL.
const KILLED: i32 = 9;

/// A campaign under way.
#[derive(Debug)]
pub struct KillCampaign {
    /// Everything around the agent.
    pub scene: Scene,
    /// What feeds it.
    pub feeder: Feeder,
    /// What happened so far.
    pub table: Table,
    command: AgentCommand,
}

/// How a life's trouble stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Present,
    Over,
}

impl KillCampaign {
    /// A campaign that starts the agent with this command.
    pub fn new(scene: Scene, feeder: Feeder, command: AgentCommand) -> Self {
        Self { scene, feeder, table: Table::default(), command }
    }

    /// Lets the agent live once.
    ///
    /// # Errors
    ///
    /// Where the agent ends on its own although nothing is wrong around it, or a server does not do
    /// as it is told.
    pub async fn live(&mut self, life: &Life) -> eyre::Result<()> {
        let begun = Instant::now();
        let mut process = self.start(life.death)?;
        let mut phase = Phase::Waiting;
        loop {
            self.feeder.fill(&mut self.scene).await?;
            if let Some(trouble) = &life.trouble {
                phase = self.advance(trouble, phase, begun.elapsed()).await?;
                if phase == Phase::Present && trouble.kind.kills_the_agent() {
                    process.kill().await?;
                    self.table.at_random += 1;
                    break;
                }
            }
            if let Some(status) = process.wait_within(PERIOD).await? {
                if status.signal() == Some(KILLED) {
                    self.count_failpoint(life.death);
                    break;
                }
                self.may_end_by_itself(&process, phase, status.code())?;
                process = self.start(life.death)?;
            }
            if begun.elapsed() > deadline(life.death) {
                process.kill().await?;
                self.table.at_random += 1;
                self.table.not_reached += u64::from(matches!(life.death, Death::Failpoint { .. }));
                break;
            }
        }
        if let (Some(trouble), Phase::Present) = (&life.trouble, phase) {
            trouble.end(&mut self.scene).await?;
        }
        Ok(())
    }

    /// Starts the agent once more, and waits until everything is done. Then tells it to end.
    ///
    /// # Errors
    ///
    /// Where work remains at the deadline, or the agent does not end in order.
    pub async fn settle(&mut self, time: Duration) -> eyre::Result<()> {
        let mut process = self.command.start()?;
        self.scene.settle(time).await?;
        end_in_order(&mut process).await
    }

    /// Lets a fork that the agent does not know begin in mid-stream, and kills the agent some times
    /// while it holds those blocks. The blocks before them are proved, and the agent says what to
    /// do.
    ///
    /// # Errors
    ///
    /// Where work remains at the deadline, the agent says nothing, or it does not end in order.
    pub async fn meet_unknown_fork(&mut self, count: usize, time: Duration) -> eyre::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.feeder.feed_unknown_fork(&mut self.scene, count).await?;
        for _ in 0..3 {
            let mut process = self.command.start()?;
            if process.wait_within(Duration::from_secs(2)).await?.is_none() {
                process.kill().await?;
                self.table.at_random += 1;
            }
        }
        let said = self.output().len();
        let mut process = self.command.start()?;
        self.scene.settle(time).await?;
        wait_for("the agent says that it has to be upgraded", time, async || {
            self.output().get(said..)?.contains("upgrade bsp-agent").then_some(())
        })
        .await?;
        end_in_order(&mut process).await
    }

    /// All that the agent's lives have printed.
    fn output(&self) -> String {
        let output = std::fs::read(self.command.log()).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The lines in which the agent says that it has panicked.
    pub fn panics(&self) -> Vec<String> {
        let output = self.output();
        output.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }

    fn start(&self, death: Death) -> eyre::Result<Process> {
        let command = self.command.clone();
        match death {
            Death::Failpoint { name, time } => {
                command.env("BSP_FAILPOINT", format!("{name}:{time}")).start()
            }
            Death::After(_) => command.start(),
        }
    }

    async fn advance(
        &mut self,
        trouble: &Trouble,
        phase: Phase,
        age: Duration,
    ) -> eyre::Result<Phase> {
        match phase {
            Phase::Waiting if age >= trouble.begins => {
                if trouble.begin(&mut self.scene).await? {
                    *self.table.troubles.entry(trouble.kind).or_default() += 1;
                    Ok(Phase::Present)
                } else {
                    // The occasion may come.
                    Ok(Phase::Waiting)
                }
            }
            Phase::Present if age >= trouble.begins + trouble.lasts => {
                trouble.end(&mut self.scene).await?;
                Ok(Phase::Over)
            }
            phase => Ok(phase),
        }
    }

    fn count_failpoint(&mut self, death: Death) {
        match death {
            Death::Failpoint { name, .. } => {
                *self.table.at_failpoints.entry(name).or_default() += 1;
            }
            // The operating system's own doing.
            Death::After(_) => self.table.at_random += 1,
        }
    }

    /// An agent may give up a start while a server is away, and is started again then, as its
    /// supervisor would do.
    fn may_end_by_itself(
        &mut self,
        process: &Process,
        phase: Phase,
        code: Option<i32>,
    ) -> eyre::Result<()> {
        eyre::ensure!(
            phase != Phase::Waiting && code == Some(1),
            "the agent ended by itself, code {code:?}, trouble {phase:?}:\n{}",
            process.last_lines(40)
        );
        self.table.given_up += 1;
        Ok(())
    }
}

/// Tells an agent that runs to end, and expects that it does so without an error.
async fn end_in_order(process: &mut Process) -> eyre::Result<()> {
    process.signal(rustix::process::Signal::TERM)?;
    let status = process.end_within(Duration::from_secs(60)).await?;
    eyre::ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

const fn deadline(death: Death) -> Duration {
    match death {
        Death::Failpoint { .. } => FAILPOINT_DEADLINE,
        Death::After(time) => time,
    }
}
