//! Which files a command line names: those that it lists, and the segments in its folders.

use eyre::{Context, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a segment's file may end in, beside the agent's own names.
const EXTENSIONS: [&str; 3] = ["avro", "rlp", "snappy"];
/// What the agent puts beside segments under their names.
const NO_SEGMENTS: [&str; 2] = ["partial", "supplement"];

/// The files to look at, in order. A folder stands for the segments in it and in the folders below,
/// sorted by chain and height.
///
/// # Errors
///
/// A folder that can't be read, or that has no segments.
pub(super) fn named_by(paths: &[PathBuf]) -> eyre::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        walk(path, &mut found)?;
        ensure!(
            !found.is_empty(),
            "{} has no segments: their names begin like 1-22433670-replica, or end in .avro, .rlp or .snappy",
            path.display()
        );
        found.sort_by_cached_key(|file| by_number(file));
        files.extend(found);
    }
    Ok(files)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> eyre::Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).wrap_err_with(cannot)? {
        let entry = entry.wrap_err_with(cannot)?;
        // A link to a folder is not followed, so the walk ends.
        if entry.file_type().wrap_err_with(cannot)?.is_dir() {
            walk(&entry.path(), found)?;
        } else if entry.file_name().to_str().is_some_and(is_segment) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn is_segment(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_chunk = name.contains("-chunk-");
    if name.starts_with('.') || is_chunk || NO_SEGMENTS.contains(&extension) {
        return false;
    }
    EXTENSIONS.contains(&extension) || is_agents_name(name)
}

/// Whether a name is as the agent's, `<chain>-<number>-<kind>…`, but no JSON file beside it.
fn is_agents_name(name: &str) -> bool {
    let mut parts = name.splitn(3, '-');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let kinds = ["replica", "specimen", "result"];
    is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)))
        && !name.ends_with(".json")
}

/// A name with its numbers made equally long, so that 10 comes after 9.
fn by_number(file: &Path) -> String {
    let mut key = String::new();
    let mut digits = String::new();
    for character in file.to_string_lossy().chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if !digits.is_empty() {
            key += &format!("{digits:0>20}");
            digits.clear();
        }
        key.push(character);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_segments_in_the_order_of_their_heights() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("below");
        fs::create_dir(&below).unwrap();
        let names = [
            "1-10-replica-0x12",
            "1-9-replica-0xab",
            "1-9-replica-0xab.supplement",
            "1-9-replica-0xab.partial",
            "1-9-replica.json",
            "genesis.json",
            "sess-6b0a12fa-chunk-00000000.rlp",
            "journal.redb",
            ".1-2-replica",
            "5.avro",
        ];
        for name in names {
            fs::write(root.path().join(name), b"x").unwrap();
        }
        fs::write(below.join("1-2-specimen-0x1.unproved"), b"x").unwrap();
        let found = named_by(&[root.path().to_owned(), PathBuf::from("-")]).unwrap();
        let shown: Vec<_> =
            found.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        let expected =
            ["1-9-replica-0xab", "1-10-replica-0x12", "5.avro", "1-2-specimen-0x1.unproved", "-"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_folder_without_segments_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let error = named_by(&[root.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("has no segments"), "{error}");
    }
}
