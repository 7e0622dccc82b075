//! redis-server, with its data in a file, so that it can be killed and comes back with them.

use super::{free_address, process::Process, program::Program};
use crate::wait::wait_for;
use eyre::Context;
use redis::aio::MultiplexedConnection;
use std::{net::SocketAddr, process::Command, time::Duration};
use tempfile::TempDir;

/// How long a start may take on a machine under load.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// A running, or killed, redis-server.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    address: SocketAddr,
    password: Option<String>,
    arguments: Vec<String>,
    process: Process,
}

impl RedisServer {
    /// Starts one that is empty.
    ///
    /// # Errors
    ///
    /// Where there is no redis-server, or it does not start.
    pub async fn start() -> eyre::Result<Self> {
        Self::start_with(None, &[""; 0]).await
    }

    /// As [`Self::start`], with further arguments, such as `["--databases", "1"]`.
    ///
    /// # Errors
    ///
    /// Where there is no redis-server, or it does not start.
    pub async fn start_with_arguments(arguments: &[impl ToString]) -> eyre::Result<Self> {
        Self::start_with(None, arguments).await
    }

    /// As [`Self::start`], with a password for the default user.
    ///
    /// # Errors
    ///
    /// Where there is no redis-server, or it does not start.
    pub async fn start_with_password(password: Option<&str>) -> eyre::Result<Self> {
        Self::start_with(password, &[""; 0]).await
    }

    async fn start_with(password: Option<&str>, arguments: &[impl ToString]) -> eyre::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let password = password.map(str::to_owned);
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let process = spawn(&folder, address, password.as_deref(), &arguments)?;
        let server = Self { folder, address, password, arguments, process };
        server.ready().await?;
        Ok(server)
    }

    /// Starts a sentinel that watches a master, alone, and has a replica take its place soon after
    /// it is gone. It can't be started again.
    ///
    /// # Errors
    ///
    /// Where there is no redis-server, or it does not start.
    pub async fn start_sentinel(name: &str, master: SocketAddr) -> eyre::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let config = folder.path().join("sentinel.conf");
        let watch = format!("sentinel monitor {name} {} {} 1", master.ip(), master.port());
        let soon = format!("sentinel down-after-milliseconds {name} 500");
        let listen = format!("bind {}\nport {}", address.ip(), address.port());
        std::fs::write(&config, format!("{listen}\n{watch}\n{soon}\n"))?;
        let mut command = Command::new(Program::Redis.require()?);
        command.arg(&config).arg("--sentinel").current_dir(folder.path());
        let process = Process::spawn("sentinel", command, &folder.path().join("redis.log"))?;
        let (password, arguments) = (None, Vec::new());
        let sentinel = Self { folder, address, password, arguments, process };
        sentinel.ready().await?;
        Ok(sentinel)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operator's URL of a stream, through another address (a proxy's) if one is given.
    pub fn stream_url(&self, address: SocketAddr, topic: &str, group: &str) -> String {
        format!("redis://username:@{address}/0?topic={topic}#{group}")
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    ///
    /// Where the operating system refuses.
    pub async fn kill(&mut self) -> eyre::Result<()> {
        self.process.kill().await
    }

    /// Starts it again after [`Self::kill`], with its data.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub async fn restart(&mut self) -> eyre::Result<()> {
        self.process =
            spawn(&self.folder, self.address, self.password.as_deref(), &self.arguments)?;
        self.ready().await
    }

    /// Forgets its data, after [`Self::kill`].
    ///
    /// # Errors
    ///
    /// Where the files can't be deleted.
    pub fn forget(&self) -> eyre::Result<()> {
        Ok(std::fs::remove_dir_all(self.folder.path().join("appendonlydir"))?)
    }

    /// Sets `maxmemory` in bytes, 0 for no limit, with the policy that refuses and removes nothing.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn limit_memory(&self, bytes: u64) -> eyre::Result<()> {
        self.evict_beyond(bytes, "noeviction").await
    }

    /// Sets `maxmemory` in bytes, 0 for no limit, and the policy by which entries are removed
    /// beyond it.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn evict_beyond(&self, bytes: u64, policy: &str) -> eyre::Result<()> {
        let mut connection = self.connect().await?;
        redis::cmd("CONFIG")
            .arg("SET")
            .arg(&["maxmemory", &bytes.to_string(), "maxmemory-policy", policy])
            .query_async::<()>(&mut connection)
            .await?;
        Ok(())
    }

    /// Makes connections that no proxy disturbs.
    ///
    /// # Errors
    ///
    /// Where the password can't be part of a URL.
    pub fn client(&self) -> eyre::Result<redis::Client> {
        let secret = self.password.as_ref().map(|secret| format!(":{secret}@")).unwrap_or_default();
        Ok(redis::Client::open(format!("redis://{secret}{}/0", self.address))?)
    }

    /// A connection of its own.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn connect(&self) -> eyre::Result<MultiplexedConnection> {
        let client = self.client()?;
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(Duration::from_secs(30)));
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    async fn ready(&self) -> eyre::Result<()> {
        wait_for("redis-server answers", START_DEADLINE, async || {
            let mut connection = self.connect().await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut connection).await.ok()
        })
        .await
        .map(drop)
        .wrap_err_with(|| self.process.last_lines(20))
    }
}

fn spawn(
    folder: &TempDir,
    address: SocketAddr,
    password: Option<&str>,
    arguments: &[String],
) -> eyre::Result<Process> {
    let mut command = Command::new(Program::Redis.require()?);
    command
        .args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()])
        .args(["--appendonly", "yes", "--save", "", "--dir"])
        .arg(folder.path())
        .args(arguments);
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    Process::spawn("redis-server", command, &folder.path().join("redis.log"))
}
