//! A pause of all claims, while the contract takes nothing of this operator.

use crate::alarm::{AlarmKind, Alarms};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Open, or closed until some time.
#[derive(Debug)]
pub(crate) struct Gate {
    pause: Duration,
    alarms: Alarms,
    closed_until: Mutex<Option<Instant>>,
}

impl Gate {
    /// An open gate that closes for so long.
    pub(crate) fn new(pause: Duration, alarms: Alarms) -> Self {
        Self { pause, alarms, closed_until: Mutex::default() }
    }

    /// Waits while it is closed.
    pub(crate) async fn pass(&self) {
        loop {
            let until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// The contract refuses this operator.
    pub(crate) fn close(&self, reason: &str) {
        let until = Instant::now() + self.pause;
        *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        let seconds = self.pause.as_secs();
        let message =
            format!("all proofs wait, the contract is asked again every {seconds} s: {reason}");
        self.alarms.raise(AlarmKind::ProofsStopped, message);
    }

    /// The contract takes something of this operator again.
    pub(crate) fn open(&self) {
        let closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner).take();
        if closed.is_some() {
            self.alarms.clear(AlarmKind::ProofsStopped);
        }
    }
}
