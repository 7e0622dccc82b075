//! The chunk files that bsp-geth v2.2.0 writes for a `file://` target, as bytes.
//!
//! A chunk is records back to back, with nothing between them:
//!
//! ```text
//! snappy( RLP( [ block hash as text, replica's RLP as a string ] ) )
//! ```
//!
//! A raw snappy block doesn't state how long it is, so the end of a record is found by walking its
//! tags until they have made as many bytes as the block announces. What remains when the bytes end
//! earlier is a torn tail: the record that a crash interrupted.
//!
//! Beside a chunk there may be a file with the [supplements](crate::supplement) of its blocks
//! ([`ChunkName::supplements`]), which bsp-geth does not write. It has the form of a chunk, with
//! the supplement in the replica's place, and a record only for each block that lacks something. A
//! supplement is on disk before its block's record is in the chunk, so after a crash there may be
//! one whose block is not there, and a torn tail.

mod error;
mod name;
mod reader;
mod record;
mod stream;

pub use error::{ChunkError, ChunkErrorKind};
pub use name::{ChunkName, ParseChunkNameError};
pub use reader::ChunkReader;
pub use record::{ChunkRecord, LocatedRecord, encode_record};
pub use stream::ChunkStream;

/// A chunk that has at least this many bytes is closed, and the next one opened. The producer
/// checks after each batch of records, so its chunks are up to a batch longer.
pub const CHUNK_ROTATE_BYTES: u64 = 5 * 1024 * 1024;

/// The longest record whose replica has at most `max_replica_bytes`: there is a hash's text beside
/// it, and the prefixes of three items.
const fn max_record_bytes(max_replica_bytes: usize) -> usize {
    max_replica_bytes.saturating_add(128)
}
