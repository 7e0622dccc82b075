//! A target that is opened when it is needed.

use crate::{
    health::TargetHealth,
    target::{Entry, StreamPosition, Target, TargetError},
};
use async_trait::async_trait;
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

type OpenTarget = dyn Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError> + Send + Sync;

/// Opens a target at its first delivery. If that fails the delivery does, and the next one tries
/// again: a target that can't be opened holds back nobody but itself.
pub struct DeferredTarget {
    name: String,
    open: Arc<OpenTarget>,
    stop: CancellationToken,
    opened: Option<Box<dyn Target>>,
    /// Where the target is to resume once it is open…
    position: Option<StreamPosition>,
    /// …and what its consumers had acknowledged.
    acknowledged: Option<StreamPosition>,
    health: TargetHealth,
}

impl DeferredTarget {
    /// Nothing is opened yet.
    ///
    /// `open` is called on a thread that may block, with a token: once that is cancelled the target
    /// has to stop waiting. The name takes the place of the target's own, which nobody knows before
    /// it is open. It has to be the same in each process, and to hold no secret.
    pub fn new(
        name: impl Into<String>,
        open: impl Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError>
        + Send
        + Sync
        + 'static,
        stop: CancellationToken,
    ) -> Self {
        let (name, open) = (name.into(), Arc::new(open));
        let health = TargetHealth::default();
        Self { name, open, stop, opened: None, position: None, acknowledged: None, health }
    }

    async fn open(&mut self) -> Result<Box<dyn Target>, TargetError> {
        let (open, stop) = (Arc::clone(&self.open), self.stop.clone());
        let opened = tokio::task::spawn_blocking(move || open(&stop)).await;
        let mut target = opened.unwrap_or_else(|error| {
            let target = self.name.clone();
            Err(match error.is_panic() {
                true => TargetError::Refused { target, reason: "opening it panicked".to_owned() },
                // The runtime is shutting down.
                false => TargetError::Stopped { target },
            })
        })?;
        if let Some(position) = self.position {
            target.resume(position);
        }
        if let Some(position) = self.acknowledged {
            target.resume_acknowledged(position);
        }
        self.health.show_too(target.health());
        Ok(target)
    }
}

#[async_trait]
impl Target for DeferredTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let target = match self.opened.take() {
            Some(target) => target,
            None => self.open().await?,
        };
        self.opened.insert(target).deliver(batch).await
    }

    fn position(&self) -> Option<StreamPosition> {
        self.opened.as_ref()?.position()
    }

    fn resume(&mut self, position: StreamPosition) {
        match &mut self.opened {
            Some(target) => target.resume(position),
            None => self.position = Some(position),
        }
    }

    fn acknowledged(&self) -> Option<StreamPosition> {
        self.opened.as_ref().map_or(self.acknowledged, |opened| opened.acknowledged())
    }

    fn resume_acknowledged(&mut self, position: StreamPosition) {
        match &mut self.opened {
            Some(target) => target.resume_acknowledged(position),
            None => self.acknowledged = Some(position),
        }
    }

    fn health(&self) -> TargetHealth {
        self.health.clone()
    }
}

impl fmt::Debug for DeferredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeferredTarget")
            .field("name", &self.name)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    };

    /// Takes everything, with the trouble of being slow.
    #[derive(Debug, Clone, Default)]
    struct Slow {
        taken: Arc<Mutex<Vec<u64>>>,
        position: StreamPosition,
        acknowledged: Option<StreamPosition>,
        health: TargetHealth,
    }

    #[async_trait]
    impl Target for Slow {
        fn name(&self) -> String {
            "slow".to_owned()
        }

        async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
            self.health.failed(&"it is slow");
            self.taken.lock().unwrap().extend(batch.iter().map(|entry| entry.number));
            self.position.0 += batch.len() as u128;
            Ok(())
        }

        fn position(&self) -> Option<StreamPosition> {
            Some(self.position)
        }

        fn resume(&mut self, position: StreamPosition) {
            self.position = position;
        }

        fn acknowledged(&self) -> Option<StreamPosition> {
            self.acknowledged
        }

        fn resume_acknowledged(&mut self, position: StreamPosition) {
            self.acknowledged = Some(position);
        }

        fn health(&self) -> TargetHealth {
            self.health.clone()
        }
    }

    fn refused() -> TargetError {
        TargetError::Refused { target: "mine".to_owned(), reason: "not yet".to_owned() }
    }

    fn entry(number: u64) -> Entry {
        Entry { hash: Default::default(), number, replica: Default::default(), supplement: None }
    }

    #[tokio::test]
    async fn it_is_opened_once_that_goes_well_and_is_then_the_target_itself() {
        let (slow, attempts) = (Slow::default(), AtomicU32::new(0));
        let taken = Arc::clone(&slow.taken);
        let open = move |_: &CancellationToken| match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(refused()),
            1 => panic!("a bug in it"),
            2 => Ok(Box::new(slow.clone()) as Box<dyn Target>),
            _ => panic!("opened twice"),
        };
        let mut target = DeferredTarget::new("mine", open, CancellationToken::new());
        let health = target.health();
        target.resume(StreamPosition(7));
        target.resume_acknowledged(StreamPosition(5));
        assert_eq!(target.acknowledged(), Some(StreamPosition(5)));
        let error = target.deliver(&[entry(1)]).await.unwrap_err();
        assert_eq!(error.to_string(), "mine: not yet");
        let error = target.deliver(&[entry(1)]).await.unwrap_err();
        assert_eq!(error.to_string(), "mine: opening it panicked");
        assert_eq!((target.position(), health.trouble()), (None, None));

        target.deliver(&[entry(1), entry(2)]).await.unwrap();
        target.deliver(&[entry(3)]).await.unwrap();
        assert_eq!(*taken.lock().unwrap(), [1, 2, 3]);
        assert_eq!((target.name().as_str(), target.position()), ("mine", Some(StreamPosition(10))));
        assert_eq!((health.trouble().as_deref(), health.retries()), (Some("it is slow"), 2));
        assert_eq!(target.acknowledged(), Some(StreamPosition(5)), "the target itself was told");
        target.resume(StreamPosition(20));
        target.resume_acknowledged(StreamPosition(19));
        assert_eq!(
            (target.position(), target.acknowledged()),
            (Some(StreamPosition(20)), Some(StreamPosition(19)))
        );
    }
}
