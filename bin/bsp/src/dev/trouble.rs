//! The agent's alarms: shown when they are raised, and the end of the run where nothing continues.

use bsp_agent::alarm::{Alarm, AlarmKind, now_ms};
use eyre::bail;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long an alarm may last while no block is finished.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of the agent's alarms.
#[derive(Debug)]
pub(crate) struct Trouble {
    shown: BTreeMap<AlarmKind, Alarm>,
    last_progress: Instant,
}

impl Trouble {
    pub(crate) fn new() -> Self {
        Self { shown: BTreeMap::new(), last_progress: Instant::now() }
    }

    /// A block was finished, or there is none to wait for.
    pub(crate) fn progress(&mut self) {
        self.last_progress = Instant::now();
    }

    /// Those of the alarms that were not raised when this was asked last.
    ///
    /// # Errors
    ///
    /// An alarm that does not pass: a block that waits for the operator, or one that has lasted
    /// with nothing finished meanwhile.
    pub(crate) fn newly_raised(
        &mut self,
        raised: BTreeMap<AlarmKind, Alarm>,
    ) -> eyre::Result<Vec<String>> {
        for (kind, alarm) in &raised {
            let message = &alarm.message;
            if matches!(kind, AlarmKind::BlockHeld | AlarmKind::PinnerOtherCid) {
                bail!("{message}");
            }
            let lasts = Duration::from_millis(now_ms().saturating_sub(alarm.since_ms));
            if lasts.min(self.last_progress.elapsed()) >= PATIENCE {
                bail!("no block was finished for {} s: {message}", PATIENCE.as_secs());
            }
        }
        let is_new = |(kind, alarm): &(&AlarmKind, &Alarm)| {
            self.shown.get(kind).is_none_or(|shown| shown.since_ms != alarm.since_ms)
        };
        let new = raised.iter().filter(is_new).map(|(_, alarm)| alarm.message.clone()).collect();
        self.shown = raised;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(kind: AlarmKind, since_ms: u64) -> BTreeMap<AlarmKind, Alarm> {
        BTreeMap::from([(kind, Alarm { message: "no answer".to_owned(), since_ms })])
    }

    fn long_ago() -> Option<Instant> {
        Instant::now().checked_sub(2 * PATIENCE)
    }

    #[test]
    fn an_alarm_is_told_once_each_time_that_it_is_raised() {
        let mut trouble = Trouble::new();
        let now = now_ms();
        let alarm = raised(AlarmKind::RpcFailing, now);
        assert_eq!(trouble.newly_raised(alarm.clone()).unwrap(), ["no answer"]);
        assert!(trouble.newly_raised(alarm).unwrap().is_empty());
        assert!(trouble.newly_raised(BTreeMap::new()).unwrap().is_empty());
        assert_eq!(trouble.newly_raised(raised(AlarmKind::RpcFailing, now + 1)).unwrap().len(), 1);
    }

    #[test]
    fn what_lasts_ends_the_run_unless_blocks_are_finished_nevertheless() {
        let Some(long_ago) = long_ago() else { return };
        let alarm = raised(AlarmKind::Balance, 0);
        let mut trouble = Trouble { shown: BTreeMap::new(), last_progress: long_ago };
        let error = trouble.newly_raised(alarm.clone()).unwrap_err().to_string();
        assert!(error.ends_with("60 s: no answer"), "{error}");
        assert!(trouble.newly_raised(raised(AlarmKind::Balance, now_ms())).is_ok());
        trouble.progress();
        assert!(trouble.newly_raised(alarm).is_ok());
    }

    #[test]
    fn a_block_that_waits_for_the_operator_ends_the_run_at_once() {
        let mut trouble = Trouble::new();
        assert!(trouble.newly_raised(raised(AlarmKind::BlockHeld, now_ms())).is_err());
    }
}
