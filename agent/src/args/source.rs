//! Flags about the source and the limits of what is taken from it.

use bsp_common::{ByteSize, Secret};
use clap::ArgAction;

/// Where block replicas come from, and how many are in flight at once.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Redis stream to take block replicas from:
    /// `redis[s]://[user[:password]@]host[:port]/[db]?topic=STREAM#GROUP`.
    ///
    /// The password may also come from the environment, as REDIS_PWD. The group is created if it is
    /// not there.
    #[arg(long, env = "RedisURL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<Secret<String>>,

    /// Folder of chunk files to read instead of Redis: file:///absolute/folder.
    #[arg(long, env = "BSP_AGENT_SOURCE", value_name = "URL")]
    pub source: Option<String>,

    /// Remove each chunk file of the source folder, and the supplements beside it, once all of its
    /// blocks are done with and there is a later chunk.
    ///
    /// Without it nothing in that folder is removed, and it grows as fast as the chain.
    #[arg(
        long,
        env = "BSP_AGENT_REMOVE_FINISHED_CHUNKS",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value_t = false,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub remove_finished_chunks: bool,

    /// Name of this agent in the consumer group.
    ///
    /// A restart under the same name continues with its own unfinished entries at once. No two
    /// running agents of one group may share a name. [default: the host's name and a random part,
    /// kept in the data folder]
    #[arg(long, env = "BSP_AGENT_CONSUMER_NAME", value_name = "NAME")]
    pub consumer_name: Option<String>,

    /// Seconds after which entries of another consumer that does not settle them are taken over.
    ///
    /// Entries that an agent has in flight are refreshed four times within it, so it may be shorter
    /// than a proof takes.
    #[arg(long, env = "BSP_AGENT_CLAIM_IDLE", value_name = "SECONDS", default_value_t = 600)]
    pub claim_idle: u64,

    /// Accepted for compatibility, without effect: the agent does not end itself while it waits.
    #[arg(long, env = "ConsumerPendingTimeout", value_name = "SECONDS")]
    pub consumer_timeout: Option<u64>,

    /// Largest payload taken, in bytes as they come from the source. Larger ones go to the dead
    /// letters.
    #[arg(long, env = "BSP_AGENT_MAX_MESSAGE_BYTES", value_name = "SIZE", default_value_t = ByteSize::mib(64))]
    pub max_message_bytes: ByteSize,

    /// Largest payload taken, in bytes once decompressed.
    #[arg(long, env = "BSP_AGENT_MAX_DECODED_BYTES", value_name = "SIZE", default_value_t = ByteSize::mib(256))]
    pub max_decoded_bytes: ByteSize,

    /// Approximate memory limit for blocks in flight: the bytes of their payloads and segments.
    #[arg(long, env = "BSP_AGENT_MAX_INFLIGHT_BYTES", value_name = "SIZE", default_value_t = ByteSize::mib(96))]
    pub max_inflight_bytes: ByteSize,

    /// Blocks in flight at once, including those that wait for their proof.
    #[arg(long, env = "BSP_AGENT_MAX_OPEN_BLOCKS", value_name = "N", default_value_t = 64)]
    pub max_open_blocks: usize,
}

impl Default for SourceArgs {
    fn default() -> Self {
        Self {
            redis_url: None,
            source: None,
            remove_finished_chunks: false,
            consumer_name: None,
            claim_idle: 600,
            consumer_timeout: None,
            max_message_bytes: ByteSize::mib(64),
            max_decoded_bytes: ByteSize::mib(256),
            max_inflight_bytes: ByteSize::mib(96),
            max_open_blocks: 64,
        }
    }
}
