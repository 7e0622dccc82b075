//! CARv1 as it streams in and out: archives with any number of roots, whose blocks are kept or sent
//! as they come. (The codec's own CAR is that of one file, whole in memory.)

mod read;
mod write;

pub use read::{CarItem, CarReadError, CarReader};
pub(super) use write::{header, section};

use bsp_codec::dag::Cid;
use serde::{Deserialize, Serialize};

/// The header, a dag-cbor map of nothing else: a field more could be of any depth.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    roots: Vec<Cid>,
    version: u64,
}
