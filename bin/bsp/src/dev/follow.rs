//! Blocks, followed from the producer to the agent's last word on them.

use super::{
    agent::DevAgent, delivery::Event, display::Display, producer::Producer, progress::Progress,
    trouble::Trouble,
};
use std::{pin::pin, time::Duration};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Between two looks at the agent's alarms.
const ALARM_INTERVAL: Duration = Duration::from_millis(500);
/// How long blocks in flight are waited for after an interrupt.
const GRACE: Duration = Duration::from_secs(10);

/// Everything that tells what becomes of a block.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    pub(crate) producing: JoinHandle<eyre::Result<Producer>>,
    pub(crate) events: UnboundedReceiver<Event>,
    pub(crate) agent: DevAgent,
    pub(crate) progress: Progress,
    pub(crate) trouble: Trouble,
    pub(crate) display: &'a Display,
}

impl Follower<'_> {
    /// Shows each block that is done, until all are, or, after an interrupt, those that can be for
    /// now. Returns the agent if it still runs: after an interrupt it does not, nor does the
    /// target.
    ///
    /// # Errors
    ///
    /// Trouble of the producer's or the agent's, or a block that is not proved.
    pub(crate) async fn run(
        mut self,
        interrupt: &CancellationToken,
    ) -> eyre::Result<(Producer, Progress, Option<DevAgent>)> {
        let followed = self.follow(interrupt).await;
        if let Ok(Some(producer)) = followed {
            return Ok((producer, self.progress, Some(self.agent)));
        }
        self.agent.stop().await;
        followed?;
        Ok((self.producing.await??, self.progress, None))
    }

    /// Returns the producer if it has ended.
    async fn follow(&mut self, interrupt: &CancellationToken) -> eyre::Result<Option<Producer>> {
        let mut grace = pin!(grace(interrupt));
        let mut has_told = false;
        let mut look = tokio::time::interval(ALARM_INTERVAL);
        let mut producer = None;
        while producer.is_none() || !self.events.is_empty() || self.progress.in_flight() > 0 {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.note(event),
                ended = &mut self.producing, if producer.is_none() => producer = Some(ended??),
                record = self.agent.next_finished() => self.progress.settled(record?),
                _ = look.tick() => self.look_for_trouble()?,
                () = interrupt.cancelled(), if !has_told => {
                    has_told = true;
                    self.tell_what_is_waited_for();
                }
                () = &mut grace => break,
            }
            self.show_proved()?;
        }
        Ok(producer)
    }

    fn tell_what_is_waited_for(&self) {
        let in_flight = self.progress.in_flight();
        if in_flight > 0 {
            self.display.waits(in_flight, GRACE);
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Made(made, place) => self.progress.made(*made, place),
            Event::Delivered => self.progress.delivered(),
        }
    }

    fn show_proved(&mut self) -> eyre::Result<()> {
        while let Some((made, proved)) = self.progress.next_proved()? {
            self.trouble.progress();
            self.display.block(&made, &proved)?;
        }
        Ok(())
    }

    fn look_for_trouble(&mut self) -> eyre::Result<()> {
        if self.progress.in_flight() == 0 {
            self.trouble.progress();
        }
        for message in self.trouble.newly_raised(self.agent.raised())? {
            self.display.alarm(&message);
        }
        Ok(())
    }
}

/// Ends some time after an interrupt.
async fn grace(interrupt: &CancellationToken) {
    interrupt.cancelled().await;
    tokio::time::sleep(GRACE).await;
}
