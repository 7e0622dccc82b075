#![doc = include_str!("../README.md")]
//!
//! # Producing
//!
//! A [`Producer`] has a thread for each target. It compares the target's cursor with the [`Chain`],
//! has the next blocks executed by a pool of threads that all targets share, hands them to the
//! [`Target`] in order, a parent before its children, and writes the cursor once the target has
//! confirmed them.
//!
//! ```text
//!  Chain ◄── compare ── lane of a target ── deliver ──► Target: RedisTarget, FileTarget or yours
//!    ▲                    │    ▲    │
//!    │ Chain::produce     │    │    └─ confirmed ─► cursors file
//!    └── pool of threads ◄┘    └ replicas in order, within the memory budget
//! ```
//!
//! - A notification of the node is only a reason to look: [`Producer::wake`]. However many are
//!   lost, no block is.
//! - A target gets every canonical block from its start block on. After a reorganisation it gets
//!   the new branch from the common ancestor on.
//! - What can't be produced keeps the cursor where it is, and [`Status`] says why. Only blocks for
//!   which no specimen is defined are skipped, and pruned ones if [`ProducerConfig::skip_pruned`]
//!   says so: see [`SkippedRange`].
//! - A target that hangs or panics holds up no other, and nothing here ends the process.
//!
//! # Targets
//!
//! What arrives is what bsp-geth v2.2.0 sends to the same [URL](TargetUrl), so its consumers can't
//! tell the difference, but for what that producer loses, and what its format leaves out, which
//! comes [beside it](Entry::supplement): a target here has durably taken a batch once
//! [`Target::deliver`] returns, and is waited for when it does not answer; [`Target::health`] shows
//! why. Nothing is removed from a stream that some consumer group has yet to acknowledge: a stream
//! that grows too large is waited for as well, see [`RedisOptions`], and so is a folder that does,
//! or a disk that runs low: see [`FileOptions`].
//!
//! Delivery is at least once. A batch whose acceptance is not known is looked for at the target's
//! end before it is sent again, also by the next process, so duplicates are rare: see
//! [`RedisTarget`] for when they remain. Consumers tell them by the block's hash, as they have to
//! with bsp-geth v2.2.0 too.
//!
//! ```no_run
//! # async fn example(replica: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
//! use bsp_replication::{Entry, TargetOptions, TargetUrl, open_target};
//! use tokio_util::sync::CancellationToken;
//!
//! let stop = CancellationToken::new();
//! let urls = "redis://localhost/0?topic=replication,file:///var/lib/replicas";
//! for url in TargetUrl::parse_list(urls, None)? {
//!     let mut target = open_target(&url, &TargetOptions::default(), &stop)?;
//!     let (hash, replica) = (Default::default(), replica.clone());
//!     target.deliver(&[Entry { hash, number: 1, replica, supplement: None }]).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod chain;
mod deferred;
pub mod failpoint;
mod file;
mod health;
mod measured_size;
mod open;
mod outage;
mod producer;
mod redis;
mod target;
mod url;

pub use self::{
    chain::{Chain, ChainError, DeliverAt, ProduceError, ProducedBlock},
    deferred::DeferredTarget,
    file::{FileOptions, FileTarget},
    health::TargetHealth,
    open::{TargetOptions, attach_target, open_target},
    producer::{
        CursorFile, ExportError, ExportRange, ExportStopped, Exported, Producer, ProducerConfig,
        ProducerError, SkippedRange, StartBlock, Status, TargetCursor, TargetState, TargetStatus,
        export_range,
    },
    redis::{RedisOptions, RedisTarget},
    target::{Entry, StreamPosition, Target, TargetError},
    url::{TargetUrl, TargetUrlError, TargetUrlProblem},
};
