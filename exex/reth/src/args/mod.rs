//! Command line options of the node.

mod values;

pub use values::{Deliver, Register, TargetList, TargetListError, TargetListParser};

use bsp_codec::ReplicaKind;
use bsp_common::ByteSize;
use bsp_replication::{FileOptions, ProducerConfig, RedisOptions, StartBlock, TargetOptions};
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};
use values::parse_start_block;

/// Either of these turns the producer on.
const SWITCHES: &str = "bsp_switches";

/// Where the cursors are in the node's data directory.
const CURSORS: &str = "bsp/cursors.redb";

/// The block specimen producer's options for `reth node`, with the flags of bsp-geth v2.2.0 as
/// aliases.
///
/// Turned on by `--exex.bsp` or by naming targets; other options without one of these are refused.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    next_help_heading = "Block specimen producer",
    group = ArgGroup::new(SWITCHES).multiple(true)
)]
pub struct BspArgs {
    /// Deliver a replica of every canonical block: the block, its receipts, and the state that its
    /// execution read.
    ///
    /// Alone it delivers everything to the Redis stream `replication` on this host.
    #[arg(id = "bsp_enabled", long = "exex.bsp", group = SWITCHES)]
    pub enabled: bool,

    /// Where to deliver, with commas between URLs. Every target gets every block. Turns the
    /// producer on.
    ///
    /// `redis://[user:password@]host[:port][/db]?topic=KEY`, the same with `rediss` for TLS, or
    /// `file:///folder`. For `rediss`, REDIS_TLS_CA_FILE may name a file of certificate authorities
    /// to trust instead of the built-in ones, and REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE a
    /// certificate to show and its key. If there is a password in a URL, use the environment
    /// variable: everybody on the host can see a process's arguments. A variable that is empty
    /// counts as not set.
    ///
    /// [default: redis://127.0.0.1:6379/?topic=replication]
    #[arg(
        id = "bsp_targets",
        long = "exex.bsp.targets",
        alias = "replication.targets",
        env = "BSP_TARGETS",
        hide_env_values = true,
        value_name = "URLS",
        value_parser = TargetListParser,
        group = SWITCHES
    )]
    pub targets: Option<TargetList>,

    /// Deliver the block and the state that its execution read: a block-specimen.
    ///
    /// With neither or both of this and `--exex.bsp.result`, a block-replica is delivered, which
    /// has everything. The network's agents want block-replicas.
    #[arg(
        id = "bsp_specimen",
        long = "exex.bsp.specimen",
        alias = "replica.specimen",
        requires = SWITCHES
    )]
    pub specimen: bool,

    /// Deliver the block and its receipts: a block-result.
    #[arg(
        id = "bsp_result",
        long = "exex.bsp.result",
        alias = "replica.result",
        requires = SWITCHES
    )]
    pub result: bool,

    /// Has no effect: with bsp-geth it was needed for a block-replica.
    #[arg(id = "bsp_blob", long = "exex.bsp.blob", alias = "replica.blob", hide = true)]
    pub blob: bool,

    /// The first block that a new target gets: a number, `genesis` for the chain's first block that
    /// has a specimen (that of London, or block 1), or `latest` for what follows the tip of the
    /// first start, or that of the end of the node's sync if it has yet to sync. A target that has
    /// been delivered to before continues where it was.
    ///
    /// A node that has pruned its history can only go back to where that begins.
    #[arg(
        id = "bsp_start_block",
        long = "exex.bsp.start-block",
        value_name = "NUMBER|latest|genesis",
        value_parser = parse_start_block,
        default_value = "latest",
        requires = SWITCHES
    )]
    pub start_block: StartBlock,

    /// When a block is delivered. Later means later proofs, and fewer blocks that turn out to be
    /// orphaned.
    #[arg(
        id = "bsp_deliver",
        long = "exex.bsp.deliver",
        value_name = "WHEN",
        value_enum,
        default_value_t,
        requires = SWITCHES
    )]
    pub deliver: Deliver,

    /// How many blocks are executed at once while a target is behind, each on a thread of its own.
    /// More catch up faster and leave less of the processor to the node.
    #[arg(
        id = "bsp_workers",
        long = "exex.bsp.workers",
        value_name = "THREADS",
        value_parser = clap::value_parser!(u16).range(1..=256),
        default_value_t = default_workers(),
        requires = SWITCHES
    )]
    pub workers: u16,

    /// The most memory for replicas that wait for a target: bytes, or with KiB, MiB or GiB. A
    /// replica of mainnet has 2 to 4 MB; a single one that is larger than this is delivered all the
    /// same, by itself.
    #[arg(
        id = "bsp_memory_budget",
        long = "exex.bsp.memory-budget",
        value_name = "BYTES",
        default_value_t = default_memory_budget(),
        requires = SWITCHES
    )]
    pub memory_budget: ByteSize,

    /// A target that is further behind the tip than this, and gets no nearer, is reported in the
    /// log and in metrics.
    #[arg(
        id = "bsp_max_behind",
        long = "exex.bsp.max-behind",
        value_name = "BLOCKS",
        default_value_t = ProducerConfig::default().max_behind,
        requires = SWITCHES
    )]
    pub max_behind: u64,

    /// Skip blocks whose state the node has pruned, instead of waiting there. What was skipped is
    /// counted, and this node can't deliver it any more.
    #[arg(id = "bsp_skip_pruned", long = "exex.bsp.skip-pruned", requires = SWITCHES)]
    pub skip_pruned: bool,

    /// Pause a Redis target, with an alarm, while its stream takes more memory than this: bytes, or
    /// with KiB, MiB or GiB; 0 for no limit. What has not been acknowledged by every group is never
    /// trimmed, so without agents a stream only grows.
    #[arg(
        id = "bsp_redis_byte_budget",
        long = "exex.bsp.redis-byte-budget",
        value_name = "BYTES",
        default_value_t = ByteSize(RedisOptions::DEFAULT_BYTE_BUDGET),
        requires = SWITCHES
    )]
    pub redis_byte_budget: ByteSize,

    /// Pause a folder, with an alarm, while its chunks take more of the disk than this: bytes, or
    /// with KiB, MiB or GiB; 0 for no limit. Mainnet has about 13 GB a day, and chunks stay until
    /// the folder's consumer removes them.
    #[arg(
        id = "bsp_file_byte_budget",
        long = "exex.bsp.file-byte-budget",
        value_name = "BYTES",
        default_value_t = ByteSize(0),
        requires = SWITCHES
    )]
    pub file_byte_budget: ByteSize,

    /// Pause a folder, with an alarm, while its disk has less free than this: bytes, or with KiB,
    /// MiB or GiB; 0 to fill it. A node ends when the disk of its database is full.
    #[arg(
        id = "bsp_file_min_free",
        long = "exex.bsp.file-min-free",
        value_name = "BYTES",
        default_value_t = ByteSize(FileOptions::DEFAULT_MIN_FREE),
        requires = SWITCHES
    )]
    pub file_min_free: ByteSize,

    /// The file that remembers up to which block every target has everything. One process at a time
    /// can use it.
    ///
    /// [default: bsp/cursors.redb in the data directory]
    #[arg(
        id = "bsp_cursors",
        long = "exex.bsp.cursors",
        value_name = "FILE",
        requires = SWITCHES
    )]
    pub cursors: Option<PathBuf>,

    /// Whether to register as an Execution Extension. That keeps a node from pruning at the tip
    /// what is still needed, and costs a few milliseconds of processor time for each block.
    #[arg(
        id = "bsp_register",
        long = "exex.bsp.register",
        value_name = "WHERE",
        value_enum,
        default_value_t,
        requires = SWITCHES
    )]
    pub register: Register,
}

fn default_workers() -> u16 {
    u16::try_from(ProducerConfig::default().workers).unwrap_or(u16::MAX)
}

fn default_memory_budget() -> ByteSize {
    ByteSize(ProducerConfig::default().memory_budget as u64)
}

impl Default for BspArgs {
    fn default() -> Self {
        let config = ProducerConfig::default();
        Self {
            enabled: false,
            targets: None,
            specimen: false,
            result: false,
            blob: false,
            start_block: config.start_block,
            deliver: Deliver::default(),
            workers: default_workers(),
            memory_budget: default_memory_budget(),
            max_behind: config.max_behind,
            skip_pruned: config.skip_pruned,
            redis_byte_budget: ByteSize(RedisOptions::DEFAULT_BYTE_BUDGET),
            file_byte_budget: ByteSize(0),
            file_min_free: ByteSize(FileOptions::DEFAULT_MIN_FREE),
            cursors: None,
            register: Register::default(),
        }
    }
}

impl BspArgs {
    /// The options of `--exex.bsp` alone.
    pub fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// Whether anything is to be delivered.
    pub fn is_enabled(&self) -> bool {
        self.enabled || self.named_targets().is_some()
    }

    /// Whether options are given that do nothing because nothing turns the producer on. clap
    /// refuses that, unless an environment variable for the targets is set but empty.
    pub(crate) fn are_idle(&self) -> bool {
        let only_targets = Self { targets: self.targets.clone(), ..Self::default() };
        !self.is_enabled() && *self != only_targets
    }

    /// Where to deliver.
    pub fn targets(&self) -> TargetList {
        self.named_targets().cloned().unwrap_or_default()
    }

    /// The targets that are named. An environment variable that is set but empty names none.
    pub(crate) fn named_targets(&self) -> Option<&TargetList> {
        self.targets.as_ref().filter(|targets| !targets.is_empty())
    }

    /// What is delivered of a block.
    pub const fn kind(&self) -> ReplicaKind {
        kind_of(self.specimen, self.result)
    }

    /// How targets are written to. The environment may name files for TLS.
    pub fn target_options(&self) -> TargetOptions {
        TargetOptions::from_env().with_limits(
            self.redis_byte_budget.0,
            self.file_byte_budget.0,
            self.file_min_free.0,
        )
    }

    /// How the producer works. `data_dir` is that of the node.
    pub fn producer_config(&self, data_dir: &Path) -> ProducerConfig {
        let defaults = ProducerConfig::default();
        ProducerConfig {
            cursors: self.cursors.clone().unwrap_or_else(|| data_dir.join(CURSORS)),
            start_block: self.start_block,
            deliver: self.deliver.into(),
            workers: self.workers.into(),
            memory_budget: usize::try_from(self.memory_budget.0).unwrap_or(usize::MAX),
            max_behind: self.max_behind,
            skip_pruned: self.skip_pruned,
            ..defaults
        }
    }
}

/// What is delivered if these two flags are given. In bsp-geth v2.2.0 both without `--replica.blob`
/// export nothing; here they mean what their names say.
pub const fn kind_of(specimen: bool, result: bool) -> ReplicaKind {
    match (specimen, result) {
        (true, false) => ReplicaKind::Specimen,
        (false, true) => ReplicaKind::Result,
        (true, true) | (false, false) => ReplicaKind::Replica,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_replication::DeliverAt;
    use clap::{Parser, builder::TypedValueParser, error::ErrorKind};

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        bsp: BspArgs,
    }

    fn parse(args: &[&str]) -> Result<BspArgs, clap::Error> {
        let args = std::iter::once(&"node").chain(args);
        Node::try_parse_from(args).map(|node| node.bsp)
    }

    #[test]
    fn defaults_are_those_of_the_command_line() {
        assert_eq!(parse(&[]).unwrap(), BspArgs::default());
        assert!(!BspArgs::default().is_enabled());
        assert_eq!(parse(&["--exex.bsp"]).unwrap(), BspArgs::enabled());
    }

    #[test]
    fn one_flag_is_enough() {
        let args = parse(&["--exex.bsp"]).unwrap();
        assert!(args.is_enabled());
        assert_eq!(args.kind(), ReplicaKind::Replica);
        assert_eq!(args.targets().to_string(), "redis://127.0.0.1:6379/0?topic=replication");
        let config = args.producer_config(Path::new("/data"));
        assert_eq!(config.cursors, Path::new("/data/bsp/cursors.redb"));
        assert_eq!(config.deliver, DeliverAt::Committed);
    }

    #[test]
    fn what_operators_of_bsp_geth_write_works() {
        let args = parse(&[
            "--replication.targets",
            "redis://localhost:6379/?topic=replication,file:///replicas",
            "--replica.result",
            "--replica.specimen",
            "--replica.blob",
        ])
        .unwrap();
        assert!(args.is_enabled());
        assert_eq!(args.kind(), ReplicaKind::Replica);
        assert_eq!(args.targets().len(), 2);
    }

    #[test]
    fn every_option_arrives() {
        let args = parse(&[
            "--exex.bsp.targets=file:///replicas",
            "--exex.bsp.specimen",
            "--exex.bsp.start-block=17",
            "--exex.bsp.deliver=finalized",
            "--exex.bsp.workers=5",
            "--exex.bsp.memory-budget=64MB",
            "--exex.bsp.max-behind=9",
            "--exex.bsp.skip-pruned",
            "--exex.bsp.redis-byte-budget=2GB",
            "--exex.bsp.file-byte-budget=100GiB",
            "--exex.bsp.file-min-free=50GiB",
            "--exex.bsp.cursors=/elsewhere/c.redb",
            "--exex.bsp.register=always",
        ])
        .unwrap();
        assert_eq!(args.register, Register::Always);
        assert_eq!(args.kind(), ReplicaKind::Specimen);
        let TargetOptions { redis, file } = args.target_options();
        assert_eq!(redis.byte_budget, Some(2 << 30));
        let (byte_budget, min_free) = (Some(100 << 30), 50 << 30);
        assert_eq!(file, FileOptions { byte_budget, min_free });
        let config = args.producer_config(Path::new("/data"));
        assert_eq!(config.start_block, StartBlock::Number(17));
        assert_eq!(config.deliver, DeliverAt::Finalized);
        assert_eq!((config.workers, config.memory_budget), (5, 64 << 20));
        assert_eq!((config.max_behind, config.skip_pruned), (9, true));
        assert_eq!(config.cursors, Path::new("/elsewhere/c.redb"));
    }

    #[test]
    fn targets_have_limits_unless_they_are_taken_away() {
        let default = TargetOptions::from_env();
        assert_eq!(parse(&["--exex.bsp"]).unwrap().target_options(), default);
        assert!(default.redis.byte_budget.is_some() && default.file.min_free > 0);
        let limits = ["--exex.bsp.redis-byte-budget=0", "--exex.bsp.file-min-free=0"];
        let args = parse(&[["--exex.bsp"].as_slice(), &limits].concat()).unwrap();
        assert_eq!(args.target_options().redis.byte_budget, None);
        assert_eq!(args.target_options().file, FileOptions::UNLIMITED);
    }

    #[test]
    fn no_target_is_as_good_as_none_named() {
        let empty = TargetListParser.parse_ref_(
            &clap::Command::new("node"),
            None,
            "".as_ref(),
            clap::parser::ValueSource::EnvVariable,
        );
        let args = BspArgs { targets: Some(empty.unwrap()), ..BspArgs::default() };
        assert!(!args.is_enabled() && !args.are_idle());
        assert_eq!(args.targets(), TargetList::default());
        assert!(BspArgs { workers: 7, ..args.clone() }.are_idle());
        assert!(!BspArgs { workers: 7, enabled: true, ..args }.are_idle());
    }

    #[test]
    fn options_without_the_producer_are_refused_and_told_why() {
        for option in ["--exex.bsp.workers=3", "--replica.specimen", "--exex.bsp.skip-pruned"] {
            let error = parse(&[option]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{option}");
            assert!(error.to_string().contains("--exex.bsp"), "{error}");
        }
    }

    #[test]
    fn a_wrong_target_is_refused_without_its_password() {
        for targets in ["redis://me:hunter2@host", "file:///x,redis://me:hunter2@h:x?topic=t", ","]
        {
            let error = parse(&["--exex.bsp.targets", targets]).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("--exex.bsp.targets"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let shown = format!("{:?}", parse(&["--exex.bsp.targets", "redis://me:hunter2@h?topic=t"]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn numbers_have_bounds() {
        for wrong in ["workers=0", "workers=257", "start-block=first", "memory-budget=1XB"] {
            let error = parse(&["--exex.bsp", &format!("--exex.bsp.{wrong}")]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}");
        }
    }
}
