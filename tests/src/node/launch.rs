//! How a node is started: program, data directory, chain, and the extension's flags.

use super::{JwtSecret, engine::EngineApi, process::Node};
use crate::{
    rpc::JsonRpc,
    servers::{free_address, process::Process},
    wait::wait_for,
};
use alloy_genesis::Genesis;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long a start may take on a machine under load, recovery after a crash included.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// What the next process says while the killed one still holds the lock.
const LOCK_TAKEN: &str = "Storage lock already taken";

/// What it says where somebody else was faster.
const PORT_TAKEN: &str = "is already in use";

/// Who makes a node's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// The test, over the engine API.
    Driven,
    /// The node, from its pool, each so often.
    Mined(Duration),
}

/// Everything that a start needs. Each start takes ports of its own.
#[derive(Debug, Clone)]
pub struct NodeLaunch {
    program: PathBuf,
    folder: PathBuf,
    blocks: Blocks,
    args: Vec<String>,
    variables: Vec<(String, String)>,
}

impl NodeLaunch {
    /// A node on the chain of a genesis, with its data in a folder, which is made.
    ///
    /// # Errors
    ///
    /// Where the folder can't be written.
    pub fn new(
        program: PathBuf,
        folder: PathBuf,
        genesis: &Genesis,
        blocks: Blocks,
    ) -> eyre::Result<Self> {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("genesis.json"), serde_json::to_vec(genesis)?)?;
        fs::write(folder.join("jwt.hex"), JwtSecret::for_tests().to_hex())?;
        Ok(Self { program, folder, blocks, args: Vec::new(), variables: Vec::new() })
    }

    /// The same with other flags of the extension and of reth.
    #[must_use]
    pub fn with_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// The same with more flags.
    #[must_use]
    pub fn and_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The node's data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file that all its processes print to.
    pub fn log(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    /// Deletes the data directory.
    ///
    /// # Errors
    ///
    /// Where it can't be deleted.
    pub fn wipe(&self) -> eyre::Result<()> {
        Ok(fs::remove_dir_all(self.data())?)
    }

    /// Runs one of reth's commands on the database of a node that is stopped.
    ///
    /// # Errors
    ///
    /// Where it fails, with what it printed.
    pub async fn db(&self, args: impl IntoIterator<Item = String>) -> eyre::Result<()> {
        self.forget_settings();
        let mut command = tokio::process::Command::new(&self.program);
        command.current_dir(&self.folder).args(["db", "--chain", "genesis.json", "--datadir"]);
        command.arg(self.data()).args(args).args(["--log.file.max-files", "0"]);
        let output = command.kill_on_drop(true).output().await?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        eyre::ensure!(output.status.success(), "{:?}: {printed}", command.as_std());
        Ok(())
    }

    /// One of the commands `bsp-reth bsp …`, on the database of a node that is stopped.
    pub fn bsp(&self, name: &str, data: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(["bsp", name, "--chain", "genesis.json"]);
        command.arg("--datadir").arg(data);
        command.args(["--log.file.max-files", "0", "--color", "never"]);
        command.env_remove("BSP_FAILPOINT").env_remove("BSP_TARGETS");
        command
    }

    /// The file of settings is written by a node with a short pruning distance, and refused by its
    /// next start.
    fn forget_settings(&self) {
        let _ = fs::remove_file(self.data().join("reth.toml"));
    }

    /// Starts a process, and waits until it answers.
    ///
    /// # Errors
    ///
    /// Where it ends before it answers, other than because of its predecessor's lock or of a port,
    /// or does not answer in time.
    pub async fn start(&self) -> eyre::Result<Node> {
        self.forget_settings();
        for _ in 0..20 {
            let printed_before = printed(&self.log()).len();
            match self.try_start().await {
                Err(_) if is_passing(&printed(&self.log())[printed_before..]) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                node => return node,
            }
        }
        self.try_start().await
    }

    async fn try_start(&self) -> eyre::Result<Node> {
        let [http, auth, network, metrics] =
            [free_address()?, free_address()?, free_address()?, free_address()?];
        let command = self.command(http, auth, network, metrics);
        let mut process = Process::spawn("the node", command, &self.log())?;
        let rpc = JsonRpc::new(http);
        let answers = wait_for("the node answers", START_DEADLINE, async || {
            if !process.is_running() {
                return Some(false);
            }
            rpc.block_number().await.is_ok().then_some(true)
        });
        let answers = answers.await;
        eyre::ensure!(
            matches!(answers, Ok(true)),
            "the node does not answer:\n{}",
            process.last_lines(30)
        );
        let engine = EngineApi::new(auth, JwtSecret::for_tests());
        Ok(Node { process, rpc, engine, metrics })
    }

    fn command(
        &self,
        http: SocketAddr,
        auth: SocketAddr,
        network: SocketAddr,
        metrics: SocketAddr,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(["node", "--chain", "genesis.json"]);
        if let Blocks::Mined(period) = self.blocks {
            let period = format!("{}ms", period.as_millis());
            command.args(["--dev", "--dev.block-time", &period]);
        }
        command.arg("--datadir").arg(self.data());
        command.args(["--http", "--http.addr", &http.ip().to_string()]);
        command.args(["--http.port", &http.port().to_string()]);
        command.args(["--http.api", "admin,eth,debug,txpool,bsp", "--ipcdisable"]);
        command.args(["--authrpc.addr", &auth.ip().to_string()]);
        command.args(["--authrpc.port", &auth.port().to_string()]);
        command.arg("--authrpc.jwtsecret").arg(self.folder.join("jwt.hex"));
        command.args(["--addr", &network.ip().to_string(), "--port", &network.port().to_string()]);
        command.args(["--disable-discovery", "--nat", "none", "--no-persist-peers"]);
        command.args(["--metrics", &metrics.to_string()]);
        command.args(["--log.file.max-files", "0", "--color", "never"]);
        // reth's own default takes gigabytes for what is a few hundred accounts here.
        command.args(["--engine.cross-block-cache-size", "64"]);
        command.args(&self.args);
        command.env_remove("BSP_FAILPOINT");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Whether a start that failed with this in the log may go well the next time.
fn is_passing(printed: &str) -> bool {
    printed.contains(LOCK_TAKEN) || printed.contains(PORT_TAKEN)
}

fn printed(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
