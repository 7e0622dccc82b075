//! The key by which peers know this node, kept in a file.

use bsp_common::files::{read_if_there, sync_folder};
use libp2p::identity::Keypair;
use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Reads the key, or makes one and writes it to a new file that only its owner reads.
///
/// # Errors
///
/// The file system's; [`ErrorKind::InvalidData`] where the file holds something else.
pub(crate) fn load_or_make(path: &Path) -> io::Result<Keypair> {
    if let Some(bytes) = read_if_there(path)? {
        return Keypair::from_protobuf_encoding(&bytes)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
    }
    let key = Keypair::generate_ed25519();
    let bytes = key.to_protobuf_encoding().map_err(io::Error::other)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (mut file, beside) = new_beside(path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_folder(folder.unwrap_or_else(|| Path::new(".")))?;
    Ok(key)
}

/// A new file beside `path`, for its owner alone. One that a crash has left is replaced.
fn new_beside(path: &Path) -> io::Result<(std::fs::File, std::path::PathBuf)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    bsp_common::files::remove_if_there(&beside)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    Ok((file, beside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join("key.new"), b"left by a crash").unwrap();
        let made = load_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&path).unwrap().public(), made.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn something_else_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for other in [&b""[..], b"no key"] {
            fs::write(&path, other).unwrap();
            assert_eq!(load_or_make(&path).unwrap_err().kind(), ErrorKind::InvalidData);
            assert_eq!(fs::read(&path).unwrap(), other);
        }
    }
}
