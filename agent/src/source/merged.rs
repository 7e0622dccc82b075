//! Several sources as one.

use super::{Backlog, DeadLetter, Deliveries, Delivery, EntryId, Settlement, Source, SourceError};
use crate::alarm::Alarms;
use async_trait::async_trait;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::mpsc, task::JoinSet};

/// Merges sources. Each gets its turn, and an end when all have ended.
///
/// An entry is settled by the first source that [owns](Settlement::owns) it, so one that owns
/// everything comes last. To be called within a tokio runtime: each source is read by a task of its
/// own, at most one delivery ahead, which ends with the reading half.
pub fn merge(sources: Vec<Source>, alarms: &Alarms) -> Source {
    let mut tasks = JoinSet::new();
    let mut receivers = Vec::with_capacity(sources.len());
    let mut settlements = Vec::with_capacity(sources.len());
    for Source { deliveries, settlement } in sources {
        let (sender, receiver) = mpsc::channel(1);
        // A reader that panicked would look like a source that has ended.
        tasks.spawn(alarms.clone().guard("a source's reader", read(deliveries, sender)));
        receivers.push(receiver);
        settlements.push(settlement);
    }
    Source {
        deliveries: Box::new(MergedDeliveries { receivers, turn: 0, _tasks: tasks }),
        settlement: Arc::new(MergedSettlement(settlements)),
    }
}

type Item = Result<Delivery, SourceError>;

/// Reads a source to its end, or its first error. The source is not asked before there is room for
/// its answer.
async fn read(mut deliveries: Box<dyn Deliveries>, sender: mpsc::Sender<Item>) {
    while let Ok(room) = sender.reserve().await {
        match deliveries.next().await {
            Ok(Some(delivery)) => room.send(Ok(delivery)),
            Ok(None) => break,
            Err(error) => {
                room.send(Err(error));
                break;
            }
        }
    }
}

struct MergedDeliveries {
    receivers: Vec<mpsc::Receiver<Item>>,
    /// The receiver that is asked first.
    turn: usize,
    /// Aborted when dropped.
    _tasks: JoinSet<Option<()>>,
}

impl MergedDeliveries {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let count = self.receivers.len();
        let mut all_ended = true;
        for index in (self.turn..count).chain(0..self.turn) {
            let Some(receiver) = self.receivers.get_mut(index) else { continue };
            match receiver.poll_recv(context) {
                Poll::Ready(Some(item)) => {
                    self.turn = (index + 1) % count;
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => {}
                Poll::Pending => all_ended = false,
            }
        }
        if all_ended { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[async_trait]
impl Deliveries for MergedDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
        poll_fn(|context| self.poll_next(context)).await.transpose()
    }
}

#[derive(Debug)]
struct MergedSettlement(Vec<Arc<dyn Settlement>>);

impl MergedSettlement {
    fn owner(&self, entry: &EntryId) -> Result<&dyn Settlement, SourceError> {
        let owner = self.0.iter().find(|settlement| settlement.owns(entry));
        owner.map(|owner| &**owner).ok_or_else(|| SourceError::Refused {
            source_name: "all sources".to_owned(),
            reason: format!(
                "{entry} is an entry of none of them: start with the source that it is of"
            ),
        })
    }
}

#[async_trait]
impl Settlement for MergedSettlement {
    fn owns(&self, entry: &EntryId) -> bool {
        self.owner(entry).is_ok()
    }

    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
        self.owner(entry)?.acknowledge(entry).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        self.owner(&letter.entry)?.bury(letter).await
    }

    fn release(&self, entry: &EntryId) {
        if let Ok(owner) = self.owner(entry) {
            owner.release(entry);
        }
    }

    fn redeliver(&self, entry: &EntryId) {
        if let Ok(owner) = self.owner(entry) {
            owner.redeliver(entry);
        }
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        let mut all = Backlog::default();
        for settlement in &self.0 {
            let one = settlement.backlog().await?;
            all.length = sum(all.length, one.length);
            all.undelivered = sum(all.undelivered, one.undelivered);
            all.pending = sum(all.pending, one.pending);
            all.dead = sum(all.dead, one.dead);
            all.oldest_age_ms = all.oldest_age_ms.max(one.oldest_age_ms);
        }
        Ok(all)
    }
}

/// What is known of either.
fn sum(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    left.zip(right).map(|(left, right)| left.saturating_add(right)).or(left).or(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::Notify;

    /// Delivers `<name>:0` to `<name>:<count - 1>`, then fails, waits or ends.
    struct Scripted {
        name: &'static str,
        next: u64,
        count: u64,
        then: Then,
    }

    #[derive(Clone, Copy)]
    enum Then {
        End,
        Wait,
        Fail,
        Panic,
    }

    #[async_trait]
    impl Deliveries for Scripted {
        async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
            if self.next < self.count {
                let entry = EntryId(format!("{}:{}", self.name, self.next));
                self.next += 1;
                return Ok(Some(Delivery {
                    entry,
                    hash: None,
                    payload: None,
                    supplement: None,
                    deliveries: 1,
                }));
            }
            match self.then {
                Then::End => Ok(None),
                Then::Wait => std::future::pending().await,
                Then::Panic => panic!("a defect"),
                Then::Fail => Err(SourceError::Refused {
                    source_name: self.name.to_owned(),
                    reason: String::new(),
                }),
            }
        }
    }

    #[derive(Debug, Default)]
    struct Recorded {
        name: &'static str,
        settled: Mutex<Vec<String>>,
        released: Notify,
    }

    #[async_trait]
    impl Settlement for Recorded {
        fn owns(&self, entry: &EntryId) -> bool {
            entry.0.starts_with(self.name)
        }

        async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
            self.settled.lock().unwrap().push(format!("ack {entry}"));
            Ok(())
        }

        async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
            self.settled.lock().unwrap().push(format!("bury {}", letter.entry));
            Ok(())
        }

        fn release(&self, _entry: &EntryId) {
            self.released.notify_one();
        }

        async fn backlog(&self) -> Result<Backlog, SourceError> {
            let (length, pending) = (Some(2), (self.name == "a").then_some(1));
            Ok(Backlog { length, pending, oldest_age_ms: Some(7), ..Backlog::default() })
        }
    }

    fn source(name: &'static str, count: u64, then: Then) -> (Source, Arc<Recorded>) {
        let recorded = Arc::new(Recorded { name, ..Recorded::default() });
        let deliveries = Box::new(Scripted { name, next: 0, count, then });
        (Source { deliveries, settlement: recorded.clone() }, recorded)
    }

    async fn take(source: &mut Source, count: usize) -> Vec<String> {
        let mut entries = Vec::new();
        while entries.len() < count
            && let Some(delivery) = source.deliveries.next().await.unwrap()
        {
            entries.push(delivery.entry.0);
        }
        entries
    }

    #[tokio::test]
    async fn all_are_delivered_and_each_in_its_order() {
        let (a, _) = source("a", 3, Then::End);
        let (b, _) = source("b", 5, Then::End);
        let mut merged = merge(vec![a, b], &Alarms::default());
        let entries = take(&mut merged, 100).await;
        assert_eq!(entries.len(), 8);
        for name in ["a", "b"] {
            let own: Vec<_> = entries.iter().filter(|entry| entry.starts_with(name)).collect();
            assert!(own.is_sorted(), "{own:?}");
        }
        assert!(merged.deliveries.next().await.unwrap().is_none(), "the end stays");
    }

    #[tokio::test]
    async fn a_busy_source_does_not_starve_the_others() {
        let (busy, _) = source("busy", u64::MAX, Then::End);
        let (calm, _) = source("calm", 10, Then::Wait);
        let entries = take(&mut merge(vec![busy, calm], &Alarms::default()), 100).await;
        assert_eq!(entries.iter().filter(|entry| entry.starts_with("calm")).count(), 10);
    }

    #[tokio::test]
    async fn an_error_is_passed_on() {
        let (a, _) = source("a", 0, Then::Fail);
        let (b, _) = source("b", 0, Then::Wait);
        assert!(merge(vec![a, b], &Alarms::default()).deliveries.next().await.is_err());
    }

    #[tokio::test]
    async fn a_reader_that_panics_ends_the_agent_and_not_its_source() {
        let (broken, _) = source("broken", 2, Then::Panic);
        let (calm, _) = source("calm", 0, Then::Wait);
        let alarms = Alarms::default();
        let mut merged = merge(vec![broken, calm], &alarms);
        assert_eq!(take(&mut merged, 2).await, ["broken:0", "broken:1"]);
        assert!(alarms.failed().await.to_string().contains("a source's reader has failed"));
    }

    #[tokio::test]
    async fn entries_are_settled_where_they_came_from() {
        let (a, at_a) = source("a", 0, Then::End);
        let (b, at_b) = source("b", 0, Then::End);
        let merged = merge(vec![a, b], &Alarms::default()).settlement;
        let entry = |text: &str| EntryId(text.to_owned());
        merged.acknowledge(&entry("a:1")).await.unwrap();
        let letter = DeadLetter {
            entry: entry("b:1"),
            hash: None,
            reason: String::new(),
            payload: None,
            supplement: None,
        };
        merged.bury(&letter).await.unwrap();
        merged.release(&entry("b:2"));
        at_b.released.notified().await;
        assert!(merged.owns(&entry("a:1")) && !merged.owns(&entry("c:1")));
        assert!(merged.acknowledge(&entry("c:1")).await.is_err());
        assert_eq!(*at_a.settled.lock().unwrap(), ["ack a:1"]);
        assert_eq!(*at_b.settled.lock().unwrap(), ["bury b:1"]);
        let backlog = merged.backlog().await.unwrap();
        assert_eq!((backlog.length, backlog.pending, backlog.dead), (Some(4), Some(1), None));
        assert_eq!(backlog.oldest_age_ms, Some(7));
    }
}
