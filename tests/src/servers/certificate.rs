//! Certificates for servers on the loopback, and for their clients.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// An authority with the certificates of a server on 127.0.0.1 and of a client, in files.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    ///
    /// Where there is no room for temporary files.
    pub fn make() -> Self {
        Self::try_make().expect("certificates in a temporary folder")
    }

    fn try_make() -> eyre::Result<Self> {
        let made = Self(tempfile::tempdir()?);
        let mut authority = params("ca")?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        made.write("ca", &authority.self_signed(&key)?.pem(), &key)?;
        let issuer = Issuer::new(authority, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate()?;
            made.write(name, &params(name)?.signed_by(&key, &issuer)?.pem(), &key)?;
        }
        Ok(made)
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) -> eyre::Result<()> {
        fs::write(self.file(&format!("{name}.pem")), certificate)?;
        Ok(fs::write(self.file(&format!("{name}.key")), key.serialize_pem())?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The authority's certificate, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The client's certificate and its key, in PEM.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.file("client.pem"), self.file("client.key"))
    }

    /// redis-server's arguments for listening with TLS on a port, without wanting certificates of
    /// its clients.
    pub fn redis_arguments(&self, port: u16) -> Vec<String> {
        self.arguments(port, "server", "no")
    }

    /// As [`Self::redis_arguments`], but each client has to show a certificate of the authority.
    pub fn redis_arguments_with_client_certificates(&self, port: u16) -> Vec<String> {
        self.arguments(port, "server", "yes")
    }

    /// As [`Self::redis_arguments`], but the server shows the authority's certificate as its own.
    pub fn redis_arguments_of_an_authority(&self, port: u16) -> Vec<String> {
        self.arguments(port, "ca", "no")
    }

    fn arguments(&self, port: u16, name: &str, wants_clients: &str) -> Vec<String> {
        let shown = |name: &str| self.file(name).display().to_string();
        [
            ("--tls-port", port.to_string()),
            ("--tls-auth-clients", wants_clients.to_owned()),
            ("--tls-ca-cert-file", shown("ca.pem")),
            ("--tls-cert-file", shown(&format!("{name}.pem"))),
            ("--tls-key-file", shown(&format!("{name}.key"))),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }
}

/// For 127.0.0.1. Each has a name of its own: what is issued under its own name counts as signed by
/// itself.
fn params(name: &str) -> eyre::Result<CertificateParams> {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
