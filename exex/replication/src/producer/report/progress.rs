//! How fast a lane is.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Speeds are those of about this time.
const SPAN: Duration = Duration::from_secs(30);
/// One sample in this time is enough.
const SAMPLE: Duration = Duration::from_millis(500);

/// Counts of a lane that catches up.
#[derive(Debug)]
pub(crate) struct Progress {
    samples: VecDeque<(Instant, Counts)>,
    total: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    blocks: u64,
    gas: u64,
}

/// What a lane does in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Speed {
    pub(crate) blocks: f64,
    pub(crate) gas: f64,
}

impl Progress {
    pub(crate) fn starting(now: Instant) -> Self {
        Self { samples: VecDeque::from([(now, Counts::default())]), total: Counts::default() }
    }

    /// What was done before counts no longer for the speed.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        self.samples = VecDeque::from([(now, self.total)]);
    }

    /// Blocks that were passed since the start.
    pub(crate) const fn blocks(&self) -> u64 {
        self.total.blocks
    }

    pub(crate) fn note(&mut self, now: Instant, blocks: u64, gas: u64) {
        self.total.blocks = self.total.blocks.saturating_add(blocks);
        self.total.gas = self.total.gas.saturating_add(gas);
        if self.samples.back().is_none_or(|(time, _)| now.duration_since(*time) >= SAMPLE) {
            self.samples.push_back((now, self.total));
        }
        while self.samples.len() > 2
            && self.samples.get(1).is_some_and(|(time, _)| now.duration_since(*time) >= SPAN)
        {
            self.samples.pop_front();
        }
    }

    pub(crate) fn speed(&self, now: Instant) -> Speed {
        let Some((time, counts)) = self.samples.front() else { return Speed::default() };
        let seconds = now.duration_since(*time).as_secs_f64();
        if seconds <= 0.0 {
            return Speed::default();
        }
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Speed {
            blocks: rate(self.total.blocks, counts.blocks),
            gas: rate(self.total.gas, counts.gas),
        }
    }

    /// Seconds until this many blocks are done; `None` if that can't be said.
    pub(crate) fn seconds_for(&self, now: Instant, blocks: u64) -> Option<u64> {
        let speed = self.speed(now).blocks;
        (speed > 0.0).then(|| (blocks as f64 / speed).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_those_of_the_last_half_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::starting(start);
        assert_eq!(progress.seconds_for(start, 5), None);
        for second in 1..=100 {
            progress.note(at(second), if second <= 50 { 10 } else { 100 }, 7);
        }
        assert_eq!(progress.speed(at(100)), Speed { blocks: 100.0, gas: 7.0 });
        assert_eq!(progress.seconds_for(at(100), 1_000), Some(10));
        assert_eq!(progress.blocks(), 5_500);
        assert!(progress.samples.len() < 40);
    }
}
