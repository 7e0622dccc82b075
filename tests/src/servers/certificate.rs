//! Certificates for servers on the loopback.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A certificate for 127.0.0.1 that is its own authority, in files.
#[derive(Debug)]
pub struct Certificate(TempDir);

impl Certificate {
    /// Makes one; `None`, and a line on standard error, if there is no openssl.
    ///
    /// # Panics
    ///
    /// Where there is no room for temporary files.
    pub fn make() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no openssl in PATH");
            return None;
        }
        Some(Self(folder))
    }

    /// The certificate, in PEM.
    pub fn file(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    /// redis-server's arguments for listening with it on a port, without wanting certificates of
    /// its clients.
    pub fn redis_arguments(&self, port: u16) -> Vec<String> {
        let shown = |path: PathBuf| path.display().to_string();
        let key = shown(self.0.path().join("key.pem"));
        let arguments = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"];
        let files = ["--tls-cert-file", &shown(self.file()), "--tls-key-file", &key];
        [arguments, files].concat().into_iter().map(str::to_owned).collect()
    }
}
