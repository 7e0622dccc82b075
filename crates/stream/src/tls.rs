//! The files that a connection with TLS needs.

use redis::{ClientTlsConfig, ErrorKind, RedisError, RedisResult, TlsCertificates};
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
};

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// Files in PEM for `rediss://`. They are read at each connection, so that renewed ones are taken
/// up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// A file of certificate authorities, which the server's certificate has to come from.
    pub ca_file: Option<PathBuf>,
    /// Folders with files of such authorities. If neither these nor a file are given, the built-in
    /// authorities are trusted.
    pub ca_folders: Vec<PathBuf>,
    /// The certificate to show to a server that wants one, with those between it and its authority.
    pub client_certificate: Option<PathBuf>,
    /// The certificate's private key, if it is not in the certificate's file.
    pub client_key: Option<PathBuf>,
}

impl TlsFiles {
    /// A file of certificate authorities, and nothing else.
    pub fn trusting(ca_file: PathBuf) -> Self {
        Self { ca_file: Some(ca_file), ..Self::default() }
    }

    /// The files that the environment names.
    ///
    /// | variable | what it names |
    /// | --- | --- |
    /// | `REDIS_TLS_CA_FILE` | authorities for Redis alone, in place of the two below |
    /// | `SSL_CERT_FILE`, `SSL_CERT_DIR` | authorities, as OpenSSL's programs take them |
    /// | `REDIS_TLS_CERT_FILE`, `REDIS_TLS_KEY_FILE` | the client's certificate and its key |
    ///
    /// An empty variable counts as unset.
    pub fn from_env() -> Self {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let file = |name| set(name).map(PathBuf::from);
        let folders = |name| set(name).map(|list| env::split_paths(&list).collect());
        let (ca_file, ca_folders) = match file("REDIS_TLS_CA_FILE") {
            Some(own) => (Some(own), Vec::new()),
            None => (file("SSL_CERT_FILE"), folders("SSL_CERT_DIR").unwrap_or_default()),
        };
        Self {
            ca_file,
            ca_folders,
            client_certificate: file("REDIS_TLS_CERT_FILE"),
            client_key: file("REDIS_TLS_KEY_FILE"),
        }
    }

    /// What the files hold; `None` if none is named.
    pub(crate) async fn read(&self) -> RedisResult<Option<TlsCertificates>> {
        let (root_cert, client_tls) = (self.authorities().await?, self.client().await?);
        let is_empty = root_cert.is_none() && client_tls.is_none();
        Ok((!is_empty).then_some(TlsCertificates { client_tls, root_cert }))
    }

    async fn authorities(&self) -> RedisResult<Option<Vec<u8>>> {
        let mut authorities = Vec::new();
        if let Some(file) = &self.ca_file {
            authorities = certificates(file).await?;
        }
        for folder in &self.ca_folders {
            authorities.extend(in_folder(folder).await?);
        }
        Ok((!authorities.is_empty()).then_some(authorities))
    }

    async fn client(&self) -> RedisResult<Option<ClientTlsConfig>> {
        let certificate = match (&self.client_certificate, &self.client_key) {
            (None, None) => return Ok(None),
            (Some(certificate), _) => certificate,
            (None, Some(key)) => {
                return Err(unusable(key, "its certificate is missing: set REDIS_TLS_CERT_FILE"));
            }
        };
        let client_cert = certificates(certificate).await?;
        let key = self.client_key.as_ref().unwrap_or(certificate);
        let client_key = read(key).await?;
        if !holds(&client_key, PRIVATE_KEY) {
            let missing =
                "it holds no private key in PEM form: name the key's file in REDIS_TLS_KEY_FILE";
            return Err(unusable(key, missing));
        }
        if holds(&client_key, ENCRYPTED) {
            let encrypted = "its private key is encrypted: write it without a passphrase, as \
                             `openssl pkey -in KEY -out NEW` does";
            return Err(unusable(key, encrypted));
        }
        Ok(Some(ClientTlsConfig { client_cert, client_key }))
    }
}

/// All certificates in a folder's files. A file may be there under several names.
async fn in_folder(folder: &Path) -> RedisResult<Vec<u8>> {
    let cannot_read = |error: std::io::Error| unusable(folder, &error.to_string());
    let mut entries = tokio::fs::read_dir(folder).await.map_err(cannot_read)?;
    let mut files = BTreeSet::new();
    while let Some(entry) = entries.next_entry().await.map_err(cannot_read)? {
        // A link to a file that is gone is no reason to trust none of the others.
        if let Ok(file) = tokio::fs::canonicalize(entry.path()).await {
            files.insert(file);
        }
    }
    let mut found = Vec::new();
    for file in files {
        match tokio::fs::read(&file).await {
            Ok(pem) if holds(&pem, CERTIFICATE) => append(&mut found, &pem),
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(unusable(folder, "no file in it holds a certificate in PEM form"));
    }
    Ok(found)
}

fn append(pem: &mut Vec<u8>, more: &[u8]) {
    pem.extend_from_slice(more);
    pem.push(b'\n');
}

async fn certificates(file: &Path) -> RedisResult<Vec<u8>> {
    let mut pem = read(file).await?;
    if !holds(&pem, CERTIFICATE) {
        return Err(unusable(file, "it holds no certificate in PEM form"));
    }
    pem.push(b'\n');
    Ok(pem)
}

async fn read(file: &Path) -> RedisResult<Vec<u8>> {
    tokio::fs::read(file).await.map_err(|error| unusable(file, &error.to_string()))
}

fn holds(pem: &[u8], mark: &[u8]) -> bool {
    pem.windows(mark.len()).any(|window| window == mark)
}

fn unusable(path: &Path, reason: &str) -> RedisError {
    let detail = format!("{}: {reason}", path.display());
    (ErrorKind::InvalidClientConfig, "cannot use a file for TLS", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_files() {
        let of = |set: &[(&str, &str)]| {
            TlsFiles::from_variables(|name| {
                let found = set.iter().find(|(set, _)| *set == name);
                found.map(|(_, value)| (*value).into())
            })
        };
        assert_eq!(of(&[]), TlsFiles::default());
        assert_eq!(of(&[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")]), TlsFiles::default());
        let general = of(&[("SSL_CERT_FILE", "/ca"), ("SSL_CERT_DIR", "/a:/b")]);
        assert_eq!(general.ca_file, Some("/ca".into()));
        assert_eq!(general.ca_folders, [PathBuf::from("/a"), PathBuf::from("/b")]);
        let own = of(&[("SSL_CERT_DIR", "/a"), ("REDIS_TLS_CA_FILE", "/own")]);
        assert_eq!(own, TlsFiles::trusting("/own".into()));
        let client = of(&[("REDIS_TLS_CERT_FILE", "/cert"), ("REDIS_TLS_KEY_FILE", "/key")]);
        assert_eq!(client.client_certificate, Some("/cert".into()));
        assert_eq!(client.client_key, Some("/key".into()));
    }
}
