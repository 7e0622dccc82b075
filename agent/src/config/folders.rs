//! Folders that settings name.

use super::{ConfigError, Env};
use bsp_common::files::sync_folder;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder that has to be there.
pub(super) fn existing(flag: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(path.to_owned()),
        Ok(_) => Err(problem(flag, path, "is a file: give a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(problem(flag, path, "does not exist: make it, or give another folder"))
        }
        Err(error) => Err(problem(flag, path, format!("can't be used: {error}"))),
    }
}

/// A folder that is made if it is not there. Its parent has to be: where that is missing, a disk is
/// not mounted or a name is mistyped more often than not.
pub(super) fn made(flag: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    match fs::create_dir(path) {
        // The name has to be on disk before anything in the folder counts as durable.
        Ok(()) => path
            .canonicalize()
            .and_then(|made| made.parent().map_or(Ok(()), sync_folder))
            .map(|()| path.to_owned())
            .map_err(|error| problem(flag, path, format!("can't be made durable: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => existing(flag, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(problem(flag, path, "can't be made, the folder above it does not exist: make that"))
        }
        Err(error) => Err(problem(flag, path, format!("can't be made: {error}"))),
    }
}

fn problem(flag: &'static str, path: &Path, problem: impl Into<String>) -> ConfigError {
    ConfigError::Folder { flag, path: path.to_owned(), problem: problem.into() }
}

/// A path with `~` at its start, `$NAME` and `${NAME}` replaced.
pub(super) fn expanded(text: &str, env: Env<'_>) -> Result<PathBuf, ConfigError> {
    let variable =
        |name: &str| env(name).ok_or_else(|| ConfigError::UnsetVariable { name: name.to_owned() });
    let mut path = String::new();
    let mut rest = text;
    if text == "~" || text.starts_with("~/") {
        path.push_str(&variable("HOME")?);
        rest = &text[1..];
    }
    while let Some((before, after)) = rest.split_once('$') {
        path.push_str(before);
        let (name, remainder) = variable_name(after);
        if name.is_empty() {
            path.push('$');
        } else {
            path.push_str(&variable(name)?);
        }
        rest = remainder;
    }
    path.push_str(rest);
    Ok(PathBuf::from(path))
}

/// The name after a `$`, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, rest)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, rest);
    }
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/op".to_owned()),
            "LOGS" => Some("logs".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn home_and_variables_are_replaced() {
        for (text, path) in [
            ("./logs/", "./logs/"),
            ("~", "/home/op"),
            ("~/x", "/home/op/x"),
            ("~op/x", "~op/x"),
            ("/a/~", "/a/~"),
            ("$HOME/$LOGS.d", "/home/op/logs.d"),
            ("/a/${LOGS}s", "/a/logss"),
            ("/a$/b", "/a$/b"),
            ("/a/${LOGS", "/a/${LOGS"),
        ] {
            assert_eq!(expanded(text, &env).unwrap(), Path::new(path), "{text}");
        }
        let error = expanded("$NOWHERE/logs", &env).unwrap_err();
        assert!(error.to_string().contains("NOWHERE, which is not set"), "{error}");
    }

    #[test]
    fn one_level_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs");
        assert!(existing("--x", &path).is_err());
        made("--x", &path).unwrap();
        made("--x", &path).unwrap();
        existing("--x", &path).unwrap();
        let two_levels = made("--x", &folder.path().join("a/b")).unwrap_err().to_string();
        assert!(two_levels.contains("folder above it does not exist"), "{two_levels}");
        fs::write(folder.path().join("file"), "").unwrap();
        let file = made("--x", &folder.path().join("file")).unwrap_err().to_string();
        assert!(file.contains("is a file"), "{file}");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[~$/{}a-zé]*") {
            let _ = expanded(&text, &env);
        }
    }
}
