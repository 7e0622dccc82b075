//! What the commands share in how they answer.

use eyre::{Context, ContextCompat};
use std::{
    io::{self, ErrorKind, Write},
    path::Path,
};

/// Exit code where a check failed.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code where something could not be read or written at all.
pub(crate) const EXIT_UNREADABLE: u8 = 2;

/// Writes to standard output; a reader that has gone away (`bsp … | head`) is no error.
pub(crate) fn print(bytes: &[u8]) -> eyre::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.wrap_err("cannot write to standard output"),
    }
}

/// Writes a file whole or not at all: under a temporary name beside it, synced, then renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> eyre::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => return Err(eyre::eyre!("{} is not the name of a file", path.display())),
    };
    let file_name = path.file_name().wrap_err("the output has no file name")?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(file_name);
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().wrap_err_with(|| format!("cannot write {}", path.display()))
}
