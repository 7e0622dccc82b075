//! The thread that reads chunks, one after the other.

use super::{
    chunk_file::{ChunkFile, NextRecord},
    entry::Record,
    listing::Listing,
    settlement::Shared,
    supplements::Supplements,
};
use crate::{
    alarm::{AlarmKind, Trouble},
    source::{DeadLetter, Delivery, Payload, SourceError},
};
use bsp_codec::chunk::{ChunkError, ChunkErrorKind, ChunkName, LocatedRecord};
use bsp_common::Backoff;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::Sender;

/// How long it waits before it looks again whether there is more.
const POLL: Duration = Duration::from_millis(200);
/// How soon it notices a stop.
const NAP: Duration = Duration::from_millis(50);

/// Reads until it is stopped, or nobody takes what it reads.
#[derive(Debug)]
pub(super) struct FolderReader {
    shared: Arc<Shared>,
    listing: Listing,
    max_replica_bytes: usize,
    /// Chunks to be read after the current one, in the order in which they appeared.
    waiting: VecDeque<ChunkName>,
    current: Option<Current>,
}

/// The chunk that is being read.
#[derive(Debug)]
struct Current {
    file: ChunkFile,
    supplements: Supplements,
    /// The next chunk was seen before the last look at the file, so it has all of its records.
    complete: bool,
    /// While the next record can't be read.
    damage: Option<Trouble>,
}

/// What one step led to.
enum ReadStep {
    Deliver(Delivery),
    /// Something was done that is no delivery.
    GoOn,
    /// There is nothing to be done now.
    Wait,
}

/// Why a step failed.
enum ReadFailure {
    /// It may pass.
    Io(io::Error),
    /// It won't.
    Fatal(SourceError),
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FolderReader {
    /// Looks at the folder for the first time.
    pub(super) fn new(shared: Arc<Shared>, max_replica_bytes: usize) -> io::Result<Self> {
        let mut listing = Listing::new(shared.folder.clone());
        let present = listing.refresh()?;
        let waiting = shared.positions(|positions| {
            present.into_iter().filter(|chunk| !positions.is_done(*chunk)).collect()
        });
        let reader = Self { shared, listing, max_replica_bytes, waiting, current: None };
        reader.report_missing();
        Ok(reader)
    }

    /// Chunks that went with records that nobody acknowledged. Only where there are later ones: a
    /// folder without any may just not be mounted.
    fn report_missing(&self) {
        let missing: Vec<ChunkName> = self.shared.positions(|positions| {
            let gone = positions.chunks.keys().copied().filter(|chunk| !self.listing.has(*chunk));
            gone.filter(|chunk| self.listing.has_later_than(*chunk)).collect()
        });
        for chunk in missing {
            self.give_up(chunk);
        }
    }

    fn give_up(&self, chunk: ChunkName) {
        metrics::counter!("agent_source_chunks_missing_total").increment(1);
        let message = format!(
            "{}/{chunk} is gone, with replicas that were not handled: have the producer export its blocks again",
            self.shared.name()
        );
        self.shared.alarms.raise(AlarmKind::EntriesLost, message);
        self.shared.change(|positions| positions.give_up(chunk));
    }

    /// The thread's work.
    pub(super) fn run(mut self, out: &Sender<Result<Delivery, SourceError>>) {
        let mut backoff = Backoff::default();
        let mut trouble: Option<Trouble> = None;
        while !self.shared.stop.is_cancelled() && !out.is_closed() {
            match self.step() {
                Ok(step) => {
                    (backoff, trouble) = (Backoff::default(), None);
                    match step {
                        ReadStep::Deliver(delivery) => {
                            // If nobody takes it any more, it is delivered after the next start.
                            let _ = out.blocking_send(Ok(delivery));
                        }
                        ReadStep::GoOn => {}
                        ReadStep::Wait => self.pause(POLL),
                    }
                }
                Err(ReadFailure::Fatal(error)) => {
                    let _ = out.blocking_send(Err(error));
                    return;
                }
                Err(ReadFailure::Io(error)) => {
                    let message = format!("{}: {error}", self.shared.name());
                    tracing::warn!("{message}; trying again");
                    let begin = || self.shared.alarms.trouble(AlarmKind::SourceUnavailable);
                    trouble.get_or_insert_with(begin).report(message);
                    self.pause(backoff.next_pause());
                }
            }
        }
    }

    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while let Some(left) = end.checked_duration_since(Instant::now())
            && !self.shared.stop.is_cancelled()
        {
            std::thread::sleep(left.min(NAP));
        }
    }

    fn step(&mut self) -> Result<ReadStep, ReadFailure> {
        if let Some(record) = self.shared.take_due() {
            return self.redeliver(record);
        }
        let Some(current) = &mut self.current else { return self.begin_next() };
        match current.file.next()? {
            NextRecord::Record(located) => {
                current.damage = None;
                self.receive(located)
            }
            NextRecord::End if current.complete => self.finish(None),
            NextRecord::End => self.look_further(),
            NextRecord::Damaged(error) => {
                if current.damage.is_none() {
                    let mut damage = self.shared.alarms.trouble(AlarmKind::SourceUnavailable);
                    let chunk = format!("{}/{}", self.shared.name(), current.file.name());
                    damage.report(format!(
                        "{chunk}: {error}; what follows goes to the dead letters once there is a later chunk"
                    ));
                    current.damage = Some(damage);
                }
                if current.complete { self.finish(Some(error)) } else { self.look_further() }
            }
            NextRecord::Shorter => {
                let (source_name, chunk) = (self.shared.name(), current.file.name());
                let reason = format!(
                    "{chunk} has become shorter than what was read of it: find out who else writes to it, and start again"
                );
                Err(ReadFailure::Fatal(SourceError::Refused { source_name, reason }))
            }
        }
    }

    /// Notices new chunks. If there is one, the current one gets no more records.
    fn look_further(&mut self) -> Result<ReadStep, ReadFailure> {
        self.take_in_new_chunks()?;
        let Some(current) = &mut self.current else { return Ok(ReadStep::GoOn) };
        current.complete = !self.waiting.is_empty();
        Ok(if current.complete { ReadStep::GoOn } else { ReadStep::Wait })
    }

    fn take_in_new_chunks(&mut self) -> io::Result<()> {
        for chunk in self.listing.refresh()? {
            if self.shared.positions(|positions| positions.is_done(chunk)) {
                tracing::warn!(
                    "{chunk} appeared after chunks with later names: was the producer's clock set back?"
                );
                self.shared.change(|positions| positions.restart(chunk));
            }
            self.waiting.push_back(chunk);
        }
        Ok(())
    }

    fn begin_next(&mut self) -> Result<ReadStep, ReadFailure> {
        if self.waiting.is_empty() {
            self.take_in_new_chunks()?;
        }
        let Some(chunk) = self.waiting.front().copied() else { return Ok(ReadStep::Wait) };
        let (offset, _) = self.shared.change(|positions| positions.begin(chunk));
        let open =
            |offset| ChunkFile::open(&self.shared.folder, chunk, offset, self.max_replica_bytes);
        let mut file = match open(offset) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.give_up(chunk);
                self.waiting.pop_front();
                return Ok(ReadStep::GoOn);
            }
            file => file?,
        };
        if file.length()? < offset {
            tracing::warn!(
                "{chunk} is shorter than what was acknowledged of it; it is read from its beginning"
            );
            self.shared.change(|positions| positions.restart(chunk));
            file = open(0)?;
        }
        self.waiting.pop_front();
        let supplements = Supplements::beside(&self.shared.folder, chunk);
        self.current = Some(Current { file, supplements, complete: false, damage: None });
        Ok(ReadStep::GoOn)
    }

    fn receive(&mut self, located: LocatedRecord) -> Result<ReadStep, ReadFailure> {
        let Some(current) = &mut self.current else { return Ok(ReadStep::GoOn) };
        let record = Record { chunk: current.file.name(), offset: located.offset };
        let end = located.offset + located.len;
        let (wanted, _) = self.shared.change(|positions| positions.read(record, end));
        if !wanted {
            return Ok(ReadStep::GoOn);
        }
        let supplement = current.supplements.of(located.record.hash);
        let supplement = supplement.inspect_err(|_| self.shared.release(record))?;
        Ok(ReadStep::Deliver(delivery(record, located, supplement, 1)))
    }

    /// Leaves a chunk behind that has all of its records. What can't be read of it becomes one dead
    /// letter: a record that its writer did not finish, or everything behind a damaged place, since
    /// nothing says where the next record would start.
    fn finish(&mut self, damage: Option<ChunkError>) -> Result<ReadStep, ReadFailure> {
        let Some(current) = &self.current else { return Ok(ReadStep::GoOn) };
        let (chunk, rest_at) = (current.file.name(), current.file.position());
        let length = current.file.length()?;
        let rest = Record { chunk, offset: rest_at };
        if rest_at < length {
            let torn = ChunkErrorKind::Torn { len: length - rest_at };
            let error = damage.unwrap_or(ChunkError { offset: rest_at, kind: torn });
            self.bury_rest(rest, &error, length)?;
        }
        let ((), version) = self.shared.change(|positions| {
            if rest_at < length {
                positions.read(rest, length);
                positions.acknowledge(rest);
            }
            positions.close(chunk, length);
        });
        self.shared.save(version)?;
        self.current = None;
        Ok(ReadStep::GoOn)
    }

    fn bury_rest(&self, rest: Record, error: &ChunkError, length: u64) -> io::Result<()> {
        let reason =
            format!("the chunk's last {} bytes can't be read: {error}", length - rest.offset);
        let letter =
            DeadLetter { entry: rest.id(), hash: None, reason, payload: None, supplement: None };
        let path = self.shared.folder.join(rest.chunk.to_string());
        self.shared.dead.keep_rest(&letter, &path, rest.offset)?;
        let kind = if error.is_torn() { "torn" } else { "damaged" };
        metrics::counter!("agent_source_chunks_unreadable_total", "kind" => kind).increment(1);
        let message = format!(
            "{}/{}: {}; they are kept in {}: have the producer export the blocks again that are missing",
            self.shared.name(),
            rest.chunk,
            letter.reason,
            self.shared.dead.path().display()
        );
        tracing::warn!("{message}");
        self.shared.alarms.raise(AlarmKind::DeadLetter, message);
        Ok(())
    }

    fn redeliver(&self, record: Record) -> Result<ReadStep, ReadFailure> {
        let (folder, max) = (&self.shared.folder, self.max_replica_bytes);
        let read = ChunkFile::open(folder, record.chunk, record.offset, max)
            .and_then(|mut file| {
                let next = file.next()?;
                let NextRecord::Record(located) = &next else { return Ok((next, None)) };
                let supplement =
                    Supplements::beside(folder, record.chunk).of(located.record.hash)?;
                Ok((next, supplement))
            })
            .inspect_err(|_| self.shared.release(record))?;
        match read {
            (NextRecord::Record(located), supplement) => {
                Ok(ReadStep::Deliver(delivery(record, located, supplement, 2)))
            }
            (other, _) => {
                let source_name = self.shared.name();
                let reason =
                    format!("{} was a record, and is not any more: {other:?}", record.id());
                Err(ReadFailure::Fatal(SourceError::Refused { source_name, reason }))
            }
        }
    }
}

fn delivery(
    record: Record,
    located: LocatedRecord,
    supplement: Option<Bytes>,
    deliveries: u64,
) -> Delivery {
    let hash = Some(format!("{:#x}", located.record.hash));
    let payload = Some(Payload::Rlp(located.record.replica_rlp.0));
    Delivery { entry: record.id(), hash, payload, supplement, deliveries }
}
