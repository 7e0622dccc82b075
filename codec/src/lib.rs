//! The formats of block specimens, block results and block replicas.
//!
//! No I/O and nothing asynchronous in here: bytes in, values out, and back.

pub mod avro;
pub mod json;
mod layout;
pub mod path;
pub mod replica;
#[cfg(test)]
mod testing;
mod text;

pub use replica::{
    AccountRead, BlockhashRead, CODEC_VERSION, CodeRead, Profile, Replica, ReplicaAuthorization,
    ReplicaKind, ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment,
    StateSpecimen, StorageRead, UnknownReplicaKind,
};
pub use text::TextFault;
