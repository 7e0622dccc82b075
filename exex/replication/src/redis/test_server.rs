//! A Redis server for a test, on a free port of the loopback, with its data in a folder of its own.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Stopped when dropped.
pub(crate) struct TestServer {
    program: PathBuf,
    arguments: Vec<String>,
    folder: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl TestServer {
    /// Starts one; `None`, and a line on standard error, if there is no redis-server.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = find() else {
            eprintln!(
                "SKIPPED: there is no redis-server; install it, or set REDIS_SERVER to its path"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self { program, arguments, folder, port, child: None };
        server.restart();
        Some(server)
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same port, with what it has on disk.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let child = Command::new(&self.program)
            .args(["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--port", &self.port.to_string(), "--dir"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server did not start");
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("REDIS_SERVER") {
        return Some(chosen.into());
    }
    let workspace_bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([workspace_bin])
        .map(|folder| folder.join("redis-server"))
        .find(|program| program.is_file())
}
