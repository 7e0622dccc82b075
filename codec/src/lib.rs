//! The formats of block specimens, block results and block replicas.
//!
//! No I/O and nothing asynchronous in here: bytes in, values out, and back.

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod avro;
pub mod car;
pub mod chunk;
pub mod convert;
pub mod dag;
pub mod digest;
pub mod json;
mod layout;
pub mod limits;
pub mod path;
pub mod replica;
pub mod rlp;
pub mod snappy;
#[cfg(test)]
mod test_data;
mod text;
mod uvarint;

pub use replica::{
    AccountRead, BlockhashRead, CODEC_VERSION, CodeRead, Profile, Replica, ReplicaAuthorization,
    ReplicaKind, ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment,
    StateSpecimen, StorageRead, UnknownReplicaKind,
};
pub use text::TextFault;
