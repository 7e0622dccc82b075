//! A Redis stream with a consumer group.
//!
//! # What an entry goes through
//!
//! ```text
//! undelivered ──► pending to a consumer ──► in flight ──► acknowledged and deleted
//!      │                  ▲     │              │   └──► buried in <topic>.dead, or the data folder
//!      │                  └─────┼── released ──┘
//!      └── trimmed ──► lost ◄───┘ trimmed
//! ```
//!
//! - A consumer's name stays the same across restarts, so what it had taken is pending to it when
//!   it comes back, and comes first.
//! - A task resets the idle time of what is in flight, and claims what nobody has touched for
//!   [`RedisSourceConfig::claim_idle`].
//! - An acknowledged entry is deleted at once if ours is the stream's only group. Otherwise, and
//!   once in a while, the stream's beginning is deleted as far as every group has acknowledged it.
//! - What is trimmed before it was handled is counted, raised as an alarm and remembered in
//!   `<topic>.lost`.
//! - A server that is full, or may not write to one of the keys, keeps nothing from being handled:
//!   only reading, acknowledging and deleting have to work, which a full server does. What can't be
//!   added goes to the data folder.
//!
//! # Servers
//!
//! Redis 6.2 or later; from 7.0 on it also tells how many entries were trimmed before anybody had
//! read them. An ACL user needs `+@stream +@transaction +@sortedset +@connection` on the keys
//! `TOPIC` and `TOPIC.*`. In a cluster, a dead letter and its acknowledgement are two steps, in
//! this order.

pub mod dead_letters;
mod group;
mod link;
mod losses;
mod overview;
mod reader;
mod refusal;
mod reply;
mod settlement;
mod upkeep;

pub use overview::{
    ConsumerOverview, GroupOverview, LostEntry, Overview, Unread, check_writes, overview,
    overview_if_there,
};

use super::{EntryId, Source, SourceError};
use crate::alarm::Alarms;
use bsp_stream::{Connector, RedisUrl, TlsFiles, connect::REPLY_DEADLINE};
use link::Link;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Which stream, and as whom to read it.
#[derive(Debug, Clone)]
pub struct RedisSourceConfig {
    /// Server, stream and group.
    pub url: RedisUrl,
    /// This consumer's name: its own within the group, and the same after a restart.
    pub consumer: String,
    /// How long an entry stays untouched before another consumer takes it over: longer than the
    /// longest pause that an agent makes. At least a second.
    pub claim_idle: Duration,
    /// Files for `rediss`.
    pub tls: TlsFiles,
    /// Where dead letters and losses go that Redis can't take: into its folder `dead` and its file
    /// `lost.jsonl`.
    pub data_dir: PathBuf,
    /// Entries whose blocks are in flight here from the start, without being delivered again. They
    /// are settled or released as others are.
    pub resumed: Vec<EntryId>,
}

/// Connects, makes the consumer group if it is not there, and begins to look after its pending
/// entries.
///
/// # Errors
///
/// Tries once: [`SourceError::Unavailable`] if the server can't be reached now,
/// [`SourceError::Refused`] if it never will be that way. Later on, only what needs the operator is
/// an error; the rest is retried until the stop.
pub async fn open(
    config: RedisSourceConfig,
    alarms: Alarms,
    stop: CancellationToken,
) -> Result<Source, SourceError> {
    let RedisSourceConfig { url, consumer, claim_idle, tls, data_dir, resumed } = config;
    let claim_idle = claim_idle.max(Duration::from_secs(1));
    let connector = Connector::new(url.clone(), &tls);
    let link =
        |role, deadline| Link::new(role, connector.clone(), deadline, alarms.clone(), stop.clone());
    let settling = Arc::new(link(settlement::ROLE, REPLY_DEADLINE));
    settlement::check(&settling, &connector).await?;
    // Operators look for this line of bsp-agent v1.9.2.
    tracing::info!(
        "Initializing Consumer: {consumer} | Redis Stream: {} | Consumer Group: {}",
        url.topic,
        url.group
    );

    let in_flight = Arc::new(reader::in_flight::InFlightEntries::default());
    for id in resumed.iter().filter_map(|entry| entry.0.parse().ok()) {
        in_flight.take(id);
    }
    let overflow =
        losses::overflow::Overflow::new(url.clone(), &data_dir, alarms.clone(), stop.clone());
    let overflow = Arc::new(overflow);
    let losses = losses::Losses::new(url.clone(), alarms.clone(), Arc::clone(&overflow));
    let losses = Arc::new(losses);
    let trimmer = Arc::new(settlement::trim::Trimmer::default());
    let claimed: Arc<AtomicBool> = Arc::default();
    let reclaimer = upkeep::PendingReclaimer {
        url: url.clone(),
        consumer: consumer.clone(),
        claim_idle,
        in_flight: Arc::clone(&in_flight),
        losses: Arc::clone(&losses),
        link: Arc::clone(&settling),
        claimed: Arc::clone(&claimed),
        trimmer: Arc::clone(&trimmer),
        alarms: alarms.clone(),
        memory: upkeep::Memory::default(),
    };
    let keeper_stop = stop.child_token();
    let keeping = reclaimer.run(keeper_stop.clone());
    tokio::spawn(alarms.clone().guard("what keeps the stream's entries", keeping));
    let settlement = settlement::RedisSettlement {
        url: url.clone(),
        in_flight: Arc::clone(&in_flight),
        link: settling,
        alarms: alarms.clone(),
        claimed: Arc::clone(&claimed),
        sole_group: settlement::SoleGroup::default(),
        trimmer,
        overflow,
        _keeper: keeper_stop.drop_guard(),
    };
    let reader = reader::StreamReader {
        url,
        consumer,
        claim_idle,
        in_flight,
        losses,
        link: link("read", reader::BLOCK + REPLY_DEADLINE),
        claimed,
        stop,
        own: reader::OwnPending::default(),
        unanswered: None,
        failures: link::Failures::default(),
    };
    Ok(Source { deliveries: Box::new(reader), settlement: Arc::new(settlement) })
}
