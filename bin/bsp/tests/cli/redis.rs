//! A Redis server of a test's own, on the loopback.

use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub(crate) struct RedisServer {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    /// `None`, loudly, without the program.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("SKIPPED: no redis-server in PATH, set REDIS_SERVER to run this test");
            return None;
        };
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, process, _folder: folder };
        server.connection();
        Some(server)
    }

    pub(crate) fn url(&self, topic: &str) -> String {
        format!("redis://127.0.0.1:{}/0?topic={topic}", self.port)
    }

    pub(crate) fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let begin = Instant::now();
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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
