//! What the commands share in how they answer.

use eyre::{Context, ContextCompat};
use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Write},
    path::Path,
};

/// Exit code if a check failed, an alarm is raised, or what was asked for is not recorded.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code if a command could not do its work: something could not be read or written at all.
pub(crate) const EXIT_UNREADABLE: u8 = 2;

/// Writes to standard output; a reader that has gone away (`bsp … | head`) is no error.
pub(crate) fn print(bytes: &[u8]) -> eyre::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.wrap_err("cannot write to standard output"),
    }
}

/// Writes a message to standard error. If nobody reads that any more, there is nobody to tell.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "bsp: {message}");
}

/// Writes a file whole or not at all.
///
/// A symbolic link is followed. What is there and is no regular file, a device or a pipe, is
/// written to as it is: replacing it would destroy it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> eyre::Result<()> {
    let write = || match fs::metadata(path) {
        Ok(present) if present.is_file() => Ok(replace_file(&fs::canonicalize(path)?, bytes)?),
        Ok(_) => Ok(fs::OpenOptions::new().write(true).open(path)?.write_all(bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => replace_file(path, bytes),
        Err(error) => Err(error.into()),
    };
    write().wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// Writes under a temporary name beside the file, synced, then renamed.
fn replace_file(path: &Path, bytes: &[u8]) -> eyre::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    eyre::ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().wrap_err("it is not the name of a file")?);
    let mut file = builder()
        .prefix(&prefix)
        .tempfile_in(folder)
        .map_err(|error| without_temporary_name(&error))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(fs::File::open(folder)?.sync_all()?)
}

/// What is wrong, without the temporary file's name, which nobody has given.
fn without_temporary_name(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let reason = text.split_once(" at path ").map_or(text.as_str(), |(reason, _)| reason);
    io::Error::new(error.kind(), reason)
}

/// Files that others may read as far as the user's umask allows, as any program's output; a
/// temporary file is its owner's.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_common::text::with_causes;

    #[test]
    fn a_temporary_files_name_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = builder().prefix(".out").tempfile_in(&missing).unwrap_err();
        assert!(error.to_string().contains(".out"), "{error}");
        let error = without_temporary_name(&error);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("No such file"), "{error}");
        assert!(!error.to_string().contains(".out"), "{error}");
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_file(&folder.path().join("missing/out"), b"x").unwrap_err();
        let (text, missing) = (with_causes(error.as_ref()), folder.path().join("missing"));
        let expected = format!("missing/out: there is no folder {}", missing.display());
        assert!(text.ends_with(&expected), "{text}");
        let occupied = folder.path().join("folder");
        fs::create_dir(&occupied).unwrap();
        assert!(write_file(&occupied, b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        write_file(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_may_be_read_by_others_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        write_file(&ours, b"x").unwrap();
        fs::write(&usual, b"x").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
