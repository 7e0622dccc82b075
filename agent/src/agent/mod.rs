//! The agent's parts, put together as the settings say.

mod checks;
mod parts;
mod pin_servers;
mod pins;
mod report;
mod status;
mod upkeep;

pub use checks::start_checks;
pub use status::{AgentStatus, Observed};
pub use upkeep::UnfinishedSegments;

use crate::{
    alarm::{Alarms, PartFailed},
    config::{AgentConfig, IntakeConfig},
    journal::{BlockRecord, JournalError},
    pin::TakeoverError,
    pipeline::{Pipeline, PipelineOptions, Services},
    prepare::MessageLimits,
    proof::{key::KeyError, ledger::LedgerError},
    source::{Deliveries, Settlement, SourceError, merge},
};
use bsp_pinner::store::Store;
use parts::Parts;
use pin_servers::PinServers;
use pins::Pins;
use std::{io, net::SocketAddr, num::NonZeroUsize, path::PathBuf, pin::pin, sync::Arc, thread};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use upkeep::Upkeep;

/// Why the agent can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The journal can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The source can't be used, or does not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no usable key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The source's URL is invalid.
    #[error("--redis-url")]
    RedisUrl(#[from] bsp_stream::UrlError),
    /// A folder can't be used.
    #[error("{}: {error}; check that it exists and may be written", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The genesis file is invalid.
    #[error("--genesis {}: {reason}", path.display())]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The proof chain can't be used with these settings, or does not answer.
    #[error("the proof chain can't be used: {0}")]
    Proofs(String),
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store of pins can't be used.
    #[error("{}: {error}", path.display())]
    Pins {
        /// Its folder.
        path: PathBuf,
        /// Why.
        error: TakeoverError,
    },
    /// The store of pins can't be served.
    #[error("--pinner-addr, --pinner-public-addr")]
    PinServer(#[from] bsp_pinner::http::ServerError),
    /// The file of the Pinning Service API's requests can't be used.
    #[error("the store of pins")]
    PinRequests(#[from] bsp_pinner::http::RequestsError),
    /// A pinner can't be asked at all.
    #[error(transparent)]
    Pinner(#[from] crate::pin::UnusablePinner),
}

/// Why an agent ends on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The source refuses.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A part of it has panicked.
    #[error(transparent)]
    PartFailed(#[from] PartFailed),
}

/// An agent that is ready to run.
pub struct Agent {
    pipeline: Pipeline,
    alarms: Alarms,
    deliveries: Box<dyn Deliveries>,
    upkeep: Upkeep,
    store: Option<Store>,
    pin_servers: Option<PinServers>,
    settlement: Arc<dyn Settlement>,
    stop: CancellationToken,
    status: AgentStatus,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl Agent {
    /// Opens everything that the agent works with. It takes nothing from its source yet.
    ///
    /// # Errors
    ///
    /// The first part that can't be used.
    pub async fn start(
        config: AgentConfig,
        alarms: Alarms,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        Self::start_with(config, alarms, stop, None).await
    }

    /// As [`start`](Self::start), with a channel that receives each finished block.
    ///
    /// # Errors
    ///
    /// The first part that can't be used.
    pub async fn start_with(
        config: AgentConfig,
        alarms: Alarms,
        stop: CancellationToken,
        finished: Option<mpsc::UnboundedSender<BlockRecord>>,
    ) -> Result<Self, StartError> {
        report::configured(&config);
        let divisor = config.segments.block_divisor;
        let Parts { journal, source, unselected, segments, pins, prover, chain_spec, consumer } =
            Parts::open(&config, &alarms, &stop).await?;
        let Pins { pinner, store } = pins;
        let pin_servers = match &store {
            Some(store) => {
                let requests = config.segments.data_dir.join("pin-requests.redb");
                Some(PinServers::bind(store.clone(), &requests, &config.pins.http).await?)
            }
            None => None,
        };
        let shared_alarms = alarms.clone();
        let status = AgentStatus::new(consumer, prover.name(), pinner.name(), alarms.clone());
        let source = merge(vec![unselected.selected_by(divisor), source], &alarms);
        let upkeep = Upkeep {
            journal: journal.clone(),
            data_dir: config.segments.data_dir.clone(),
            segments: segments.clone(),
            pinner: Arc::clone(&pinner),
            store: store.clone(),
            keep_days: config.segments.keep_days,
        };
        let services = Services {
            journal,
            segments,
            settlement: Arc::clone(&source.settlement),
            pinner,
            prover,
            unselected,
            alarms,
            stop: stop.clone(),
            finished,
        };
        let options = PipelineOptions {
            block_divisor: divisor,
            verify: config.segments.verify,
            chain_spec,
            limits: limits(&config.intake),
            max_inflight_bytes: to_usize(config.intake.max_inflight_bytes),
            max_open_blocks: config.intake.max_open_blocks,
            cpu_tasks: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            shutdown_timeout: config.shutdown_timeout,
        };
        let pipeline = Pipeline::new(services, options);
        let settlement = source.settlement;
        Ok(Self {
            status,
            pipeline,
            alarms: shared_alarms,
            deliveries: source.deliveries,
            upkeep,
            store,
            pin_servers,
            settlement,
            stop,
        })
    }

    /// What the agent is doing, for as long as it runs.
    pub fn status(&self) -> Observed {
        Observed { status: self.status.clone(), pipeline: self.pipeline.clone() }
    }

    /// Where programs of this machine find the pinned segments, if the agent keeps and serves them.
    pub fn pins_served_at(&self) -> Option<SocketAddr> {
        self.pin_servers.as_ref().and_then(PinServers::address)
    }

    /// Works until it is stopped, or its source ends or refuses.
    ///
    /// # Errors
    ///
    /// The source's refusal, or the failure of a part. Either way nothing is in flight on return.
    pub async fn run(self) -> Result<(), AgentError> {
        let watch = self.status.clone().watch(
            self.pipeline.clone(),
            self.settlement,
            self.pipeline.journal(),
        );
        let pipeline = self.pipeline.clone();
        let stop = self.stop.child_token();
        let _stop_with_this = stop.clone().drop_guard();
        let (watch, upkeep) = (
            self.alarms.clone().guard("the task that watches the backlog", watch),
            self.alarms.clone().guard("the task that removes what is old", self.upkeep.run()),
        );
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
        tokio::spawn(stop.clone().run_until_cancelled_owned(upkeep));
        if let Some(store) = self.store {
            tokio::spawn(stop.clone().run_until_cancelled_owned(pins::observe(store)));
        }
        let serving = self.pin_servers.map(|servers| {
            let serving = servers.serve(self.alarms.clone(), stop.clone());
            tokio::spawn(self.alarms.clone().guard("the server of the pins", serving))
        });
        let working = self.pipeline.run(self.deliveries);
        let mut working =
            pin!(self.alarms.clone().guard("the task that reads the source", working));
        let ended = tokio::select! {
            ended = &mut working => ended,
            _ = self.alarms.failed() => {
                // What is in flight comes to a rest, as at any stop.
                self.stop.cancel();
                working.await;
                None
            }
        };
        stop.cancel();
        if let Some(serving) = serving {
            // Answers that are under way get some seconds.
            let _ = serving.await;
        }
        report::ended(&pipeline.status(), self.status.uptime());
        match ended {
            Some(ended) => Ok(ended?),
            None => Err(self.alarms.failed().await.into()),
        }
    }
}

fn limits(intake: &IntakeConfig) -> MessageLimits {
    MessageLimits {
        max_message_bytes: to_usize(intake.max_message_bytes),
        max_decoded_bytes: to_usize(intake.max_decoded_bytes),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
