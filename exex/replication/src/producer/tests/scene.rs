//! A model chain, targets, and a producer that can be started again.

use super::{memory_target::Inbox, model::Model};
use crate::{
    chain::Chain,
    producer::{
        Producer, ProducerConfig, ProducerError, StartBlock, Status, TargetState, TargetStatus,
        timing::Timing,
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What is waited for takes milliseconds; this is for a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) struct Scene {
    pub(super) model: Arc<Model>,
    pub(super) inboxes: Vec<Inbox>,
    pub(super) config: ProducerConfig,
    pub(super) timing: Timing,
    producer: Option<Producer>,
    _folder: TempDir,
}

impl Scene {
    /// With one target, from block 1, not started.
    pub(super) fn new(model: Arc<Model>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ProducerConfig {
            cursors: folder.path().join("cursors.redb"),
            start_block: StartBlock::Genesis,
            workers: 3,
            poll_interval: Duration::from_millis(2),
            ..ProducerConfig::default()
        };
        let timing = Timing {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            stall: Duration::from_millis(200),
            watch: Duration::from_millis(10),
            slow_target: Duration::from_millis(20),
            grace: Duration::from_millis(50),
            ..Timing::polling_every(config.poll_interval)
        };
        let inboxes = vec![Inbox::default()];
        Self { model, inboxes, config, timing, producer: None, _folder: folder }
    }

    pub(super) fn with_targets(mut self, count: usize) -> Self {
        // Not clones of one, which would share their content.
        self.inboxes = (0..count).map(|_| Inbox::default()).collect();
        self
    }

    pub(super) fn started(mut self) -> Self {
        self.start();
        self
    }

    pub(super) fn start(&mut self) {
        self.stop();
        self.begin();
    }

    /// Starts a producer once the one before has left the file of cursors, whatever its targets do.
    pub(super) fn begin(&mut self) {
        let begun = Instant::now();
        self.producer = Some(loop {
            match self.attempt() {
                Ok(producer) => break producer,
                // A thread of the one before is left alone after its grace, and has the file until
                // it ends.
                Err(ProducerError::Cursors { .. }) if begun.elapsed() < DEADLINE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        });
    }

    fn attempt(&self) -> Result<Producer, ProducerError> {
        let inboxes = self.inboxes.iter().enumerate();
        let targets = inboxes.map(|(index, inbox)| inbox.target(&format!("t{index}")));
        let chain: Arc<dyn Chain> = Arc::clone(&self.model) as _;
        let (config, stop) = (self.config.clone(), CancellationToken::new());
        Producer::start_with(chain, targets.collect(), config, stop, self.timing)
    }

    pub(super) fn stop(&mut self) {
        self.end();
        self.inboxes.iter().for_each(Inbox::let_go);
    }

    /// Ends the producer, whatever its targets do.
    pub(super) fn end(&mut self) {
        // Dropped, which stops it.
        self.producer = None;
    }

    pub(super) fn producer(&self) -> &Producer {
        self.producer.as_ref().unwrap()
    }

    pub(super) fn status(&self) -> Status {
        self.producer().status()
    }

    pub(super) fn target(&self, index: usize) -> TargetStatus {
        self.status().targets[index].clone()
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < DEADLINE, "waited in vain: {what}; {:#?}", self.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a target is at the tip.
    #[track_caller]
    pub(super) fn wait_for_target(&self, index: usize) {
        let tip = self.model.at(self.model.height());
        self.wait_until("a target at the tip", || {
            let target = self.target(index);
            target.cursor == Some(tip) && target.state == TargetState::Following
        });
    }

    /// Waits until every target is at the tip, and looks at what they have.
    #[track_caller]
    pub(super) fn settle(&self) {
        (0..self.inboxes.len()).for_each(|index| self.wait_for_target(index));
        let tip = self.model.at(self.model.height());
        self.wait_until("finished", || *self.producer().finished().borrow() == Some(tip));
        self.assert_complete(1);
    }

    #[track_caller]
    pub(super) fn wait_for_state(&self, state: TargetState) {
        self.wait_until(&format!("{state:?}"), || self.target(0).state == state);
    }

    /// Every canonical block from `first` on is there, a parent before its children, none twice.
    #[track_caller]
    pub(super) fn assert_complete(&self, first: u64) {
        for inbox in &self.inboxes {
            for hash in self.model.canonical().iter().skip(first as usize) {
                assert!(inbox.has(*hash), "a gap: {hash}");
            }
            inbox.assert_no_repetition();
            let mut known = std::collections::HashSet::new();
            for (number, hash) in inbox.taken() {
                let parent = self.model.parent_of(hash);
                assert!(number == first || known.contains(&parent), "{number} before its parent");
                known.insert(hash);
            }
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.model.mend();
        self.stop();
    }
}
