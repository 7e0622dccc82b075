//! `bsp-reth bsp …`: commands that reth does not have.

use crate::{cursors::CursorsCommand, export::ExportCommand};
use clap::Subcommand;
use eyre::Result;
use reth_cli_runner::CliRunner;
use reth_ethereum_cli::app::ExtendedCommand;

/// Commands beside reth's own.
#[derive(Debug, Subcommand)]
pub enum BspCommand {
    /// The block specimen producer's commands.
    #[command(subcommand)]
    Bsp(BspSubcommand),
}

/// Commands of `bsp-reth bsp`.
#[derive(Debug, Subcommand)]
pub enum BspSubcommand {
    /// Deliver a range of blocks from the data directory, and exit.
    Export(Box<ExportCommand>),
    /// Show how far each target is, or reset one.
    Cursors(Box<CursorsCommand>),
}

impl ExtendedCommand for BspCommand {
    fn execute(self, runner: CliRunner) -> Result<()> {
        let Self::Bsp(command) = self;
        match command {
            BspSubcommand::Export(export) => export.execute(&runner),
            BspSubcommand::Cursors(cursors) => cursors.execute(),
        }
    }
}
