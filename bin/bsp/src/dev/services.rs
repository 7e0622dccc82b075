//! What `bsp dev` works with: a stand-in for every service, or the real ones that the command line
//! names.

use super::folder::DevFolder;
use crate::proof_chain::OperatorAccess;
use alloy_primitives::Address;
use bsp_agent::{
    args::{
        AgentArgs, ObserveArgs, PinArgs, ProcessArgs, ProofArgs, ProofTarget, SegmentArgs,
        SourceArgs,
    },
    config::{AgentConfig, ConfigError, IfTaken},
    proof::Confirmations,
};
use bsp_common::Secret;
use bsp_replication::{FileOptions, FileTarget, RedisOptions, RedisTarget, Target};
use bsp_stream::RedisUrl;
use clap::Args;
use std::env;
use tokio_util::sync::CancellationToken;

/// Seconds that blocks in flight get to come to a safe point at the end.
const SHUTDOWN_SECONDS: u64 = 10;

/// Real services in place of their stand-ins.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Real services in place of their stand-ins")]
pub(crate) struct ServiceArgs {
    /// Redis stream to deliver to and to take from, in place of replicas/:
    /// `redis[s]://[user[:password]@]host[:port]/[db]?topic=STREAM#GROUP`.
    ///
    /// Name a stream that nothing else uses: the chain's blocks are put into it, and all that is in
    /// it is taken. The password may be in REDIS_PWD.
    #[arg(long, value_name = "URL")]
    redis_url: Option<Secret<String>>,

    /// Contract on a proof chain to send proofs to, in place of the ledger. The key is in
    /// MB_PRIVATE_KEY, or in MB_KEYSTORE_PATH with MB_KEYSTORE_PWD. One confirmation is enough.
    #[arg(long, value_name = "ADDRESS", group = "chain")]
    proof_chain_address: Option<Address>,

    /// Deploy a proof chain of our own on a development chain, prove to it by two operators, and
    /// show which heights have their quorum. Without --rpc-url it starts anvil, which ANVIL names
    /// or PATH has. All keys are those that everybody knows.
    #[arg(long, group = "chain")]
    pub(crate) contract: bool,

    /// The proof chain's JSON-RPC; without it, the variable MB_RPC_URL, or, for --contract, anvil.
    #[arg(long, value_name = "URL", requires = "chain")]
    rpc_url: Option<Secret<String>>,

    /// Server with ipfs-pinner's HTTP API to keep segments with, in place of agent/pins/.
    #[arg(long, value_name = "URL")]
    ipfs_pinner_server: Option<Secret<String>>,

    /// The key for --contract.
    #[arg(skip)]
    key: Option<Secret<String>>,
}

impl ServiceArgs {
    /// The development chain that is named for --contract.
    pub(crate) fn devnet_url(&self) -> Option<&str> {
        self.rpc_url.as_ref().map(|url| url.expose().as_str())
    }

    /// The same, with proofs going to a development chain's contract.
    pub(crate) fn with_chain(&self, access: OperatorAccess) -> Self {
        let OperatorAccess { contract, rpc_url, key } = access;
        let (contract, rpc_url, key) = (Some(contract), Some(rpc_url), Some(key));
        Self { proof_chain_address: contract, rpc_url, key, ..self.clone() }
    }

    /// Whether proofs go to the ledger.
    pub(crate) const fn has_ledger(&self) -> bool {
        self.proof_chain_address.is_none()
    }

    /// The contract that proofs go to, if they go to a proof chain.
    pub(crate) const fn contract_address(&self) -> Option<Address> {
        self.proof_chain_address
    }

    /// Whether content is pinned in the agent's folder.
    pub(crate) const fn has_local_pins(&self) -> bool {
        self.ipfs_pinner_server.is_none()
    }

    /// Where the producer delivers to.
    pub(crate) fn open_target(
        &self,
        folder: &DevFolder,
        stop: &CancellationToken,
    ) -> eyre::Result<Box<dyn Target>> {
        Ok(match &self.redis_url {
            Some(url) => {
                let url = RedisUrl::parse_with_environment(url.expose())?;
                Box::new(RedisTarget::new(&url, &RedisOptions::from_env(), stop.clone()))
            }
            None => {
                let (replicas, options) = (folder.replicas(), FileOptions::UNLIMITED);
                Box::new(FileTarget::open(&replicas, &options, stop.clone())?.repeating()?)
            }
        })
    }

    /// The agent's settings: every block is taken, re-executed, and proved.
    pub(crate) fn agent_config(&self, folder: &DevFolder) -> eyre::Result<AgentConfig> {
        let from_folder = self.redis_url.is_none().then(|| folder.replicas_url()).transpose()?;
        let proof = if self.has_ledger() { ProofTarget::Ledger } else { ProofTarget::Chain };
        let args = AgentArgs {
            source: SourceArgs {
                redis_url: self.redis_url.clone(),
                source: from_folder,
                ..SourceArgs::default()
            },
            segments: SegmentArgs {
                data_dir: folder.agent(),
                binary_file_path: Some(folder.segments()),
                block_divisor: 1,
                genesis: Some(folder.genesis()),
                ..SegmentArgs::default()
            },
            pins: PinArgs {
                ipfs_pinner_server: self.ipfs_pinner_server.clone(),
                ..PinArgs::default()
            },
            proofs: ProofArgs {
                proof,
                proof_chain_address: self.proof_chain_address.map(|address| address.to_string()),
                // Development chains often make a block only when there is a transaction, so none
                // would ever be deeper.
                proof_confirmations: Confirmations::Blocks(1),
                ..ProofArgs::default()
            },
            // Nothing is logged to a file; the folder has to exist.
            observe: ObserveArgs { log_folder: ".".to_owned(), ..ObserveArgs::default() },
            process: ProcessArgs { shutdown_timeout: SHUTDOWN_SECONDS, check: false },
        };
        let config = AgentConfig::from_args(&args, &|name| self.variable(name));
        let mut config = config.map_err(|error| self.in_our_words(error))?;
        // Where an agent, or another chain of this kind, has the usual one.
        config.pins.http.if_taken = IfTaken::OtherPort;
        Ok(config)
    }

    fn variable(&self, name: &str) -> Option<String> {
        match (name, &self.rpc_url) {
            ("MB_RPC_URL", Some(url)) => Some(url.expose().clone()),
            ("MB_PRIVATE_KEY", _) if self.key.is_some() => {
                self.key.as_ref().map(|key| key.expose().clone())
            }
            _ => env::var(name).ok(),
        }
    }

    /// The agent's message where it names what `bsp dev` does not have.
    fn in_our_words(&self, error: ConfigError) -> eyre::Report {
        match error {
            ConfigError::ChainIncomplete { missing } => eyre::eyre!(
                "--proof-chain-address lacks {missing}: set that (--rpc-url names the chain's RPC too), or leave the address out, and proofs go to a ledger"
            ),
            ConfigError::HttpUrl { setting: "MB_RPC_URL", problem } if self.rpc_url.is_some() => {
                ConfigError::HttpUrl { setting: "--rpc-url", problem }.into()
            }
            other => other.into(),
        }
    }
}
