//! The reading half: first what is pending to this consumer, then new entries, one at a time.

pub(crate) mod in_flight;

use super::{
    link::{Failures, Link},
    losses::Losses,
    reply::{self, Entry, PendingEntry},
};
use crate::source::{Deliveries, Delivery, EntryId, Payload, SourceError};
use async_trait::async_trait;
use bsp_stream::{Connection, RedisUrl, StreamId};
use in_flight::InFlightEntries;
use redis::{RedisResult, Value, cmd};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long Redis waits for a new entry before it answers that there is none.
pub(super) const BLOCK: Duration = Duration::from_secs(2);

/// Rows of `XPENDING` asked for at once.
const PAGE: usize = 100;

pub(super) struct StreamReader {
    pub(super) url: RedisUrl,
    pub(super) consumer: String,
    pub(super) claim_idle: Duration,
    pub(super) in_flight: Arc<InFlightEntries>,
    pub(super) losses: Arc<Losses>,
    /// Its connection is blocked while Redis has nothing, so it has one of its own.
    pub(super) link: Link,
    /// Set when there may be entries pending to this consumer that it has passed over: claimed by
    /// the upkeep, or to be delivered again.
    pub(super) claimed: Arc<AtomicBool>,
    pub(super) stop: CancellationToken,
    /// What is known about the entries pending to this consumer.
    ///
    /// It is forgotten whenever Redis may have delivered an entry that did not arrive: that one is
    /// pending then.
    pub(super) own: OwnPending,
    /// The entry whose last reads failed, and how many: Redis may have counted each as a delivery.
    pub(super) unanswered: Option<(StreamId, u64)>,
    /// Kept from call to call, for the alarm to last as long as the outage.
    pub(super) failures: Failures,
}

/// The entries pending to this consumer, page by page. The default knows nothing and begins with
/// the oldest.
#[derive(Debug, Default)]
pub(super) struct OwnPending {
    rows: VecDeque<PendingEntry>,
    /// The last row seen.
    after: Option<StreamId>,
    at_end: bool,
}

#[async_trait]
impl Deliveries for StreamReader {
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
        let stop = self.stop.clone();
        let reading = async {
            loop {
                match self.step().await? {
                    Err(error) => self.link.recover(&error, &mut self.failures).await?,
                    Ok(read) => {
                        self.failures = Failures::default();
                        if read.is_some() {
                            return Ok(read);
                        }
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            delivery = reading => delivery,
        }
    }
}

impl StreamReader {
    /// One read. `Ok(None)`: nothing to deliver this time.
    async fn step(&mut self) -> Result<RedisResult<Option<Delivery>>, SourceError> {
        let mut own = std::mem::take(&mut self.own);
        if self.claimed.swap(false, Ordering::AcqRel) {
            own = OwnPending::default();
        }
        let read = match self.next_own(&mut own).await {
            Ok(Some(row)) => {
                let failed = self.unanswered.filter(|(id, _)| *id == row.id).map_or(0, |(_, n)| n);
                let read = self.read_own(&row).await;
                self.unanswered = read.is_err().then_some((row.id, failed.saturating_add(1)));
                read.map(|entry| (entry, deliveries(&row, failed)))
            }
            Ok(None) => self.read_new().await.map(|entry| (entry, 1)),
            Err(error) => Err(error),
        };
        match read {
            Ok((Some(entry), deliveries)) => {
                let delivery = self.deliver(entry, deliveries).await?;
                self.own = own;
                Ok(Ok(delivery))
            }
            Ok((None, _)) => {
                self.own = own;
                Ok(Ok(None))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// The next entry pending to this consumer that may be delivered.
    async fn next_own(&self, own: &mut OwnPending) -> RedisResult<Option<PendingEntry>> {
        loop {
            while let Some(row) = own.rows.pop_front() {
                if self.in_flight.may_take(row.id, self.claim_idle) {
                    return Ok(Some(row));
                }
            }
            if own.at_end {
                return Ok(None);
            }
            let start = own.after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
            let ask = |c| pending_page(c, &self.url, &self.consumer, start);
            own.rows = self.link.attempt(ask).await?.into();
            own.after = own.rows.back().map(|row| row.id).or(own.after);
            own.at_end = own.rows.len() < PAGE;
        }
    }

    async fn read_own(&self, row: &PendingEntry) -> RedisResult<Option<Entry>> {
        let after = row.id.before().to_string();
        let read = self.link.attempt(|c| self.read(c, after, None)).await?;
        // If it is another one, this one is no longer ours; that other one has a row of its own.
        Ok(read.filter(|entry| entry.id == row.id))
    }

    async fn read_new(&self) -> RedisResult<Option<Entry>> {
        self.link.attempt(|c| self.read(c, ">".to_owned(), Some(BLOCK))).await
    }

    /// One at a time: each takes megabytes.
    async fn read(
        &self,
        mut connection: Connection,
        after: String,
        block: Option<Duration>,
    ) -> RedisResult<Option<Entry>> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.url.group).arg(&self.consumer).arg("COUNT").arg(1);
        if let Some(block) = block {
            command.arg("BLOCK").arg(block.as_millis().to_string());
        }
        command.arg("STREAMS").arg(&self.url.topic).arg(after);
        let reply: Value = command.query_async(&mut connection).await?;
        Ok(reply::read_entries(reply)?.into_iter().next())
    }

    async fn deliver(
        &self,
        entry: Entry,
        deliveries: u64,
    ) -> Result<Option<Delivery>, SourceError> {
        let Some(fields) = entry.fields else {
            self.losses.report_entries(&self.link, &[entry.id]).await?;
            return Ok(None);
        };
        if !self.in_flight.take(entry.id) {
            return Ok(None);
        }
        if deliveries > 1 {
            metrics::counter!("agent_stream_redelivered_total").increment(1);
        }
        Ok(Some(Delivery {
            entry: EntryId(entry.id.to_string()),
            hash: fields.hash,
            payload: fields.data.map(Payload::Snappy),
            supplement: fields.supplement,
            deliveries,
        }))
    }
}

/// How often an entry was delivered, this time included: what Redis counted, without reads whose
/// reply never came.
fn deliveries(row: &PendingEntry, failed_reads: u64) -> u64 {
    row.deliveries.saturating_sub(failed_reads).max(1).saturating_add(1)
}

/// A page of what is pending to a consumer.
pub(super) async fn pending_page(
    mut connection: Connection,
    url: &RedisUrl,
    consumer: &str,
    start: String,
) -> RedisResult<Vec<PendingEntry>> {
    let mut command = cmd("XPENDING");
    command.arg(&url.topic).arg(&url.group).arg(start).arg("+").arg(PAGE).arg(consumer);
    let rows: Value = command.query_async(&mut connection).await?;
    reply::pending_entries(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_failed_are_no_deliveries() {
        let row = |deliveries| PendingEntry {
            id: StreamId::ZERO,
            consumer: String::new(),
            idle_ms: 0,
            deliveries,
        };
        assert_eq!(deliveries(&row(1), 0), 2);
        assert_eq!(deliveries(&row(5), 4), 2);
        // A read that failed before Redis took it up.
        assert_eq!(deliveries(&row(1), 4), 2);
    }
}
