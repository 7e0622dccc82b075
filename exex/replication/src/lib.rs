//! Targets that a producer delivers block replicas to: a Redis stream, or a folder of chunk files.
//!
//! What arrives is what bsp-geth v2.2.0 sends to the same [URL](TargetUrl), so its consumers can't tell the
//! difference, but for what that producer loses: a target here has durably taken a batch once
//! [`Target::deliver`] returns, and is waited for when it does not answer. There is no limit on a
//! stream's length, which would remove entries that nobody has read.
//!
//! Delivery is at least once. A batch whose acceptance is not known is sent again, so consumers tell
//! duplicates by the block's hash, as they have to with bsp-geth v2.2.0 too.
//!
//! ```no_run
//! # async fn example(replica: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
//! use bsp_replication::{Entry, TargetUrl, open_target};
//! use tokio_util::sync::CancellationToken;
//!
//! let stop = CancellationToken::new();
//! for url in TargetUrl::parse_list("redis://localhost/0?topic=replication,file:///var/lib/replicas")? {
//!     let mut target = open_target(&url, &stop)?;
//!     target.deliver(&[Entry { hash: Default::default(), number: 1, replica: replica.clone() }]).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod chain;
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
    file::FileTarget,
    health::TargetHealth,
    producer::{
        Producer, ProducerConfig, ProducerError, StartBlock, Status, TargetState, TargetStatus,
    },
    redis::RedisTarget,
    target::{Entry, Target, TargetError, open_target},
    url::{RedisUrl, TargetUrl, TargetUrlError},
};
