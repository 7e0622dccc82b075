//! A Redis server of a test's own, on the loopback.

use redis::aio::MultiplexedConnection;
use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for any machine; no test waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, whose data survives [`RedisServer::kill`] until it is dropped.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one that writes each command to its disk before it answers. `None`, loudly, without
    /// the program.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        let mut server = Self::prepare(arguments)?;
        server.run().await;
        Some(server)
    }

    /// A server that does not run yet.
    pub(crate) fn prepare(arguments: &[&str]) -> Option<Self> {
        if program().is_none() {
            eprintln!("SKIPPED: no redis-server in PATH, set REDIS_SERVER to run this test");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Some(Self { port: free_port(), folder, arguments, process: None })
    }

    /// Starts it, again, and waits until it answers.
    pub(crate) async fn run(&mut self) {
        self.spawn();
        self.connection(&format!("redis://127.0.0.1:{}", self.port)).await;
    }

    /// Starts it, again.
    pub(crate) fn spawn(&mut self) {
        let mut command = Command::new(program().unwrap());
        // A file with these settings first: `--sentinel` is only taken after one.
        let config = self.folder.path().join("redis.conf");
        if !config.exists() {
            let durable = "appendonly yes\nappendfsync always\nsave \"\"\nbind 127.0.0.1\n";
            std::fs::write(&config, durable).unwrap();
        }
        command.arg(&config).arg("--port").arg(self.port.to_string());
        command.args(&self.arguments).current_dir(self.folder.path());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
    }

    /// As if by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A connection of the test's own, as soon as there is an answer of any kind.
    pub(crate) async fn connection(&self, url: &str) -> MultiplexedConnection {
        let client = redis::Client::open(url).unwrap();
        let config = redis::AsyncConnectionConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let begin = Instant::now();
        loop {
            if let Ok(mut connection) =
                client.get_multiplexed_async_connection_with_config(&config).await
            {
                let pong: redis::RedisResult<String> =
                    redis::cmd("PING").query_async(&mut connection).await;
                let loading = pong.is_err_and(|error| error.code() == Some("LOADING"));
                if !loading {
                    return connection;
                }
            }
            assert!(begin.elapsed() < PATIENCE, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(path) = env::var_os("REDIS_SERVER") {
        return Some(path.into());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join("redis-server"))
        .find(|path| path.is_file())
}

/// A port that nobody listened on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
