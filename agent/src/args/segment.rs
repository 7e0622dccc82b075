//! Flags about which blocks are taken, how they are checked, and where their segments are kept.

use bsp_common::ByteSize;
use std::path::PathBuf;

/// What is made of a replica, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Segments")]
pub struct SegmentArgs {
    /// Folder for all that the agent keeps: journal, segments, pinned content, ledger.
    #[arg(
        long,
        env = "BSP_AGENT_DATA_DIR",
        value_name = "FOLDER",
        default_value = "./bsp-agent-data"
    )]
    pub data_dir: PathBuf,

    /// Folder for the segment files, which must exist. [default: segments/ of --data-dir]
    #[arg(long, env = "BinaryFilePath", value_name = "FOLDER")]
    pub binary_file_path: Option<PathBuf>,

    /// AVRO schema file of segments, to compare with the schema that is built in.
    #[arg(long, env = "CodecPath", value_name = "FILE")]
    pub avro_codec_path: Option<PathBuf>,

    /// Take each block whose number is divisible by this; 1 takes all.
    #[arg(long, env = "BlockDivisor", value_name = "N", default_value_t = 3)]
    pub block_divisor: u64,

    /// Remove the segment files of blocks that are done with once they are this many days old, if
    /// the pinner gives their content back. [default: they stay]
    #[arg(long, env = "BSP_AGENT_KEEP_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: Option<u32>,

    /// Bytes of blocks that the divisor leaves out to keep under --data-dir, the oldest go first; 0
    /// keeps none.
    #[arg(long, env = "BSP_AGENT_UNSELECTED_BUDGET_BYTES", value_name = "SIZE", default_value_t = ByteSize(8 << 30))]
    pub unselected_budget_bytes: ByteSize,

    /// How a block is checked before its proof.
    #[arg(long, env = "BSP_AGENT_VERIFY", value_enum, value_name = "HOW", default_value_t = Verify::Execute)]
    pub verify: Verify,

    /// Genesis file (of geth, besu or reth) of a network that is not built in, to re-execute its
    /// blocks. It is used for its own chain id alone.
    #[arg(long, env = "BSP_AGENT_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
}

/// How a block is checked before its proof. Its header's hash always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verify {
    /// The header's hash alone.
    Off,
    /// Header, roots and senders.
    Roots,
    /// All that, and the block is re-executed from the segment's own bytes.
    Execute,
}

impl Verify {
    /// The value of `--verify`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Roots => "roots",
            Self::Execute => "execute",
        }
    }
}

impl Default for SegmentArgs {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./bsp-agent-data"),
            binary_file_path: None,
            avro_codec_path: None,
            block_divisor: 3,
            keep_days: None,
            unselected_budget_bytes: ByteSize(8 << 30),
            verify: Verify::Execute,
            genesis: None,
        }
    }
}
