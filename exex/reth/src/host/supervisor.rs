//! Work that continues after a panic.
//!
//! reth v2.5.1 ends the whole node when an Execution Extension ends, however it does.

use futures::FutureExt;
use std::{any::Any, convert::Infallible, panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::error;

/// How long it rests after a panic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    /// After work that lasted for so long the first pause is due again.
    went_well: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(1), longest: seconds(60), went_well: seconds(600) }
    }
}

/// Work that has no end of its own.
pub(crate) trait EndlessWork: Send {
    /// Works for ever. Where it panics it is called again, with what is left in `self`.
    fn work(&mut self) -> impl Future<Output = Infallible> + Send;
}

/// Works for as long as it is polled.
pub(crate) async fn supervise(mut endless: impl EndlessWork, pauses: Pauses) -> Infallible {
    let mut pause = pauses.first;
    loop {
        let begun = Instant::now();
        match AssertUnwindSafe(endless.work()).catch_unwind().await {
            Ok(never) => match never {},
            Err(panic) => {
                if begun.elapsed() >= pauses.went_well {
                    pause = pauses.first;
                }
                let message = message_of(&*panic);
                error!(target: "exex::bsp", message, again_in = ?pause, "The producer's task has panicked, which is a fault of its own: please report it. The node is not affected, and the task goes on");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(pauses.longest);
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    /// Panics this many times, each time a moment after it has begun.
    struct Clumsy {
        panics: u32,
        begun: UnboundedSender<u32>,
    }

    impl EndlessWork for Clumsy {
        async fn work(&mut self) -> Infallible {
            self.begun.send(self.panics).unwrap();
            if self.panics > 0 {
                self.panics -= 1;
                tokio::task::yield_now().await;
                panic!("oops");
            }
            pending().await
        }
    }

    #[tokio::test]
    async fn it_goes_on_after_each_panic_with_what_it_has() {
        let (begun, mut on_notification) = unbounded_channel();
        let at_once = Pauses { first: Duration::ZERO, ..Pauses::default() };
        let work = tokio::spawn(supervise(Clumsy { panics: 3, begun }, at_once));
        for left in [3, 2, 1, 0] {
            assert_eq!(on_notification.recv().await, Some(left));
        }
        assert!(!work.is_finished());
        work.abort();
    }
}
