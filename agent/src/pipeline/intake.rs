//! From a delivery to a block in work: decoded, recognised, selected.

use super::{Pipeline, block::OpenBlock, work::Begun};
use crate::{
    alarm::AlarmKind,
    args::Verify,
    failpoint,
    journal::{BlockKey, BlockRecord, Stage},
    pin::Content,
    prepare::{self, Decoded, Defect, MessageChecks, Prepared, Rejection},
    source::{DeadLetter, Deliveries, Delivery, Payload, SourceError},
};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// What a message in work occupies: one of the open blocks, and its share of the memory.
#[derive(Debug)]
struct Room {
    slot: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

impl Pipeline {
    /// Reads deliveries for as long as there is room for blocks.
    pub(super) async fn read(&self, deliveries: &mut dyn Deliveries) -> Result<(), SourceError> {
        loop {
            let slot = self.slot().await;
            let Some(delivery) = deliveries.next().await? else { return Ok(()) };
            failpoint::hit("after_receive");
            let payload = delivery.payload.as_ref().map_or(0, Payload::len);
            let bytes = self.bytes.take(payload, self.decoded_len(&delivery)).await;
            self.tasks.spawn(self.clone().receive(delivery, Room { slot, bytes }));
        }
    }

    /// Takes up the blocks that an earlier process left unfinished and whose segments are on disk. The others come again
    /// from the source.
    pub(super) async fn resume_unfinished(self) {
        let records = match self.services.journal.unfinished() {
            Ok(records) => records,
            Err(error) => {
                self.services.alarms.raise(AlarmKind::JournalFailing, error.to_string());
                return;
            }
        };
        for record in records {
            let Some(key) = record.key() else { continue };
            if !record.stage.is_stored() {
                continue;
            }
            let slot = self.slot().await;
            if self.works.resume(key, &record.entries) {
                let block = OpenBlock { key, record, slot, content: None };
                self.tasks.spawn(self.clone().finish(block));
            }
        }
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.open).acquire_owned().await {
            Ok(slot) => slot,
            Err(_) => unreachable!("nobody closes this semaphore"),
        }
    }

    /// A message that announces more than is allowed is refused when it is decoded, and takes no room before.
    fn decoded_len(&self, delivery: &Delivery) -> usize {
        let announced = delivery.payload.as_ref().map_or(0, prepare::announced_len);
        if announced > self.options.limits.max_decoded_bytes { 0 } else { announced }
    }

    async fn receive(self, delivery: Delivery, room: Room) {
        let delivery = Arc::new(delivery);
        let (decoding, limits) = (Arc::clone(&delivery), self.options.limits);
        let read = self.compute(move || Decoded::read(&decoding, limits)).await;
        let decoded = match flatten(read) {
            Ok(decoded) => decoded,
            Err(rejection) => return self.bury(&delivery, &rejection).await,
        };
        let key = BlockKey { hash: decoded.block().hash, kind: decoded.kind() };
        if !self.begin(key, &decoded, &delivery).await {
            return;
        }
        match self.known(&key) {
            // What was refused says nothing about another message with the same header.
            Some(BlockRecord { stage: Stage::Refused { acknowledged: true, .. }, .. }) => {
                self.take_up(key, decoded, delivery, room).await;
            }
            Some(record) if record.stage.is_final() => self.repeat(key, &record, &delivery).await,
            Some(record) if record.stage.is_stored() => {
                let slot = room.slot;
                drop((room.bytes, delivery, decoded));
                self.finish(OpenBlock { key, record, slot, content: None }).await;
            }
            _ => self.take_up(key, decoded, delivery, room).await,
        }
    }

    /// Begins the work on a block, when no other message about it is in work any more. `false` if the entry joined the same
    /// message, or has to wait for another process.
    async fn begin(&self, key: BlockKey, decoded: &Decoded, delivery: &Delivery) -> bool {
        loop {
            let ended = match self.works.begin(key, &delivery.entry, decoded.fingerprint()) {
                Begun::Now => return true,
                Begun::Joined => {
                    tracing::debug!(
                        "{} is in work, entry {} joins",
                        decoded.block(),
                        delivery.entry
                    );
                    metrics::counter!("agent_duplicates_total").increment(1);
                    return false;
                }
                Begun::Busy(ended) => ended,
            };
            tokio::select! {
                () = ended.cancelled() => {}
                () = self.services.stop.cancelled() => {
                    self.services.settlement.release(&delivery.entry);
                    return false;
                }
            }
        }
    }

    /// A block that was dealt with before.
    async fn repeat(self, key: BlockKey, record: &BlockRecord, delivery: &Delivery) {
        tracing::info!("{} comes again and is {} already", record.block, record.stage.as_str());
        metrics::counter!("agent_duplicates_total").increment(1);
        let joined = self.works.end(&key);
        for entry in std::iter::once(&delivery.entry).chain(&joined) {
            self.acknowledge(entry).await;
        }
    }

    /// A block that nothing durable is known of.
    async fn take_up(self, key: BlockKey, decoded: Decoded, delivery: Arc<Delivery>, room: Room) {
        if decoded.block().number % self.options.block_divisor != 0 {
            return self.put_aside(key, &decoded, &delivery).await;
        }
        let entries = vec![delivery.entry.clone()];
        let record = BlockRecord::new(decoded.block(), key.kind, entries, Stage::Received);
        self.services.journal.note(key, &record);
        let checks = match self.options.verify {
            Verify::Off => MessageChecks::Header,
            Verify::Roots | Verify::Execute => MessageChecks::Roots,
        };
        let prepared = self.compute(move || decoded.prepare(checks)).await;
        let prepared = match flatten(prepared) {
            Ok(prepared) => prepared,
            Err(rejection) => return self.reject(key, &delivery, &rejection).await,
        };
        drop(delivery);
        failpoint::hit("after_prepare");
        let Prepared { bytes, cid, facts } = prepared;
        tracing::info!("---> Processing {} <---", facts.name);
        let record = record.at(Stage::Encoded { segment: facts });
        self.services.journal.note(key, &record);
        self.works.reached(&key, record.stage.as_str());
        let content = Some((Content { bytes, cid }, room.bytes));
        self.finish(OpenBlock { key, record, slot: room.slot, content }).await;
    }

    /// A message that turned out to contradict itself after work on it began.
    async fn reject(self, key: BlockKey, delivery: &Delivery, rejection: &Rejection) {
        self.bury(delivery, rejection).await;
        // Nothing durable was done: if this fails, the block only looks unfinished for longer.
        let _ = self.services.journal.remove(key).await;
        for entry in self.works.end(&key) {
            self.services.settlement.release(&entry);
        }
    }

    /// A block that the divisor does not select is kept aside, so that a smaller divisor can still select it.
    async fn put_aside(self, key: BlockKey, decoded: &Decoded, delivery: &Delivery) {
        let block = decoded.block();
        let divisor = self.options.block_divisor;
        tracing::info!(
            "block-specimen not created for: {}, base block number divisor is : {divisor}",
            block.number
        );
        let kept = match &delivery.payload {
            Some(payload) => self.services.unselected.keep(&block, key.kind, payload).await,
            None => Ok(()),
        };
        if let Err(error) = &kept {
            tracing::warn!("{block} is not kept aside, its entry stays: {error}");
        }
        let joined = self.works.end(&key);
        for entry in std::iter::once(&delivery.entry).chain(&joined) {
            if kept.is_ok() {
                self.acknowledge(entry).await;
            } else {
                self.services.settlement.release(entry);
            }
        }
        if kept.is_ok() {
            metrics::counter!("agent_blocks_total", "outcome" => "unselected").increment(1);
        }
    }

    /// Sends a message to the dead letters. The line moves on.
    async fn bury(&self, delivery: &Delivery, rejection: &Rejection) {
        let payload = delivery.payload.as_ref().and_then(|payload| payload.to_snappy().ok());
        let letter = DeadLetter {
            entry: delivery.entry.clone(),
            hash: delivery.hash.clone(),
            reason: rejection.to_string(),
            payload,
        };
        self.send_to_dead_letters(&letter).await;
    }

    fn known(&self, key: &BlockKey) -> Option<BlockRecord> {
        match self.services.journal.get(key) {
            Ok(record) => record,
            Err(error) => {
                // Work that was done is done again at worst: the contract refuses a second proof.
                self.services.alarms.raise(AlarmKind::JournalFailing, error.to_string());
                None
            }
        }
    }
}

fn flatten<T>(outcome: Result<Result<T, Rejection>, Defect>) -> Result<T, Rejection> {
    outcome.map_err(Rejection::from).and_then(|inner| inner)
}
