//! Trying again what may pass on its own, for as long as it takes.

use crate::alarm::{AlarmKind, Alarms};
use bsp_common::Backoff;
use std::{fmt, future::Future, io};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// One failure may be a hiccup. From this one on it is an operator's business.
pub(crate) const FAILURES_BEFORE_ALARM: u32 = 2;

/// An error that may pass on its own, or not.
pub trait MayPass: fmt::Display {
    /// Whether to try again makes sense.
    fn may_pass(&self) -> bool;
}

/// Disks are emptied, folders are mounted again.
impl MayPass for io::Error {
    fn may_pass(&self) -> bool {
        true
    }
}

/// Why something is not tried any more.
#[derive(Debug, PartialEq, Eq)]
pub enum GivenUp<E> {
    /// It was told to stop.
    Stopped,
    /// This will not pass on its own.
    Final(E),
}

/// What keeps a step from being done, and whether to raise an alarm about it.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The alarm that is raised while it fails.
    pub alarm: AlarmKind,
    /// Raised and cleared.
    pub alarms: Alarms,
    /// Ends the waiting.
    pub stop: CancellationToken,
}

impl Retry {
    /// Does something until it succeeds, for as long as its errors [may pass](MayPass). A stop is
    /// noticed between two attempts.
    pub async fn until_done<T, E, F>(
        &self,
        what: impl fmt::Display,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, GivenUp<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: MayPass,
    {
        let mut backoff = Backoff::default();
        // Others may meet the same: the alarm ends with the last of them.
        let mut trouble = self.alarms.trouble(self.alarm);
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) if !error.may_pass() => return Err(GivenUp::Final(error)),
                // The stop is what it failed for, as likely as not.
                Err(_) if self.stop.is_cancelled() => break,
                Err(error) => {
                    let pause = backoff.next_pause();
                    tracing::warn!("{what}: {error}; trying again in {} ms", pause.as_millis());
                    if backoff.failures() >= FAILURES_BEFORE_ALARM {
                        trouble.report(format!("{what}: {error}"));
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled() => break,
                    }
                }
            }
        }
        trouble.outlasts_this_process();
        Err(GivenUp::Stopped)
    }
}

/// The outcome of work on a thread that may block. A panic there continues in the task that waits
/// for it: to try the same again would not help.
pub(crate) fn join<T>(outcome: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    match outcome {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(io::Error::other("the runtime ends")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[derive(Debug, PartialEq, Eq)]
    struct Trouble {
        passes: bool,
    }
    const FULL: Trouble = Trouble { passes: true };
    const REFUSED: Trouble = Trouble { passes: false };

    impl fmt::Display for Trouble {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl MayPass for Trouble {
        fn may_pass(&self) -> bool {
            self.passes
        }
    }

    fn retry() -> Retry {
        Retry {
            alarm: AlarmKind::StoreFailing,
            alarms: Alarms::default(),
            stop: CancellationToken::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_lasts_as_long_as_the_trouble() {
        let retry = retry();
        let attempts = Cell::new(0);
        let done = retry
            .until_done("writing", || {
                attempts.set(attempts.get() + 1);
                let raised = retry.alarms.raised().contains_key(&AlarmKind::StoreFailing);
                assert_eq!(raised, attempts.get() > FAILURES_BEFORE_ALARM, "{}", attempts.get());
                let outcome = if attempts.get() < 6 { Err(FULL) } else { Ok(attempts.get()) };
                async move { outcome }
            })
            .await;
        assert_eq!(done, Ok(6));
        assert!(retry.alarms.raised().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_success_does_not_end_the_alarm_of_another_failure() {
        let retry = retry();
        let (attempts, is_cured) = (Cell::new(0), Cell::new(false));
        let is_raised = || retry.alarms.raised().contains_key(&AlarmKind::StoreFailing);
        let failing = retry.until_done("writing one", || {
            let outcome = if is_cured.get() { Ok(()) } else { Err(FULL) };
            async move { outcome }
        });
        let passing = async {
            let done = retry.until_done("writing another", || {
                attempts.set(attempts.get() + 1);
                let outcome = if attempts.get() < 6 { Err(FULL) } else { Ok(()) };
                async move { outcome }
            });
            assert_eq!(done.await, Ok(()));
            assert!(is_raised(), "the first one still fails");
            is_cured.set(true);
        };
        let (done, ()) = futures::join!(failing, passing);
        assert_eq!(done, Ok(()));
        assert!(!is_raised());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let retry = retry();
        retry.stop.cancel();
        let done: Result<(), _> = retry.until_done("writing", || async { Err(FULL) }).await;
        assert_eq!(done, Err(GivenUp::Stopped));
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not_tried_again_and_ends_the_alarm() {
        let retry = retry();
        let attempts = Cell::new(0);
        let done: Result<(), _> = retry
            .until_done("writing", || {
                attempts.set(attempts.get() + 1);
                let error = if attempts.get() < 4 { FULL } else { REFUSED };
                async move { Err(error) }
            })
            .await;
        assert_eq!((done, attempts.get()), (Err(GivenUp::Final(REFUSED)), 4));
        assert!(retry.alarms.raised().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_because_of_the_stop_is_no_trouble() {
        let retry = retry();
        let attempts = Cell::new(0);
        let done: Result<(), _> = retry
            .until_done("writing", || {
                attempts.set(attempts.get() + 1);
                if attempts.get() == FAILURES_BEFORE_ALARM {
                    retry.stop.cancel();
                }
                async { Err(FULL) }
            })
            .await;
        assert_eq!(done, Err(GivenUp::Stopped));
        assert!(retry.alarms.raised().is_empty());
    }
}
