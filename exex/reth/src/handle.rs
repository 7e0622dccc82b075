//! Where RPC finds the producer, which starts later and may start late.

use bsp_replication::{Producer, Status};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Tells what the producer is doing. The producer itself ends with the Execution Extension, whoever
/// holds one of these.
#[derive(Debug, Clone, Default)]
pub struct BspHandle(Arc<Mutex<Phase>>);

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Starting,
    Failed(String),
    Started(Weak<Producer>),
}

/// The producer is not running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRunning {
    /// The node is starting.
    #[error("the producer is starting")]
    Starting,
    /// It could not start, and tries again.
    #[error("the producer can't start and keeps trying: {0}")]
    Failed(String),
    /// The node is stopping.
    #[error("the producer has stopped")]
    Stopped,
}

impl BspHandle {
    /// What the producer is doing.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] tells why there is none.
    pub fn status(&self) -> Result<Status, NotRunning> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Starting => Err(NotRunning::Starting),
            Phase::Failed(reason) => Err(NotRunning::Failed(reason.clone())),
            Phase::Started(producer) => {
                producer.upgrade().map(|producer| producer.status()).ok_or(NotRunning::Stopped)
            }
        }
    }

    pub(crate) fn started(&self, producer: &Arc<Producer>) {
        self.set(Phase::Started(Arc::downgrade(producer)));
    }

    pub(crate) fn failed(&self, reason: String) {
        self.set(Phase::Failed(reason));
    }

    fn set(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}
