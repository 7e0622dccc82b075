//! The way of a block through the agent.
//!
//! [`Pipeline::run`] reads deliveries for as long as there is room for more blocks, and gives each
//! block a task of its own. A task does one step after the other, and journals each before the
//! next.

mod budget;
mod driver;
mod held;
mod intake;
mod open_block;
mod rules;
mod settle;
mod status;
mod steps;
mod suspects;
mod threads;
mod totals;
mod verdicts;
mod verification;
mod work;

pub use status::{LastProof, PipelineStatus, ProofsExecuted};
pub use verdicts::Left;
pub use verification::NotVerified;

use crate::{
    alarm::{AlarmKind, Alarms, Trouble},
    args::Verify,
    journal::{BlockQuery, BlockRecord, Journal, JournalError, Stage},
    metrics::CompletedBlocks,
    pin::Pinner,
    prepare::MessageLimits,
    proof::Prover,
    retry::Retry,
    segments::SegmentFolder,
    source::{Deliveries, Settlement, SourceError, UnselectedFolder},
};
use bsp_capture::ChainSpec;
use budget::ByteBudget;
use driver::BlockDriver;
use held::HeldBlocks;
use rules::Rules;
use settle::Settler;
use status::{LastProofCell, ProofCounts};
use std::{
    num::NonZeroU64,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use steps::Steps;
use suspects::Suspects;
use threads::CpuTasks;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use totals::Totals;
use verdicts::Verdicts;
use work::WorkList;

/// What the pipeline is told to do.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// Blocks whose number it divides are proved.
    pub block_divisor: NonZeroU64,
    /// How much is verified before a proof.
    pub verify: Verify,
    /// The rules of a network that is not built in, for blocks of its chain id.
    pub chain_spec: Option<ChainSpec>,
    /// What is read of a message.
    pub limits: MessageLimits,
    /// How many bytes the messages in flight may take, about.
    pub max_inflight_bytes: usize,
    /// How many blocks may be in flight, from their delivery to their acknowledgement.
    pub max_open_blocks: usize,
    /// How many blocks are decoded or executed at once.
    pub cpu_tasks: usize,
    /// How long blocks in flight may take to come to a rest after a stop.
    pub shutdown_timeout: Duration,
}

/// What the pipeline works with.
#[derive(Debug, Clone)]
pub struct Services {
    /// What has happened to each block.
    pub journal: Journal,
    /// The segment files.
    pub segments: SegmentFolder,
    /// Where deliveries are settled.
    pub settlement: Arc<dyn Settlement>,
    /// Keeps content available.
    pub pinner: Arc<dyn Pinner>,
    /// Puts claims on record.
    pub prover: Arc<dyn Prover>,
    /// Where blocks go that the divisor did not select.
    pub unselected: UnselectedFolder,
    /// What needs the operator's attention.
    pub alarms: Alarms,
    /// Ends the pipeline.
    pub stop: CancellationToken,
    /// Receives each finished block.
    pub finished: Option<mpsc::UnboundedSender<BlockRecord>>,
}

impl Services {
    fn retry(&self, alarm: AlarmKind) -> Retry {
        Retry { alarm, alarms: self.alarms.clone(), stop: self.stop.clone() }
    }
}

/// The pipeline. Clones share everything.
#[derive(Debug, Clone)]
pub struct Pipeline {
    services: Services,
    options: Arc<PipelineOptions>,
    rules: Arc<Rules>,
    verdicts: Arc<Verdicts>,
    suspects: Arc<Suspects>,
    /// While the journal can't be read.
    unreadable: Arc<Mutex<Option<Trouble>>>,
    bytes: ByteBudget,
    open: Arc<Semaphore>,
    cpu: CpuTasks,
    tasks: TaskTracker,
    driver: Arc<BlockDriver>,
}

impl Pipeline {
    /// A pipeline that does nothing yet.
    pub fn new(services: Services, options: PipelineOptions) -> Self {
        let Services { journal, settlement, alarms, .. } = &services;
        let verdicts = Verdicts::new(journal.clone(), Arc::clone(settlement), alarms.clone());
        let verdicts = Arc::new(verdicts);
        let suspects = Suspects::new(journal.clone(), options.max_open_blocks);
        let rules = Arc::new(Rules::new(options.chain_spec.clone()));
        let bytes = ByteBudget::new(options.max_inflight_bytes);
        let cpu = CpuTasks::new(options.cpu_tasks);
        let works = Arc::new(WorkList::default());
        let steps = Steps {
            services: services.clone(),
            verify: options.verify,
            rules: Arc::clone(&rules),
            verdicts: Arc::clone(&verdicts),
            bytes: bytes.clone(),
            cpu: cpu.clone(),
            works: Arc::clone(&works),
        };
        let totals = Arc::new(Totals::default());
        let settler = Settler {
            totals: Arc::clone(&totals),
            services: services.clone(),
            cpu: cpu.clone(),
            works: Arc::clone(&works),
            last_proof: LastProofCell::default(),
            proof_counts: ProofCounts::default(),
        };
        let driver = BlockDriver {
            services: services.clone(),
            works,
            held: HeldBlocks::new(services.alarms.clone()),
            completed: CompletedBlocks::default(),
            totals,
            steps,
            settler,
        };
        Self {
            rules,
            verdicts,
            suspects: Arc::new(suspects),
            unreadable: Arc::default(),
            bytes,
            open: Arc::new(Semaphore::new(options.max_open_blocks.max(1))),
            cpu,
            tasks: TaskTracker::new(),
            driver: Arc::new(driver),
            options: Arc::new(options),
            services,
        }
    }

    /// Works until it is stopped, or the source ends or refuses. On return no block is in flight:
    /// each is done, or parked at a stage that the journal knows.
    pub async fn run(&self, mut deliveries: Box<dyn Deliveries>) -> Result<(), SourceError> {
        let stop = &self.services.stop;
        if let Some(Err(error)) = stop.run_until_cancelled(self.suspects.begin()).await {
            tracing::warn!(
                "Which messages were in flight when the agent ended is not known: {error}"
            );
        }
        let resume = self.spawn(self.clone().resume_unfinished());
        let outcome = tokio::select! {
            outcome = self.read(deliveries.as_mut()) => outcome,
            () = self.services.stop.cancelled() => Ok(()),
        };
        if self.services.stop.is_cancelled() || outcome.is_err() {
            self.services.stop.cancel();
            resume.abort();
        }
        self.drain().await;
        let unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).take();
        unreadable.into_iter().for_each(Trouble::outlasts_this_process);
        if !self.services.alarms.have_failed() {
            self.suspects.end();
        }
        outcome
    }

    async fn drain(&self) {
        self.tasks.close();
        let deadline = async {
            self.services.stop.cancelled().await;
            tokio::time::sleep(self.options.shutdown_timeout).await;
        };
        tokio::select! {
            () = self.tasks.wait() => {}
            () = deadline => {
                let count = self.tasks.len();
                tracing::warn!(blocks = count, "Some blocks did not reach a safe point in time; they resume at the next start");
            }
        }
    }

    /// What has happened to each block.
    pub(crate) fn journal(&self) -> Journal {
        self.services.journal.clone()
    }

    /// Sets the gauges of what is in flight.
    pub(crate) fn record_gauges(&self) {
        let stages = self.driver.works.stages();
        for stage in Stage::NAMES {
            let count = stages.get(stage).copied().unwrap_or(0);
            metrics::gauge!("agent_blocks_in_flight", "stage" => stage).set(count as f64);
        }
        metrics::gauge!("agent_blocks_held").set(self.driver.held.count() as f64);
        let left = self.verdicts.left();
        metrics::gauge!("agent_messages_left", "why" => "held").set(left.held as f64);
        metrics::gauge!("agent_messages_left", "why" => "in_doubt").set(left.in_doubt as f64);
        metrics::gauge!("agent_taking_messages").set(f64::from(u8::from(left.taking)));
        if let Some(last) = self.driver.settler.last_proof.get() {
            let seconds = Duration::from_millis(last.time_ms).as_secs_f64();
            metrics::gauge!("agent_last_proof_timestamp_seconds").set(seconds);
        }
        metrics::gauge!("agent_bytes_in_use").set(self.bytes.in_use() as f64);
    }

    /// What the pipeline is doing.
    pub fn status(&self) -> PipelineStatus {
        PipelineStatus {
            stages: self.driver.works.stages(),
            alarms: self.services.alarms.raised(),
            last_proof: self.driver.settler.last_proof.get(),
            proofs_executed: self.driver.settler.proof_counts.get(),
            held: self.driver.held.count(),
            finished: self.driver.totals.get(),
            left: self.verdicts.left(),
            bytes_in_use: self.bytes.in_use(),
        }
    }

    /// What is recorded of the blocks that are asked for. It may block.
    pub(crate) fn recorded(&self, wanted: BlockQuery) -> Result<Vec<BlockRecord>, JournalError> {
        self.services.journal.find(wanted)
    }

    /// Begins a task. One that panics ends the agent: its entries would be in flight for ever
    /// otherwise.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<Option<()>> {
        self.tasks.spawn(self.services.alarms.clone().guard("the work on a block", task))
    }
}

#[cfg(test)]
mod tests;
