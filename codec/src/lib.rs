#![doc = include_str!("../README.md")]
//!
//! # The way of a block
//!
//! ```text
//! consensus types ─ convert ─► Replica ─ rlp ─► snappy ─► a stream's entry
//!                                 ▲              └─ chunk ─► a file of many
//!                                 │ rlp, back
//!                              Segment ─ avro ─► the file ─► digest: specimen hash
//!                                 └ json            └──────► dag: CID ─► car
//! ```
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`replica`] | the records that all forms share |
//! | [`convert`] | from a block's consensus types to a replica, back, and the roots its header commits to |
//! | [`rlp`], [`snappy`], [`chunk`] | the producer's side: a replica on the stream and in `file://` chunks |
//! | [`supplement`] | what the network's format leaves out of a block, beside its replica |
//! | [`avro`], [`json`] | the agent's side: the segment that is stored and proved, and how it is printed |
//! | [`digest`], [`dag`], [`car`] | the segment's specimen hash, its identifier in IPFS, and an archive of its blocks |
//! | [`foreign`] | what is not a replica, by its name |
//! | [`limits`] | how much readers take |
//! | [`path`] | how errors name a field |
//!
//! The feature `arbitrary` adds generators of replicas for property tests.
//!
//! # Profiles
//!
//! Writers are told a [`Profile`]. [`Profile::Network`] yields the network's own bytes, so the
//! specimen hash can join a quorum. [`Profile::Complete`] keeps what the network's producer leaves
//! out; such a file has a label of its own ([`avro::COMPLETE_CODEC_VERSION`]).
//!
//! # Limits and errors
//!
//! No input is trusted. Readers check a length against the bytes that remain and against a
//! [budget](limits) before they make room, don't recurse where an input says so, and don't panic.
//! Functions that end in `_within` take smaller limits than the default.
//!
//! What is not as it must be is a typed error that says where: the field's path
//! (`Transactions[3].gasPrice`), its offset in a binary form, and what was expected.
//!
//! # Example
//!
//! ```
//! use alloy_consensus::{Header, Receipt};
//! use bsp_codec::{
//!     Profile, ReplicaKind, Segment, StateSpecimen, avro,
//!     convert::{SourceBlock, export_block},
//!     dag, digest, limits, rlp, snappy,
//! };
//!
//! // The producer: a block (here an empty one) and what its execution read.
//! let header = Header { number: 1, base_fee_per_gas: Some(7), ..Header::default() };
//! let block = SourceBlock::<Receipt> {
//!     network_id: 1,
//!     header: &header,
//!     transactions: &[],
//!     ommers: &[],
//!     withdrawals: None,
//!     senders: &[],
//!     receipts: &[],
//! };
//! let read = StateSpecimen::default();
//! let replica = export_block(&block, read, ReplicaKind::Replica, Profile::Network)?;
//! let entry = snappy::compress(&rlp::encode_replica(&replica, Profile::Network)?)?;
//!
//! // The agent: the stream's entry becomes a file with a hash and an identifier.
//! let received = rlp::decode_replica(&snappy::decompress(&entry, limits::MAX_INPUT_BYTES)?)?;
//! assert_eq!(received, replica);
//! let file = avro::encode_segment(&Segment::of(received), Profile::Network)?;
//! println!("{} {}", digest::specimen_hash(&file), dag::cid_of(&file));
//! assert_eq!(avro::decode_segment(&file)?.replica, replica);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod avro;
pub mod car;
pub mod chunk;
pub mod convert;
pub mod dag;
pub mod digest;
pub mod foreign;
pub mod json;
mod layout;
pub mod limits;
pub mod path;
pub mod replica;
pub mod rlp;
pub mod snappy;
pub mod supplement;
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
