//! From a delivery to a block in flight: decoded, recognised, selected.

use super::{
    Pipeline,
    open_block::{InJudgement, OpenBlock},
    settle::Settled,
    suspects::Watched,
    verdicts::{Checked, Sentence},
    work::Begun,
};
use crate::{
    alarm::AlarmKind,
    args::Verify,
    block::BlockId,
    blocking::on_disk,
    failpoint,
    journal::{BlockKey, BlockRecord, JournalError, Stage},
    pin::Content,
    prepare::{self, Decoded, Defect, MessageChecks, Prepared, Rejection},
    segments::SegmentError,
    source::{DeadLetter, Deliveries, Delivery, SourceError},
};
use bsp_common::Backoff;
use bytes::Bytes;
use std::sync::{Arc, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// What a message in flight occupies: one of the open blocks, and its share of the memory.
#[derive(Debug)]
struct Room {
    slot: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
    judging: InJudgement,
}

impl Pipeline {
    /// Reads deliveries for as long as there is room for blocks, and messages pass.
    pub(super) async fn read(&self, deliveries: &mut dyn Deliveries) -> Result<(), SourceError> {
        loop {
            let judging = self.verdicts.admit().await;
            let slot = self.slot().await;
            let Some(delivery) = deliveries.next().await? else { return Ok(()) };
            failpoint::hit("after_receive");
            let watched = self.suspects.watch(&delivery.entry);
            let bytes = match watched.is_alone() {
                true => self.bytes.take_all().await,
                false => self.bytes.take(delivery.len(), self.decoded_len(&delivery)).await,
            };
            let judging = InJudgement { watched, _judging: judging };
            self.spawn(self.clone().receive(delivery, Room { slot, bytes, judging }));
        }
    }

    /// Takes up the blocks that an earlier process left unfinished and whose segments are on disk.
    /// The others come again from the source.
    pub(super) async fn resume_unfinished(self) {
        for record in self.unfinished_blocks().await {
            let Some(key) = record.key() else { continue };
            if !record.stage.is_stored() {
                continue;
            }
            let judging = match needs_verdict(&record.stage) {
                true => Some(self.watch_again(&record).await),
                false => None,
            };
            let slot = self.slot().await;
            if self.driver.works.resume(key, &record.entries) {
                let block =
                    OpenBlock { key, record, slot, judging, content: None, supplement: None };
                self.spawn(self.driver.clone().finish(block));
            }
        }
    }

    /// Tries for as long as it takes: nobody else takes these blocks up.
    async fn unfinished_blocks(&self) -> Vec<BlockRecord> {
        let mut backoff = Backoff::default();
        let mut trouble = self.services.alarms.trouble(AlarmKind::JournalFailing);
        loop {
            match self.services.journal.unfinished() {
                Ok(records) => return records,
                Err(error) => trouble.report(format!(
                    "{error}; the blocks that an earlier run left unfinished wait until it can be read"
                )),
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    async fn watch_again(&self, record: &BlockRecord) -> InJudgement {
        let judging = self.verdicts.admit().await;
        let watched = match record.entries.first() {
            Some(entry) => self.suspects.watch(entry),
            None => Watched::default(),
        };
        InJudgement { watched, _judging: judging }
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.open).acquire_owned().await {
            Ok(slot) => slot,
            Err(_) => unreachable!("nobody closes this semaphore"),
        }
    }

    /// A message that announces more than is allowed is refused when it is decoded, and takes no
    /// room before.
    fn decoded_len(&self, delivery: &Delivery) -> usize {
        let announced = delivery.payload.as_ref().map_or(0, prepare::announced_len);
        if announced > self.options.limits.max_decoded_bytes { 0 } else { announced }
    }

    async fn receive(self, delivery: Delivery, room: Room) {
        let delivery = Arc::new(delivery);
        if let Some(reason) = room.judging.watched.given_up() {
            // Nothing of it is checked any more.
            return self.bury(&delivery, &reason).await;
        }
        let (decoding, limits) = (Arc::clone(&delivery), self.options.limits);
        let watched = Some(&room.judging.watched);
        let read = self.cpu.run_watched(watched, move || Decoded::read(&decoding, limits)).await;
        let decoded = match flatten(read) {
            Ok(decoded) => decoded,
            Err(rejection) => return self.turn_down(Checked::Bytes, &delivery, &rejection).await,
        };
        self.verdicts.passed(Checked::Bytes);
        let key = BlockKey { hash: decoded.block().hash, kind: decoded.kind() };
        match self.driver.works.begin(key, &delivery.entry, decoded.fingerprint()) {
            Begun::Now => {}
            Begun::Waits => return,
            Begun::Joined => {
                tracing::debug!(
                    "Block {} is in flight already; entry {} joins it",
                    decoded.block(),
                    delivery.entry
                );
                metrics::counter!("agent_duplicates_total").increment(1);
                return;
            }
        }
        let Ok(known) = self.known(&key) else {
            // To begin again could forget what was sent for it.
            for entry in std::iter::once(&delivery.entry).chain(&self.driver.end(&key)) {
                self.services.settlement.release(entry);
            }
            return;
        };
        match known {
            Some(record) if self.is_over(&record.stage) => {
                self.repeat(key, &record, &delivery).await;
            }
            Some(record) if self.can_go_on(&record).await => {
                self.go_on(key, record, &delivery, room).await;
            }
            _ => self.start_block(key, decoded, delivery, room).await,
        }
    }

    /// Whether a message about a block has nothing to add.
    fn is_over(&self, stage: &Stage) -> bool {
        match stage {
            // What was refused says nothing about another message with the same header.
            Stage::Refused { acknowledged: true, .. } => false,
            // The contract may take it now, or it may be another one.
            Stage::Skipped { acknowledged: true, .. } => false,
            // What is in a ledger is not on the chain.
            Stage::Acknowledged { proof, .. } => {
                proof.mined_in.is_some() || self.services.prover.is_ledger()
            }
            _ => false,
        }
    }

    /// Whether the work on a block continues where it was. Without its segment's file it begins
    /// again with the message.
    async fn can_go_on(&self, record: &BlockRecord) -> bool {
        if record.stage.is_final() || !record.stage.is_stored() {
            return false;
        }
        let (Some(segment), true) = (record.stage.segment(), needs_verdict(&record.stage)) else {
            return true;
        };
        let (folder, facts, id) = (self.services.segments.clone(), segment.clone(), record.block);
        match on_disk(move || folder.read(&id, &facts)).await {
            Err(error @ (SegmentError::Gone { .. } | SegmentError::Altered { .. })) => {
                tracing::warn!(%error, "The segment's file is unusable; the segment is encoded again from the message");
                false
            }
            _ => true,
        }
    }

    async fn go_on(self, key: BlockKey, mut record: BlockRecord, delivery: &Delivery, room: Room) {
        if !record.entries.contains(&delivery.entry) {
            record.entries.push(delivery.entry.clone());
        }
        let Room { slot, bytes, judging } = room;
        drop(bytes);
        let judging = Some(judging);
        let (content, supplement) = (None, None);
        self.driver.finish(OpenBlock { key, record, slot, judging, content, supplement }).await;
    }

    /// A block that was handled before.
    async fn repeat(self, key: BlockKey, record: &BlockRecord, delivery: &Delivery) {
        tracing::info!(
            "Block {} was delivered again, and is {} already",
            record.block,
            record.stage.as_str()
        );
        metrics::counter!("agent_duplicates_total").increment(1);
        self.verdicts.was_harmless();
        let joined = self.driver.end(&key);
        for entry in std::iter::once(&delivery.entry).chain(&joined) {
            self.driver.settler.acknowledge(entry).await;
        }
    }

    /// What stands in the way of a block's execution, if it is to be executed.
    fn obstacle(&self, decoded: &Decoded) -> Option<String> {
        match self.options.verify {
            Verify::Execute => self.rules.obstacle(decoded.block().network_id, decoded.header()),
            Verify::Off | Verify::Roots => None,
        }
    }

    /// A block that nothing durable is known of.
    async fn start_block(
        self,
        key: BlockKey,
        decoded: Decoded,
        delivery: Arc<Delivery>,
        room: Room,
    ) {
        if decoded.block().number % self.options.block_divisor != 0 {
            return self.store_unselected(key, &decoded, &delivery).await;
        }
        if let Some(obstacle) = self.obstacle(&decoded) {
            return self.hold(key, &delivery, &obstacle);
        }
        let entries = vec![delivery.entry.clone()];
        let record = BlockRecord::new(decoded.block(), key.kind, entries, Stage::Received);
        self.services.journal.note(key, &record);
        let checks = match self.options.verify {
            Verify::Off => MessageChecks::Header,
            Verify::Roots | Verify::Execute => MessageChecks::Roots,
        };
        let block = decoded.block();
        let Room { slot, mut bytes, judging } = room;
        let watched = Some(&judging.watched);
        let prepared = self.cpu.run_watched(watched, move || decoded.prepare(checks)).await;
        let prepared = match flatten(prepared) {
            Ok(prepared) => prepared,
            Err(rejection) => return self.reject(key, block, &delivery, &rejection).await,
        };
        let supplement = delivery.supplement.clone();
        drop(delivery);
        failpoint::hit("after_prepare");
        let Prepared { bytes: segment, cid, facts } = prepared;
        // The message is gone, and what was made of it is all that remains.
        let kept = segment.len().saturating_add(supplement.as_ref().map_or(0, Bytes::len));
        self.bytes.shrink(&mut bytes, kept);
        tracing::info!("---> Processing {} <---", facts.name);
        let name = facts.name.to_string();
        let record = record.at(Stage::Encoded { segment: facts });
        self.services.journal.note(key, &record);
        self.driver.works.reached(&key, record.stage.as_str());
        let content = Some((Content { name, bytes: segment, cid }, bytes));
        let judging = Some(judging);
        self.driver.finish(OpenBlock { key, record, slot, judging, content, supplement }).await;
    }

    /// A message that turned out to contradict itself after work on it began.
    async fn reject(
        self,
        key: BlockKey,
        block: BlockId,
        delivery: &Delivery,
        rejection: &Rejection,
    ) {
        let what = Checked::Content { network: block.network_id, number: block.number };
        self.turn_down(what, delivery, rejection).await;
        // Nothing durable was done: if this fails, the block only looks unfinished for longer.
        let _ = self.services.journal.remove(key).await;
        for entry in self.driver.end(&key) {
            self.services.settlement.release(&entry);
        }
    }

    /// A block that can't be judged here stays in the source, with every entry of the same message.
    fn hold(&self, key: BlockKey, delivery: &Delivery, obstacle: &str) {
        let mut entries = vec![delivery.entry.clone()];
        entries.extend(self.driver.end(&key));
        self.verdicts.held(&entries, obstacle);
    }

    /// A message that can't be taken.
    async fn turn_down(&self, what: Checked, delivery: &Delivery, rejection: &Rejection) {
        let entries = std::slice::from_ref(&delivery.entry);
        if let Rejection::UnknownFork(_) = rejection {
            return self.verdicts.held(entries, &rejection.to_string());
        }
        let told = format!("entry {}: {rejection}", delivery.entry);
        if self.verdicts.refused(what, entries, &told) == Sentence::Bury {
            self.bury(delivery, &rejection.to_string()).await;
        }
    }

    /// A block that the divisor does not select is stored for later, so that a smaller divisor can
    /// still select it.
    async fn store_unselected(self, key: BlockKey, decoded: &Decoded, delivery: &Delivery) {
        let block = decoded.block();
        let divisor = self.options.block_divisor;
        tracing::info!(
            "block-specimen not created for: {}, base block number divisor is :{divisor}",
            block.number
        );
        let kept = match &delivery.payload {
            Some(payload) => {
                let supplement = delivery.supplement.as_ref();
                self.services.unselected.keep(&block, key.kind, payload, supplement).await
            }
            None => Ok(()),
        };
        if let Err(error) = &kept {
            tracing::warn!(
                "Block {block} could not be stored for later, so its entry stays: {error}"
            );
        }
        let joined = self.driver.end(&key);
        self.verdicts.was_harmless();
        for entry in std::iter::once(&delivery.entry).chain(&joined) {
            if kept.is_ok() {
                self.driver.settler.acknowledge(entry).await;
            } else {
                self.services.settlement.release(entry);
            }
        }
        if kept.is_ok() {
            self.driver.totals.count("unselected");
        }
    }

    /// Sends a message to the dead letters. The line moves on.
    async fn bury(&self, delivery: &Delivery, reason: &str) {
        let payload = delivery.payload.as_ref().and_then(|payload| payload.to_snappy().ok());
        let letter = DeadLetter {
            entry: delivery.entry.clone(),
            hash: delivery.hash.clone(),
            reason: reason.to_owned(),
            payload,
            supplement: delivery.supplement.clone(),
        };
        if self.driver.settler.send_to_dead_letters(&letter).await == Settled::Refused {
            self.services.settlement.release(&delivery.entry);
        }
    }

    /// What is known of a block. An error says nothing about it, least of all that nothing is
    /// known.
    fn known(&self, key: &BlockKey) -> Result<Option<BlockRecord>, JournalError> {
        let known = self.services.journal.get(key);
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        match &known {
            Ok(_) => *unreadable = None,
            Err(error) => {
                let begin = || self.services.alarms.trouble(AlarmKind::JournalFailing);
                let message =
                    format!("{error}; entries are left in the source until it can be read");
                unreadable.get_or_insert_with(begin).report(message);
            }
        }
        known
    }
}

/// Whether a block at this stage has still to be verified.
const fn needs_verdict(stage: &Stage) -> bool {
    matches!(stage, Stage::Stored { .. } | Stage::Pinned { .. })
}

fn flatten<T>(outcome: Result<Result<T, Rejection>, Defect>) -> Result<T, Rejection> {
    outcome.map_err(Rejection::from).and_then(|inner| inner)
}
