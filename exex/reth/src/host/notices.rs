//! What an operator has to know before it stops the deliveries: told at the start, every day, and
//! when it happens.

use crate::chain::{
    forks::{self, UnknownFork},
    limits::too_large_in,
};
use alloy_consensus::Header;
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// How often it is told again.
const AGAIN: Duration = Duration::from_secs(24 * 3_600);

/// What is known of the chain's future, and when it was told.
#[derive(Debug)]
pub(crate) struct Notices {
    forks: Vec<UnknownFork>,
    told: Option<Instant>,
    /// How much of it had come when it was told.
    had_come: usize,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Whether it has come, and is no warning any more.
    has_come: bool,
    text: String,
}

impl Notices {
    pub(crate) const fn new(forks: Vec<UnknownFork>) -> Self {
        Self { forks, told: None, had_come: 0 }
    }

    /// What is to be told now, by the node's last block.
    pub(crate) fn due(&mut self, head: &Header, now: Instant) -> Vec<Notice> {
        let notices = self.all(head);
        let have_come = notices.iter().filter(|notice| notice.has_come).count();
        let is_told = self.told.is_some_and(|told| now.duration_since(told) < AGAIN);
        if is_told && have_come == self.had_come {
            return Vec::new();
        }
        (self.told, self.had_come) = (Some(now), have_come);
        notices
    }

    fn all(&self, head: &Header) -> Vec<Notice> {
        let forks = self.forks.iter().map(|fork| Notice {
            has_come: fork.holds(head.number, head.timestamp),
            text: forks::warning(fork, head),
        });
        let size = too_large_in(head).map(|what| Notice {
            has_come: true,
            text: format!("The node's last block does not fit in the network's format: {what}; nothing is delivered from there on"),
        });
        forks.chain(size).collect()
    }
}

impl Notice {
    pub(crate) fn log(&self) {
        if self.has_come {
            error!(target: "exex::bsp", "{}", self.text);
        } else {
            warn!(target: "exex::bsp", "{}", self.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::forks::ForkBegin;

    const FORK: u64 = 1_000;

    fn head(timestamp: u64) -> Header {
        Header { number: 7, timestamp, gas_limit: 30_000_000, ..Header::default() }
    }

    fn notices() -> Notices {
        let begins = ForkBegin::Time(FORK);
        Notices::new(vec![UnknownFork { name: "Amsterdam".into(), begins, node_follows: true }])
    }

    #[test]
    fn a_fork_is_told_of_at_the_start_every_day_and_when_it_begins() {
        let (mut notices, start) = (notices(), Instant::now());
        let first = notices.due(&head(FORK - 9), start);
        assert!(first[0].text.contains("Amsterdam") && !first[0].has_come, "{first:?}");
        assert_eq!(notices.due(&head(FORK - 5), start + AGAIN / 2), []);
        assert_eq!(notices.due(&head(FORK - 1), start + AGAIN), first);
        let begun = notices.due(&head(FORK), start + AGAIN + AGAIN / 2);
        assert!(begun[0].has_come && begun != first, "{begun:?}");
        assert_eq!(notices.due(&head(FORK + 1), start + AGAIN * 2), []);
        assert_eq!(notices.due(&head(FORK + 1), start + AGAIN * 3), begun);
    }

    #[test]
    fn a_gas_limit_that_is_too_large_is_told_of() {
        let mut notices = Notices::new(Vec::new());
        assert_eq!(notices.due(&head(1), Instant::now()), []);
        let large = Header { gas_limit: 1 << 31, ..head(1) };
        let told = notices.due(&large, Instant::now());
        assert!(told[0].has_come && told[0].text.contains("gas limit"), "{told:?}");
    }
}
