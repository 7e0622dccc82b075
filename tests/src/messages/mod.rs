//! Stream entries to feed: a block replica as bsp-geth v2.2.0 and bsp-reth put it there, and what
//! should not be there.

pub mod dev;
pub mod mainnet;
pub mod poison;
pub mod unknown_fork;

use crate::audit::fed::{BlockRef, Expect, FedEntry, sha256};
use alloy_primitives::Bytes;
use bsp_codec::{Profile, Replica, rlp, snappy};
use redis::aio::MultiplexedConnection;

/// An entry that is not in the stream yet.
#[derive(Debug, Clone)]
pub struct Message {
    /// The `hash` field, if there is to be one.
    pub hash: Option<Vec<u8>>,
    /// The `data` field, if there is to be one.
    pub data: Option<Vec<u8>>,
    /// The `supplement` field, if there is to be one.
    pub supplement: Option<Vec<u8>>,
    /// What has to become of it.
    pub expect: Expect,
}

impl Message {
    /// The entry of a replica that has to be proved.
    ///
    /// # Errors
    ///
    /// Where the format can't express the replica.
    pub fn of(replica: &Replica) -> eyre::Result<Self> {
        Ok(Self {
            hash: Some(replica.hash.to_string().into_bytes()),
            data: Some(snappy::compress(&rlp::encode_replica(replica, Profile::Network)?)?),
            supplement: None,
            expect: Expect::Proved(block_of(replica)),
        })
    }

    /// The same with what the replica leaves out, as bsp-reth adds it.
    #[must_use]
    pub fn with_supplement(self, supplement: Option<Vec<u8>>) -> Self {
        Self { supplement, ..self }
    }

    /// The same with another expectation.
    pub fn expecting(mut self, expect: impl FnOnce(BlockRef) -> Expect) -> Self {
        if let Some(block) = self.expect.block() {
            self.expect = expect(block.clone());
        }
        self
    }

    /// Puts it at the end of a stream.
    ///
    /// # Errors
    ///
    /// Where Redis does not take it.
    pub async fn push(
        &self,
        connection: &mut MultiplexedConnection,
        topic: &str,
    ) -> eyre::Result<FedEntry> {
        let mut command = redis::cmd("XADD");
        command.arg(topic).arg("*");
        if let Some(hash) = &self.hash {
            command.arg("hash").arg(hash.as_slice());
        }
        if let Some(data) = &self.data {
            command.arg("data").arg(data.as_slice());
        }
        if let Some(supplement) = &self.supplement {
            command.arg("supplement").arg(supplement.as_slice());
        }
        if self.hash.is_none() && self.data.is_none() {
            // An entry can't be without fields.
            command.arg("other").arg("field");
        }
        let id: String = command.query_async(connection).await?;
        let payload = self.data.as_deref().map(sha256);
        Ok(FedEntry { id, payload, expect: self.expect.clone() })
    }
}

/// The block of a replica, as the auditor names it.
pub fn block_of(replica: &Replica) -> BlockRef {
    BlockRef {
        network_id: replica.network_id,
        number: replica.header.number,
        hash: replica.hash,
        kind: replica.kind.file_suffix().to_owned(),
    }
}

/// A block that differs from another one in its header's extra data alone, so that all that its
/// header commits to still fits: the same work under another hash.
pub fn variant(replica: &Replica, number: u64) -> Replica {
    let mut variant = replica.clone();
    variant.header.extra_data = Bytes::from(format!("variant {number}").into_bytes());
    variant.hash = variant.header.hash_slow();
    variant
}
