#![doc = include_str!("../README.md")]
//!
//! The library is everything of the program but its start and its end, so that tests link the node
//! without compiling it again.

mod command;
mod cursors;
mod data_dir;
mod export;
mod signals;
mod version;

#[cfg(test)]
#[expect(unreachable_pub, reason = "it is public in the crate that it belongs to")]
#[path = "../../../tests/src/flag_table.rs"]
mod flag_table;

pub use command::{BspCommand, BspSubcommand};
pub use cursors::CursorsCommand;
pub use export::ExportCommand;
pub use version::set as set_version;

use bsp_exex::{BspArgs, BspRpcModuleValidator, InstallBsp};
use clap::Args;
use eyre::Result;
use reth::cli::Cli;
use reth_ethereum_cli::chainspec::EthereumChainSpecParser;
use reth_node_ethereum::EthereumNode;
use std::path::PathBuf;
use tracing::info;

/// The program's command line: reth's, with more.
pub type BspCli = Cli<EthereumChainSpecParser, NodeArgs, BspRpcModuleValidator, BspCommand>;

/// What `bsp-reth node` takes beside reth's own options.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    bsp: BspArgs,

    /// The folder of log files, as `--log.file.directory`: a flag of bsp-geth v2.2.0.
    #[arg(long = "log.folder", value_name = "PATH", hide = true)]
    log_folder: Option<PathBuf>,
}

/// Does what the command line says. A node runs until it is told to stop.
///
/// # Errors
///
/// Where the command fails.
pub fn run(mut cli: BspCli) -> Result<()> {
    set_log_folder(&mut cli)?;
    cli.run(async move |builder, args| {
        info!(target: "reth::cli", "Launching node");
        let node = builder.node(EthereumNode::default()).install_bsp(args.bsp);
        let handle = node.launch_with_debug_capabilities().await?;
        handle.wait_for_node_exit().await
    })
}

/// `--log.folder` is an option of the node, the log that of the program.
fn set_log_folder(cli: &mut BspCli) -> Result<()> {
    let folder = cli.as_node_command_mut().and_then(|node| node.ext.log_folder.take());
    if let Some(folder) = folder {
        let folder = folder.to_str().ok_or_else(|| eyre::eyre!("--log.folder is not UTF-8"))?;
        cli.logs.log_file_directory = folder.parse()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, CommandFactory, Parser};
    use std::path::Path;

    #[test]
    fn the_command_line_has_no_contradictions() {
        BspCli::command().debug_assert();
    }

    #[test]
    fn the_guide_has_every_flag_of_the_producer() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/NODE.md");
        let producer = BspArgs::augment_args(Command::new("node"));
        flag_table::check(&guide, &flag_table::table(producer));
    }

    #[test]
    fn what_operators_of_bsp_geth_write_is_taken() {
        let mut cli = BspCli::parse_from([
            "bsp-reth",
            "node",
            "--replication.targets",
            "redis://localhost:6379/?topic=replication",
            "--replica.specimen",
            "--replica.result",
            "--replica.blob",
            "--log.folder",
            "/logs",
            "--http",
            "--http.api",
            "eth,bsp",
        ]);
        set_log_folder(&mut cli).unwrap();
        assert_eq!(cli.logs.log_file_directory.to_string(), "/logs");
        assert!(cli.as_node_command_mut().unwrap().ext.bsp.is_enabled());
    }

    #[test]
    fn a_range_is_exported_from_the_data_directory() {
        let export = ["bsp-reth", "bsp", "export", "--from", "1", "--to", "5"];
        assert!(BspCli::try_parse_from(export).is_err(), "a target is needed");
        let with_target = export.into_iter().chain(["--target", "file:///replicas"]);
        BspCli::try_parse_from(with_target).unwrap();
    }

    #[test]
    fn cursors_are_listed_or_one_is_reset() {
        let cursors = ["bsp-reth", "bsp", "cursors"];
        for more in [&[][..], &["--json"], &["--datadir", "/x", "--reset", "file:///replicas"]] {
            BspCli::try_parse_from(cursors.iter().chain(more)).unwrap();
        }
        let both = ["--json", "--reset", "file:///replicas"];
        assert!(BspCli::try_parse_from(cursors.iter().chain(&both)).is_err());
    }
}
