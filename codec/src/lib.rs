//! The formats of block specimens, block results and block replicas.
//!
//! No I/O and nothing asynchronous in here: bytes in, values out, and back.

pub mod car;
pub mod convert;
pub mod dag;
pub mod digest;
pub mod replica;

#[cfg(test)]
mod test_data;
mod uvarint;

pub use replica::{
    AccountRead, BlockhashRead, CODEC_VERSION, CodeRead, Profile, Replica, ReplicaAuthorization,
    ReplicaKind, ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment,
    StateSpecimen, StorageRead, UnknownReplicaKind,
};
