//! How a stream is written to.

use bsp_stream::TlsFiles;
use std::{
    process,
    time::{SystemTime, UNIX_EPOCH},
};

/// How a Redis stream is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// Nothing is added while the stream takes this many bytes of the server's memory or more: the
    /// target waits until its consumers have caught up. `None` for any number.
    ///
    /// The server's own figure is compared (`MEMORY USAGE`). It is exact up to 256 nodes, as many
    /// entries of mainnet size; of a longer stream it is those first 256's mean, times the number
    /// of nodes, so it can be wrong by as much as the oldest blocks differ from the others. What
    /// one pipeline adds, 16 MiB before compression or one larger block, comes on top.
    pub byte_budget: Option<u64>,
    /// Whether entries that every consumer group has acknowledged are removed from the stream.
    /// Without a group nothing is ever removed, nor is what one group has yet to read or to
    /// acknowledge. A group that is made later finds what is left.
    pub trim_acknowledged: bool,
    /// Who adds, for servers that keep apart what was added already (Redis 8.6 and later, `XADD …
    /// IDMP`). Programs with the same name, one after the other or beside each other, add a block
    /// once.
    pub producer_id: String,
    /// Files for `rediss://`. They are read at each connection; one that can't be used is waited
    /// for.
    pub tls: TlsFiles,
}

impl RedisOptions {
    /// The budget unless another is set: 8 GiB, more than half a day of mainnet's blocks.
    pub const DEFAULT_BYTE_BUDGET: u64 = 8 << 30;
    /// The producer's name unless another is set.
    pub const DEFAULT_PRODUCER_ID: &str = "bsp-reth";

    /// The defaults, with the files for `rediss://` that the environment names, as the agent takes
    /// them.
    pub fn from_env() -> Self {
        Self { tls: TlsFiles::from_env(), ..Self::default() }
    }

    /// The same for a program that adds blocks again which others have added before, and which
    /// consumers may have deleted since: under a name that nobody has used. Under that of others, a
    /// server that remembers producers would take such a block for a repetition, and add nothing.
    #[must_use]
    pub fn with_producer_id_of_its_own(self) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let producer_id =
            format!("{}-{}-{}", self.producer_id, since_1970.as_nanos(), process::id());
        Self { producer_id, ..self }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            byte_budget: Some(Self::DEFAULT_BYTE_BUDGET),
            trim_acknowledged: true,
            producer_id: Self::DEFAULT_PRODUCER_ID.to_owned(),
            tls: TlsFiles::default(),
        }
    }
}
