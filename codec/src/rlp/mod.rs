//! A replica as RLP: the payload of a stream entry, before snappy.
//!
//! The layout is the one that bsp-geth v2.2.0 writes and bsp-agent v1.9.2 reads: a list of 12
//! items, [`Replica`](crate::Replica)'s fields in order. It is plain Ethereum RLP, in which an
//! absent number and zero are the same byte (`80`), and an absent list and an empty one are too
//! (`c0`).
//!
//! # What decoding makes of those
//!
//! | bytes | value |
//! |---|---|
//! | `80` at `from`, `to`, `v`, `r`, `s`, `withdrawalsRoot` | `None` |
//! | `80` at `blobFeeCap`, `blobGasUsed`, `excessBlobGas` | `Some(0)` |
//! | a transaction that ends before `blobHashes` | `blob_hashes: None` |
//! | a transaction that ends before `blobGas` | `blob_gas: Some(0)` |
//! | `80` at `Data` with an `AuthList` behind it | `data: None`, a place holder |
//! | `80` at `Data` as the last item | `data: Some("")` |
//! | `c0` at `Withdrawals`, `BlobTxSidecars` | `Some(vec![])` |
//!
//! For every `x` that [`decode_replica`] returns, `decode_replica(encode_replica(x, x.profile()))`
//! is `x` again.

mod decode;
mod encode;
mod error;
mod read;
mod write;

pub use decode::{
    BLOB_BYTES, COMMITMENT_BYTES, PROOF_BYTES, decode_replica, decode_replica_bytes,
    decode_replica_bytes_within, decode_replica_within,
};
pub use encode::{encode_replica, encoded_replica_len};
pub use error::{RlpDecodeError, RlpEncodeError, RlpErrorKind};

pub(crate) use read::{Items, Record};
pub(crate) use write::{Fields, Sink, encode_list};

#[cfg(test)]
mod tests;
