//! What has happened to each block, across crashes.

mod record;

pub use record::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification};
