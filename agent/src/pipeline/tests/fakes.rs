//! Stand-ins for everything around the pipeline, which note what is asked of them, in order.

use crate::{
    alarm::Alarms,
    args::Verify,
    journal::Journal,
    pin::{Content, PinError, Pinner},
    pipeline::{Pipeline, PipelineOptions, Services},
    prepare::MessageLimits,
    proof::{
        Attempt, AttemptLog, Claim, Outlook, Parked, Proof, ProofOutcome, Prover, SentTransaction,
    },
    segments::SegmentFolder,
    source::{
        Backlog, DeadLetter, Deliveries, Delivery, EntryId, Payload, Settlement, SourceError,
        UnselectedFolder,
    },
};
use alloy_primitives::{B256, Bytes as RawBytes};
use async_trait::async_trait;
use bsp_capture::ChainSpec;
use bsp_codec::{Profile, Replica, rlp, snappy};
use bsp_tests::wait::wait_for;
use std::{
    collections::{HashMap, VecDeque},
    fs,
    num::NonZeroU64,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long a pipeline may take before its test fails, rather than hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a prover is told to answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Prove,
    Skip,
    /// Says beforehand that there is nothing to prove.
    Closed,
    Hold,
    /// Holds the block, and proves it when it comes again.
    HoldOnce,
    /// Records an attempt, and parks.
    SendAndPark,
    Panic,
    /// Has the pipeline stopped, and never answers.
    Hang,
}

/// Everything around a pipeline, on one folder.
#[derive(Debug)]
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) events: Arc<Mutex<Vec<String>>>,
    pub(super) pin_failures: Arc<Mutex<VecDeque<PinError>>>,
    pub(super) answers: Arc<Mutex<HashMap<u64, Answer>>>,
    pub(super) letters: Arc<Mutex<Vec<DeadLetter>>>,
    pub(super) alarms: Alarms,
    /// Entries that the source refuses to settle.
    pub(super) foreign: Arc<Mutex<Vec<String>>>,
    /// Its proofs are in no block, so they are a ledger's.
    pub(super) is_ledger: bool,
    /// The rules of the dev chain, or what takes their place.
    pub(super) genesis: Option<ChainSpec>,
    pub(super) divisor: u64,
    pub(super) verify: Verify,
    /// With one, messages are decoded in the order in which they come.
    pub(super) cpu_tasks: usize,
    pub(super) open_blocks: usize,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            events: Arc::default(),
            pin_failures: Arc::default(),
            answers: Arc::default(),
            letters: Arc::default(),
            alarms: Alarms::default(),
            foreign: Arc::default(),
            is_ledger: true,
            genesis: Some(ChainSpec::dev()),
            divisor: 1,
            verify: Verify::Execute,
            cpu_tasks: 2,
            open_blocks: 8,
        }
    }

    pub(super) fn answer(&self, number: u64, answer: Answer) {
        self.answers.lock().unwrap().insert(number, answer);
    }

    /// Runs a pipeline until it has handled some deliveries, or is stopped by an answer, and
    /// returns the journal that it leaves.
    pub(super) async fn run(&self, deliveries: Vec<Delivery>) -> Journal {
        let journal = self.journal();
        let queue = Queue::of(deliveries);
        let pipeline = self.pipeline(&journal, &queue, CancellationToken::new());
        let run = pipeline.run(Box::new(queue));
        timeout(PATIENCE, run).await.expect("the deliveries are handled").unwrap();
        journal
    }

    /// Runs a pipeline until something is so, where some entries stay in flight.
    pub(super) async fn run_until(
        &self,
        deliveries: Vec<Delivery>,
        is_so: impl Fn() -> bool,
    ) -> Journal {
        let journal = self.journal();
        self.run_with(journal.clone(), deliveries, is_so).await;
        journal
    }

    pub(super) fn journal(&self) -> Journal {
        Journal::open(&self.path("journal.redb"), self.alarms.clone()).unwrap()
    }

    /// As [`run_until`](Self::run_until), with a journal that is open.
    pub(super) async fn run_with(
        &self,
        journal: Journal,
        deliveries: Vec<Delivery>,
        is_so: impl Fn() -> bool,
    ) {
        let (queue, stop) = (Queue::of(deliveries), CancellationToken::new());
        let pipeline = self.pipeline(&journal, &queue, stop.clone());
        let run = tokio::spawn(async move { pipeline.run(Box::new(queue)).await });
        let so = async || is_so().then_some(());
        wait_for("what the test waits for", PATIENCE, so).await.unwrap();
        stop.cancel();
        run.await.unwrap().unwrap();
    }

    /// Runs another pipeline on what a former one left.
    pub(super) async fn restart(&self, journal: Journal, deliveries: Vec<Delivery>) -> Journal {
        drop(journal);
        self.run(deliveries).await
    }

    fn pipeline(&self, journal: &Journal, queue: &Queue, stop: CancellationToken) -> Pipeline {
        let segments = self.path("segments");
        fs::create_dir_all(&segments).unwrap();
        let noting = Noting(Arc::clone(&self.events));
        let unselected =
            UnselectedFolder::open(self.path("unselected"), 1 << 30, &self.alarms, &stop).unwrap();
        let services = Services {
            journal: journal.clone(),
            segments: SegmentFolder::new(segments),
            settlement: Arc::new(FakeSettlement {
                queue: queue.clone(),
                foreign: Arc::clone(&self.foreign),
                noting: noting.clone(),
                letters: Arc::clone(&self.letters),
            }),
            pinner: Arc::new(FakePinner {
                noting: noting.clone(),
                failures: Arc::clone(&self.pin_failures),
            }),
            prover: Arc::new(FakeProver {
                noting,
                answers: Arc::clone(&self.answers),
                stop: stop.clone(),
                is_ledger: self.is_ledger,
            }),
            unselected,
            alarms: self.alarms.clone(),
            stop,
            finished: None::<mpsc::UnboundedSender<_>>,
        };
        let options = PipelineOptions {
            block_divisor: NonZeroU64::new(self.divisor).unwrap(),
            verify: self.verify,
            chain_spec: self.genesis.clone(),
            limits: MessageLimits { max_message_bytes: 1 << 20, max_decoded_bytes: 1 << 22 },
            max_inflight_bytes: 1 << 24,
            max_open_blocks: self.open_blocks,
            cpu_tasks: self.cpu_tasks,
            shutdown_timeout: Duration::from_millis(300),
        };
        Pipeline::new(services, options)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// The names of the segment files, sorted.
    /// The segments' files. Those that are done with are in the sub-folder `0`.
    pub(super) fn files(&self) -> Vec<String> {
        let segments = self.path("segments");
        let mut files = Vec::new();
        for name in names_in(&segments) {
            let path = segments.join(&name);
            match path.is_dir() {
                true => files.extend(names_in(&path).iter().map(|file| format!("{name}/{file}"))),
                false => files.push(name),
            }
        }
        files
    }

    pub(super) fn unselected(&self) -> Vec<String> {
        names_in(&self.path("unselected"))
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The entry of a replica, as the producer writes it.
pub(super) fn delivery(id: &str, replica: &Replica) -> Delivery {
    let rlp = rlp::encode_replica(replica, Profile::Network).unwrap();
    Delivery {
        entry: EntryId(id.to_owned()),
        hash: Some(replica.hash.to_string()),
        payload: Some(Payload::Snappy(snappy::compress(&rlp).unwrap().into())),
        supplement: None,
        deliveries: 1,
    }
}

/// The proof that the fake prover gives for a block.
pub(super) fn proof_of(number: u64) -> B256 {
    B256::with_last_byte(u8::try_from(number).unwrap())
}

#[derive(Debug, Clone)]
struct Noting(Arc<Mutex<Vec<String>>>);

impl Noting {
    fn note(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }
}

/// A source's entries: it ends when there are no more, and none can come back.
#[derive(Debug, Default)]
struct Entries {
    waiting: VecDeque<Delivery>,
    in_hand: Vec<Delivery>,
}

#[derive(Debug, Clone, Default)]
struct Queue(Arc<Mutex<Entries>>, Arc<Notify>);

impl Queue {
    fn of(deliveries: Vec<Delivery>) -> Self {
        let entries = Entries { waiting: deliveries.into(), in_hand: Vec::new() };
        Self(Arc::new(Mutex::new(entries)), Arc::default())
    }

    /// An entry is not in flight any more.
    fn gone(&self, entry: &EntryId, again: bool) {
        let mut entries = self.0.lock().unwrap();
        while let Some(at) = entries.in_hand.iter().position(|held| held.entry == *entry) {
            let delivery = entries.in_hand.swap_remove(at);
            if again {
                entries.waiting.push_back(delivery);
            }
        }
        self.1.notify_one();
    }
}

#[async_trait]
impl Deliveries for Queue {
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
        loop {
            {
                let mut entries = self.0.lock().unwrap();
                // What was delivered before comes again once it was released.
                let held =
                    |next: &Delivery| entries.in_hand.iter().any(|held| held.entry == next.entry);
                let waits =
                    entries.waiting.front().is_some_and(|next| next.deliveries > 1 && held(next));
                if !waits && let Some(next) = entries.waiting.pop_front() {
                    entries.in_hand.push(next.clone());
                    return Ok(Some(next));
                }
                if !waits && entries.in_hand.is_empty() {
                    return Ok(None);
                }
            }
            self.1.notified().await;
        }
    }
}

#[derive(Debug)]
struct FakeSettlement {
    queue: Queue,
    /// Entries that it refuses to settle.
    foreign: Arc<Mutex<Vec<String>>>,
    noting: Noting,
    letters: Arc<Mutex<Vec<DeadLetter>>>,
}

impl FakeSettlement {
    fn refuse_foreign(&self, entry: &EntryId) -> Result<(), SourceError> {
        if !self.foreign.lock().unwrap().contains(&entry.0) {
            return Ok(());
        }
        self.noting.note(format!("refuse to settle {entry}"));
        let (source_name, reason) = ("fake".to_owned(), "another source's".to_owned());
        Err(SourceError::Refused { source_name, reason })
    }
}

#[async_trait]
impl Settlement for FakeSettlement {
    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
        self.refuse_foreign(entry)?;
        self.noting.note(format!("acknowledge {entry}"));
        self.queue.gone(entry, false);
        Ok(())
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        self.refuse_foreign(&letter.entry)?;
        self.noting.note(format!("bury {}", letter.entry));
        self.queue.gone(&letter.entry, false);
        self.letters.lock().unwrap().push(letter.clone());
        Ok(())
    }

    fn release(&self, entry: &EntryId) {
        self.noting.note(format!("release {entry}"));
        self.queue.gone(entry, false);
    }

    fn redeliver(&self, entry: &EntryId) {
        self.noting.note(format!("redeliver {entry}"));
        self.queue.gone(entry, true);
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        Ok(Backlog::default())
    }
}

#[derive(Debug)]
struct FakePinner {
    noting: Noting,
    failures: Arc<Mutex<VecDeque<PinError>>>,
}

#[async_trait]
impl Pinner for FakePinner {
    fn name(&self) -> String {
        "fake".to_owned()
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            self.noting.note("pin fails".to_owned());
            return Err(failure);
        }
        self.noting.note(format!("pin {}", content.cid));
        Ok(())
    }

    async fn holds(&self, _: &Content) -> Result<bool, PinError> {
        unreachable!("the pipeline removes nothing")
    }

    async fn check(&self) -> Result<String, PinError> {
        Ok(String::new())
    }
}

#[derive(Debug)]
struct FakeProver {
    noting: Noting,
    answers: Arc<Mutex<HashMap<u64, Answer>>>,
    stop: CancellationToken,
    is_ledger: bool,
}

#[async_trait]
impl Prover for FakeProver {
    fn name(&self) -> String {
        "fake".to_owned()
    }

    fn is_ledger(&self) -> bool {
        self.is_ledger
    }

    async fn outlook(&self, claim: &Claim) -> Outlook {
        match self.answers.lock().unwrap().get(&claim.block.number) {
            Some(Answer::Closed) => Outlook::Closed { reason: "too old".to_owned() },
            _ => Outlook::Open,
        }
    }

    async fn prove(
        &self,
        claim: Claim,
        attempts: Vec<Attempt>,
        log: Arc<dyn AttemptLog>,
    ) -> Result<ProofOutcome, Parked> {
        let number = claim.block.number;
        self.noting.note(format!("prove {number} with {} attempts", attempts.len()));
        let answer = self.answers.lock().unwrap().get(&number).cloned().unwrap_or(Answer::Prove);
        match answer {
            Answer::Prove => {
                Ok(ProofOutcome::Proved(Proof { id: proof_of(number), mined_in: None }))
            }
            Answer::Skip | Answer::Closed => {
                Ok(ProofOutcome::Skipped { reason: "session closed".to_owned() })
            }
            Answer::HoldOnce => {
                self.answers.lock().unwrap().insert(number, Answer::Prove);
                Ok(ProofOutcome::Held { reason: "no network".to_owned() })
            }
            Answer::Hold => Ok(ProofOutcome::Held { reason: "no role".to_owned() }),
            Answer::SendAndPark => {
                log.record(&[attempt()]).await.unwrap();
                Err(Parked("told to".to_owned()))
            }
            Answer::Panic => panic!("told to"),
            Answer::Hang => {
                self.stop.cancel();
                std::future::pending().await
            }
        }
    }
}

/// Something to find again.
pub(super) fn attempt() -> Attempt {
    let transaction = SentTransaction {
        hash: B256::repeat_byte(3),
        max_fee_per_gas: 2,
        max_priority_fee_per_gas: 1,
        signed_ms: 4,
        raw: RawBytes::from_static(b"raw"),
    };
    Attempt { nonce: 7, transactions: vec![transaction] }
}
