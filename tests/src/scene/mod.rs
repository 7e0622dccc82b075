//! All servers of a run, with faults in between, the agents' folders, and what was fed: everything
//! an audit needs.

mod config;

pub use config::{Pinning, Proving, SceneConfig};

use crate::{
    agent::AgentCommand,
    audit::{
        AgentFolders, Audit, BlockRef, Expect, FedEntry, Pins, ProofBook, Report, StreamName,
        executions, packs::Packs, skips, watch::Watcher,
    },
    contract::ProofContract,
    messages::{Message, dev::write_genesis},
    proxy::FaultProxy,
    servers::{
        anvil::{Anvil, Mining, OPERATOR},
        gateway::RpcGateway,
        pinner::StandInPinner,
        redis::RedisServer,
    },
    wait::wait_for,
};
use alloy_primitives::B256;
use redis::aio::MultiplexedConnection;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// A proof chain with its contract.
#[derive(Debug)]
pub struct ProofChain {
    /// The chain.
    pub anvil: Anvil,
    /// The contract.
    pub contract: ProofContract,
    /// In front of the chain's RPC, as a provider's load balancer is.
    pub gateway: RpcGateway,
    /// In front of the gateway.
    pub proxy: FaultProxy,
    /// How deep a proof has to be.
    pub confirmations: u64,
}

/// A pinner with faults in front.
#[derive(Debug)]
pub struct Pinner {
    /// The server.
    pub server: Arc<StandInPinner>,
    /// In front of it.
    pub proxy: FaultProxy,
}

/// Everything around the agents.
#[derive(Debug)]
pub struct Scene {
    config: SceneConfig,
    folder: TempDir,
    /// The stream's server.
    pub redis: RedisServer,
    /// In front of it.
    pub redis_proxy: FaultProxy,
    /// The proof chain, unless proofs go to a ledger.
    pub chain: Option<ProofChain>,
    /// The pinner, unless pins are local.
    pub pinner: Option<Pinner>,
    /// The stream.
    pub stream: StreamName,
    connection: MultiplexedConnection,
    agents: Vec<String>,
    fed: Vec<FedEntry>,
    watcher: Option<Watcher>,
}

impl Scene {
    /// Starts all servers.
    ///
    /// # Errors
    ///
    /// Where one does not start.
    pub async fn start(config: SceneConfig) -> eyre::Result<Self> {
        let redis = RedisServer::start().await?;
        let redis_proxy = FaultProxy::start(redis.address()).await?;
        let chain = match config.proving {
            Proving::Chain { mining, confirmations } => {
                Some(start_chain(mining, confirmations, &config.networks).await?)
            }
            Proving::Ledger => None,
        };
        let pinner = match config.pinning {
            Pinning::Server => {
                let server = Arc::new(StandInPinner::start().await?);
                let proxy = FaultProxy::start(server.address()).await?;
                Some(Pinner { server, proxy })
            }
            Pinning::Local => None,
        };
        let connection = redis.connect().await?;
        Ok(Self {
            config,
            folder: tempfile::tempdir()?,
            redis,
            redis_proxy,
            chain,
            pinner,
            stream: StreamName { topic: "replication".to_owned(), group: "agents".to_owned() },
            connection,
            agents: Vec::new(),
            fed: Vec::new(),
            watcher: None,
        })
    }

    /// The scene's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An agent with a name of its own and everything that it needs to work on this scene, through
    /// the proxies. Every block is selected.
    ///
    /// # Errors
    ///
    /// Where its folders can't be made.
    pub fn agent(&mut self, name: &str) -> eyre::Result<AgentCommand> {
        let folder = self.folder.path().join(name);
        if !self.agents.iter().any(|known| known == name) {
            self.agents.push(name.to_owned());
        }
        let folders = self.folders_of(name);
        fs::create_dir_all(&folders.segments)?;
        let url = self.redis.stream_url(
            self.redis_proxy.address(),
            &self.stream.topic,
            &self.stream.group,
        );
        let mut command = AgentCommand::new(&self.config.agent, folder)?
            .args(["--redis-url", &url, "--consumer-name", name, "--block-divisor", "1"])
            .arg("--genesis")
            .arg(write_genesis(self.folder.path())?)
            .arg("--data-dir")
            .arg(folders.data)
            .arg("--binary-file-path")
            .arg(folders.segments);
        command = match &self.chain {
            None => command.args(["--proof", "ledger"]),
            Some(chain) => command
                .args(["--proof-chain-address", &chain.contract.address().to_string()])
                .args(["--proof-confirmations", &chain.confirmations.to_string()])
                .env("MB_RPC_URL", format!("http://{}", chain.proxy.address()))
                .env("MB_PRIVATE_KEY", format!("{:x}", OPERATOR.key)),
        };
        if let Some(pinner) = &self.pinner {
            let url = format!("http://{}/", pinner.proxy.address());
            command = command.args(["--ipfs-pinner-server", &url]);
        }
        Ok(command)
    }

    /// Where an agent's files are.
    pub fn folders_of(&self, name: &str) -> AgentFolders {
        let folder = self.folder.path().join(name);
        AgentFolders { data: folder.join("data"), segments: folder.join("bin") }
    }

    /// Puts a message at the end of the stream.
    ///
    /// # Errors
    ///
    /// Where Redis does not take it.
    pub async fn push(&mut self, message: &Message) -> eyre::Result<()> {
        let pushed = message.push(&mut self.connection, &self.stream.topic).await;
        let entry = match pushed {
            Ok(entry) => entry,
            // The server was restarted since the last one.
            Err(_) => {
                self.connection = self.redis.connect().await?;
                message.push(&mut self.connection, &self.stream.topic).await?
            }
        };
        self.adopt(entry);
        Ok(())
    }

    /// Takes note of an entry that somebody else has put at the end of the stream.
    pub fn adopt(&mut self, entry: FedEntry) {
        if let Some(watcher) = &self.watcher {
            watcher.add(entry.clone());
        }
        self.fed.push(entry);
    }

    /// All that was fed.
    pub fn fed(&self) -> &[FedEntry] {
        &self.fed
    }

    /// Looks at acknowledgements from now on. All agents must be known by now.
    ///
    /// # Errors
    ///
    /// Where Redis can't be reached.
    pub fn watch(&mut self) -> eyre::Result<()> {
        let audit = self.audit_of(HashMap::new());
        let watcher = Watcher::start(audit, self.stream.clone(), self.redis.client()?);
        for entry in &self.fed {
            watcher.add(entry.clone());
        }
        self.watcher = Some(watcher);
        Ok(())
    }

    /// How many acknowledgements were checked as they happened.
    pub fn acknowledgements_checked(&self) -> usize {
        self.watcher.as_ref().map_or(0, Watcher::checked)
    }

    /// How many entries the stream holds.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub async fn remaining(&mut self) -> eyre::Result<u64> {
        match self.stream.remaining(&mut self.connection).await {
            Ok((entries, _)) => Ok(entries),
            Err(_) => {
                self.connection = self.redis.connect().await?;
                Ok(self.stream.remaining(&mut self.connection).await?.0)
            }
        }
    }

    /// Waits until the stream holds nothing but the entries that had to be held.
    ///
    /// # Errors
    ///
    /// Where it does not in time.
    pub async fn settle(&mut self, deadline: Duration) -> eyre::Result<()> {
        let held = self.fed.iter().filter(|entry| matches!(entry.expect, Expect::Held(_))).count();
        let settled = wait_for("the stream has only what is held", deadline, async || {
            (self.remaining().await.ok()? == held as u64).then_some(())
        })
        .await;
        settled.map_err(|error| eyre::eyre!("{error}\n{}", self.last_lines()))
    }

    /// The end of what each agent printed.
    pub fn last_lines(&self) -> String {
        let lines = self.agents.iter().map(|name| {
            let path = self.folder.path().join(name).join("output.log");
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            format!("--- {name}\n{last}\n")
        });
        lines.collect()
    }

    /// Audits everything. The agents must have ended: their journals are read.
    ///
    /// # Errors
    ///
    /// Where something can't be checked.
    pub async fn audit(&mut self) -> eyre::Result<Report> {
        let mut skipped = HashMap::new();
        for name in &self.agents {
            skipped.extend(skips::read(&self.journal_of(name)?)?);
        }
        let audit = self.audit_of(skipped);
        let mut connection = self.redis.connect().await?;
        let mut report = audit.run(&self.fed, &mut connection).await?;
        if let Some(watcher) = self.watcher.take() {
            audit.add_seen(watcher.finish().await?, &mut report);
        }
        Ok(report)
    }

    /// The blocks that an agent has proved after it had executed all of them, by its journal. The
    /// agent must have ended.
    ///
    /// # Errors
    ///
    /// Where the journal can't be read.
    pub fn executed_whole(&self, name: &str) -> eyre::Result<HashSet<B256>> {
        executions::whole(&self.journal_of(name)?)
    }

    /// What `bsp journal --json` prints of an agent's journal, nothing if there is none.
    fn journal_of(&self, name: &str) -> eyre::Result<String> {
        let folders = self.folders_of(name);
        if !folders.data.join("journal.redb").exists() {
            return Ok(String::new());
        }
        let output = Command::new(&self.config.tool)
            .args(["journal", "--json", "--data-dir"])
            .arg(&folders.data)
            .output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        eyre::ensure!(output.status.success(), "bsp journal: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn audit_of(&self, skipped: HashMap<BlockRef, String>) -> Audit {
        let folders: Vec<_> = self.agents.iter().map(|name| self.folders_of(name)).collect();
        let proofs = match &self.chain {
            Some(chain) => ProofBook::Chain {
                rpc: chain.anvil.rpc().clone(),
                contract: chain.contract.address(),
                confirmations: chain.confirmations,
                reorganising: chain.anvil.reorganising(),
            },
            None => ProofBook::Ledgers(
                folders.iter().map(|folder| folder.data.join("ledger.jsonl")).collect(),
            ),
        };
        let pins = match &self.pinner {
            Some(pinner) => Pins::Pinner(Arc::clone(&pinner.server)),
            None => Pins::Local(Packs::default()),
        };
        Audit { stream: Some(self.stream.clone()), proofs, pins, folders, skipped }
    }
}

async fn start_chain(
    mining: Mining,
    confirmations: u64,
    networks: &[u64],
) -> eyre::Result<ProofChain> {
    let anvil = Anvil::start(mining).await?;
    let contract = ProofContract::deploy(anvil.rpc()).await?;
    for network in networks {
        contract.accept_network(*network).await?;
    }
    let gateway = RpcGateway::start(anvil.address()).await?;
    let proxy = FaultProxy::start(gateway.address()).await?;
    Ok(ProofChain { anvil, contract, gateway, proxy, confirmations })
}
