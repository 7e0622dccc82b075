//! `bsp proof-chain`: stands up and looks after a contract that takes proofs.

mod abi;
mod answer;
mod connection;
mod deploy;
mod devnet;
mod finalize;
mod kind;
mod logs;
mod network;
mod operators;
mod sending;
mod sessions;
mod status;

pub(crate) use devnet::{Devnet, OperatorAccess};

use crate::stream;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// An example for each command.
const EXAMPLES: &str = "Examples:
  export MB_RPC_URL=https://rpc.example MB_KEYSTORE_PATH=owner.json MB_KEYSTORE_PWD=…
  bsp proof-chain deploy --network 1 --confirmations finalized
  export ProofChain=0x…
  bsp proof-chain operators add 0x… --validator 1
  bsp proof-chain status
  bsp proof-chain sessions
  bsp proof-chain finalize --yes";

/// Deploy a proof chain of your own, and look after it.
///
/// A proof chain is a contract on any EVM chain. Operators submit their proofs to it, and a
/// specimen that enough of them agree on has a quorum. docs/PROOF_CHAIN.md says how a group of
/// operators runs one.
///
/// The chain's RPC is in MB_RPC_URL, and the key that signs in MB_PRIVATE_KEY, or in a keystore
/// file named by MB_KEYSTORE_PATH with its password in MB_KEYSTORE_PWD, as for the agent. What
/// sends transactions says what it will send and what that costs, and asks first.
///
/// Exits with 0 if all is well, with 1 if `status` finds something wrong or a question was answered
/// with no, and with 2 if a command could not do its work.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProofChainArgs {
    #[command(subcommand)]
    command: ProofChainCommand,
}

#[derive(Debug, Subcommand)]
enum ProofChainCommand {
    Deploy(deploy::DeployArgs),
    Status(status::StatusArgs),
    Network(network::SetNetworkArgs),
    Operators(operators::OperatorsArgs),
    Sessions(sessions::SessionsArgs),
    Finalize(finalize::FinalizeArgs),
}

pub(crate) fn run(args: &ProofChainArgs) -> eyre::Result<ExitCode> {
    stream::run(async {
        match &args.command {
            ProofChainCommand::Deploy(args) => deploy::run(args).await,
            ProofChainCommand::Status(args) => status::run(args).await,
            ProofChainCommand::Network(args) => network::run(args).await,
            ProofChainCommand::Operators(args) => operators::run(args).await,
            ProofChainCommand::Sessions(args) => sessions::run(args).await,
            ProofChainCommand::Finalize(args) => finalize::run(args).await,
        }
    })?
}
