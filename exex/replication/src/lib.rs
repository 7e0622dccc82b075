//! Targets that a producer delivers block replicas to: a Redis stream, or a folder of chunk files.
//!
//! What arrives is what bsp-geth v2.2.0 sends to the same [URL](TargetUrl), so its consumers can't tell the
//! difference, but for what that producer loses, and what its format leaves out, which comes
//! [beside it](Entry::supplement): a target here has durably taken a batch once
//! [`Target::deliver`] returns, and is waited for when it does not answer; [`Target::health`] shows why. Nothing is
//! removed from a stream that some consumer group has yet to acknowledge: a stream that grows too large is
//! waited for as well, see [`RedisOptions`].
//!
//! Delivery is at least once. A batch whose acceptance is not known is looked for at the target's end before it is
//! sent again, also by the next process, so duplicates are rare: see [`RedisTarget`] for when they remain.
//! Consumers tell them by the block's hash, as they have to with bsp-geth v2.2.0 too.
//!
//! ```no_run
//! # async fn example(replica: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
//! use bsp_replication::{Entry, RedisOptions, TargetUrl, open_target};
//! use tokio_util::sync::CancellationToken;
//!
//! let stop = CancellationToken::new();
//! for url in TargetUrl::parse_list("redis://localhost/0?topic=replication,file:///var/lib/replicas", None)? {
//!     let mut target = open_target(&url, &RedisOptions::default(), &stop)?;
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
mod outage;
mod producer;
mod redis;
mod target;
mod url;

pub use self::{
    chain::{Chain, ChainError, DeliverAt, ProduceError, Product},
    deferred::DeferredTarget,
    file::FileTarget,
    health::TargetHealth,
    producer::{
        Producer, ProducerConfig, ProducerError, SkippedRange, StartBlock, Status, TargetState,
        TargetStatus,
    },
    redis::{RedisOptions, RedisTarget},
    target::{Entry, Mark, Target, TargetError, attach_target, open_target},
    url::{TargetUrl, TargetUrlError, TargetUrlProblem},
};
